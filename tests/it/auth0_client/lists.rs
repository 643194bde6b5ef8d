//! All pages of every list, however they come.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;

use super::{ANN, ROLES, Tenant, kind};
use crate::support::auth0::{Fault, Trouble};
use tollgate::auth0::{Kind, Role};

const MEMBERS: &str = "/api/v2/roles/*/users";

/// Who holds the role, asked for `limit` by `limit`, and in how many parts they came.
async fn members(tenant: &Tenant, role: &Role, limit: u32) -> (Vec<String>, usize) {
    let (mut ids, mut parts, mut from) = (Vec::new(), 0, None);
    loop {
        let part = tenant.client.members(role, from.as_deref(), limit).await;
        let part = part.expect("a part");
        ids.extend(part.users.into_iter().map(|user| user.id));
        parts += 1;
        from = part.next;
        if from.is_none() {
            return (ids, parts);
        }
    }
}

fn fill(tenant: &Tenant, count: usize) -> Vec<String> {
    for n in 0..count {
        let id = format!("auth0|{n:05}");
        tenant.auth0.create_user(&id, "x@example.test", true);
        tenant.auth0.give_role(&id, "premium");
    }
    let mut users = tenant.auth0.users();
    users.retain(|id| id != ANN);
    users
}

#[tokio::test]
async fn all_roles_of_a_user_are_read() {
    let tenant = Tenant::start();
    for n in 0..50 {
        let name = format!("role-{n:02}");
        tenant.auth0.create_role(&name, &[]);
        tenant.auth0.give_role(ANN, &name);
    }
    let held: BTreeSet<_> = tenant.held(ANN).await.into_iter().collect();
    assert_eq!(held.len(), 50);
    assert_eq!(
        held.into_iter().collect::<Vec<_>>(),
        tenant.auth0.roles_of(ANN)
    );
}

#[tokio::test]
async fn a_role_is_found_on_a_later_page() {
    let tenant = Tenant::start();
    for n in 0..230 {
        tenant.auth0.create_role(&format!("premium-{n}"), &[]);
    }
    tenant.auth0.create_role("premium-x", &[]);
    // All of them have this in their names.
    tenant.auth0.create_role("premium-", &[]);
    assert_eq!(tenant.role("premium-").await.name, "premium-");
    assert_eq!(tenant.auth0.count(&Method::GET, "/api/v2/roles"), 3);
}

#[tokio::test]
async fn all_members_are_read_beyond_the_thousand_that_page_numbers_reach() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    let users = fill(&tenant, 1050);
    let (found, parts) = members(&tenant, &premium, 100).await;
    assert_eq!((found, parts), (users, 11));
    assert_eq!(members(&tenant, &premium, 7).await.1, 150);
}

#[tokio::test]
async fn a_role_that_nobody_holds_has_no_members() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    assert_eq!(members(&tenant, &premium, 100).await, (Vec::new(), 1));
    assert_eq!(tenant.auth0.count(&Method::GET, MEMBERS), 1);
}

#[tokio::test]
async fn members_are_read_by_number_where_checkpoints_are_refused() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    let users = fill(&tenant, 230);
    let refusal = Trouble::Instead(Fault::Status(400));
    tenant.auth0.trouble_times(1, Method::GET, MEMBERS, refusal);
    assert_eq!(members(&tenant, &premium, 100).await, (users, 3));
}

#[tokio::test]
async fn members_are_read_by_number_where_checkpoints_are_passed_over() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    let users = fill(&tenant, 120);
    let first: Vec<_> = users[..50]
        .iter()
        .map(|id| json!({ "user_id": id }))
        .collect();
    let list = Trouble::Instead(Fault::Body(json!(first).to_string()));
    tenant.auth0.trouble_times(1, Method::GET, MEMBERS, list);
    assert_eq!(members(&tenant, &premium, 100).await, (users, 2));
}

#[tokio::test]
async fn members_by_number_without_totals_are_read_to_a_page_that_brings_nothing_new() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    let page = |from: usize, to: usize| {
        let users = (from..to).map(|n| json!({ "user_id": format!("auth0|a:{n}") }));
        Trouble::Instead(Fault::Body(json!(users.collect::<Vec<_>>()).to_string()))
    };
    let expected: Vec<String> = (0..120).map(|n| format!("auth0|a:{n}")).collect();
    for last in [(0, 0), (100, 120)] {
        // The first time they are asked for by checkpoint, which is passed over.
        for (from, to) in [(0, 50), (0, 50), (50, 100), (100, 120), last] {
            let page = page(from, to);
            tenant.auth0.trouble_times(1, Method::GET, MEMBERS, page);
        }
        let (found, _) = members(&tenant, &premium, 100).await;
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_place_to_go_on_from_that_we_never_gave_is_refused() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    for from in ["", "x", "page:1", "from:nonsense!"] {
        let listed = tenant.client.members(&premium, Some(from), 10).await;
        assert_eq!(kind(listed), Some(Kind::Invalid(400)), "{from}");
    }
}

#[tokio::test]
async fn plain_lists_and_unknown_fields_are_read_too() {
    let tenant = Tenant::start();
    let plain = json!([{ "id": "rol_1", "name": "a", "sources": [{}] }, { "id": "rol_2", "name": "b", "description": null }]);
    let list = Trouble::Instead(Fault::Body(plain.to_string()));
    tenant.auth0.trouble_times(1, Method::GET, ROLES, list);
    assert_eq!(tenant.held(ANN).await, ["a", "b"]);
}

#[tokio::test]
async fn reads_just_after_a_change_may_be_late_and_then_are_not() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    tenant.auth0.late_role_reads(1);
    tenant.client.add_role(ANN, &premium).await.expect("given");
    assert_eq!(tenant.held(ANN).await, [""; 0]);
    assert_eq!(tenant.held(ANN).await, ["premium"]);
}

#[tokio::test]
async fn a_list_that_numbers_do_not_reach_the_end_of_is_an_error_and_no_place_that_is_none() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    fill(&tenant, 1001);
    let last = tenant
        .client
        .members(&premium, Some("page:9:100"), 100)
        .await;
    let next = last.expect("a page").next;
    let beyond = tenant.client.members(&premium, next.as_deref(), 100).await;
    assert_eq!(kind(beyond), Some(Kind::Unreadable));
}
