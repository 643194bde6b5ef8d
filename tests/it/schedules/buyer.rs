//! A user who buys, and everything that happens to what was bought, by lot.

use fastrand::Rng;
use serde_json::{Value, json};
use tollgate::store::{Cause, JobKey, Priority};

use super::oracle::Bought;
use crate::support::stripe::{PRICE_LIFETIME, PRICE_MONTHLY, Stripe};
use crate::sync::market::Market;

/// Sold by the month, and no plan's.
pub(super) const PRICE_UNKNOWN: &str = "price_unknown";

/// Draws until something can happen, and then gives up.
const DRAWS: usize = 12;

/// One user, and what the test knows of them.
pub(super) struct Buyer {
    pub(super) user: String,
    /// Roles that no plan names.
    pub(super) others: Vec<&'static str>,
    pub(super) bought: Bought,
    /// Began with a role that is sold, given by hand.
    pub(super) is_guest_of_honour: bool,
    /// Bought where the ledger has not made the customer: only its own events lead there.
    pub(super) has_bought_elsewhere: bool,
    /// What was bought so, by the session, until the ledger has dealt with an event of the session.
    unnoticed: Vec<(String, String)>,
    /// Complete, and not paid yet.
    unpaid: Vec<String>,
    refunds: Vec<String>,
    disputes: Vec<String>,
    is_customer_deleted: bool,
}

impl Buyer {
    pub(super) fn new(user: &str, others: Vec<&'static str>, is_guest_of_honour: bool) -> Self {
        Self {
            user: user.to_owned(),
            others,
            bought: Bought::default(),
            is_guest_of_honour,
            has_bought_elsewhere: false,
            unnoticed: Vec::new(),
            unpaid: Vec::new(),
            refunds: Vec::new(),
            disputes: Vec::new(),
            is_customer_deleted: false,
        }
    }

    /// Something happens. `host` is another user, under whose customer this one may buy. Tells what it was.
    pub(super) async fn act(
        &mut self,
        random: &mut Rng,
        market: &Market,
        host: Option<&str>,
    ) -> Option<String> {
        for _ in 0..DRAWS {
            let stripe = &market.stripe;
            let happened = match random.u8(0..20) {
                0..=4 => self.check_out(random, market).await,
                5 => self.settle_late_payment(random, stripe),
                6..=11 => self.live_on(random, stripe),
                12..=15 => self.move_money(random, stripe),
                16 => self.pay_by_link(random, stripe),
                17 => self.be_served_by_hand(random, market).await,
                18 => self.buy_under(random, market, host).await,
                _ => self.ask(random, market).await,
            };
            if let Some(happened) = happened {
                return Some(format!("{}: {happened}", self.user));
            }
        }
        None
    }

    /// At the checkout, to the end or not.
    async fn check_out(&mut self, random: &mut Rng, market: &Market) -> Option<String> {
        if self.is_customer_deleted {
            return None;
        }
        let plan = if random.u8(0..5) < 3 {
            "monthly"
        } else {
            "lifetime"
        };
        let session = market.checkout(&self.user, plan).await;
        let (how, _) = self.pay(random, &market.stripe, &session, plan);
        Some(format!("{plan} {how}"))
    }

    /// Tells how, and what was bought.
    fn pay(
        &mut self,
        random: &mut Rng,
        stripe: &Stripe,
        session: &str,
        plan: &str,
    ) -> (&'static str, Option<String>) {
        let how = match random.u8(0..10) {
            0..=5 => {
                stripe.pay(session);
                "paid"
            }
            6 | 7 => {
                stripe.pay_later(session);
                self.unpaid.push(session.to_owned());
                "to be paid later"
            }
            8 => {
                stripe.pay_nothing(session);
                "for nothing"
            }
            _ => {
                stripe.expire(session);
                return ("given up", None);
            }
        };
        (how, Some(self.keep(stripe, session, plan)))
    }

    /// Gives the id of what was bought: the subscription, or the session itself.
    fn keep(&mut self, stripe: &Stripe, session: &str, plan: &str) -> String {
        let (list, id) = if plan == "monthly" {
            let id = stripe.subscription_of(session);
            (&mut self.bought.subscriptions, id)
        } else {
            (&mut self.bought.lifetime, session.to_owned())
        };
        list.push(id.clone());
        id
    }

    /// What it is possible to know of.
    pub(super) fn known(&self) -> Bought {
        let is_known = |id: &String| self.unnoticed.iter().all(|(_, bought)| bought != id);
        let known = |ids: &[String]| ids.iter().filter(|id| is_known(id)).cloned().collect();
        Bought {
            subscriptions: known(&self.bought.subscriptions),
            lifetime: known(&self.bought.lifetime),
        }
    }

    /// Sessions that were bought elsewhere, and not noticed yet.
    pub(super) fn sessions_elsewhere(&self) -> Vec<String> {
        let sessions = self.unnoticed.iter();
        sessions.map(|(session, _)| session.clone()).collect()
    }

    /// The ledger has dealt with an event of this session.
    pub(super) fn notice(&mut self, session: &str) {
        self.unnoticed.retain(|(unnoticed, _)| unnoticed != session);
    }

    /// The money of a slow method comes, or not.
    fn settle_late_payment(&mut self, random: &mut Rng, stripe: &Stripe) -> Option<String> {
        if self.unpaid.is_empty() {
            return None;
        }
        let session = self.unpaid.swap_remove(random.usize(..self.unpaid.len()));
        // What was canceled meanwhile is not paid any more.
        let linked = stripe.object(&session)["subscription"]
            .as_str()
            .map(str::to_owned);
        if linked.is_some_and(|id| stripe.object(&id)["status"] != "active") {
            return None;
        }
        if random.u8(0..3) < 2 {
            stripe.async_succeed(&session);
            Some("the money comes".to_owned())
        } else {
            stripe.async_fail(&session);
            Some("the money does not come".to_owned())
        }
    }

    /// A subscription goes on, or does not.
    fn live_on(&mut self, random: &mut Rng, stripe: &Stripe) -> Option<String> {
        let id = random.choice(&self.bought.subscriptions)?;
        let now = stripe.object(id);
        let acts: &[(&str, fn(&Stripe, &str))] = match now["status"].as_str()? {
            "active" | "trialing" if now["cancel_at"].is_null() => &[
                ("renew", Stripe::renew),
                ("fail_renewal", Stripe::fail_renewal),
                ("cancel_now", Stripe::cancel_now),
                ("cancel_at_end", Stripe::cancel_at_end),
                ("set_cancel_at", Stripe::set_cancel_at),
                ("pause", Stripe::pause),
                ("pause_collection", Stripe::pause_collection),
                ("another price", |stripe, id| {
                    stripe.switch_price(id, PRICE_UNKNOWN)
                }),
                ("the old price", |stripe, id| {
                    stripe.switch_price(id, PRICE_MONTHLY)
                }),
                ("a trial", |stripe, id| stripe.trial(id, 7)),
                ("a new status", |stripe, id| {
                    stripe.set_status(id, "hibernating")
                }),
            ],
            "active" | "trialing" => &[
                ("keep_going", Stripe::keep_going),
                ("end_period", Stripe::end_period),
                ("cancel_now", Stripe::cancel_now),
                ("the old price", |stripe, id| {
                    stripe.switch_price(id, PRICE_MONTHLY)
                }),
            ],
            "past_due" => &[
                ("recover", Stripe::recover),
                ("exhaust", |stripe, id| stripe.exhaust(id, "unpaid")),
                ("exhaust, and the end", |stripe, id| {
                    stripe.exhaust(id, "canceled")
                }),
                ("cancel_now", Stripe::cancel_now),
            ],
            "unpaid" => &[
                ("recover", Stripe::recover),
                ("cancel_now", Stripe::cancel_now),
            ],
            "paused" => &[
                ("resume", Stripe::resume),
                ("cancel_now", Stripe::cancel_now),
            ],
            "canceled" => return None,
            _ => &[
                ("active", |stripe, id| stripe.set_status(id, "active")),
                ("cancel_now", Stripe::cancel_now),
            ],
        };
        let (word, act) = random.choice(acts)?;
        act(stripe, id);
        Some(format!("{word} {}", short(id)))
    }

    /// Money goes back, or a bank takes it back, or gives it back again.
    fn move_money(&mut self, random: &mut Rng, stripe: &Stripe) -> Option<String> {
        match random.u8(0..6) {
            0 => {
                let refunds = self.refunds.iter();
                let mut good = refunds.filter(|id| stripe.object(id)["status"] == "succeeded");
                let refund = good.next()?;
                stripe.refund_fails(refund);
                return Some(format!("refund {} fails", short(refund)));
            }
            1 | 2 => {
                let dispute = random.choice(&self.disputes)?;
                let words = [
                    "needs_response",
                    "under_review",
                    "won",
                    "lost",
                    "warning_closed",
                ];
                let word = random.choice(words)?;
                stripe.dispute_status(dispute, word);
                return Some(format!("dispute {} {word}", short(dispute)));
            }
            _ => {}
        }
        let lifetime = self.bought.lifetime.iter();
        let of_sessions =
            lifetime.filter(|session| stripe.object(session)["payment_status"] == "paid");
        let subscriptions = self.bought.subscriptions.iter();
        let of_subscriptions = subscriptions.filter(|_| random.u8(0..4) == 0);
        let targets: Vec<&String> = of_sessions.chain(of_subscriptions).collect();
        let target: &String = fastrand::Rng::choice(random, targets)?;
        let charge = charge_of(stripe, target)?;
        let left = charge["amount"].as_i64()? - charge["amount_refunded"].as_i64()?;
        match random.u8(0..4) {
            0 if left > 1 => {
                self.refunds
                    .push(stripe.refund_part(target, random.i64(1..left)));
                Some(format!("part of {} goes back", short(target)))
            }
            0 | 1 if left > 0 => {
                self.refunds.push(stripe.refund(target));
                Some(format!("all of {} goes back", short(target)))
            }
            _ => {
                let word = random.choice(["needs_response", "warning_needs_response"])?;
                self.disputes.push(stripe.dispute(target, word));
                Some(format!("{} is disputed: {word}", short(target)))
            }
        }
    }

    /// By a payment link, as a guest or as a new customer.
    fn pay_by_link(&mut self, random: &mut Rng, stripe: &Stripe) -> Option<String> {
        self.has_bought_elsewhere = true;
        let (plan, price) = if random.bool() {
            ("monthly", PRICE_MONTHLY)
        } else {
            ("lifetime", PRICE_LIFETIME)
        };
        let as_guest = random.bool();
        let session = stripe.payment_link_purchase(&self.user, price, as_guest);
        let bought = self.keep(stripe, &session, plan);
        self.unnoticed.push((session, bought));
        Some(format!("{plan} by a link, guest: {as_guest}"))
    }

    /// By the merchant: a subscription, or the end of the customer.
    async fn be_served_by_hand(&mut self, random: &mut Rng, market: &Market) -> Option<String> {
        if self.is_customer_deleted {
            return None;
        }
        let customer = market.customer(&self.user).await;
        let stripe = &market.stripe;
        if random.u8(0..3) > 0 {
            let made = stripe.create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
            self.bought.subscriptions.push(made);
            return Some("a subscription by hand".to_owned());
        }
        // Stripe lists nothing under a deleted customer. What was bought there is known from our own checkout, or from
        // an earlier look; of what was bought elsewhere, and never looked at, nobody could know.
        let mut sessions = stripe.ids("checkout.session").into_iter();
        let is_elsewhere = sessions.any(|id| {
            let session = stripe.object(&id);
            session["customer"] == *customer && session["success_url"].is_null()
        });
        if is_elsewhere {
            return None;
        }
        self.is_customer_deleted = true;
        stripe.delete_customer(&customer);
        Some("the customer is deleted".to_owned())
    }

    /// Under the customer of somebody else, by what the merchant wrote on the session.
    async fn buy_under(
        &mut self,
        random: &mut Rng,
        market: &Market,
        host: Option<&str>,
    ) -> Option<String> {
        let customers = market.store.customers_of(host?).await.expect("a ledger");
        let stripe = &market.stripe;
        let mut living = customers
            .iter()
            .filter(|link| stripe.object(&link.customer)["deleted"] != true);
        let customer = &living.next()?.customer;
        let (plan, price) = if random.bool() {
            ("monthly", PRICE_MONTHLY)
        } else {
            ("lifetime", PRICE_LIFETIME)
        };
        let session = stripe.new_checkout(customer, price);
        stripe.set_metadata(&session, &json!({ "auth0_user_id": self.user }));
        self.has_bought_elsewhere = true;
        let (how, bought) = self.pay(random, stripe, &session, plan);
        self.unnoticed
            .extend(bought.map(|bought| (session, bought)));
        Some(format!("{plan} under {} {how}", short(customer)))
    }

    /// Somebody asks for a look, as verify-session does.
    async fn ask(&self, random: &mut Rng, market: &Market) -> Option<String> {
        let key = JobKey::User(self.user.clone());
        let cause = Cause {
            why: "verify-session".to_owned(),
            event: None,
        };
        let priority = if random.bool() {
            Priority::Interactive
        } else {
            Priority::Background
        };
        let asked = market.store.enqueue(&key, &cause, priority, market.now());
        asked.await.expect("a ledger");
        Some("a look is asked for".to_owned())
    }

    /// Something harmless happens, of which an event tells, where a lost one may be made up for by any later one.
    pub(super) async fn be_heard_of(&self, random: &mut Rng, market: &Market) -> String {
        if self.is_customer_deleted || random.bool() {
            let _ = self.ask(random, market).await;
            return "looked at".to_owned();
        }
        let session = market.checkout(&self.user, "monthly").await;
        market.stripe.expire(&session);
        "heard of again".to_owned()
    }
}

/// The money that `target` brought; `None` when it brought none.
fn charge_of(stripe: &Stripe, target: &str) -> Option<Value> {
    let of = stripe.object(target);
    let intent = match of["object"].as_str()? {
        "subscription" => {
            let invoice = stripe.object(of["latest_invoice"].as_str()?);
            if invoice["status"] != "paid" || invoice["amount_paid"] == 0 {
                return None;
            }
            let charge = stripe.charge_of(target);
            return Some(stripe.object(&charge)).filter(|charge| charge["paid"] == true);
        }
        _ => stripe.object(of["payment_intent"].as_str()?),
    };
    Some(stripe.object(intent["latest_charge"].as_str()?))
}

/// The end of an id, which tells one from another.
fn short(id: &str) -> &str {
    &id[id.len().saturating_sub(4)..]
}
