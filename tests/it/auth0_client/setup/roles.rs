//! Roles and what they allow: read, made, added to.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;
use tollgate::auth0::{Kind, Permission, Role};

use super::{PERMISSIONS, ROLES, body, instead, permission, tenant};
use crate::auth0_client::{ANN, kind};
use crate::support::auth0::{Fault, Trouble};

#[tokio::test]
async fn all_roles_are_read_beyond_the_first_page_and_never_from_memory() {
    let tenant = tenant();
    for n in 0..230 {
        tenant.auth0.create_role(&format!("role-{n}"), &[]);
    }
    let roles = tenant.client.all_roles().await.expect("roles");
    let different: BTreeSet<&str> = roles.iter().map(|role| role.id.as_str()).collect();
    assert_eq!((roles.len(), different.len()), (232, 232));
    tenant.auth0.create_role("late", &[]);
    let roles = tenant.client.all_roles().await.expect("roles");
    assert!(roles.iter().any(|role| role.name == "late"));
}

#[tokio::test]
async fn a_role_is_made_and_one_that_exists_is_found_by_its_exact_name() {
    let tenant = tenant();
    let client = &tenant.client;
    let made = client.create_role("lifetime", "For ever").await;
    let made = made.expect("made");
    assert_eq!(tenant.role("lifetime").await, made);
    let sent = tenant.auth0.seen();
    let sent = sent.iter().find(|seen| seen.method == Method::POST);
    let expected = json!({ "name": "lifetime", "description": "For ever" });
    assert_eq!(sent.expect("a request").body, expected);
    tenant.auth0.create_role("lifetime-old", &[]);
    let again = client.create_role("lifetime", "").await.expect("found");
    assert_eq!(again, made);
    // A tenant that answers 400 for a name that is taken.
    instead(&tenant, Method::POST, ROLES, Fault::Status(400));
    let again = client.create_role("lifetime", "").await.expect("found");
    assert_eq!(again, made);
    // What is refused for another reason stays refused.
    let refused = client.create_role("<b>", "").await;
    assert_eq!(kind(refused), Some(Kind::Invalid(400)));
}

/// Roles `from` to `to`, as a list without its total.
fn plain_roles(from: usize, to: usize) -> Fault {
    let roles = (from..to).map(|n| json!({ "id": format!("rol_{n}"), "name": format!("r{n}") }));
    body(&roles.collect())
}

#[tokio::test]
async fn a_list_of_roles_without_its_total_is_read_to_a_page_that_brings_nothing_new() {
    let tenant = tenant();
    for last in [plain_roles(0, 0), plain_roles(100, 120)] {
        // A hundred are asked for, and fifty come.
        for (from, to) in [(0, 50), (50, 100), (100, 120)] {
            instead(&tenant, Method::GET, ROLES, plain_roles(from, to));
        }
        instead(&tenant, Method::GET, ROLES, last);
        let roles = tenant.client.all_roles().await.expect("roles");
        let names: Vec<String> = roles.into_iter().map(|role| role.name).collect();
        let expected: Vec<String> = (0..120).map(|n| format!("r{n}")).collect();
        assert_eq!(names, expected);
    }
    // Somebody who knows no pages.
    let before = tenant.auth0.count(&Method::GET, ROLES);
    instead(&tenant, Method::GET, ROLES, plain_roles(0, 101));
    assert_eq!(tenant.client.all_roles().await.expect("roles").len(), 101);
    assert_eq!(tenant.auth0.count(&Method::GET, ROLES) - before, 1);
}

#[tokio::test]
async fn what_a_role_allows_is_read_without_totals_too() {
    let tenant = tenant();
    let premium = tenant.role("premium").await;
    let page = |from: usize, to: usize| {
        let list = (from..to).map(|n| {
            json!({ "resource_server_identifier": "urn:a", "permission_name": format!("p{n}") })
        });
        body(&list.collect())
    };
    for (from, to) in [(0, 10), (10, 13), (10, 13)] {
        instead(&tenant, Method::GET, PERMISSIONS, page(from, to));
    }
    let held = tenant.client.permissions_of(&premium).await;
    assert_eq!(held.expect("permissions").len(), 13);
}

#[tokio::test]
async fn a_role_that_is_there_though_no_list_showed_it_is_found_when_it_cannot_be_made() {
    let tenant = tenant();
    tenant.auth0.create_role("Lifetime", &[]);
    let id = tenant.auth0.create_role("lifetime", &[]);
    instead(&tenant, Method::GET, ROLES, plain_roles(0, 0));
    assert_eq!(tenant.client.all_roles().await.ok(), Some(Vec::new()));
    let made = tenant.client.create_role("lifetime", "").await;
    assert_eq!(made.expect("found").id, id);
    let asked = tenant.auth0.seen().pop().expect("a request").query;
    assert!(asked.ends_with("&name_filter=lifetime"), "{asked}");
}

#[tokio::test]
async fn a_role_that_is_listed_is_not_missing_where_only_its_permissions_are() {
    let tenant = tenant();
    let premium = tenant.role("premium").await;
    instead(&tenant, Method::GET, PERMISSIONS, Fault::Status(404));
    let held = tenant.client.permissions_of(&premium).await;
    assert_eq!(kind(held), Some(Kind::Invalid(404)));
}

#[tokio::test]
async fn a_role_made_after_one_of_its_name_was_deleted_takes_the_place_of_the_remembered_one() {
    let tenant = tenant();
    let old = tenant.role("premium").await;
    tenant.auth0.delete_role("premium");
    let made = tenant.client.create_role("premium", "").await;
    let made = made.expect("made");
    assert_ne!(made.id, old.id);
    assert_eq!(tenant.role("premium").await, made);
}

#[tokio::test]
async fn a_role_is_not_made_twice_when_the_answer_is_lost() {
    let tenant = tenant();
    for (n, after, fault) in [
        (1, true, Fault::Cut),
        (2, true, Fault::Status(503)),
        (3, true, Fault::Body("[]".to_owned())),
        (4, false, Fault::Cut),
        (5, false, Fault::Status(500)),
    ] {
        let name = format!("role-{n}");
        let before = tenant.auth0.count(&Method::POST, ROLES);
        let trouble = if after {
            Trouble::After(fault)
        } else {
            Trouble::Instead(fault)
        };
        tenant.auth0.trouble_times(1, Method::POST, ROLES, trouble);
        let made = tenant.client.create_role(&name, "").await;
        assert_eq!(made.expect("made").name, name);
        let asked = tenant.auth0.count(&Method::POST, ROLES) - before;
        // It is made again only where it was not found.
        assert_eq!(asked, if after { 1 } else { 2 }, "{name}");
    }
    let cut = Trouble::Instead(Fault::Cut);
    tenant.auth0.trouble(Method::POST, ROLES, cut);
    let before = tenant.auth0.count(&Method::POST, ROLES);
    let failed = tenant.client.create_role("never", "").await;
    assert_eq!(kind(failed), Some(Kind::Unreachable));
    assert_eq!(tenant.auth0.count(&Method::POST, ROLES) - before, 2);
}

#[tokio::test]
async fn a_role_is_not_made_again_while_nobody_can_say_whether_it_was_made() {
    let tenant = tenant();
    tenant.held(ANN).await;
    let cut = Trouble::After(Fault::Cut);
    tenant.auth0.trouble(Method::POST, ROLES, cut);
    let away = Trouble::Instead(Fault::Status(500));
    tenant.auth0.trouble(Method::GET, ROLES, away);
    let failed = tenant.client.create_role("lifetime", "").await;
    assert_eq!(kind(failed), Some(Kind::Unreachable));
    assert_eq!(tenant.auth0.count(&Method::POST, ROLES), 1);
}

#[tokio::test]
async fn what_a_role_allows_is_added_to_and_read_on_all_pages() {
    let tenant = tenant();
    let premium = tenant.role("premium").await;
    let mut wanted = vec![permission("read:premium")];
    for n in 0..120 {
        let name = format!("use:thing-{n:03}");
        tenant.auth0.add_scope(&name, "A thing");
        wanted.push(permission(&name));
    }
    for _ in 0..2 {
        let added = tenant.client.add_permissions(&premium, &wanted[1..]).await;
        added.expect("added");
        let held = tenant.client.permissions_of(&premium).await;
        assert_eq!(held.ok().as_ref(), Some(&wanted));
    }
    assert_eq!(tenant.auth0.count(&Method::GET, PERMISSIONS), 6);
    // Nothing to add is no call.
    let before = tenant.auth0.seen().len();
    let added = tenant.client.add_permissions(&premium, &[]).await;
    added.expect("nothing");
    assert_eq!(tenant.auth0.seen().len(), before);
}

#[tokio::test]
async fn what_a_role_allows_already_is_no_error_where_it_is_refused() {
    let tenant = tenant();
    let premium = tenant.role("premium").await;
    for status in [400, 409] {
        instead(&tenant, Method::POST, PERMISSIONS, Fault::Status(status));
        let held = [permission("read:premium")];
        let added = tenant.client.add_permissions(&premium, &held).await;
        added.expect("it is there");
    }
}

#[tokio::test]
async fn a_missing_permission_is_told_from_a_missing_role() {
    let tenant = tenant();
    let premium = tenant.role("premium").await;
    let client = &tenant.client;
    let missing = [permission("read:nothing")];
    let added = client.add_permissions(&premium, &missing).await;
    assert_eq!(kind(added), Some(Kind::Invalid(400)));
    let elsewhere = Permission {
        resource_server: "urn:none".to_owned(),
        name: "read:premium".to_owned(),
    };
    let added = client.add_permissions(&premium, &[elsewhere]).await;
    assert_eq!(kind(added), Some(Kind::Invalid(404)));
    tenant.auth0.delete_role("premium");
    let no_role = Some(Kind::NoRole("premium".to_owned()));
    assert_eq!(kind(client.permissions_of(&premium).await), no_role);
    let held = [permission("read:premium")];
    let added = client.add_permissions(&premium, &held).await;
    assert_eq!(kind(added), no_role);
    let odd = Role {
        id: "..".to_owned(),
        name: "premium".to_owned(),
    };
    assert_eq!(kind(client.permissions_of(&odd).await), no_role);
}
