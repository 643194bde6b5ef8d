//! What somebody should look at: money without a plan, and words that are not known.

use super::catalog::Catalog;
use super::state::{DisputeStatus, Payment, State, SubscriptionStatus};

/// Something in a user's state that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// Paid for, and no plan names the price.
    #[error("the price {price} of {of} belongs to no plan")]
    UnknownPrice {
        /// The price.
        price: String,
        /// The subscription or Checkout Session.
        of: String,
    },
    /// A status that this version does not know. It gives no access, unless it is an inquiry's.
    #[error(
        "the status {status:?} of {of} is not known: see whether the access that the user has is right"
    )]
    UnknownStatus {
        /// Stripe's word.
        status: String,
        /// The subscription or Checkout Session.
        of: String,
    },
}

/// All of them, in the order of the state. What is over, or was never paid, has a price that matters to nobody.
#[must_use]
pub fn oddities(state: &State, catalog: &Catalog) -> Vec<Oddity> {
    let mut found = Vec::new();
    for subscription in &state.subscriptions {
        let of = &*subscription.id;
        found.extend(unknown_status(&subscription.status).map(|word| Oddity::status(word, of)));
        if !subscription.status.is_ended() {
            found.extend(unknown_prices(&subscription.prices, of, catalog));
        }
    }
    for purchase in &state.purchases {
        let of = &*purchase.id;
        let words = unknown_words(&purchase.payment).into_iter();
        found.extend(words.map(|word| Oddity::status(word, of)));
        if purchase.payment.is_kept() {
            found.extend(unknown_prices(&purchase.prices, of, catalog));
        }
    }
    found
}

impl Oddity {
    fn status(word: &str, of: &str) -> Self {
        Self::UnknownStatus {
            status: word.to_owned(),
            of: of.to_owned(),
        }
    }
}

fn unknown_prices(prices: &[String], of: &str, catalog: &Catalog) -> impl Iterator<Item = Oddity> {
    let unknown = |price: &&String| catalog.plan_of_price(price).is_none();
    prices
        .iter()
        .filter(unknown)
        .map(move |price| Oddity::UnknownPrice {
            price: price.clone(),
            of: of.to_owned(),
        })
}

fn unknown_status(status: &SubscriptionStatus) -> Option<&str> {
    match status {
        SubscriptionStatus::Unknown(word) => Some(word),
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::IncompleteExpired
        | SubscriptionStatus::Trialing
        | SubscriptionStatus::Active
        | SubscriptionStatus::PastDue
        | SubscriptionStatus::Canceled
        | SubscriptionStatus::Unpaid
        | SubscriptionStatus::Paused => None,
    }
}

fn unknown_words(payment: &Payment) -> Vec<&str> {
    match payment {
        Payment::Unknown(word) => vec![word],
        Payment::Paid { disputes, .. } => {
            disputes.iter().filter_map(DisputeStatus::unknown).collect()
        }
        Payment::Unpaid | Payment::NotRequired => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::{Mode, Plan, Sale};
    use super::super::state::{Purchase, Subscription};
    use super::*;

    fn catalog() -> Catalog {
        let plan = Plan {
            name: "monthly".to_owned(),
            role: "premium".to_owned(),
            permissions: Vec::new(),
            sale: Some(Sale {
                mode: Mode::Subscription,
                prices: vec!["price_known".to_owned()],
            }),
            replaces: Vec::new(),
        };
        Catalog::new(vec![plan], Vec::new())
    }

    fn subscription(status: &str, prices: &[&str]) -> State {
        State {
            subscriptions: vec![Subscription {
                id: "sub_1".to_owned(),
                status: status.into(),
                prices: prices.iter().map(ToString::to_string).collect(),
                period_start: None,
                period_end: None,
                ends: false,
            }],
            purchases: Vec::new(),
        }
    }

    fn purchase(payment: Payment, price: &str) -> State {
        State {
            subscriptions: Vec::new(),
            purchases: vec![Purchase {
                id: "cs_1".to_owned(),
                prices: vec![price.to_owned()],
                payment,
            }],
        }
    }

    fn paid(refunded: bool, disputes: &[&str]) -> Payment {
        Payment::Paid {
            refunded,
            disputes: disputes.iter().map(|word| (*word).into()).collect(),
        }
    }

    fn seen(state: &State) -> Vec<String> {
        let found = oddities(state, &catalog());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unknown_price_matters_on_a_subscription_that_is_not_over() {
        let odd = ["the price price_new of sub_1 belongs to no plan"];
        for status in [
            "active",
            "trialing",
            "past_due",
            "unpaid",
            "paused",
            "incomplete",
        ] {
            assert_eq!(
                seen(&subscription(status, &["price_known", "price_new"])),
                odd
            );
            assert!(seen(&subscription(status, &["price_known"])).is_empty());
        }
        for status in ["canceled", "incomplete_expired"] {
            assert!(
                seen(&subscription(status, &["price_new"])).is_empty(),
                "{status}"
            );
        }
    }

    #[test]
    fn an_unknown_price_matters_on_a_purchase_whose_money_is_there() {
        let odd = ["the price price_new of cs_1 belongs to no plan"];
        for payment in [
            paid(false, &[]),
            paid(false, &["won"]),
            Payment::NotRequired,
        ] {
            assert_eq!(seen(&purchase(payment.clone(), "price_new")), odd);
            assert!(seen(&purchase(payment, "price_known")).is_empty());
        }
        for payment in [paid(true, &[]), paid(false, &["lost"]), Payment::Unpaid] {
            assert!(seen(&purchase(payment, "price_new")).is_empty());
        }
    }

    #[test]
    fn every_word_that_is_not_known_is_told_with_what_it_belongs_to() {
        let odd = |word: &str, of: &str| {
            let rest = "see whether the access that the user has is right";
            format!("the status {word:?} of {of} is not known: {rest}")
        };
        let state = subscription("hibernating", &["price_known"]);
        assert_eq!(seen(&state), [odd("hibernating", "sub_1")]);
        let state = purchase(Payment::Unknown("promised".to_owned()), "price_new");
        assert_eq!(seen(&state), [odd("promised", "cs_1")]);
        let state = purchase(paid(true, &["escalated", "won", "appealed"]), "price_known");
        assert_eq!(
            seen(&state),
            [odd("escalated", "cs_1"), odd("appealed", "cs_1")]
        );
    }

    #[test]
    fn nothing_is_odd_about_nothing_and_the_usual() {
        assert!(seen(&State::default()).is_empty());
        let words = ["warning_closed", "under_review", "lost", "prevented"];
        assert!(seen(&purchase(paid(false, &words), "price_known")).is_empty());
    }
}
