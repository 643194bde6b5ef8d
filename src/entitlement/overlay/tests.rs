//! What tokens are worth, told as a story, as a table, and for all tokens.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::catalog::{Mode, Plan, Role, Sale};
use super::*;

const LEEWAY: UnixSeconds = 30;
/// 2026-11-23, eight o'clock.
const MORNING: UnixSeconds = 1_795_420_800;

const PLANS: [(&str, &str); 3] = [
    ("free", "read:basic"),
    ("monthly", "read:basic read:premium manage:subscription"),
    ("lifetime", "read:basic read:premium export"),
];
const OTHERS: [(&str, &str); 3] = [
    ("admin", "read:basic read:premium access:admin-panel"),
    ("press", "read:premium"),
    ("nobody", ""),
];
const PERMISSIONS: [&str; 7] = [
    "read:basic",
    "read:premium",
    "manage:subscription",
    "export",
    "access:admin-panel",
    "write:letters",
    "read",
];

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn catalog() -> Catalog {
    let plans = PLANS.map(|(name, permissions)| Plan {
        name: name.to_owned(),
        role: format!("role-{name}"),
        permissions: words(permissions),
        sale: (name != "free").then(|| Sale {
            mode: Mode::Subscription,
            prices: vec![format!("price_{name}")],
        }),
        replaces: Vec::new(),
    });
    let managed = PLANS.map(|(name, permissions)| (format!("role-{name}"), permissions));
    let others = OTHERS.map(|(name, permissions)| (name.to_owned(), permissions));
    let roles = managed.into_iter().chain(others).map(|(name, text)| Role {
        name,
        permissions: words(text),
    });
    Catalog::new(plans.into(), roles.collect())
}

fn change(plan: &str, confirmed_at: Option<UnixSeconds>, roles: &str) -> Change {
    Change {
        plan: Some(plan.to_owned()).filter(|plan| plan != "-"),
        confirmed_at,
        other_roles: words(roles),
    }
}

/// What the token is worth, its permissions sorted; `None` when it is trusted.
fn worth(token: &str, issued_at: Option<UnixSeconds>, change: &Change) -> Option<String> {
    let catalog = catalog();
    let held = effective(
        token.split_whitespace(),
        issued_at,
        change,
        &catalog,
        LEEWAY,
    );
    held.map(|mut held| {
        held.sort_unstable();
        held.join(" ")
    })
}

#[test]
fn the_story_of_a_purchase_and_its_refund() {
    let free = "read:basic";
    let premium = "read:basic read:premium export";
    let lets_in = |token: &str, issued_at: UnixSeconds, change: &Change| {
        let worth = worth(token, Some(issued_at), change);
        let held = worth.unwrap_or_else(|| token.to_owned());
        held.split(' ').any(|held| held == "read:premium")
    };
    let signed_in = MORNING - 3600;

    // Paid at MORNING: Stripe knows, Auth0 does not yet. The token from before lets in, and so does one refreshed in
    // between, which Auth0 made without the new role.
    let paid = change("lifetime", None, "role-free");
    assert!(lets_in(free, signed_in, &paid));
    assert!(lets_in(free, MORNING + 1, &paid));

    // Auth0 has the role two seconds later. Both tokens stay good, and one made after it is on its own.
    let confirmed = change("lifetime", Some(MORNING + 2), "role-lifetime");
    assert!(lets_in(free, signed_in, &confirmed));
    assert!(lets_in(free, MORNING + 1, &confirmed));
    assert!(lets_in(free, MORNING + 2 + LEEWAY, &confirmed));
    assert!(lets_in(premium, MORNING + 3 + LEEWAY, &confirmed));
    assert!(!lets_in(free, MORNING + 3 + LEEWAY, &confirmed));

    // The money goes back an hour later. Every token is stopped at once, whatever it says, even while the roles that
    // were read last still hold what was bought.
    let refunded_at = MORNING + 3600;
    let refunded = change("free", None, "role-lifetime");
    assert!(!lets_in(free, signed_in, &refunded));
    assert!(!lets_in(premium, MORNING + 600, &refunded));
    assert!(!lets_in(premium, refunded_at + 1, &refunded));

    // Auth0 has taken the role away. A token of before stays stopped, one of later is trusted again.
    let confirmed = change("free", Some(refunded_at + 2), "role-free");
    assert!(!lets_in(premium, refunded_at + 1, &confirmed));
    assert!(!lets_in(premium, refunded_at + 2 + LEEWAY, &confirmed));
    assert!(lets_in(premium, refunded_at + 3 + LEEWAY, &confirmed));
}

#[test]
fn an_admin_who_buys_and_cancels_stays_admin_throughout() {
    let admin = "access:admin-panel read:basic read:premium";
    let subscribed = "access:admin-panel manage:subscription read:basic read:premium";
    let steps = [
        (change("monthly", None, "admin"), subscribed),
        (
            change("monthly", Some(MORNING), "admin role-monthly"),
            subscribed,
        ),
        (change("free", None, "admin role-monthly"), admin),
        (change("free", Some(MORNING + 9), "role-free admin"), admin),
        (change("-", None, "admin"), admin),
    ];
    for (change, expected) in steps {
        for token in [admin, subscribed] {
            let worth = worth(token, Some(MORNING - 60), &change);
            assert_eq!(worth.as_deref(), Some(expected), "{token} {change:?}");
        }
    }
}

#[test]
fn a_token_is_trusted_from_the_second_after_the_confirmation_and_the_leeway() {
    let confirmed = change("free", Some(MORNING), "");
    for second in -5..100 {
        let trusted = worth("read:premium", Some(MORNING + second), &confirmed).is_none();
        assert_eq!(trusted, second > LEEWAY, "second {second}");
    }
    assert!(worth("", Some(i64::MAX), &change("free", Some(i64::MAX), "")).is_some());
    assert!(worth("", Some(i64::MIN), &change("free", Some(i64::MIN), "")).is_some());
}

#[test]
fn a_token_that_does_not_say_when_it_was_issued_is_never_trusted() {
    for confirmed_at in [None, Some(0), Some(i64::MIN), Some(MORNING)] {
        assert!(worth("", None, &change("free", confirmed_at, "")).is_some());
    }
}

#[test]
fn nothing_is_trusted_before_auth0_confirms() {
    for issued_at in [0, MORNING, i64::MAX] {
        assert!(worth("", Some(issued_at), &change("free", None, "")).is_some());
    }
}

#[test]
fn an_untrusted_token_is_worth_what_the_table_says() {
    // What the token holds, the plan now, the roles that were read, what it is worth.
    let cases = [
        ("", "-", "", ""),
        ("", "free", "", "read:basic"),
        ("read:premium", "free", "", "read:basic"),
        ("read:premium", "-", "", ""),
        ("read:premium", "free", "role-monthly", "read:basic"),
        (
            "read:premium",
            "free",
            "role-lifetime role-monthly",
            "read:basic",
        ),
        ("read:premium", "free", "press", "read:basic read:premium"),
        ("", "free", "press", "read:basic"),
        ("export", "free", "press nobody unheard-of", "read:basic"),
        (
            "export",
            "monthly",
            "",
            "manage:subscription read:basic read:premium",
        ),
        (
            "read:basic",
            "monthly",
            "role-free",
            "manage:subscription read:basic read:premium",
        ),
        ("write:letters", "free", "", "read:basic write:letters"),
        ("write:letters read", "-", "", "read write:letters"),
        (
            "access:admin-panel export",
            "-",
            "admin",
            "access:admin-panel",
        ),
        (
            "access:admin-panel",
            "free",
            "",
            "access:admin-panel read:basic",
        ),
        ("read:basic read:basic", "free", "", "read:basic"),
    ];
    for (token, plan, roles, expected) in cases {
        let worth = worth(token, Some(MORNING), &change(plan, None, roles));
        assert_eq!(worth.as_deref(), Some(expected), "{token} {plan} {roles}");
    }
}

#[test]
fn a_plan_that_a_reload_took_away_says_nothing_until_its_users_are_looked_at_again() {
    let change = change("unheard-of", None, "");
    assert_eq!(worth("read:premium", Some(MORNING), &change), None);
}

#[test]
fn many_permissions_cost_no_more_than_each_of_them_alone() {
    let many: Vec<String> = (0..40_000).map(|at| format!("permission:{at}")).collect();
    let mut plans = catalog().plans().to_vec();
    plans[2].permissions.clone_from(&many);
    let mut roles = catalog().roles().to_vec();
    roles[3].permissions.clone_from(&many);
    let catalog = Catalog::new(plans, roles);
    let change = change("lifetime", None, "admin");
    let token = || many.iter().map(String::as_str);
    let start = Instant::now();
    let held = effective(token(), None, &change, &catalog, LEEWAY).unwrap();
    assert_eq!(held, token().collect::<Vec<_>>());
    // Each compared with each other would be nearly a billion comparisons, twice.
    assert!(start.elapsed() < Duration::from_secs(2));
}

fn changes() -> impl Strategy<Value = Change> {
    let plan = select(vec!["-", "free", "monthly", "lifetime"]);
    let roles = ["role-free", "role-monthly", "role-lifetime"];
    let roles = roles.into_iter().chain(OTHERS.map(|row| row.0));
    let roles = vec(select(roles.collect::<Vec<_>>()), 0..4);
    (plan, option::of(0_i64..200), roles)
        .prop_map(|(plan, confirmed_at, roles)| change(plan, confirmed_at, &roles.join(" ")))
}

fn tokens() -> impl Strategy<Value = Vec<&'static str>> {
    vec(select(PERMISSIONS.to_vec()), 0..8)
}

fn holds(table: &[(&str, &str)], name: &str, permission: &str) -> bool {
    let mut rows = table.iter().filter(|row| row.0 == name);
    rows.any(|row| row.1.split_whitespace().any(|held| held == permission))
}

proptest! {
    #[test]
    fn a_token_is_trusted_exactly_when_it_was_issued_after_the_confirmation(
        token in tokens(), issued_at in option::of(0_i64..300), change in changes(), leeway in 0_i64..60,
    ) {
        let catalog = catalog();
        let held = effective(token.into_iter(), issued_at, &change, &catalog, leeway);
        let trusted = match (issued_at, change.confirmed_at) {
            (Some(issued_at), Some(confirmed_at)) => issued_at - confirmed_at > leeway,
            (None, _) | (_, None) => false,
        };
        prop_assert_eq!(held.is_none(), trusted);
    }

    #[test]
    fn an_untrusted_token_holds_a_permission_exactly_when_something_gives_it(token in tokens(), change in changes()) {
        let catalog = catalog();
        let held = effective(token.iter().copied(), None, &change, &catalog, LEEWAY).unwrap();
        let plan = change.plan.as_deref().unwrap_or_default();
        for permission in PERMISSIONS {
            let by_plan = holds(&PLANS, plan, permission);
            let managed = PLANS.iter().any(|row| holds(&PLANS, row.0, permission));
            let by_role = change.other_roles.iter().any(|role| holds(&OTHERS, role, permission));
            let expected = by_plan || (token.contains(&permission) && (!managed || by_role));
            prop_assert_eq!(held.contains(&permission), expected, "{}", permission);
        }
        prop_assert!(held.iter().all(|held| PERMISSIONS.contains(held)));
    }

    #[test]
    fn to_apply_a_change_twice_is_to_apply_it_once(token in tokens(), change in changes()) {
        let catalog = catalog();
        let once = effective(token.into_iter(), None, &change, &catalog, LEEWAY).unwrap();
        let twice = effective(once.iter().copied(), None, &change, &catalog, LEEWAY).unwrap();
        prop_assert_eq!(once, twice);
    }
}
