//! One schedule: a few users, to whom things happen; events that come late, twice, in any order or never; a worker whose
//! neighbours fail, and whose process ends at any moment.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use tollgate::endpoints::intent::{Ours, new_event};
use tollgate::store::{EventState, NewEvent, Store};
use tollgate::stripe::{Envelope, matters};
use tollgate::sync::Sync;

use super::buyer::{Buyer, PRICE_UNKNOWN};
use super::faults::{self, Held};
use super::oracle::assert_settled;
use super::perils::{Peril, Perils};
use super::witness::{Witness, assert_only_managed, managed_roles};
use crate::support::stripe::{Event, Form};
use crate::sync::market::{Market, config};

/// One ledger of so many is a file, which takes longer; the others are in memory.
const FILES: u64 = 8;
/// A month, in which a subscription lives through a period.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) struct Schedule {
    random: Rng,
    market: Market,
    perils: Arc<Perils>,
    witness: Witness,
    buyers: Vec<Buyer>,
    /// Ids of the roles that plans name.
    managed: Vec<String>,
    /// Events that are not delivered yet.
    waiting: Vec<Event>,
    /// Events that were.
    delivered: Vec<Event>,
    /// The ids under which the ledger has taken them.
    acknowledged: Vec<String>,
    story: Story,
}

/// What has happened, told when it ends badly.
#[derive(Default)]
struct Story(Vec<String>);

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0.join("\n"));
        }
    }
}

impl Schedule {
    /// Draws users, and what they begin with.
    pub(super) async fn draw(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let market = if seed % FILES == 0 {
            Market::open().await
        } else {
            Market::in_memory().await
        };
        market.stripe.new_price(PRICE_UNKNOWN, 500, true);
        market.auth0.create_role("newsletter", &[]);
        let (mut buyers, mut witness) = (Vec::new(), Witness::new());
        for number in 0..random.usize(1..=3) {
            let user = format!("auth0|buyer-{number}");
            market.auth0.create_user(&user, "buyer@example.test", true);
            let mut others = Vec::new();
            for (role, chance) in [("admin", 4), ("newsletter", 3)] {
                if random.u8(0..chance) == 0 {
                    market.auth0.give_role(&user, role);
                    others.push(role);
                }
            }
            if random.u8(0..5) > 0 {
                market.auth0.give_role(&user, "free-user");
            }
            let is_guest_of_honour = random.u8(0..10) == 0;
            if is_guest_of_honour {
                market.auth0.give_role(&user, "premium-monthly");
            }
            witness.meet(&user, others.contains(&"admin"));
            buyers.push(Buyer::new(&user, others, is_guest_of_honour));
        }
        let perils = Perils::of(Arc::clone(&market.store));
        let mut schedule = Self {
            managed: managed_roles(&market).await,
            random,
            market,
            perils,
            witness,
            buyers,
            waiting: Vec::new(),
            delivered: Vec::new(),
            acknowledged: Vec::new(),
            story: Story::default(),
        };
        schedule.begin_process();
        schedule
    }

    /// Plays it, and checks the end.
    pub(super) async fn play(mut self) {
        for _ in 0..self.random.u32(8..=24) {
            match self.random.u8(0..100) {
                0..=34 => self.act().await,
                35..=59 => self.deliver().await,
                60..=89 => self.step().await,
                90..=94 => self.pass_time().await,
                95..=97 => self.restart("calmly").await,
                _ => {
                    self.market.recheck().await;
                    self.tell("recheck".to_owned());
                }
            }
            self.look().await;
        }
        self.end().await;
    }

    fn tell(&mut self, what: String) {
        self.story.0.push(what);
    }

    // ---- the world

    /// Something happens to somebody.
    async fn act(&mut self) {
        let place = self.random.usize(..self.buyers.len());
        let host = self.random.usize(..self.buyers.len());
        let host = (host != place).then(|| self.buyers[host].user.clone());
        let buyer = &mut self.buyers[place];
        let happened = buyer.act(&mut self.random, &self.market, host.as_deref());
        if let Some(happened) = happened.await {
            self.tell(happened);
        }
        self.entitle();
    }

    /// Who has a right to what now.
    fn entitle(&mut self) {
        for (place, buyer) in self.buyers.iter().enumerate() {
            let plan = buyer.known().plan(&self.market.stripe);
            self.witness.entitle(place, plan != "free");
        }
    }

    /// Looks at who may do what.
    async fn look(&mut self) {
        self.notice().await;
        let news = self.market.news().into_iter();
        let news = news.filter(|event| matters(&event.kind));
        self.waiting.extend(news);
        self.witness.look(&self.market).await;
    }

    /// Looks which purchases the ledger has learned of that only their own events tell of.
    async fn notice(&mut self) {
        for place in 0..self.buyers.len() {
            for session in self.buyers[place].sessions_elsewhere() {
                let of_it = |event: &&Event| event.object_id() == session;
                for event in self.delivered.iter().filter(of_it) {
                    let id = self.read(event).id;
                    let kept = self.market.store.event(&id).await.expect("a ledger");
                    if kept.is_some_and(|kept| kept.state == EventState::Processed) {
                        self.buyers[place].notice(&session);
                    }
                }
            }
        }
        self.entitle();
    }

    /// A while, or a period of somebody's subscription.
    async fn pass_time(&mut self) {
        let is_long = self.random.u8(0..4) == 0;
        let time = if is_long {
            // No job waits for a month: the worker would have tried again and again.
            self.market.settle().await;
            self.look().await;
            MONTH
        } else {
            Duration::from_secs(self.random.u64(1..100))
        };
        self.market.pass(time);
        self.tell(format!("{time:?} pass"));
    }

    // ---- events

    /// Some of the events that wait come, in any order, some of them for the second time.
    async fn deliver(&mut self) {
        let count = self.random.usize(0..=self.waiting.len().min(6));
        let mut batch = Vec::new();
        for _ in 0..count {
            let event = self
                .waiting
                .swap_remove(self.random.usize(..self.waiting.len()));
            if self.random.u8(0..6) == 0 {
                // The answer is lost, or another event tells of the same fact.
                let again = if self.random.bool() {
                    event.clone()
                } else {
                    self.market.stripe.tell_again(&event)
                };
                self.waiting.push(again);
            }
            batch.push(event);
        }
        if let Some(old) = self.random.choice(&self.delivered)
            && self.random.u8(0..4) == 0
        {
            batch.push(old.clone());
        }
        self.receive(batch).await;
    }

    /// The ledger takes these.
    async fn receive(&mut self, mut batch: Vec<Event>) {
        self.random.shuffle(&mut batch);
        let events: Vec<NewEvent> = batch.iter().map(|event| self.read(event)).collect();
        for event in &batch {
            self.tell(format!("> {} {}", event.kind, event.id));
        }
        let taken = self.market.store.receive(&events).await;
        taken.expect("a ledger");
        self.acknowledged
            .extend(events.into_iter().map(|event| event.id));
        self.delivered.extend(batch);
    }

    /// As the webhook reads it, in one form or the other.
    fn read(&self, event: &Event) -> NewEvent {
        // The same event always comes in the same form.
        let form = match event.id.bytes().last() {
            Some(b'3' | b'7') => Form::Thin,
            Some(_) | None => Form::Snapshot,
        };
        let body = Bytes::from(event.body(form, false).to_string());
        let envelope = Envelope::parse(&body).expect("an event");
        let ours = Ours {
            live: false,
            account: None,
        };
        new_event(&envelope, body, self.market.now(), ours)
    }

    // ---- the worker

    /// A new process, with the ledger of the last.
    fn begin_process(&mut self) {
        self.perils = Perils::of(Arc::clone(&self.market.store));
        self.market.parts.store = Arc::clone(&self.perils) as Arc<dyn Store>;
        self.market.sync = Sync::new(self.market.parts.clone(), config());
        self.witness.forget();
    }

    /// The process ends as if by SIGKILL, and starts again.
    async fn restart(&mut self, how: &str) {
        self.tell(format!("the process ends {how}"));
        self.market.restart().await;
        self.begin_process();
    }

    /// One step of the worker, with something going wrong, or not.
    async fn step(&mut self) {
        let calls = self.random.usize(0..16);
        match self.random.u8(0..20) {
            0..=7 => {}
            8..=11 => {
                let told = faults::some(&mut self.random, &self.market);
                self.tell(format!("faults: {told}"));
            }
            12 | 13 => {
                let peril = [Peril::FailBefore, Peril::FailAfter];
                self.perils
                    .after(calls, self.random.choice(peril).expect("one"));
            }
            14 | 15 => {
                let peril = [Peril::EndBefore, Peril::EndAfter];
                self.perils
                    .after(calls, self.random.choice(peril).expect("one"));
            }
            16..=18 => return self.step_held().await,
            _ => return self.step_with_news().await,
        }
        let ended = {
            let _peril = &self.perils;
            tokio::select! {
                biased;
                stepped = self.market.sync.step() => Some(format!("{stepped:?}")),
                () = self.perils.ended() => None,
                () = self.watch() => None,
            }
        };
        self.after_step(ended, &format!("after {calls} calls of the ledger"))
            .await;
    }

    /// A step that ends with the process, in the middle of a call.
    async fn step_held(&mut self) {
        let (held, told) = Held::by_lot(&mut self.random, &self.market);
        let ended = tokio::select! {
            biased;
            stepped = self.market.sync.step() => Some(format!("{stepped:?}")),
            () = held.reached(&self.market) => None,
            () = self.watch() => None,
        };
        self.after_step(ended, &format!("at {told}")).await;
    }

    async fn after_step(&mut self, ended: Option<String>, told: &str) {
        self.perils.none();
        faults::mend(&self.market);
        self.witness.check_roles(&self.market.auth0);
        match ended {
            Some(stepped) => self.tell(format!("step: {stepped}")),
            None => self.restart(told).await,
        }
    }

    /// A step that takes so long that something happens, and some events come, before it is over.
    async fn step_with_news(&mut self) {
        self.market.stripe.fault_next(
            1,
            "GET",
            "/v1/checkout/sessions",
            crate::support::stripe::Fault::Late,
        );
        let calls = self
            .market
            .stripe
            .calls_of("GET", "/v1/checkout/sessions")
            .len();
        let sync = Sync::new(self.market.parts.clone(), config());
        let step = sync.step();
        tokio::pin!(step);
        let ended = tokio::select! {
            biased;
            stepped = &mut step => Some(stepped),
            () = self.market.stripe.until_calls(calls + 1, "GET", "/v1/checkout/sessions") => None,
        };
        let stepped = match ended {
            Some(stepped) => stepped,
            None => {
                self.tell("while a step goes on:".to_owned());
                // The order lies past, so this finds no fault.
                faults::mend(&self.market);
                self.act().await;
                let news = self.market.news().into_iter();
                let news = news.filter(|event| matters(&event.kind));
                self.waiting.extend(news);
                self.deliver().await;
                self.market.stripe.release();
                step.await
            }
        };
        self.after_step(Some(format!("{stepped:?}")), "").await;
    }

    /// Looks at roles whenever Auth0 is asked for something; never ends.
    async fn watch(&self) {
        let look = |auth0: &crate::support::auth0::Auth0| {
            self.witness.check_roles(auth0);
            false
        };
        self.market.auth0.until(look).await;
    }

    // ---- the end

    /// Everything is mended, and comes; then all must be as Stripe says.
    async fn end(&mut self) {
        self.tell("the end:".to_owned());
        let is_loss_made_up_for = self.buyers.iter().all(|buyer| !buyer.has_bought_elsewhere);
        let loses = is_loss_made_up_for && self.random.u8(0..5) == 0;
        if loses {
            self.lose_some();
        }
        self.deliver_all().await;
        if loses {
            for place in 0..self.buyers.len() {
                let buyer = &self.buyers[place];
                let told = buyer.be_heard_of(&mut self.random, &self.market).await;
                self.tell(told);
            }
            self.look().await;
            self.deliver_all().await;
        }
        self.entitle();
        self.look().await;
        self.check().await;
    }

    /// Some events never come.
    fn lose_some(&mut self) {
        let count = self.random.usize(0..=self.waiting.len());
        for _ in 0..count {
            let lost = self
                .waiting
                .swap_remove(self.random.usize(..self.waiting.len()));
            self.tell(format!("lost: {} {}", lost.kind, lost.id));
        }
    }

    /// What waits comes, until nothing more does: what the worker does makes events too.
    async fn deliver_all(&mut self) {
        while !self.waiting.is_empty() {
            let batch = std::mem::take(&mut self.waiting);
            self.receive(batch).await;
            self.market.settle().await;
            self.look().await;
        }
        self.market.settle().await;
        self.look().await;
    }

    async fn check(&self) {
        for (place, buyer) in self.buyers.iter().enumerate() {
            let unnoticed = buyer.sessions_elsewhere();
            assert!(unnoticed.is_empty(), "nobody noticed {unnoticed:?}");
            let plan = buyer.bought.plan(&self.market.stripe);
            let row = self.market.store.entitlement(&buyer.user).await;
            let Some(row) = row.expect("a ledger") else {
                assert_eq!(plan, "free", "{} bought unnoticed", buyer.user);
                continue;
            };
            if buyer.is_guest_of_honour && row.changed_at.is_none() && plan == "free" {
                continue; // What was given by hand is left to whoever never bought.
            }
            assert_settled(&self.market, &buyer.user, plan, &buyer.others).await;
            self.witness.check_end(place);
        }
        assert_only_managed(&self.market, &self.managed);
        let totals = self.market.store.totals().await.expect("totals");
        let jobs = (totals.queued, totals.running, totals.dead);
        assert_eq!(jobs, (0, 0, 0), "jobs are left: queued, running, dead");
        for id in &self.acknowledged {
            let event = self.market.store.event(id).await.expect("a ledger");
            let event = event.unwrap_or_else(|| unreachable!("{id} was taken and is lost"));
            let done = [EventState::Processed, EventState::Ignored];
            assert!(done.contains(&event.state), "{id} is {:?}", event.state);
        }
    }
}
