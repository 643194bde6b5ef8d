//! A user who buys, and everything that happens to what was bought, by lot.

mod life;
mod money;

use fastrand::Rng;
use serde_json::json;
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
    /// Bought under a customer, or none, to whom nothing but its own events leads.
    pub(super) has_bought_by_link: bool,
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
            has_bought_by_link: false,
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
                16 => Some(self.pay_by_link(random, stripe)),
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

    /// Whatever was bought is found by now.
    pub(super) fn notice_all(&mut self) {
        self.unnoticed.clear();
    }

    /// The ledger has dealt with an event of this session.
    pub(super) fn notice(&mut self, session: &str) {
        self.unnoticed.retain(|(unnoticed, _)| unnoticed != session);
    }

    /// By a payment link, as a guest or as a new customer.
    fn pay_by_link(&mut self, random: &mut Rng, stripe: &Stripe) -> String {
        self.has_bought_by_link = true;
        let (plan, price) = if random.bool() {
            ("monthly", PRICE_MONTHLY)
        } else {
            ("lifetime", PRICE_LIFETIME)
        };
        let as_guest = random.bool();
        let session = stripe.payment_link_purchase(&self.user, price, as_guest);
        let bought = self.keep(stripe, &session, plan);
        self.unnoticed.push((session, bought));
        format!("{plan} by a link, guest: {as_guest}")
    }

    /// By the merchant: a subscription, or the end of the customer.
    async fn be_served_by_hand(&mut self, random: &mut Rng, market: &Market) -> Option<String> {
        if self.is_customer_deleted {
            return None;
        }
        let customer = market.customer(&self.user).await;
        let stripe = &market.stripe;
        if stripe.object(&customer)["metadata"]["auth0_user_id"] != *self.user {
            return None; // What names nobody would be somebody else's.
        }
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

/// The end of an id, which tells one from another.
fn short(id: &str) -> &str {
    &id[id.len().saturating_sub(4)..]
}
