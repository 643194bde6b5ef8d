//! The calls of set-up, together: scopes, pace, and what the client itself may do.

mod apis;
mod roles;
mod standin;

use http::Method;
use serde_json::{Value, json};
use tollgate::auth0::{Kind, Permission, ResourceServer};

use super::{ANN, Tenant, kind};
use crate::support::auth0::{AUDIENCE, Fault, TOKEN, Trouble};

const APIS: &str = "/api/v2/resource-servers";
const ONE_API: &str = "/api/v2/resource-servers/*";
const ROLES: &str = "/api/v2/roles";
const PERMISSIONS: &str = "/api/v2/roles/*/permissions";

/// A tenant whose client may do what set-up needs.
fn tenant() -> Tenant {
    let tenant = Tenant::start();
    tenant.auth0.grant_setup();
    tenant
}

fn permission(name: &str) -> Permission {
    Permission {
        resource_server: AUDIENCE.to_owned(),
        name: name.to_owned(),
    }
}

fn names(api: &ResourceServer) -> Vec<&str> {
    api.scopes.iter().map(|(name, _)| name.as_str()).collect()
}

async fn api(tenant: &Tenant, identifier: &str) -> Option<ResourceServer> {
    let found = tenant.client.resource_server(identifier).await;
    found.expect("an answer")
}

/// This, instead of what would be answered, once.
fn instead(tenant: &Tenant, method: Method, path: &str, fault: Fault) {
    let trouble = Trouble::Instead(fault);
    tenant.auth0.trouble_times(1, method, path, trouble);
}

fn body(value: &Value) -> Fault {
    Fault::Body(value.to_string())
}

#[tokio::test]
async fn each_call_names_the_scope_that_is_missing() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    let client = &tenant.client;
    let some = [permission("read:premium")];
    for (scope, failed) in [
        (
            "read:resource_servers",
            kind(client.resource_server(AUDIENCE).await),
        ),
        (
            "create:resource_servers",
            kind(client.create_resource_server("urn:a", "A", &[]).await),
        ),
        (
            "update:resource_servers",
            kind(client.update_resource_server("1", None, true, None).await),
        ),
        ("create:roles", kind(client.create_role("a", "").await)),
        (
            "update:roles",
            kind(client.add_permissions(&premium, &some).await),
        ),
    ] {
        assert_eq!(failed, Some(Kind::Scope(scope)));
    }
    tenant.auth0.grant(&["update:users"]);
    tenant.auth0.revoke_machine_tokens();
    assert_eq!(
        kind(client.all_roles().await),
        Some(Kind::Scope("read:roles"))
    );
    assert_eq!(
        kind(client.permissions_of(&premium).await),
        Some(Kind::Scope("read:roles"))
    );
    let users = client.users_by_email("ann@example.test").await;
    assert_eq!(kind(users), Some(Kind::Scope("read:users")));
}

#[tokio::test]
async fn a_call_that_comes_too_often_says_how_long_to_wait_and_does_nothing() {
    let tenant = tenant();
    let premium = tenant.role("premium").await;
    let before = tenant.auth0.count(&Method::GET, ROLES);
    let too_many = Trouble::TooMany {
        retry_after: Some(7),
        reset: None,
    };
    for (method, path) in [(Method::POST, ROLES), (Method::GET, PERMISSIONS)] {
        let trouble = too_many.clone();
        tenant.auth0.trouble_times(1, method, path, trouble);
    }
    // Nobody waits here, as nobody does before a browser.
    let client = tenant.client.within(std::time::Duration::ZERO);
    let failed = client.create_role("lifetime", "").await.err();
    let failed = failed.expect("refused");
    assert_eq!(failed.kind, Kind::RateLimited);
    assert!(failed.retry_after.is_some_and(|wait| wait.as_secs() >= 6));
    // Auth0 asked to be left alone: nothing more is sent, not even to look whether the role is there.
    let held = client.permissions_of(&premium).await;
    assert_eq!(kind(held), Some(Kind::RateLimited));
    assert_eq!(tenant.auth0.count(&Method::GET, ROLES), before);
}

#[tokio::test]
async fn what_the_client_was_granted_is_told_unless_the_answer_did_not_say() {
    let tenant = tenant();
    let granted = tenant.client.granted_scopes().await.expect("an answer");
    let granted = granted.expect("scopes");
    for scope in ["read:roles", "update:resource_servers"] {
        assert!(granted.iter().any(|known| known == scope), "{scope}");
    }
    tenant.client.all_roles().await.expect("roles");
    assert_eq!(tenant.auth0.hits(TOKEN), 1);

    let silent = Tenant::start();
    let answer = json!({ "access_token": "abc", "expires_in": 60 });
    silent.auth0.fault(TOKEN, body(&answer));
    let granted = silent.client.granted_scopes().await;
    assert_eq!(granted.expect("an answer"), None);

    let refused = Tenant::start();
    refused.auth0.fault(TOKEN, Fault::Status(401));
    let granted = refused.client.granted_scopes().await;
    assert_eq!(kind(granted), Some(Kind::Client));
}

#[tokio::test]
async fn users_are_found_by_their_email_as_it_is_given_or_in_small_letters() {
    let tenant = tenant();
    let odd = "bob+a&b@Example.test";
    tenant.auth0.create_user("saml|bob", odd, false);
    tenant
        .auth0
        .create_user("google|ann", "ann@example.test", true);
    for (email, expected) in [
        ("ann@example.test", vec![ANN, "google|ann"]),
        ("Ann@Example.test", vec![ANN, "google|ann"]),
        (odd, vec!["saml|bob"]),
        ("nobody@example.test", vec![]),
    ] {
        let users = tenant.client.users_by_email(email).await.expect("users");
        let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
        assert_eq!(ids, expected, "{email}");
    }
    let refused = tenant.client.users_by_email("no address").await;
    assert_eq!(kind(refused), Some(Kind::Invalid(400)));
}

#[tokio::test]
async fn each_call_is_counted_under_its_endpoint() {
    let tenant = tenant();
    let client = &tenant.client;
    let premium = tenant.role("premium").await;
    api(&tenant, AUDIENCE).await.expect("an API");
    api(&tenant, "urn:none").await;
    client.create_role("a", "").await.expect("made");
    client.permissions_of(&premium).await.expect("permissions");
    client.users_by_email("a@b.test").await.expect("users");
    for (endpoint, status) in [
        ("/resource-servers/{id}", "200"),
        ("/resource-servers/{id}", "404"),
        ("/resource-servers", "200"),
        ("/roles/{id}/permissions", "200"),
        ("/users-by-email", "200"),
    ] {
        assert_eq!(tenant.counted(endpoint, status), Some(1), "{endpoint}");
    }
    assert_eq!(tenant.counted("/roles", "200"), Some(2));
}
