//! What Stripe's lists said of one customer, and what follows from that alone. No question is asked here.

use std::collections::BTreeMap;

use crate::entitlement::{Catalog, SubscriptionStatus};
use crate::store::{Link, LinkKind, Purchase};
use crate::stripe::{CheckoutSession, Customer, SessionMode, SessionStatus, Subscription};
use crate::sync::worker::owner::{Account, named};
use crate::sync::worker::read::purchase;

/// What counts of a customer: of what is over only whom it names.
#[derive(Debug, Default)]
pub(super) struct Lot {
    /// The list of customers had it, so it is not deleted.
    pub(super) is_listed: bool,
    /// Where it is written to; kept only while nothing names a user.
    pub(super) email: Option<String>,
    /// Something of the plans was bought, whatever became of it.
    has_bought: bool,
    /// What is paid for at a price that no plan names.
    elsewhere: Option<String>,
    named: Option<String>,
    names: BTreeMap<String, LinkKind>,
    subscriptions: Vec<Subscription>,
    sessions: Vec<CheckoutSession>,
}

impl Lot {
    pub(super) fn add_customer(&mut self, customer: Customer) {
        self.is_listed = true;
        if let Some(user) = &customer.user {
            self.name(user, LinkKind::Owner);
        } else {
            self.email = customer.email.map(|email| email.to_lowercase());
        }
        self.named = customer.user;
    }

    pub(super) fn add_subscription(&mut self, subscription: Subscription, catalog: &Catalog) {
        if let Some((user, kind)) = named(&subscription.owner) {
            self.name(user, kind);
        }
        if !sells(&subscription.prices, catalog) {
            if may_give_access(&subscription.status) {
                self.pays_elsewhere(&subscription.id, &subscription.prices);
            }
            return;
        }
        self.has_bought = true;
        if !subscription.status.is_ended() {
            // Most have one, and there may be a million lots.
            self.subscriptions.reserve_exact(1);
            self.subscriptions.push(subscription);
        }
    }

    /// Sessions come after all subscriptions: one may say whose a subscription is.
    pub(super) fn add_session(&mut self, session: CheckoutSession, catalog: &Catalog) {
        if session.status != SessionStatus::Complete {
            return;
        }
        if let Some((user, kind)) = named(&session.owner) {
            self.name(user, kind);
            let made = self.subscriptions.iter_mut().find(|subscription| {
                named(&subscription.owner).is_none()
                    && session.subscription.as_ref() == Some(&subscription.id)
            });
            if let Some(made) = made {
                made.owner = session.owner.clone();
            }
        }
        if may_be_bought(&session, catalog) {
            self.has_bought = true;
            self.sessions.reserve_exact(1);
            self.sessions.push(session);
        } else if is_paid_once(&session) {
            self.pays_elsewhere(&session.id, &session.prices);
        }
    }

    /// The users who have to do with it, and how that is known.
    pub(super) fn users(&self) -> &BTreeMap<String, LinkKind> {
        &self.names
    }

    /// What is paid for at a price that no plan names, where nothing of the plans was ever bought: a price may be missing
    /// in the config.
    pub(super) fn elsewhere(&self) -> Option<&str> {
        self.elsewhere.as_deref().filter(|_| !self.has_bought)
    }

    /// What was bought once, by whom the checkouts name.
    pub(super) fn purchases(&self, catalog: &Catalog) -> Vec<Purchase> {
        let bought = self.sessions.iter().filter_map(|session| {
            let (user, _) = named(&session.owner)?;
            purchase(session, user, catalog)
        });
        bought.collect()
    }

    /// Whether something may give access here, and nothing names a user.
    pub(super) fn may_be_unmatched(&self) -> bool {
        self.names.is_empty() && !(self.subscriptions.is_empty() && self.sessions.is_empty())
    }

    /// As a reading would find it; `links` is what the ledger says.
    pub(super) fn account(&self, customer: &str, links: Vec<Link>) -> Account {
        let mut account = Account {
            customer: customer.to_owned(),
            is_unknown: false,
            named: self.named.clone(),
            links,
            subscriptions: self.subscriptions.clone(),
            sessions: self.sessions.clone(),
        };
        for (user, kind) in &self.names {
            account.count_link(user, *kind);
        }
        account
    }

    fn pays_elsewhere(&mut self, id: &str, prices: &[String]) {
        if self.elsewhere.is_none() && !prices.is_empty() {
            self.elsewhere = Some(format!("{id} ({})", prices.join(", ")));
        }
    }

    fn name(&mut self, user: &str, kind: LinkKind) {
        let best = self.names.entry(user.to_owned()).or_insert(kind);
        *best = kind.max(*best);
        self.email = None;
    }
}

/// Whether a checkout may be a purchase that counts. One without prices may be: they did not all come along.
pub(super) fn may_be_bought(session: &CheckoutSession, catalog: &Catalog) -> bool {
    is_paid_once(session) && (session.prices.is_empty() || sells(&session.prices, catalog))
}

fn is_paid_once(session: &CheckoutSession) -> bool {
    session.mode == SessionMode::Payment
        && session.status == SessionStatus::Complete
        && session.payment_status != "unpaid"
}

/// Whether a subscription is in good standing, or nearly.
fn may_give_access(status: &SubscriptionStatus) -> bool {
    match status {
        SubscriptionStatus::Trialing | SubscriptionStatus::Active | SubscriptionStatus::PastDue => {
            true
        }
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::IncompleteExpired
        | SubscriptionStatus::Canceled
        | SubscriptionStatus::Unpaid
        | SubscriptionStatus::Paused
        | SubscriptionStatus::Unknown(_) => false,
    }
}

/// Whether some plan is sold at one of `prices`.
pub(super) fn sells(prices: &[String], catalog: &Catalog) -> bool {
    let mut prices = prices.iter();
    prices.any(|price| catalog.plan_of_price(price).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::{Mode, Payment, Plan, Sale};
    use crate::stripe::Owner;

    fn catalog() -> Catalog {
        let plan = Plan {
            name: "monthly".to_owned(),
            role: "monthly".to_owned(),
            permissions: Vec::new(),
            sale: Some(Sale {
                mode: Mode::Subscription,
                prices: vec!["price_m".to_owned()],
            }),
            replaces: Vec::new(),
        };
        Catalog::new(vec![plan], Vec::new())
    }

    fn subscription(id: &str, status: SubscriptionStatus, user: Option<&str>) -> Subscription {
        Subscription {
            id: id.to_owned(),
            customer: Some("cus_1".to_owned()),
            owner: Owner {
                metadata: user.map(str::to_owned),
                reference: None,
            },
            status,
            prices: vec!["price_m".to_owned()],
            amount: None,
            currency: None,
            period_start: None,
            period_end: None,
            ends: false,
        }
    }

    fn session(
        made: Option<&str>,
        reference: Option<&str>,
        status: SessionStatus,
    ) -> CheckoutSession {
        CheckoutSession {
            id: "cs_1".to_owned(),
            customer: Some("cus_1".to_owned()),
            owner: Owner {
                metadata: None,
                reference: reference.map(str::to_owned),
            },
            mode: if made.is_some() {
                SessionMode::Subscription
            } else {
                SessionMode::Payment
            },
            status,
            payment_status: "paid".to_owned(),
            payment: Payment::NotRequired,
            prices: vec!["price_m".to_owned()],
            metadata: BTreeMap::new(),
            url: None,
            subscription: made.map(str::to_owned),
            created: 0,
        }
    }

    #[test]
    fn what_is_over_is_forgotten_but_for_whom_it_names() {
        let mut lot = Lot::default();
        let ended = subscription("sub_1", SubscriptionStatus::Canceled, Some("ann"));
        lot.add_subscription(ended, &catalog());
        assert!(!lot.may_be_unmatched());
        let account = lot.account("cus_1", Vec::new());
        assert!(account.subscriptions.is_empty());
        // What names nobody is Ann's, as a job would find.
        let unnamed = subscription("sub_2", SubscriptionStatus::Active, None);
        assert_eq!(account.owner_of_subscription(&unnamed), Some("ann"));
    }

    #[test]
    fn a_subscription_that_names_nobody_is_whose_checkout_made_it() {
        let mut lot = Lot::default();
        let active = subscription("sub_1", SubscriptionStatus::Active, None);
        lot.add_subscription(active, &catalog());
        assert!(lot.may_be_unmatched());
        let made = session(Some("sub_1"), Some("ann"), SessionStatus::Complete);
        lot.add_session(made, &catalog());
        assert!(!lot.may_be_unmatched());
        let account = lot.account("cus_1", Vec::new());
        let owner = account.owner_of_subscription(&account.subscriptions[0]);
        assert_eq!(owner, Some("ann"));
    }

    #[test]
    fn a_checkout_counts_only_once_it_is_complete_and_paid() {
        for (status, payment_status, expected) in [
            (SessionStatus::Complete, "paid", true),
            (SessionStatus::Complete, "no_payment_required", true),
            (SessionStatus::Complete, "unpaid", false),
            (SessionStatus::Open, "paid", false),
        ] {
            let mut lot = Lot::default();
            let case = format!("{status:?} {payment_status}");
            let session = CheckoutSession {
                payment_status: payment_status.to_owned(),
                ..session(None, None, status)
            };
            lot.add_session(session, &catalog());
            assert_eq!(lot.may_be_unmatched(), expected, "{case}");
        }
    }

    #[test]
    fn the_email_of_a_customer_is_forgotten_once_something_names_a_user() {
        let customer = Customer {
            id: "cus_1".to_owned(),
            user: None,
            email: Some("Ann@Example.test".to_owned()),
            deleted: false,
            is_withheld: false,
        };
        let mut lot = Lot::default();
        lot.add_customer(customer);
        assert_eq!(lot.email.as_deref(), Some("ann@example.test"));
        let named = subscription("sub_1", SubscriptionStatus::Active, Some("ann"));
        lot.add_subscription(named, &catalog());
        assert_eq!(lot.email, None);
    }
}
