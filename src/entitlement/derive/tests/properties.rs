//! What holds for every state, and a second, plainer way to the same answer.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::super::state::{Payment, Purchase, State, Subscription};
use super::{GRACE, derive, money, subscription, terms};
use crate::clock::UnixSeconds;

const PRICES: [(&str, &str); 7] = [
    ("monthly", "monthly"),
    ("monthly-old", "monthly"),
    ("team", "team"),
    ("team-old", "team"),
    ("lifetime", "lifetime"),
    ("lifetime-old", "lifetime"),
    ("mug", ""),
];

/// Status of a subscription, and whether it gives access: always, never, or as the policy says.
const STATUSES: [(&str, &str); 9] = [
    ("active", "always"),
    ("trialing", "always"),
    ("past_due", "policy"),
    ("incomplete", "never"),
    ("incomplete_expired", "never"),
    ("unpaid", "never"),
    ("canceled", "never"),
    ("paused", "never"),
    ("hibernating", "never"),
];

/// What became of a purchase's money, and whether it is there.
const MONEY: [(&str, bool); 18] = [
    ("paid", true),
    ("no_payment_required", true),
    ("unpaid", false),
    ("promised", false),
    ("refunded", false),
    ("warning_needs_response", true),
    ("warning_under_review", true),
    ("warning_closed", true),
    ("needs_response", false),
    ("under_review", false),
    ("won", true),
    ("lost", false),
    ("prevented", true),
    ("escalated", false),
    ("won,won", true),
    ("won,lost", false),
    ("warning_closed,needs_response", false),
    ("refunded,won", false),
];

const POLICIES: [&str; 3] = ["keep", "revoke", "grace"];

/// Whether the table has a row with this name and this value.
fn says<T: PartialEq>(table: &[(&str, T)], name: &str, value: &T) -> bool {
    table.iter().any(|row| row.0 == name && row.1 == *value)
}

fn buys(prices: &[String], plan: &str) -> bool {
    prices.iter().any(|price| says(&PRICES, price, &plan))
}

fn is_kept(payment: &Payment) -> bool {
    MONEY.iter().any(|row| row.1 && money(row.0) == *payment)
}

/// The plan and when it changes, by going through everything, from the highest plan down.
fn naive(state: &State, policy: &str, now: UnixSeconds) -> (&'static str, Option<UnixSeconds>) {
    for plan in ["lifetime", "team", "monthly"] {
        let mut ends = Vec::new();
        for purchase in &state.purchases {
            if buys(&purchase.prices, plan) && is_kept(&purchase.payment) {
                ends.push(None);
            }
        }
        for item in &state.subscriptions {
            if !buys(&item.prices, plan) {
                continue;
            }
            if says(&STATUSES, item.status.as_str(), &"always") {
                ends.push(None);
            }
            if says(&STATUSES, item.status.as_str(), &"policy") {
                let end = item.period_start.map(|start| start + GRACE.cast_signed());
                match policy {
                    "keep" => ends.push(None),
                    "grace" if end.is_none_or(|end| now < end) => ends.push(end),
                    _ => {}
                }
            }
        }
        if ends.contains(&None) {
            return (plan, None);
        }
        if let Some(last) = ends.into_iter().max() {
            return (plan, last);
        }
    }
    ("free", None)
}

fn agrees(state: &State, policy: &str, now: UnixSeconds) {
    let derived = derive(state, &terms(policy), now);
    let answer = (derived.plan.as_deref().unwrap(), derived.changes_at);
    assert_eq!(
        answer,
        naive(state, policy, now),
        "{policy} at {now}: {state:?}"
    );
}

fn rank(state: &State, policy: &str, now: UnixSeconds) -> usize {
    let terms = terms(policy);
    let plan = derive(state, &terms, now).plan.unwrap();
    terms.catalog.rank(&plan).unwrap()
}

/// The same, with what one purchase or subscription adds.
fn with(state: &State, item: &State) -> State {
    let mut state = state.clone();
    state.subscriptions.extend(item.subscriptions.clone());
    state.purchases.extend(item.purchases.clone());
    state
}

/// Everything that was bought, each as a state of its own.
fn singles(state: &State) -> Vec<State> {
    let subscriptions = state.subscriptions.iter().map(|item| State {
        subscriptions: vec![item.clone()],
        purchases: Vec::new(),
    });
    let purchases = state.purchases.iter().map(|item| State {
        subscriptions: Vec::new(),
        purchases: vec![item.clone()],
    });
    subscriptions.chain(purchases).collect()
}

#[test]
fn derive_agrees_with_the_plain_way_on_every_single_purchase() {
    for (price, _) in PRICES {
        for (word, _) in MONEY {
            let item = Purchase {
                id: "cs_1".to_owned(),
                prices: vec![price.to_owned()],
                payment: money(word),
            };
            let state = State {
                subscriptions: Vec::new(),
                purchases: vec![item],
            };
            for policy in POLICIES {
                agrees(&state, policy, 1000);
            }
        }
    }
}

#[test]
fn derive_agrees_with_the_plain_way_on_every_pair_of_subscriptions() {
    let mut items = Vec::new();
    for price in ["monthly", "team", "mug"] {
        for (status, _) in STATUSES {
            for period_start in [None, Some(900), Some(950), Some(1000)] {
                items.push(Subscription {
                    period_start,
                    ..subscription(&format!("sub_{}", items.len()), status, &[price])
                });
            }
        }
    }
    for one in &items {
        for other in &items {
            let state = State {
                subscriptions: vec![one.clone(), other.clone()],
                purchases: Vec::new(),
            };
            for policy in POLICIES {
                agrees(&state, policy, 1020);
            }
            for now in [999, 1000, 1049, 1050, 1099, 1100] {
                agrees(&state, "grace", now);
            }
        }
    }
}

fn prices() -> impl Strategy<Value = Vec<String>> {
    subsequence(PRICES.map(|row| row.0.to_owned()).to_vec(), 0..3)
}

/// Any state of a few items; each id is one item's, because it is Stripe that gives them.
fn states() -> impl Strategy<Value = State> {
    let status = select(STATUSES.map(|row| row.0).to_vec());
    let moment = || option::of(0_i64..300);
    let item = (status, prices(), moment(), moment(), any::<bool>());
    let payment = select(MONEY.map(|row| row.0).to_vec());
    (vec(item, 0..5), vec((payment, prices()), 0..4)).prop_map(|(items, bought)| {
        let items = items.into_iter().zip(0_u8..);
        let subscriptions = items.map(|((status, prices, start, end, ends), at)| Subscription {
            id: format!("sub_{at}"),
            status: status.into(),
            prices,
            period_start: start,
            period_end: end,
            ends,
        });
        let bought = bought.into_iter().zip(0_u8..);
        let purchases = bought.map(|((payment, prices), at)| Purchase {
            id: format!("cs_{at}"),
            prices,
            payment: money(payment),
        });
        State {
            subscriptions: subscriptions.collect(),
            purchases: purchases.collect(),
        }
    })
}

fn shuffled() -> impl Strategy<Value = (State, State)> {
    states().prop_flat_map(|state| {
        let subscriptions = Just(state.subscriptions.clone()).prop_shuffle();
        let purchases = Just(state.purchases.clone()).prop_shuffle();
        let other = (subscriptions, purchases).prop_map(|(subscriptions, purchases)| State {
            subscriptions,
            purchases,
        });
        (Just(state), other)
    })
}

fn policies() -> impl Strategy<Value = &'static str> {
    select(POLICIES.to_vec())
}

proptest! {
    #[test]
    fn derive_agrees_with_the_plain_way(state in states(), policy in policies(), now in 0_i64..500) {
        agrees(&state, policy, now);
    }

    #[test]
    fn the_order_does_not_matter((state, other) in shuffled(), policy in policies(), now in 0_i64..500) {
        let terms = terms(policy);
        let derived = derive(&state, &terms, now);
        prop_assert_eq!(&derived, &derive(&state, &terms, now));
        prop_assert_eq!(&derived, &derive(&other, &terms, now));
    }

    #[test]
    fn more_never_gives_less(state in states(), more in states(), policy in policies(), now in 0_i64..500) {
        let before = rank(&state, policy, now);
        for item in singles(&more) {
            prop_assert!(rank(&with(&state, &item), policy, now) >= before);
        }
    }

    #[test]
    fn nothing_bought_gives_less_together_than_alone(state in states(), policy in policies(), now in 0_i64..500) {
        let together = rank(&state, policy, now);
        let alone = singles(&state).iter().map(|item| rank(item, policy, now)).max();
        prop_assert_eq!(together, alone.unwrap_or(0));
    }

    #[test]
    fn no_subscription_takes_a_lifetime_purchase_away(state in states(), policy in policies(), now in 0_i64..500) {
        let lifetime = super::bought("buy paid lifetime");
        let derived = derive(&with(&state, &lifetime), &terms(policy), now);
        prop_assert_eq!(derived.plan.as_deref(), Some("lifetime"));
        prop_assert_eq!(derived.changes_at, None);
    }

    #[test]
    fn what_is_rested_on_gives_the_plan_alone(state in states(), policy in policies(), now in 0_i64..500) {
        let terms = terms(policy);
        let derived = derive(&state, &terms, now);
        let Some(backing) = &derived.backing else {
            prop_assert_eq!(derived.plan.as_deref(), Some("free"));
            return Ok(());
        };
        let alone = singles(&state).into_iter().find(|item| {
            let mut ids = item.subscriptions.iter().map(|item| &item.id);
            let mut bought = item.purchases.iter().map(|item| &item.id);
            ids.next().or(bought.next()).unwrap() == backing.id()
        });
        prop_assert_eq!(derive(&alone.unwrap(), &terms, now), derived);
    }

    #[test]
    fn the_answer_is_the_same_until_it_changes_and_another_then(state in states(), policy in policies(), now in 0_i64..500) {
        let terms = terms(policy);
        let derived = derive(&state, &terms, now);
        let end = derived.changes_at.unwrap_or(600);
        prop_assert!(end > now);
        for moment in now..end {
            prop_assert_eq!(&derive(&state, &terms, moment), &derived);
        }
        if derived.changes_at.is_some() {
            prop_assert!(rank(&state, policy, end) < rank(&state, policy, now));
        }
    }
}
