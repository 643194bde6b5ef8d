//! The rules of access, as a table that a person can check; each row is read by [`bought`].

mod properties;

use std::time::Duration;

use super::super::catalog::{Mode, Sale};
use super::super::state::{DisputeStatus, Payment};
use super::*;

/// Seconds of grace where the policy is `grace`.
const GRACE: u64 = 100;

/// Plans, lowest first: free, monthly, team, lifetime. `@1000`: the period began at second 1000.
/// A purchase says what became of its money: `paid`, `unpaid`, `refunded`, `no_payment_required`, or its disputes.
/// The last column is when the answer changes though nothing happens.
const CASES: &str = "
    nothing                                              | keep   | 1050 | free     | -
    nothing                                              | revoke | 1050 | free     | -
    nothing                                              | grace  | 1050 | free     | -

    sub active monthly@1000                              | keep   | 1050 | monthly  | -
    sub active monthly@1000                              | revoke | 1050 | monthly  | -
    sub active monthly@1000                              | grace  | 9999 | monthly  | -
    sub trialing monthly@1000                            | keep   | 1050 | monthly  | -
    sub trialing monthly@1000                            | revoke | 1050 | monthly  | -
    sub trialing monthly@1000                            | grace  | 9999 | monthly  | -
    sub incomplete monthly@1000                          | keep   | 1050 | free     | -
    sub incomplete monthly@1000                          | grace  | 1050 | free     | -
    sub incomplete_expired monthly@1000                  | keep   | 1050 | free     | -
    sub unpaid monthly@1000                              | keep   | 1050 | free     | -
    sub unpaid monthly@1000                              | grace  | 1050 | free     | -
    sub canceled monthly@1000                            | keep   | 1050 | free     | -
    sub paused monthly@1000                              | keep   | 1050 | free     | -
    sub paused monthly@1000                              | grace  | 1050 | free     | -
    sub hibernating monthly@1000                         | keep   | 1050 | free     | -
    sub hibernating monthly@1000                         | grace  | 1050 | free     | -

    sub past_due monthly@1000                            | keep   | 1050 | monthly  | -
    sub past_due monthly@1000                            | keep   | 9999 | monthly  | -
    sub past_due monthly@1000                            | revoke | 1000 | free     | -
    sub past_due monthly@1000                            | grace  | 0999 | monthly  | 1100
    sub past_due monthly@1000                            | grace  | 1000 | monthly  | 1100
    sub past_due monthly@1000                            | grace  | 1099 | monthly  | 1100
    sub past_due monthly@1000                            | grace  | 1100 | free     | -
    sub past_due monthly@1000                            | grace  | 1101 | free     | -
    sub past_due monthly                                 | keep   | 1050 | monthly  | -
    sub past_due monthly                                 | revoke | 1050 | free     | -
    sub past_due monthly                                 | grace  | 9999 | monthly  | -

    sub active monthly-old                               | keep   | 1050 | monthly  | -
    sub active mug                                       | keep   | 1050 | free     | -
    sub active mug,monthly                               | keep   | 1050 | monthly  | -
    sub active monthly,team,mug                          | keep   | 1050 | team     | -
    sub active team,monthly                              | keep   | 1050 | team     | -
    sub active lifetime                                  | keep   | 1050 | lifetime | -
    sub canceled lifetime                                | keep   | 1050 | free     | -

    buy paid lifetime                                    | keep   | 1050 | lifetime | -
    buy paid lifetime                                    | revoke | 9999 | lifetime | -
    buy paid lifetime-old                                | keep   | 1050 | lifetime | -
    buy paid mug                                         | keep   | 1050 | free     | -
    buy paid mug,lifetime                                | keep   | 1050 | lifetime | -
    buy no_payment_required lifetime                     | keep   | 1050 | lifetime | -
    buy unpaid lifetime                                  | keep   | 1050 | free     | -
    buy promised lifetime                                | keep   | 1050 | free     | -
    buy refunded lifetime                                | keep   | 1050 | free     | -
    buy needs_response lifetime                          | keep   | 1050 | free     | -
    buy under_review lifetime                            | keep   | 1050 | free     | -
    buy lost lifetime                                    | keep   | 1050 | free     | -
    buy won lifetime                                     | keep   | 1050 | lifetime | -
    buy prevented lifetime                               | keep   | 1050 | lifetime | -
    buy warning_needs_response lifetime                  | keep   | 1050 | lifetime | -
    buy warning_under_review lifetime                    | keep   | 1050 | lifetime | -
    buy warning_closed lifetime                          | keep   | 1050 | lifetime | -
    buy warning_of_a_new_kind lifetime                   | keep   | 1050 | lifetime | -
    buy escalated lifetime                               | keep   | 1050 | free     | -
    buy won,won lifetime                                 | keep   | 1050 | lifetime | -
    buy won,lost lifetime                                | keep   | 1050 | free     | -
    buy warning_closed,under_review lifetime             | keep   | 1050 | free     | -
    buy refunded,won lifetime                            | keep   | 1050 | free     | -
    buy paid monthly                                     | keep   | 1050 | monthly  | -

    buy refunded lifetime + buy paid lifetime            | keep   | 1050 | lifetime | -
    buy unpaid lifetime + sub active monthly             | keep   | 1050 | monthly  | -
    buy lost lifetime + sub active monthly               | keep   | 1050 | monthly  | -
    buy refunded lifetime + sub canceled monthly         | keep   | 1050 | free     | -
    buy paid lifetime + sub active monthly               | keep   | 1050 | lifetime | -
    buy paid lifetime + sub canceled monthly             | keep   | 1050 | lifetime | -
    buy paid lifetime + sub unpaid monthly               | revoke | 1050 | lifetime | -
    buy paid lifetime + sub past_due monthly@1000        | grace  | 1050 | lifetime | -
    buy paid monthly + sub past_due monthly@1000         | grace  | 1050 | monthly  | -
    buy refunded monthly + sub past_due monthly@1000     | grace  | 1050 | monthly  | 1100

    sub active monthly + sub canceled monthly            | keep   | 1050 | monthly  | -
    sub active monthly + sub incomplete_expired team     | keep   | 1050 | monthly  | -
    sub active monthly + sub active team                 | keep   | 1050 | team     | -
    sub canceled monthly + sub canceled team             | keep   | 1050 | free     | -
    sub past_due team@1000 + sub active monthly          | keep   | 1050 | team     | -
    sub past_due team@1000 + sub active monthly          | revoke | 1050 | monthly  | -
    sub past_due team@1000 + sub active monthly          | grace  | 1050 | team     | 1100
    sub past_due team@1000 + sub active monthly          | grace  | 1100 | monthly  | -
    sub past_due team@1000 + buy paid lifetime           | grace  | 1050 | lifetime | -
    sub past_due team@1000 + sub past_due monthly@0950   | grace  | 1040 | team     | 1100
    sub past_due team@0950 + sub past_due monthly@1000   | grace  | 1040 | team     | 1050
    sub past_due team@0950 + sub past_due monthly@1000   | grace  | 1050 | monthly  | 1100
    sub past_due team@0950 + sub past_due monthly@1000   | grace  | 1100 | free     | -
    sub past_due monthly@0950 + sub past_due monthly@1000 | grace | 1040 | monthly  | 1100
    sub past_due monthly@1000 + sub past_due monthly@0950 | grace | 1060 | monthly  | 1100
    sub past_due monthly@1000 + sub active monthly       | grace  | 1050 | monthly  | -
    sub past_due monthly@1000 + sub past_due monthly     | grace  | 1050 | monthly  | -
";

#[test]
fn the_plan_is_the_one_that_the_table_says() {
    let rows = CASES.lines().filter(|line| !line.trim().is_empty());
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [what, policy, now, plan, changes_at] = cells[..] else {
            panic!("five columns: {row}");
        };
        let state = bought(what);
        let derived = derive(&state, &terms(policy), now.parse().unwrap());
        assert_eq!(derived.plan.as_deref(), Some(plan), "{row}");
        assert_eq!(derived.changes_at, changes_at.parse().ok(), "{row}");
        assert_eq!(derived.backing.is_none(), plan == "free", "{row}");
        count += 1;
    }
    assert!(count >= 60, "{count} rows");
}

/// Reads `sub STATUS PRICE,PRICE@START + buy MONEY PRICE`.
fn bought(text: &str) -> State {
    let mut state = State::default();
    let items = text.split('+').filter(|_| text != "nothing");
    for (at, item) in items.enumerate() {
        let words: Vec<&str> = item.split_whitespace().collect();
        let (prices, start) = words[2].split_once('@').unwrap_or((words[2], ""));
        let prices: Vec<&str> = prices.split(',').collect();
        match words[0] {
            "sub" => {
                let mut found = subscription(&format!("sub_{at}"), words[1], &prices);
                found.period_start = start.parse().ok();
                state.subscriptions.push(found);
            }
            "buy" => state.purchases.push(Purchase {
                id: format!("cs_{at}"),
                prices: prices.iter().map(ToString::to_string).collect(),
                payment: money(words[1]),
            }),
            other => panic!("{other}"),
        }
    }
    state
}

fn subscription(id: &str, status: &str, prices: &[&str]) -> Subscription {
    Subscription {
        id: id.to_owned(),
        status: status.into(),
        prices: prices.iter().map(ToString::to_string).collect(),
        period_start: None,
        period_end: None,
        ends: false,
    }
}

fn money(text: &str) -> Payment {
    match text {
        "unpaid" => Payment::Unpaid,
        "no_payment_required" => Payment::NotRequired,
        "promised" => Payment::Unknown(text.to_owned()),
        paid => {
            let words = paid.split(',');
            let disputes = words.filter(|word| !["paid", "refunded"].contains(word));
            Payment::Paid {
                refunded: paid.contains("refunded"),
                disputes: disputes.map(DisputeStatus::from).collect(),
            }
        }
    }
}

fn terms(policy: &str) -> Terms {
    let plan = |name: &str, mode: Option<Mode>| Plan {
        name: name.to_owned(),
        role: format!("role-{name}"),
        permissions: Vec::new(),
        sale: mode.map(|mode| Sale {
            mode,
            prices: vec![name.to_owned(), format!("{name}-old")],
        }),
        replaces: Vec::new(),
    };
    let plans = vec![
        plan("free", None),
        plan("monthly", Some(Mode::Subscription)),
        plan("team", Some(Mode::Subscription)),
        plan("lifetime", Some(Mode::Payment)),
    ];
    Terms {
        catalog: Catalog::new(plans, Vec::new()),
        past_due: match policy {
            "keep" => PastDue::Keep,
            "revoke" => PastDue::Revoke,
            "grace" => PastDue::Grace(Duration::from_secs(GRACE)),
            other => panic!("{other}"),
        },
    }
}

fn backing(text: &str) -> Option<Backing> {
    derive(&bought(text), &terms("grace"), 1050).backing
}

#[test]
fn the_answer_names_what_it_rests_on() {
    let subscription = |id: &str| Some(Backing::Subscription(id.to_owned()));
    let purchase = |id: &str| Some(Backing::Purchase(id.to_owned()));
    assert_eq!(backing("nothing"), None);
    assert_eq!(backing("sub canceled monthly"), None);
    assert_eq!(backing("sub active monthly"), subscription("sub_0"));
    let both = "sub active monthly + buy paid lifetime";
    assert_eq!(backing(both), purchase("cs_1"));
    let refunded = "sub active monthly + buy refunded lifetime";
    assert_eq!(backing(refunded), subscription("sub_0"));
    let same_plan = "sub active monthly + buy paid monthly";
    assert_eq!(backing(same_plan), purchase("cs_1"));
}

#[test]
fn of_two_subscriptions_for_one_plan_the_one_that_lasts_longer_counts() {
    let cases = [
        ("past_due@1000", "past_due@1010", "b"),
        ("past_due@1000", "past_due", "b"),
        ("past_due@1000", "active", "b"),
        ("past_due", "active", "b"),
        ("active..2000", "active..3000", "b"),
        ("active-ends..3000", "active..2000", "b"),
        ("active-ends..2000", "active-ends..3000", "b"),
        ("past_due", "trialing..2000", "b"),
        ("active", "active", "b"),
        ("active", "canceled", "a"),
    ];
    for (first, second, expected) in cases {
        let read = |id: &str, text: &str| {
            let (text, end) = text.split_once("..").unwrap_or((text, ""));
            let (text, start) = text.split_once('@').unwrap_or((text, ""));
            let status = text.trim_end_matches("-ends");
            let mut read = subscription(id, status, &["monthly"]);
            read.ends = status != text;
            (read.period_start, read.period_end) = (start.parse().ok(), end.parse().ok());
            read
        };
        let (a, b) = (read("a", first), read("b", second));
        for subscriptions in [vec![a.clone(), b.clone()], vec![b, a]] {
            let state = State {
                subscriptions,
                purchases: Vec::new(),
            };
            let derived = derive(&state, &terms("grace"), 1050);
            let expected = Some(Backing::Subscription(expected.to_owned()));
            assert_eq!(derived.backing, expected, "{first} and {second}");
        }
    }
}

#[test]
fn who_bought_nothing_has_no_plan_where_none_is_free() {
    let mut terms = terms("keep");
    terms.catalog = Catalog::new(terms.catalog.plans()[1..].to_vec(), Vec::new());
    let derived = derive(&State::default(), &terms, 0);
    assert_eq!((derived.plan, derived.changes_at), (None, None));
    let derived = derive(&bought("sub active monthly"), &terms, 0);
    assert_eq!(derived.plan.as_deref(), Some("monthly"));
}

#[test]
fn a_grace_that_no_clock_can_reach_never_ends() {
    for (start, grace) in [(i64::MAX, 1), (1000, u64::MAX), (i64::MAX - 1, 2)] {
        let mut terms = terms("grace");
        terms.past_due = PastDue::Grace(Duration::from_secs(grace));
        let mut state = bought("sub past_due monthly");
        state.subscriptions[0].period_start = Some(start);
        let derived = derive(&state, &terms, i64::MAX);
        assert_eq!(derived.plan.as_deref(), Some("monthly"), "{start} {grace}");
        assert_eq!(derived.changes_at, None, "{start} {grace}");
    }
}
