//! Commands wait where a job would be tried again later.

use std::time::{Duration, Instant};

use http::Method;
use tollgate::auth0::{Client, Error, Kind, Permission};

use super::{ANN, ROLES, Tenant, kind};
use crate::support::auth0::{AUDIENCE, TOKEN, Trouble};
use crate::support::token::now;

const ALL_ROLES: &str = "/api/v2/roles";
const PERMISSIONS: &str = "/api/v2/roles/*/permissions";
const APIS: &str = "/api/v2/resource-servers";

/// A client that may do what set-up needs, of a tenant that is asked by a command.
fn tenant(total: u64) -> (Tenant, Client) {
    let tenant = Tenant::start();
    tenant.auth0.grant_setup();
    let client = tenant.client.patient(Duration::from_secs(total));
    (tenant, client)
}

fn too_many(retry_after: Option<u64>, reset: Option<i64>) -> Trouble {
    Trouble::TooMany { retry_after, reset }
}

/// What bootstrap does, and doctor.
async fn set_up(client: &Client) -> Result<(), Error> {
    client.granted_scopes().await?;
    let api = client.resource_server(AUDIENCE).await?.expect("an API");
    let mut scopes = api.scopes.clone();
    scopes.push(("use:it".to_owned(), None));
    client
        .update_resource_server(&api.id, Some(&scopes), true, None)
        .await?;
    client.create_resource_server("urn:new", "New", &[]).await?;
    client.all_roles().await?;
    let role = client.create_role("lifetime", "For ever").await?;
    client.permissions_of(&role).await?;
    let permission = Permission {
        resource_server: AUDIENCE.to_owned(),
        name: "use:it".to_owned(),
    };
    client.add_permissions(&role, &[permission]).await?;
    client.roles_of(ANN).await.map(|_| ())
}

#[tokio::test]
async fn a_429_at_any_of_the_calls_is_waited_out_and_nothing_is_done_twice() {
    for (method, path) in [
        (Method::POST, TOKEN),
        (Method::GET, APIS),
        (Method::PATCH, APIS),
        (Method::POST, APIS),
        (Method::GET, ALL_ROLES),
        (Method::POST, ALL_ROLES),
        (Method::GET, PERMISSIONS),
        (Method::POST, PERMISSIONS),
        (Method::GET, ROLES),
    ] {
        let (tenant, client) = tenant(30);
        let trouble = too_many(Some(0), None);
        tenant
            .auth0
            .trouble_times(1, method.clone(), path, trouble.clone());
        let done = set_up(&client).await;
        assert!(done.is_ok(), "{method} {path}: {:?}", done.err());
        assert_eq!(tenant.auth0.role_permissions("lifetime"), ["use:it"]);
        // A job is not made to wait: it is tried again as a whole.
        let path = if path == ROLES { ROLES } else { ALL_ROLES };
        tenant.auth0.trouble_times(1, Method::GET, path, trouble);
        let asked = if path == ROLES {
            kind(tenant.client.roles_of(ANN).await)
        } else {
            kind(tenant.client.all_roles().await)
        };
        assert_eq!(asked, Some(Kind::RateLimited));
    }
}

/// Where there is trouble, which, and for how many milliseconds it is waited out at least.
type Case = (&'static str, fn() -> Trouble, u64);

#[tokio::test]
async fn it_waits_as_it_is_told_by_the_api_and_where_the_token_is_bought() {
    // Made when it is its turn: a reset is a moment, which passes while the others are waited out.
    let cases: [Case; 5] = [
        (ROLES, || too_many(Some(2), Some(now() + 50)), 2000),
        (ROLES, || too_many(None, Some(now() + 3)), 1000),
        (ROLES, || too_many(None, None), 1000),
        // However little is asked for: a call that goes round would be more of the same.
        (ROLES, || too_many(Some(0), None), 500),
        (TOKEN, || too_many(Some(1), None), 1000),
    ];
    for (path, trouble, at_least) in cases {
        let (tenant, client) = tenant(30);
        let method = if path == TOKEN {
            Method::POST
        } else {
            Method::GET
        };
        tenant.auth0.trouble_times(1, method, path, trouble());
        let begun = Instant::now();
        client.roles_of(ANN).await.expect("an answer in the end");
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_millis(at_least),
            "{path}: only {took:?}"
        );
    }
}

#[tokio::test]
async fn it_gives_up_when_its_time_is_over_and_at_once_where_it_would_be() {
    let (tenant, client) = tenant(2);
    let trouble = too_many(Some(0), None);
    tenant.auth0.trouble(Method::GET, ROLES, trouble);
    let begun = Instant::now();
    assert_eq!(kind(client.roles_of(ANN).await), Some(Kind::RateLimited));
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let asked = tenant.auth0.count(&Method::GET, ROLES);
    assert!((2..=4).contains(&asked), "{asked}");

    let (tenant, client) = self::tenant(30);
    let trouble = too_many(Some(300), None);
    tenant.auth0.trouble(Method::GET, ROLES, trouble);
    let begun = Instant::now();
    let error = client.roles_of(ANN).await.expect_err("refused");
    assert_eq!(error.retry_after, Some(Duration::from_secs(300)));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(tenant.auth0.count(&Method::GET, ROLES), 1);
}

#[tokio::test]
async fn a_set_up_gets_through_at_the_pace_of_the_smallest_tenant() {
    let (tenant, client) = tenant(30);
    tenant.auth0.limit(2, 2.0);
    set_up(&client).await.expect("done");
    for endpoint in ["/roles", "/roles/{id}/permissions", "/resource-servers"] {
        // Nothing left until the reset: that is waited for, and nobody has to be told.
        assert_eq!(tenant.counted(endpoint, "429"), None, "{endpoint}");
    }
}

#[tokio::test]
async fn several_at_once_get_through_where_less_is_allowed_than_the_config_says() {
    let (tenant, client) = tenant(30);
    tenant.auth0.limit(2, 2.0);
    let client = client.within(Duration::ZERO);
    let calls = futures_util::future::join_all((0..8).map(|_| client.roles_of(ANN))).await;
    for call in calls {
        call.expect("its turn in the end");
    }
}
