//! The lists of users and of what was done to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tollgate::store::{
    Action, Cause, Derived, Entitlement, LinkKind, Purchase, PurchaseState, RoleChange, Store,
    UserFilter,
};

use super::{START, ask, take, user};

/// Gives the user an entitlement with this plan.
pub(super) async fn entitle(store: &Arc<dyn Store>, name: &str, plan: Option<&str>) -> Entitlement {
    ask(store, &user(name), START).await;
    let job = take(store, START).await;
    let derived = Derived {
        plan: plan.map(str::to_owned),
        ..Derived::default()
    };
    let written = store.derived(&job, &derived, true, START).await;
    store.finish(&job, START).await.expect("done");
    written.expect("written")
}

async fn link(store: &Arc<dyn Store>, customer: &str, name: &str) {
    let linked = store.link(customer, name, LinkKind::Owner, START).await;
    linked.expect("linked");
}

async fn buy(store: &Arc<dyn Store>, session: &str, name: &str) {
    let purchase = Purchase {
        session: session.to_owned(),
        user: name.to_owned(),
        customer: None,
        plan: "monthly".to_owned(),
        state: PurchaseState::Open,
        created_at: START,
    };
    store.record_purchase(&purchase).await.expect("recorded");
}

pub(super) async fn every_user_is_known_once_whatever_size_the_pages_have(store: &Arc<dyn Store>) {
    assert!(store.known_users(None, 9).await.expect("none").is_empty());
    let mut expected = BTreeSet::new();
    // Names that a locale, or a comparison without letter case, would sort otherwise than bytes.
    for number in 0..7 {
        for (kind, name) in ["auth0|a", "auth0|B", "Google|", "auth0|ä"]
            .iter()
            .enumerate()
        {
            let name = format!("{name}{number}");
            if (number + kind) % 3 != 0 {
                entitle(store, &name, None).await;
            }
            if (number + kind) % 3 != 1 {
                link(store, &format!("cus_{kind}"), &name).await;
                link(store, &format!("cus_other_{number}"), &name).await;
            }
            if number % 2 == 0 {
                buy(store, &format!("cs_{kind}_{number}"), &name).await;
                buy(store, &format!("cs_{kind}_{number}_again"), &name).await;
            }
            expected.insert(name);
        }
    }
    let expected = Vec::from_iter(expected);
    for size in [1, 2, 5, 100, u32::MAX] {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let after = seen.last().map(String::as_str);
            let page = store.known_users(after, size).await.expect("a page");
            assert!(page.len() <= size as usize);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, expected, "pages of {size}");
    }
    // Whom the position names may be gone or may never have been there.
    let after = store.known_users(Some("auth0|a2x"), 1).await;
    assert_eq!(after.expect("a page"), ["auth0|a3"]);
}

async fn found(store: &Arc<dyn Store>, contains: Option<&str>, plan: Option<&str>) -> Vec<String> {
    let filter = UserFilter {
        contains: contains.map(str::to_owned),
        plan: plan.map(str::to_owned),
        limit: 100,
    };
    let users = store.users(&filter).await.expect("users");
    users.into_iter().map(|row| row.user).collect()
}

pub(super) async fn users_are_listed_the_last_changed_first_by_text_and_plan(
    store: &Arc<dyn Store>,
) {
    for (name, plan) in [
        ("auth0|Ada", Some("monthly")),
        ("google|bob", Some("free")),
        ("auth0|adam", None),
        ("auth0|eve", Some("monthly")),
    ] {
        entitle(store, name, plan).await;
    }
    // A change brings to the front.
    entitle(store, "google|bob", Some("monthly")).await;
    let all = ["google|bob", "auth0|eve", "auth0|adam", "auth0|Ada"];
    assert_eq!(found(store, None, None).await, all);
    assert_eq!(found(store, Some(""), None).await, all);
    let ada = found(store, Some("|ADA"), None).await;
    assert_eq!(ada, ["auth0|adam", "auth0|Ada"]);
    let monthly = found(store, None, Some("monthly")).await;
    assert_eq!(monthly, ["google|bob", "auth0|eve", "auth0|Ada"]);
    let both = found(store, Some("aDa"), Some("monthly")).await;
    assert_eq!(both, ["auth0|Ada"]);
    assert!(found(store, Some("nobody"), None).await.is_empty());
    assert!(found(store, None, Some("month")).await.is_empty());
    let one = UserFilter {
        limit: 1,
        ..UserFilter::default()
    };
    let row = store.entitlement("google|bob").await.expect("an answer");
    let first = store.users(&one).await.expect("users");
    assert_eq!(first, [row.expect("a row")]);
    let none = store.users(&UserFilter::default()).await.expect("users");
    assert!(none.is_empty());
}

pub(super) async fn nothing_in_a_search_is_a_wildcard(store: &Arc<dyn Store>) {
    let names = [
        "auth0|1",
        "auth0|a%b",
        "auth0|a_b",
        "auth0|a\\b",
        "auth0|axb",
    ];
    for name in names {
        entitle(store, name, None).await;
    }
    for (text, name) in [
        ("%", "auth0|a%b"),
        ("a%B", "auth0|a%b"),
        ("_", "auth0|a_b"),
        ("\\", "auth0|a\\b"),
    ] {
        assert_eq!(found(store, Some(text), None).await, [name], "{text}");
    }
    for text in ["*", "?", "a%x", "'", "auth0|.", "\\_", "\0", "a\0b"] {
        let found = found(store, Some(text), None).await;
        assert!(found.is_empty(), "{text}: {found:?}");
    }
}

pub(super) async fn the_latest_changes_are_of_all_users_the_newest_first(store: &Arc<dyn Store>) {
    let line = |name: &str, action| RoleChange {
        user: name.to_owned(),
        action,
        subject: "premium-monthly".to_owned(),
        plan: None,
        cause: Cause::default(),
        at: START,
        error: None,
    };
    let lines = [
        line("auth0|1", Action::Assign),
        line("auth0|2", Action::Assign),
        line("auth0|1", Action::Remove),
    ];
    for line in &lines {
        store.audit(line).await.expect("kept");
    }
    let [first, second, third] = lines;
    let latest = store.latest_role_changes(2).await.expect("lines");
    assert_eq!(latest, [third.clone(), second.clone()]);
    let all = store.latest_role_changes(u32::MAX).await.expect("lines");
    assert_eq!(all, [third, second, first]);
}
