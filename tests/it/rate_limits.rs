//! Rate limits: per client or subject, with exceptions (DESIGN.md, "Config").

use serde_json::json;

use super::errors::assert_error;
use crate::gate::{Setup, World};
use crate::shop::Shop;
use crate::support::token::now;

fn limit(lines: &'static str) -> impl FnOnce(Setup) -> Setup {
    move |setup| setup.section(&format!("rate_limits:\n{lines}"))
}

fn retry_after(reply: &crate::support::raw::Reply) -> u64 {
    reply
        .header("retry-after")
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_client_over_its_burst_gets_429_and_retry_after() {
    let world = World::with(limit(
        "  - { path: \"/pub/{*rest}\", per: client, rate: 2/m, burst: 3 }",
    ))
    .await;
    for _ in 0..3 {
        assert_eq!(world.gate.get("/pub/x").await.status, 200);
    }
    let reply = world.gate.get("/pub/y").await;
    assert_error(&reply, 429, "rate_limited");
    assert!((1..=30).contains(&retry_after(&reply)), "{reply:?}");
    assert_eq!(world.backend.counts().requests, 3);
    assert_eq!(world.gate.get("/opt/x").await.status, 200, "another path");
}

#[tokio::test]
async fn paths_under_except_are_not_counted() {
    let world = World::with(limit(
        "  - { path: \"/{*rest}\", per: client, rate: 1/h, burst: 1, except: [/pub/free] }",
    ))
    .await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    for _ in 0..3 {
        assert_eq!(world.gate.get("/pub/free").await.status, 200);
    }
    assert_eq!(world.gate.get("/pub/x").await.status, 429);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_counted_apart() {
    let world = World::with(|setup| {
        limit("  - { path: \"/{*rest}\", per: client, rate: 1/h, burst: 1 }")(setup)
            .server("trusted_proxies: [127.0.0.1]")
    })
    .await;
    let from = async |address: &str| {
        world
            .gate
            .send("GET", "/pub/x", &[("X-Forwarded-For", address)], "")
            .await
            .status
    };
    assert_eq!(from("203.0.113.1").await, 200);
    assert_eq!(from("203.0.113.1").await, 429);
    assert_eq!(from("203.0.113.2").await, 200);
    // What a client wrote before the proxy's own entry is not its address.
    assert_eq!(from("198.51.100.7, 203.0.113.2").await, 429);
    // An IPv6 client is its /64.
    assert_eq!(from("2001:db8:0:1::1").await, 200);
    assert_eq!(from("2001:db8:0:1:ffff::2").await, 429);
    assert_eq!(from("2001:db8:0:2::1").await, 200);
}

#[tokio::test]
async fn a_stranger_cannot_choose_its_address() {
    let world = World::with(limit(
        "  - { path: \"/{*rest}\", per: client, rate: 1/h, burst: 1 }",
    ))
    .await;
    let from = async |address: &str| {
        world
            .gate
            .send("GET", "/pub/x", &[("X-Forwarded-For", address)], "")
            .await
            .status
    };
    assert_eq!(from("203.0.113.1").await, 200);
    assert_eq!(from("203.0.113.2").await, 429);
}

#[tokio::test]
async fn subjects_are_counted_apart() {
    let world = World::with(limit(
        "  - { path: \"/me/{*rest}\", per: subject, rate: 1/h, burst: 2 }",
    ))
    .await;
    for _ in 0..2 {
        assert_eq!(world.get_as("/me/x", "auth0|1", &[]).await.status, 200);
    }
    assert_eq!(world.get_as("/me/x", "auth0|1", &[]).await.status, 429);
    assert_eq!(world.get_as("/me/x", "auth0|2", &[]).await.status, 200);
}

#[tokio::test]
async fn a_limit_holds_for_every_spelling_of_the_path() {
    let world = World::with(limit(
        "  - { path: \"/pub/{*rest}\", per: client, rate: 1/h, burst: 1 }",
    ))
    .await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    for path in ["/%70ub/x", "/pub/./x", "/pub/a/../x", "/pub/x/"] {
        assert_eq!(world.gate.get(path).await.status, 429, "{path}");
    }
}

#[tokio::test]
async fn refused_requests_count_too() {
    let world = World::with(limit(
        "  - { path: \"/{*rest}\", per: client, rate: 1/h, burst: 2 }",
    ))
    .await;
    assert_eq!(world.gate.get("/premium").await.status, 401);
    assert_eq!(world.gate.get("/premium").await.status, 401);
    assert_eq!(world.gate.get("/premium").await.status, 429);
}

#[tokio::test]
async fn webhooks_are_never_limited_although_the_limit_is_for_every_path() {
    let shop = Shop::with(limit(
        "  - { path: \"/{*rest}\", per: client, rate: 1/h, burst: 1 }",
    ))
    .await;
    let send = async |id: &str| {
        let event = json!({
            "id": id, "object": "event", "type": "customer.updated", "livemode": false, "created": now(),
            "data": { "object": { "id": "cus_unknown", "object": "customer", "metadata": {} } },
        });
        let body = event.to_string();
        let signature = shop.stripe.signature(&body);
        let reply = shop.stripe.post(&body, &signature).await;
        reply.expect("an answer").status
    };
    for id in ["evt_1", "evt_2"] {
        assert_eq!(send(id).await, 200, "{id}");
    }
    assert_eq!(shop.gate.get("/stripe/config").await.status, 200);
    let reply = shop.gate.get("/stripe/config").await;
    assert_error(&reply, 429, "rate_limited");
    assert_eq!(send("evt_3").await, 200);
}
