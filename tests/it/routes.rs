//! Routes, requirements and what a refusal looks like (DESIGN.md, "Routes").

use serde_json::json;

use super::errors::assert_error;
use crate::gate::World;
use crate::support::backend::echoed;

#[tokio::test]
async fn public_is_forwarded_without_reading_the_token() {
    let world = World::start().await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    let reply = world.gate.get_with_token("/pub/x", "nonsense").await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        echoed(&reply.json(), "headers", "authorization"),
        ["Bearer nonsense"]
    );
}

#[tokio::test]
async fn authenticated_needs_a_token_that_verifies() {
    let world = World::start().await;
    assert_error(&world.gate.get("/me/profile").await, 401, "missing_token");
    assert_error(
        &world.gate.get_with_token("/me/profile", "nonsense").await,
        401,
        "invalid_token",
    );
    let reply = world.get_as("/me/profile", "auth0|1", &[]).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        echoed(&reply.json(), "headers", "x-auth-subject"),
        ["auth0|1"]
    );
}

#[tokio::test]
async fn all_permissions_are_needed_where_permissions_stands() {
    let world = World::start().await;
    let reply = world.get_as("/both", "u", &["read:premium"]).await;
    assert_error(&reply, 403, "insufficient_scope");
    let challenge = reply.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    assert!(
        challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
    assert!(challenge.contains("scope=\"read:reports\""), "{challenge}");
    assert!(
        !challenge.contains("read:premium"),
        "only what is missing: {challenge}"
    );
    assert_eq!(
        world
            .get_as("/both", "u", &["read:reports", "read:premium"])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn one_permission_is_enough_where_any_permission_stands() {
    let world = World::start().await;
    assert_eq!(
        world
            .get_as("/reports/7", "u", &["access:admin-panel"])
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .get_as("/reports/7", "u", &["read:premium"])
            .await
            .status,
        200
    );
    let refused = world.get_as("/reports/7", "u", &["read:reports"]).await;
    assert_error(&refused, 403, "insufficient_scope");
    let challenge = refused.header("www-authenticate").unwrap_or_default();
    assert!(
        challenge.contains("read:premium") && challenge.contains("access:admin-panel"),
        "{challenge}"
    );
}

#[tokio::test]
async fn the_permissions_are_told_to_the_backend_in_their_order() {
    let world = World::start().await;
    let echo = world
        .get_as("/premium", "u", &["read:premium", "a:first"])
        .await
        .json();
    assert_eq!(
        echoed(&echo, "headers", "x-auth-permissions"),
        ["read:premium a:first"]
    );
    let none = world.get_as("/me/x", "u", &[]).await.json();
    assert_eq!(echoed(&none, "headers", "x-auth-permissions").concat(), "");
}

#[tokio::test]
async fn optional_forwards_as_anonymous_and_removes_an_invalid_token() {
    let world = World::start().await;
    let anonymous = world.gate.get("/opt/x").await.json();
    assert!(echoed(&anonymous, "headers", "x-auth-subject").is_empty());
    let invalid = world.gate.get_with_token("/opt/x", "nonsense").await;
    assert_eq!(invalid.status, 200);
    assert!(echoed(&invalid.json(), "headers", "authorization").is_empty());
    let valid = world
        .get_as("/opt/x", "auth0|7", &["read:premium"])
        .await
        .json();
    assert_eq!(echoed(&valid, "headers", "x-auth-subject"), ["auth0|7"]);
    assert_eq!(echoed(&valid, "headers", "authorization").len(), 1);
}

#[tokio::test]
async fn a_missing_token_gets_a_bare_challenge_as_rfc_6750_says() {
    let world = World::start().await;
    let challenge = world
        .gate
        .get("/me/x")
        .await
        .header("www-authenticate")
        .map(str::to_owned);
    let challenge = challenge.expect("a challenge");
    assert!(challenge.starts_with("Bearer"), "{challenge}");
}

#[tokio::test]
async fn an_invalid_token_is_challenged_with_error_and_description() {
    let world = World::start().await;
    let reply = world.gate.get_with_token("/me/x", "a.b.c").await;
    let challenge = reply.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert!(challenge.contains("error_description=\""), "{challenge}");
}

#[tokio::test]
async fn a_path_that_no_route_names_is_denied_with_or_without_a_token() {
    let world = World::start().await;
    assert_error(&world.gate.get("/elsewhere").await, 403, "denied");
    assert_error(
        &world
            .get_as("/elsewhere", "u", &["access:admin-panel"])
            .await,
        403,
        "denied",
    );
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn the_default_may_be_another_requirement() {
    let routes = "default: authenticated\nroutes:\n  - { path: /pub, access: public }\n";
    let world = World::with(|setup| setup.routes(routes)).await;
    assert_error(&world.gate.get("/elsewhere").await, 401, "missing_token");
    assert_eq!(world.get_as("/elsewhere", "u", &[]).await.status, 200);
}

#[tokio::test]
async fn the_path_decides_before_the_method_and_405_names_the_methods() {
    let world = World::start().await;
    let reply = world.gate.send("DELETE", "/reports/7", &[], "").await;
    assert_error(&reply, 405, "method_not_allowed");
    let allow = reply.header("allow").unwrap_or_default();
    let mut methods: Vec<&str> = allow.split(',').map(str::trim).collect();
    methods.sort_unstable();
    assert_eq!(methods, ["GET", "HEAD", "PUT"]);
    // `/reports/mine` is a literal for GET alone: PUT there does not fall through to `/reports/{id}`.
    let token = world.auth0.token("u", &["read:premium"]);
    let bearer = format!("Bearer {token}");
    let reply = world
        .gate
        .send("PUT", "/reports/mine", &[("Authorization", &bearer)], "x")
        .await;
    assert_error(&reply, 405, "method_not_allowed");
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn head_follows_get() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.auth0.token("u", &["read:premium"]));
    let reply = world
        .gate
        .send("HEAD", "/premium", &[("Authorization", &bearer)], "")
        .await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(
        world.gate.send("HEAD", "/premium", &[], "").await.status,
        401
    );
}

#[tokio::test]
async fn the_most_specific_path_wins() {
    let world = World::start().await;
    assert_eq!(world.get_as("/reports/mine", "u", &[]).await.status, 200);
    assert_eq!(world.get_as("/reports/yours", "u", &[]).await.status, 403);
    assert_eq!(world.gate.get("/pub/secret").await.status, 401);
    assert_eq!(world.gate.get("/pub/secrets").await.status, 200);
}

#[tokio::test]
async fn a_rest_wildcard_covers_none_or_more_segments() {
    let world = World::start().await;
    for path in ["/admin", "/admin/", "/admin/a", "/admin/a/b"] {
        assert_eq!(world.gate.get(path).await.status, 401, "{path}");
        assert_eq!(
            world
                .get_as(path, "u", &["access:admin-panel"])
                .await
                .status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_query_never_takes_part() {
    let world = World::start().await;
    assert_eq!(world.gate.get("/admin?x=/pub/y").await.status, 401);
    let reply = world.gate.get("/pub/x?next=/admin&a=%2f;b//c").await;
    assert_eq!(reply.json()["target"], "/pub/x?next=/admin&a=%2f;b//c");
}

const PLANS: &str = "
roles:
  free-user: [read:basic]
  premium-monthly: [read:premium]
  premium-lifetime: [read:premium]
plans:
  - { name: free, role: free-user }
  - { name: monthly, role: premium-monthly, price: price_m, mode: subscription }
  - { name: lifetime, role: premium-lifetime, price: price_l, mode: payment }
";

#[tokio::test]
async fn a_403_names_the_plans_that_sell_what_is_missing() {
    let world = World::with(|setup| setup.section(PLANS)).await;
    let refused = world.get_as("/premium", "u", &["read:basic"]).await;
    assert_error(&refused, 403, "insufficient_scope");
    assert_eq!(refused.json()["upgrade"], json!(["monthly", "lifetime"]));
    let unsold = world.get_as("/admin", "u", &[]).await;
    assert!(
        unsold
            .json()
            .get("upgrade")
            .is_none_or(|plans| plans == &json!([])),
        "{}",
        unsold.text()
    );
}
