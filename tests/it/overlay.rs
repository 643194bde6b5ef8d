//! The overlay: what was paid for counts with the token that the user has, and what was taken back stops with it.

use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::gate::request;
use crate::shop::{ANN, BOB, Shop};
use crate::support::backend::echoed;
use crate::support::raw::DEADLINE;
use crate::tunnels::close_code;
use crate::websockets::{echoes, open_on};

const FREE: [&str; 1] = ["read:basic-content"];
const PREMIUM: [&str; 3] = [
    "read:basic-content",
    "read:premium-content",
    "manage:subscription",
];

#[tokio::test]
async fn a_payment_opens_a_premium_route_to_the_old_token_and_a_refund_closes_it() {
    let shop = Shop::open().await;
    let free = shop.token(ANN);
    let refused = shop.get("/premium", &free).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["upgrade"], json!(["monthly", "lifetime"]));

    let session = shop.checkout(ANN, "lifetime").await;
    assert_eq!(shop.get("/premium", &free).await.status, 403);
    shop.stripe.pay(&session);
    shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
    let echo = shop.until("/premium", &free, 200).await.json();
    assert_eq!(echoed(&echo, "headers", "x-auth-plan"), ["lifetime"]);
    let held = echoed(&echo, "headers", "x-auth-permissions");
    assert_eq!(held, [PREMIUM.join(" ")]);

    let premium = shop.token(ANN);
    assert_eq!(shop.get("/premium", &premium).await.status, 200);
    shop.stripe.refund(&session);
    shop.until("/premium", &free, 403).await;
    shop.auth0.until_roles(ANN, &["free-user"]).await;
    let stopped = shop.get("/premium", &premium).await;
    assert_eq!(stopped.status, 403, "an older premium token is refused too");
}

#[tokio::test]
async fn a_token_is_trusted_only_when_it_was_issued_after_auth0_confirmed_the_change() {
    let shop = Shop::open().await;
    let session = shop.checkout(ANN, "lifetime").await;
    shop.stripe.pay(&session);
    // Refreshed between the payment and the role: it says "free", and does not count.
    let between = shop.token_at(ANN, &FREE, 0);
    shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
    shop.until("/premium", &between, 200).await;
    // Issued after the confirmation and the leeway, it follows its own claims, whatever they are.
    let refused = shop
        .until_token("/premium", 403, || shop.token_at(ANN, &FREE, 0))
        .await;
    assert_eq!(refused.json()["code"], "insufficient_scope");
    assert_eq!(shop.get("/premium", &between).await.status, 200);
    let says_premium = shop.token_at(ANN, &PREMIUM, 0);
    assert_eq!(shop.get("/premium", &says_premium).await.status, 200);
}

#[tokio::test]
async fn while_auth0_has_not_confirmed_the_role_no_token_is_trusted() {
    let mut shop = Shop::open().await;
    let session = shop.checkout(ANN, "monthly").await;
    shop.auth0.go_down().await;
    shop.stripe.pay(&session);
    let free = shop.token(ANN);
    shop.until("/premium", &free, 200).await;
    assert!(shop.auth0.roles_of(ANN).contains(&"free-user".to_owned()));
    // A token refreshed now is as old as the others.
    let refreshed = shop.token_at(ANN, &FREE, 0);
    assert_eq!(shop.get("/premium", &refreshed).await.status, 200);
    shop.auth0.come_up();
    shop.auth0.until_roles(ANN, &["premium-monthly"]).await;
}

#[tokio::test]
async fn an_admin_who_buys_and_cancels_stays_admin_throughout() {
    let shop = Shop::open().await;
    shop.auth0.give_role(BOB, "admin");
    let before = shop.token(BOB);
    let works = async |token: &str| {
        for path in ["/admin/x", "/premium"] {
            assert_eq!(shop.get(path, token).await.status, 200, "{path}");
        }
    };
    works(&before).await;
    let session = shop.checkout(BOB, "monthly").await;
    shop.stripe.pay(&session);
    shop.auth0
        .until_roles(BOB, &["admin", "premium-monthly"])
        .await;
    works(&before).await;
    let between = shop.token(BOB);
    works(&between).await;
    shop.stripe
        .cancel_now(&shop.stripe.subscription_of(&session));
    shop.auth0.until_roles(BOB, &["admin", "free-user"]).await;
    for token in [&before, &between, &shop.token(BOB)] {
        works(token).await;
    }
}

#[tokio::test]
async fn a_tunnel_and_an_event_stream_end_after_the_permission_that_opened_them_is_lost() {
    let shop = Shop::open().await;
    let session = shop.buy(ANN, "lifetime").await;
    let token = shop.token(ANN);
    let mut tunnel = open_on(&shop.gate, "/premium/ws", Some(&token))
        .await
        .expect("a tunnel");
    let mut own = open_on(&shop.gate, "/me/ws", Some(&token))
        .await
        .expect("a tunnel");
    assert!(echoes(&mut tunnel, "in").await);
    let bearer = format!("Bearer {token}");
    let mut events = shop.gate.wire().await;
    events
        .send(request(
            "GET",
            "/premium/events",
            &[("Authorization", &bearer)],
            "",
        ))
        .await;
    assert_eq!(events.reply_head().await.status, 200);
    shop.backend.release();
    assert!(events.chunk().await.expect("an event").is_some());

    shop.stripe.refund(&session);
    assert_eq!(close_code(&mut tunnel).await, Some(CloseCode::Policy));
    let end = timeout(DEADLINE, events.chunk()).await.expect("in time");
    assert_eq!(end.expect("a clean end"), None);
    assert!(echoes(&mut own, "needs no permission").await);
}

#[tokio::test]
async fn the_backend_is_told_the_plan_of_everybody_who_is_known() {
    let shop = Shop::open().await;
    let plan = async |user: &str| {
        let echo = shop.get("/me/x", &shop.token(user)).await.json();
        echoed(&echo, "headers", "x-auth-plan").join(",")
    };
    assert_eq!(plan(ANN).await, "free");
    shop.buy(ANN, "monthly").await;
    shop.until("/premium", &shop.token_at(ANN, &FREE, -60), 200)
        .await;
    assert_eq!(plan(ANN).await, "monthly");
    assert_eq!(plan(BOB).await, "free");
}

#[tokio::test]
async fn what_the_ledger_knows_counts_from_the_first_request_after_a_restart() {
    let mut shop = Shop::open().await;
    shop.buy(ANN, "lifetime").await;
    let old = shop.token_at(ANN, &FREE, -60);
    shop.until("/premium", &old, 200).await;
    shop.gate.restart().await;
    assert_eq!(shop.get("/premium", &old).await.status, 200);
}
