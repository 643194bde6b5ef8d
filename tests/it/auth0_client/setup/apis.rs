//! The tenant's APIs: found, made, changed.

use http::Method;
use serde_json::json;
use tollgate::auth0::{Kind, Permission};

use super::{APIS, ONE_API, PERMISSIONS, api, body, instead, names, tenant};
use crate::auth0_client::kind;
use crate::support::auth0::{AUDIENCE, Fault, Trouble};

#[tokio::test]
async fn an_api_is_found_by_its_identifier_with_slashes_and_colons() {
    let tenant = tenant();
    tenant.auth0.add_scope("write:premium", "Write it");
    let found = api(&tenant, AUDIENCE).await.expect("an API");
    assert_eq!(found.identifier, AUDIENCE);
    assert_eq!(names(&found), ["read:premium", "write:premium"]);
    assert_eq!(found.scopes[1].1.as_deref(), Some("Write it"));
    assert!(found.enforce_policies && found.puts_permissions());
    let asked = tenant.auth0.seen().pop().expect("a request").path;
    assert!(
        asked.ends_with("/https%3A%2F%2Fapi.example.test"),
        "{asked}"
    );
    assert_eq!(tenant.auth0.count(&Method::GET, APIS), 1);
    for odd in ["urn:a b/ü?c#d", ".", "https://api.example.test/"] {
        assert_eq!(api(&tenant, odd).await, None, "{odd}");
        tenant.auth0.create_api(odd);
        let found = api(&tenant, odd).await.expect("an API");
        assert_eq!(found.identifier, odd);
        assert!(found.scopes.is_empty() && !found.enforce_policies);
    }
}

#[tokio::test]
async fn an_api_is_looked_for_in_the_list_where_its_identifier_is_not_taken_in_a_path() {
    let tenant = tenant();
    // They come before it, and begin as it does.
    for n in 0..120 {
        tenant.auth0.create_api(&format!("{AUDIENCE}/{n}"));
    }
    tenant.auth0.create_api("urn:last");
    for status in [404, 400, 405] {
        instead(&tenant, Method::GET, ONE_API, Fault::Status(status));
        let found = api(&tenant, "urn:last").await.expect("an API");
        assert_eq!(found.identifier, "urn:last");
        assert_eq!(found.id, tenant.auth0.api("urn:last")["id"]);
    }
    for answer in [json!([]), json!({ "id": "1", "identifier": "another" })] {
        instead(&tenant, Method::GET, ONE_API, body(&answer));
        let found = api(&tenant, AUDIENCE).await.expect("an API");
        assert_eq!(found.identifier, AUDIENCE);
    }
}

#[tokio::test]
async fn lists_without_totals_and_with_unknown_fields_are_read_too() {
    let tenant = tenant();
    let plain =
        json!([{ "client": 7 }, { "id": "1", "identifier": "urn:a", "scopes": null, "more": {} }]);
    tenant
        .auth0
        .trouble(Method::GET, ONE_API, Trouble::Instead(Fault::Status(404)));
    // The list's path is shorter, so the order for one API is met first.
    tenant
        .auth0
        .trouble(Method::GET, APIS, Trouble::Instead(body(&plain)));
    let found = api(&tenant, "urn:a").await.expect("an API");
    assert_eq!((found.id.as_str(), found.token_dialect), ("1", None));
    assert_eq!(api(&tenant, "urn:b").await, None);
    let premium = tenant.role("premium").await;
    let plain =
        json!([{ "permission_name": "a", "resource_server_identifier": "b", "sources": [] }]);
    instead(&tenant, Method::GET, PERMISSIONS, body(&plain));
    let held = tenant.client.permissions_of(&premium).await;
    let expected = Permission {
        resource_server: "b".to_owned(),
        name: "a".to_owned(),
    };
    assert_eq!(held.ok(), Some(vec![expected]));
}

#[tokio::test]
async fn a_list_of_apis_without_totals_is_read_to_the_page_that_brings_nothing_new() {
    let tenant = tenant();
    let list = |from: usize, to: usize| {
        let apis =
            (from..to).map(|n| json!({ "id": format!("i{n}"), "identifier": format!("urn:{n}") }));
        body(&apis.collect())
    };
    let unknown = Trouble::Instead(Fault::Status(404));
    tenant.auth0.trouble(Method::GET, ONE_API, unknown);
    // Two at a time, however many are asked for; then the last ones again and again.
    for (from, to) in [(0, 2), (2, 4), (4, 5)] {
        instead(&tenant, Method::GET, APIS, list(from, to));
    }
    let again = Trouble::Instead(list(4, 5));
    tenant.auth0.trouble(Method::GET, APIS, again);
    let found = api(&tenant, "urn:4").await.expect("an API");
    assert_eq!(found.id, "i4");
}

#[tokio::test]
async fn an_empty_description_is_written_as_it_was_read_and_none_stays_none() {
    let tenant = tenant();
    let scopes = json!([
        { "value": "a", "description": "" },
        { "value": "b" },
        { "value": "c", "description": null },
        { "value": "d", "description": "D" },
    ]);
    let answer = json!({ "id": "1", "identifier": AUDIENCE, "scopes": scopes });
    instead(&tenant, Method::GET, ONE_API, body(&answer));
    let found = api(&tenant, AUDIENCE).await.expect("an API");
    instead(&tenant, Method::PATCH, ONE_API, body(&json!({})));
    let scopes = Some(found.scopes.as_slice());
    let updated = tenant
        .client
        .update_resource_server("1", scopes, false, None);
    updated.await.expect("updated");
    let expected = json!([
        { "value": "a", "description": "" },
        { "value": "b" },
        { "value": "c" },
        { "value": "d", "description": "D" },
    ]);
    let sent = tenant.auth0.seen().pop().expect("a request");
    assert_eq!(sent.body["scopes"], expected);
}

#[tokio::test]
async fn an_api_whose_permissions_cannot_be_read_is_an_error_since_they_would_be_lost_when_written()
{
    let tenant = tenant();
    let answer =
        json!({ "id": "1", "identifier": AUDIENCE, "scopes": [{ "value": "a" }, { "name": "b" }] });
    let odd = Trouble::Instead(body(&answer));
    tenant.auth0.trouble(Method::GET, ONE_API, odd);
    let list = Trouble::Instead(body(&json!([answer])));
    tenant.auth0.trouble(Method::GET, APIS, list);
    let found = tenant.client.resource_server(AUDIENCE).await;
    assert_eq!(kind(found), Some(Kind::Unreadable));
}

#[tokio::test]
async fn where_neither_way_to_an_api_is_known_that_is_an_error_and_not_a_missing_api() {
    let tenant = tenant();
    let away = Trouble::Instead(Fault::Status(404));
    tenant.auth0.trouble(Method::GET, APIS, away);
    let found = tenant.client.resource_server(AUDIENCE).await;
    assert_eq!(kind(found), Some(Kind::Invalid(404)));
}

#[tokio::test]
async fn an_api_is_made_with_rbac_and_permissions_in_its_tokens() {
    let tenant = tenant();
    tenant.auth0.delete_api(AUDIENCE);
    assert_eq!(api(&tenant, AUDIENCE).await, None);
    let scopes = ["read:a".to_owned(), "read:b".to_owned()];
    let client = &tenant.client;
    let made = client.create_resource_server(AUDIENCE, "Mine", &scopes);
    let made = made.await.expect("made");
    assert_eq!(names(&made), ["read:a", "read:b"]);
    assert!(made.enforce_policies && made.puts_permissions());
    assert_eq!(api(&tenant, AUDIENCE).await, Some(made.clone()));
    assert_eq!(tenant.auth0.api(AUDIENCE)["name"], "Mine");
    // One that is there already is told, and nothing of it changes.
    let again = client.create_resource_server(AUDIENCE, "Yours", &[]).await;
    assert_eq!(again.ok(), Some(made));
    assert_eq!(tenant.auth0.api(AUDIENCE)["name"], "Mine");
}

#[tokio::test]
async fn an_api_is_not_made_twice_when_the_answer_is_lost() {
    let tenant = tenant();
    for (fault, after) in [
        (Fault::Cut, true),
        (Fault::Status(500), true),
        (Fault::Body("{}".to_owned()), true),
        (Fault::Cut, false),
        (Fault::Status(502), false),
    ] {
        tenant.auth0.delete_api(AUDIENCE);
        let before = tenant.auth0.count(&Method::POST, APIS);
        let trouble = if after {
            Trouble::After(fault.clone())
        } else {
            Trouble::Instead(fault.clone())
        };
        tenant.auth0.trouble_times(1, Method::POST, APIS, trouble);
        let made = tenant.client.create_resource_server(AUDIENCE, "Mine", &[]);
        assert_eq!(made.await.expect("made").identifier, AUDIENCE);
        let asked = tenant.auth0.count(&Method::POST, APIS) - before;
        assert_eq!(asked, if after { 1 } else { 2 }, "{fault:?}");
    }
}

#[tokio::test]
async fn permissions_rbac_and_dialect_of_an_api_are_changed_and_what_is_not_named_stays() {
    let tenant = tenant();
    tenant.auth0.set_rbac(false, "rfc9068_profile");
    tenant.auth0.add_scope("old:one", "Old");
    let found = api(&tenant, AUDIENCE).await.expect("an API");
    assert!(!found.enforce_policies && !found.puts_permissions());
    let mut scopes = found.scopes.clone();
    scopes.push(("new:one".to_owned(), None));
    let client = &tenant.client;
    let changed = client.update_resource_server(&found.id, Some(&scopes), false, None);
    changed.await.expect("changed");
    let now = api(&tenant, AUDIENCE).await.expect("an API");
    assert_eq!(now.scopes, scopes);
    assert!(!now.enforce_policies);
    let dialect = Some("rfc9068_profile_authz");
    // The identifier does for the id.
    let changed = client.update_resource_server(AUDIENCE, None, true, dialect);
    changed.await.expect("changed");
    let now = api(&tenant, AUDIENCE).await.expect("an API");
    assert!(now.enforce_policies && now.puts_permissions());
    assert_eq!(
        (now.scopes, now.token_dialect.as_deref()),
        (scopes, dialect)
    );
    // Nothing to change is no call.
    let before = tenant.auth0.seen().len();
    let changed = client.update_resource_server(AUDIENCE, None, false, None);
    changed.await.expect("nothing");
    assert_eq!(tenant.auth0.seen().len(), before);
    let missing = client
        .update_resource_server("none", None, true, None)
        .await;
    assert_eq!(kind(missing), Some(Kind::Invalid(404)));
}

#[tokio::test]
async fn a_change_of_an_api_whose_answer_is_lost_is_made_again() {
    let tenant = tenant();
    tenant.auth0.set_rbac(false, "access_token");
    let lost = Trouble::After(Fault::Cut);
    tenant.auth0.trouble_times(1, Method::PATCH, ONE_API, lost);
    let client = &tenant.client;
    let changed = client.update_resource_server(AUDIENCE, None, true, None);
    changed.await.expect("changed");
    assert_eq!(tenant.auth0.count(&Method::PATCH, ONE_API), 2);
    assert_eq!(tenant.auth0.api(AUDIENCE)["enforce_policies"], true);
}
