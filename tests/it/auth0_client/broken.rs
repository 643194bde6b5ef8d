//! Connections that hang, break and lie.

use std::time::Duration;

use http::Method;
use tollgate::auth0::Kind;
use tollgate::clock::SystemClock;

use super::{ANN, ROLES, Tenant, begin, kind};
use crate::support::auth0::{Fault, TOKEN, Trouble};

/// A tenant whose client waits no longer than this.
fn waiting(timeout: Duration) -> Tenant {
    let change = move |config: &mut tollgate::auth0::Config| config.timeout = timeout;
    Tenant::with(change, SystemClock)
}

/// A tenant whose client has no patience.
fn hasty() -> Tenant {
    waiting(Duration::from_millis(1500))
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_made_again_and_does_no_harm() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    let lost = Trouble::After(Fault::Cut);
    tenant
        .auth0
        .trouble_times(1, Method::POST, ROLES, lost.clone());
    tenant.client.add_role(ANN, &premium).await.expect("given");
    assert_eq!(tenant.auth0.roles_of(ANN), ["premium"]);
    assert_eq!(tenant.auth0.count(&Method::POST, ROLES), 2);
    tenant.auth0.trouble_times(1, Method::DELETE, ROLES, lost);
    let taken = tenant.client.remove_role(ANN, &premium).await;
    taken.expect("taken");
    assert_eq!(tenant.auth0.roles_of(ANN), [""; 0]);
}

#[tokio::test]
async fn a_connection_that_is_cut_again_and_again_is_given_up() {
    let tenant = Tenant::start();
    tenant.held(ANN).await;
    let cut = Trouble::Instead(Fault::Cut);
    tenant.auth0.trouble(Method::GET, ROLES, cut);
    let failed = tenant.client.roles_of(ANN).await;
    assert_eq!(kind(failed), Some(Kind::Unreachable));
    assert_eq!(tenant.counted("/users/{id}/roles", "error"), Some(2));
    tenant.auth0.mend_all();
    tenant.held(ANN).await;
}

#[tokio::test]
async fn a_tenant_that_is_away_is_unreachable_and_found_again() {
    let mut tenant = Tenant::start();
    tenant.held(ANN).await;
    tenant.auth0.go_down().await;
    let failed = tenant.client.roles_of(ANN).await;
    assert!(
        failed
            .as_ref()
            .is_err_and(tollgate::auth0::Error::is_retryable)
    );
    assert_eq!(kind(failed), Some(Kind::Unreachable));
    tenant.auth0.come_up();
    tenant.held(ANN).await;
}

#[tokio::test]
async fn no_call_waits_longer_than_its_deadline() {
    for fault in [Fault::Hang, Fault::Stall, Fault::Endless] {
        // What has no end is given up for its size, which has to come before the deadline.
        let tenant = if matches!(fault, Fault::Endless) {
            waiting(Duration::from_secs(10))
        } else {
            hasty()
        };
        tenant.held(ANN).await;
        let before = tenant.auth0.count(&Method::GET, ROLES);
        let trouble = Trouble::Instead(fault.clone());
        tenant.auth0.trouble(Method::GET, ROLES, trouble);
        let failed = kind(tenant.client.roles_of(ANN).await);
        let expected = if matches!(fault, Fault::Endless) {
            Kind::Unreadable
        } else {
            Kind::Unreachable
        };
        assert_eq!(failed, Some(expected), "{fault:?}");
        // What took too long once is not asked for again.
        let asked = tenant.auth0.count(&Method::GET, ROLES) - before;
        assert_eq!(asked, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_holds_nobody_for_ever() {
    let tenant = hasty();
    tenant.auth0.fault(TOKEN, Fault::Hang);
    let failed = tenant.client.roles_of(ANN).await;
    assert_eq!(kind(failed), Some(Kind::Unreachable));
    tenant.auth0.mend(TOKEN);
    tenant.held(ANN).await;
}

#[tokio::test]
async fn a_call_given_up_by_its_caller_disturbs_no_other() {
    let tenant = Tenant::start();
    let (held, door) = Trouble::held();
    tenant.auth0.trouble_times(1, Method::GET, ROLES, held);
    let mut given_up = Box::pin(tenant.client.roles_of(ANN));
    let there = tenant
        .auth0
        .until(|auth0| auth0.count(&Method::GET, ROLES) == 1);
    begin(&mut given_up, there).await;
    drop(given_up);
    tenant.held(ANN).await;
    door.open();
}

#[tokio::test]
async fn an_answer_that_is_not_auth0s_is_unreadable() {
    let tenant = Tenant::start();
    for body in [
        "<html>",
        "{}",
        "7",
        r#"{"roles":{}}"#,
        r#"[{"id":"rol_1"}]"#,
        r#"{"roles":[],"total":1"#,
    ] {
        let lie = Trouble::Instead(Fault::Body(body.to_owned()));
        tenant.auth0.trouble_times(1, Method::GET, ROLES, lie);
        let failed = tenant.client.roles_of(ANN).await;
        assert_eq!(kind(failed), Some(Kind::Unreadable), "{body}");
    }
    // A redirect is not followed: the token is not for others.
    let elsewhere = Trouble::Instead(Fault::Status(302));
    tenant.auth0.trouble_times(1, Method::GET, ROLES, elsewhere);
    let failed = tenant.client.roles_of(ANN).await;
    assert_eq!(kind(failed), Some(Kind::Unreadable));
}

#[tokio::test]
async fn the_stand_in_refuses_what_auth0_refuses() {
    use crate::support::raw::Wire;
    let tenant = Tenant::start();
    let ask = async |line: &str, bearer: &str, body: &str| {
        let mut wire = Wire::connect(tenant.auth0.address()).await;
        let length = body.len();
        wire.send(format!(
            "{line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{bearer}\r\n{body}"
        ))
        .await;
        wire.reply().await
    };
    let credentials = serde_json::json!({
        "grant_type": "client_credentials", "client_id": crate::support::auth0::CLIENT_ID,
        "client_secret": crate::support::auth0::CLIENT_SECRET,
        "audience": format!("{}api/v2/", tenant.auth0.url()),
    });
    let sold = ask("POST /oauth/token", "", &credentials.to_string())
        .await
        .json();
    assert!(
        sold["scope"]
            .as_str()
            .is_some_and(|scope| scope.contains("update:users"))
    );
    let token = sold["access_token"].as_str().expect("a token");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let roles = "/api/v2/users/auth0%7Cann/roles";
    for (line, body, status) in [
        (format!("GET {roles}?per_page=101"), "", 400),
        (format!("GET {roles}?pages=1"), "", 400),
        ("GET /api/v2/users/auth0|ann/roles".to_owned(), "", 400),
        (format!("POST {roles}"), r#"{"roles":[]}"#, 400),
        (
            format!("POST {roles}"),
            r#"{"roles":["rol_x"],"more":1}"#,
            400,
        ),
        (format!("POST {roles}"), r#"{"roles":["rol_x"]}"#, 404),
        ("GET /api/v2/users/auth0%7Cnobody".to_owned(), "", 404),
        (
            "PATCH /api/v2/users/auth0%7Cann".to_owned(),
            r#"{"roles":[]}"#,
            400,
        ),
        (
            "GET /api/v2/roles/rol_0000000000000001/users?take=1&page=0".to_owned(),
            "",
            400,
        ),
        (
            "GET /api/v2/roles/rol_0000000000000001/users?page=10&per_page=100".to_owned(),
            "",
            400,
        ),
        (
            "GET /api/v2/roles/rol_0000000000000001/permissions".to_owned(),
            "",
            200,
        ),
        (
            "GET /api/v2/users/auth0%7Cann?fields=email".to_owned(),
            "",
            200,
        ),
    ] {
        assert_eq!(
            ask(&line, &bearer, body).await.status,
            status,
            "{line} {body}"
        );
        assert_eq!(ask(&line, "", body).await.status, 401, "{line}");
    }
}

#[tokio::test]
async fn a_token_of_the_stand_in_says_what_the_roles_allow_now() {
    let tenant = Tenant::start();
    tenant.auth0.add_user("ann", ANN, &["read:own"]);
    let permissions = || {
        use base64::Engine as _;
        let token = tenant.auth0.token_for(ANN);
        let payload = token.split('.').nth(1).expect("a payload");
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload);
        let claims: serde_json::Value =
            serde_json::from_slice(&payload.expect("base64url")).expect("JSON");
        claims["permissions"].clone()
    };
    assert_eq!(permissions(), serde_json::json!(["read:own"]));
    tenant.auth0.give_role(ANN, "premium");
    assert_eq!(
        permissions(),
        serde_json::json!(["read:own", "read:premium"])
    );
    tenant.auth0.take_role(ANN, "premium");
    tenant.auth0.until_roles(ANN, &[]).await;
    assert_eq!(permissions(), serde_json::json!(["read:own"]));
}
