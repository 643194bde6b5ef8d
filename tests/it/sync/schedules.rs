//! Random schedules of purchases, events and faults, each from a seed: whatever happens on the way, in the end the roles
//! are what Stripe's state says, and nobody who paid was without access after the first grant.

use std::time::Duration;

use fastrand::Rng;
use http::Method;

use super::market::{ANN, BOB, Market};
use crate::support::auth0::{Fault as Auth0Fault, Trouble};
use crate::support::stripe::{Event, Fault, Form};

/// Schedules that are played.
const SCHEDULES: u64 = 30;
/// What happens in each.
const ACTS: usize = 40;

/// One schedule on its way.
struct Play {
    seed: u64,
    random: Rng,
    market: Market,
    /// Events that are still on their way, and those that came.
    under_way: Vec<Event>,
    arrived: Vec<Event>,
    disputes: Vec<String>,
    /// Who had a paid plan in the ledger and did not lose the right to it since.
    granted: Vec<&'static str>,
}

impl Play {
    async fn begin(seed: u64) -> Self {
        let market = Market::open().await;
        market.auth0.give_role(BOB, "admin");
        Self {
            seed,
            random: Rng::with_seed(seed),
            market,
            under_way: Vec::new(),
            arrived: Vec::new(),
            disputes: Vec::new(),
            granted: Vec::new(),
        }
    }

    /// One of several things happens.
    async fn act(&mut self) {
        match self.random.u8(0..100) {
            0..15 => self.shop().await,
            15..30 => self.regret(),
            30..55 => self.deliver().await,
            55..65 => self.break_something(),
            65..70 => self.mend(),
            70..80 => self.drop_a_step().await,
            80..83 => self.market.restart().await,
            83..90 => self
                .market
                .pass(Duration::from_secs(self.random.u64(1..600))),
            _ => {
                self.market.step().await;
            }
        }
        self.under_way.extend(self.market.news());
    }

    /// Somebody buys, or only begins to.
    async fn shop(&mut self) {
        self.mend();
        let user = self.random.choice([ANN, BOB]).expect("one");
        let plan = self.random.choice(["monthly", "lifetime"]).expect("one");
        let session = self.market.checkout(user, plan).await;
        match self.random.u8(0..6) {
            0 => {}
            1 => self.market.stripe.expire(&session),
            _ => self.market.stripe.pay(&session),
        }
    }

    /// Something that was bought changes.
    fn regret(&mut self) {
        let stripe = &self.market.stripe;
        let mut live = stripe.ids("subscription");
        live.retain(|id| stripe.object(id)["status"] != "canceled");
        if let (Some(subscription), true) = (self.random.choice(&live), self.random.bool()) {
            match self.random.u8(0..6) {
                0 => stripe.cancel_now(subscription),
                1 => stripe.renew(subscription),
                2 => stripe.cancel_at_end(subscription),
                3 => stripe.keep_going(subscription),
                4 => stripe.set_status(subscription, "unpaid"),
                _ => stripe.set_status(subscription, "active"),
            }
            return;
        }
        let kept = bought_once(&self.market);
        if let (Some(session), true) = (self.random.choice(&kept), self.random.bool()) {
            if self.random.bool() {
                stripe.refund(session);
            } else if !is_disputed(&self.market, session) {
                self.disputes
                    .push(stripe.dispute(session, "needs_response"));
            }
        } else if let Some(dispute) = self.random.choice(&self.disputes) {
            let word = self.random.choice(["under_review", "lost", "won"]);
            stripe.dispute_status(dispute, word.expect("one"));
        }
    }

    /// An event arrives: any, and now and then one that came before.
    async fn deliver(&mut self) {
        if self.random.u8(0..4) == 0
            && let Some(event) = self.random.choice(&self.arrived)
        {
            self.market.receive(event).await;
            return;
        }
        if self.under_way.is_empty() {
            return;
        }
        let at = self.random.usize(..self.under_way.len());
        let event = self.under_way.swap_remove(at);
        let form = self.random.choice([Form::Snapshot, Form::Thin]);
        self.market.receive_as(&event, form.expect("one")).await;
        self.arrived.push(event);
    }

    fn break_something(&mut self) {
        let stripe = [
            Fault::status(500),
            Fault::CutBefore,
            Fault::CutAfter,
            Fault::rate_limited(1),
        ];
        let auth0 = [
            Trouble::Instead(Auth0Fault::Status(503)),
            Trouble::Instead(Auth0Fault::Cut),
            Trouble::After(Auth0Fault::Cut),
            Trouble::After(Auth0Fault::Status(500)),
        ];
        let methods = [Method::GET, Method::POST, Method::DELETE, Method::PATCH];
        let market = &self.market;
        match self.random.u8(0..3) {
            0 => market
                .stripe
                .fault_by_chance(self.random.u64(..), 150, &stripe),
            1 => market.auth0.late_role_reads(self.random.usize(0..3)),
            _ => {
                let times = self.random.usize(1..4);
                let method = self.random.choice(methods).expect("one");
                let trouble = self.random.choice(auth0).expect("one");
                let users = "/api/v2/users";
                market.auth0.trouble_times(times, method, users, trouble);
            }
        }
    }

    fn mend(&self) {
        self.market.stripe.mend();
        self.market.auth0.mend_all();
        self.market.auth0.late_role_reads(0);
    }

    /// A step that is dropped after some calls.
    async fn drop_a_step(&mut self) {
        let patience = Duration::from_micros(self.random.u64(0..20_000));
        let _ = tokio::time::timeout(patience, self.market.sync.step()).await;
    }

    /// Who was given a paid plan keeps it, in the ledger and in Auth0, while Stripe says that it is theirs.
    async fn nobody_is_robbed(&mut self) {
        for user in [ANN, BOB] {
            let entitled = expected(&self.market, user) != "free-user";
            let row = self.market.store.entitlement(user).await.expect("a ledger");
            let (is_paid, is_confirmed) = row.map_or((false, false), |row| {
                (row.derived.paid, row.confirmed_at.is_some())
            });
            if !entitled {
                self.granted.retain(|granted| *granted != user);
            } else if self.granted.contains(&user) {
                assert!(
                    is_paid,
                    "seed {}: {user} lost what they paid for",
                    self.seed
                );
                let roles = self.market.auth0.roles_of(user);
                let has_role = roles.iter().any(|role| role.starts_with("premium-"));
                assert!(
                    has_role || !is_confirmed,
                    "seed {}: {user} lost the role",
                    self.seed
                );
            } else if is_paid {
                self.granted.push(user);
            }
        }
        let roles = self.market.auth0.roles_of(BOB);
        assert!(roles.contains(&"admin".to_owned()), "seed {}", self.seed);
    }

    /// Time passes until readings are late no more; what was in doubt is looked at again.
    async fn look_again(&self) {
        for user in [ANN, BOB] {
            for _ in 0..3 {
                let read = self.market.parts.auth0.roles_of(user).await;
                read.expect("the roles");
            }
        }
        self.market.pass(Duration::from_secs(120));
        self.market.recheck().await;
        self.market.settle().await;
    }

    /// All events arrive, all faults are mended, and all jobs are done.
    async fn end(mut self) {
        self.mend();
        // What is replaced ends meanwhile, which is an event too.
        while !self.under_way.is_empty() {
            for event in std::mem::take(&mut self.under_way) {
                self.market.receive(&event).await;
            }
            self.market.settle().await;
            self.under_way = self.market.news();
        }
        self.market.settle().await;
        self.look_again().await;
        for user in [ANN, BOB] {
            let mut roles = self.market.auth0.roles_of(user);
            roles.retain(|role| role != "admin");
            let wanted = expected(&self.market, user);
            assert_eq!(roles, [wanted], "seed {}: {user}", self.seed);
        }
        for event in self.market.stripe.outbox() {
            let snapshot = self.market.store.event(&event.id).await.expect("a ledger");
            let thin = event.id_in(Form::Thin);
            let thin = self.market.store.event(&thin).await.expect("a ledger");
            let kept = snapshot.is_some() || thin.is_some();
            assert!(kept, "seed {}: {} is lost", self.seed, event.id);
        }
    }
}

/// Paid sessions of one-time purchases whose money was not given back.
fn bought_once(market: &Market) -> Vec<String> {
    let stripe = &market.stripe;
    let mut sessions = stripe.ids("checkout.session");
    sessions.retain(|id| {
        let session = stripe.object(id);
        session["mode"] == "payment"
            && session["payment_status"] == "paid"
            && stripe.object(&stripe.charge_of(id))["refunded"] != true
    });
    sessions
}

/// Whether a dispute holds the money of the session back.
fn is_held_back(market: &Market, session: &str) -> bool {
    dispute_of(market, session).is_some_and(|status| status != "won")
}

fn is_disputed(market: &Market, session: &str) -> bool {
    dispute_of(market, session).is_some()
}

fn dispute_of(market: &Market, session: &str) -> Option<String> {
    let charge = market.stripe.charge_of(session);
    let disputes = market.stripe.ids("dispute");
    let mut disputes = disputes.iter().map(|id| market.stripe.object(id));
    let found = disputes.find(|dispute| dispute["charge"] == charge.as_str())?;
    found["status"].as_str().map(str::to_owned)
}

/// The role that Stripe's state gives the user, worked out anew.
fn expected(market: &Market, user: &str) -> &'static str {
    let stripe = &market.stripe;
    let is_own = |id: &str| stripe.object(id)["metadata"]["auth0_user_id"] == user;
    let bought = bought_once(market);
    if (bought.iter()).any(|id| is_own(id) && !is_held_back(market, id)) {
        return "premium-lifetime";
    }
    let subscriptions = stripe.ids("subscription");
    let is_active = |id: &str| stripe.object(id)["status"] == "active";
    if (subscriptions.iter()).any(|id| is_own(id) && is_active(id)) {
        return "premium-monthly";
    }
    "free-user"
}

#[tokio::test]
async fn whatever_happens_on_the_way_the_roles_end_as_stripe_says() {
    for seed in 0..SCHEDULES {
        let mut play = Play::begin(seed).await;
        for _ in 0..ACTS {
            play.act().await;
            play.nobody_is_robbed().await;
        }
        play.end().await;
    }
}
