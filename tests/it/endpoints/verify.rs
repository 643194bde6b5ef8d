//! What the browser asks on its way back.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{STATUS, error};
use crate::shop::{ANN, BOB, Shop};
use crate::support::raw::Reply;
use crate::support::stripe::{Fault, PRICE_LIFETIME};

const SESSIONS: &str = "/v1/checkout/sessions/";

async fn verify(shop: &Shop, user: &str, id: &str) -> Reply {
    let path = format!("/stripe/verify-session/{id}");
    shop.get(&path, &shop.token(user)).await
}

#[tokio::test]
async fn a_paid_session_counts_before_the_answer_although_the_webhook_is_late() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let session = shop.checkout(ANN, "monthly").await;
    let before = verify(&shop, ANN, &session).await.json();
    assert_eq!(
        (&before["success"], &before["payment_status"]),
        (&json!(true), &json!("unpaid"))
    );
    assert_eq!(shop.premium_status(ANN).await["plan_type"], "free");
    shop.stripe.pay(&session);
    let reply = verify(&shop, ANN, &session).await;
    let expected = json!({
        "success": true, "session_id": session, "payment_status": "paid",
        "customer_id": shop.stripe.object(&session)["customer"],
        "metadata": { "auth0_user_id": ANN, "plan_type": "monthly" }, "error": null,
    });
    assert_eq!((reply.status, reply.json()), (200, expected));
    let status = shop.premium_status(ANN).await;
    assert_eq!(
        (&status["premium_status"], &status["plan_type"]),
        (&json!("active"), &json!("monthly"))
    );
    let free = shop.token_at(ANN, &["read:basic-content"], 0);
    shop.until("/premium", &free, 200).await;
}

#[tokio::test]
async fn an_unknown_a_malformed_and_somebody_elses_session_get_the_same_answer() {
    let shop = Shop::open().await;
    let theirs = shop.checkout(BOB, "monthly").await;
    shop.stripe.pay(&theirs);
    let elsewhere = shop
        .stripe
        .payment_link_purchase(BOB, PRICE_LIFETIME, false);
    let expected = json!({
        "success": false, "session_id": null, "payment_status": null, "customer_id": null, "metadata": null,
        "error": "No such checkout session of yours",
    });
    for id in [
        theirs.as_str(),
        &elsewhere,
        "cs_test_unknown",
        "nonsense",
        "sub_1",
        "cs_..",
    ] {
        let reply = verify(&shop, ANN, id).await;
        assert_eq!(
            (reply.status, reply.json()),
            (200, expected.clone()),
            "{id}"
        );
    }
    assert_eq!(verify(&shop, BOB, &theirs).await.json()["success"], true);
}

#[tokio::test]
async fn a_session_that_names_the_user_and_was_not_made_here_counts() {
    for as_guest in [false, true] {
        let shop = Shop::open().await;
        shop.stripe.hold_events();
        let session = shop
            .stripe
            .payment_link_purchase(ANN, PRICE_LIFETIME, as_guest);
        let answer = verify(&shop, ANN, &session).await.json();
        assert_eq!(answer["success"], true);
        assert_eq!(answer["customer_id"].is_null(), as_guest);
        assert_eq!(shop.premium_status(ANN).await["plan_type"], "lifetime");
    }
}

#[tokio::test]
async fn a_session_that_is_complete_and_not_paid_gives_nothing() {
    let shop = Shop::open().await;
    let session = shop.checkout(ANN, "lifetime").await;
    shop.stripe.pay_later(&session);
    let answer = verify(&shop, ANN, &session).await.json();
    assert_eq!(
        (&answer["success"], &answer["payment_status"]),
        (&json!(true), &json!("unpaid"))
    );
    assert_eq!(shop.premium_status(ANN).await["plan_type"], "free");
}

#[tokio::test]
async fn stripe_away_is_503_and_never_a_false_no() {
    let mut shop = Shop::open().await;
    let session = shop.checkout(ANN, "monthly").await;
    shop.stripe.go_down().await;
    let reply = verify(&shop, ANN, &session).await;
    assert_eq!(error(&reply).0, 503);
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn made_up_sessions_cannot_hammer_stripe() {
    let shop = Shop::open().await;
    let ids: Vec<String> = (0..100).map(|n| format!("cs_test_{n}")).collect();
    let begun = std::time::Instant::now();
    let replies = join_all(ids.iter().map(|id| verify(&shop, ANN, id))).await;
    let count = |status| {
        replies
            .iter()
            .filter(|reply| reply.status == status)
            .count()
    };
    let turns = usize::try_from(begun.elapsed().as_secs() / 2).expect("a number") + 1;
    assert!(count(429) + turns >= 70 && count(200) + count(429) == 100);
    let limited = replies
        .iter()
        .find(|reply| reply.status == 429)
        .expect("one");
    assert!(limited.header("retry-after").is_some());
    let calls = shop.stripe.calls_of("GET", SESSIONS).len();
    assert!(calls <= 30 + turns, "{calls} calls");
    // What was asked once is remembered, and others are not hindered.
    let answer: Value = verify(&shop, BOB, "cs_test_0").await.json();
    for _ in 0..5 {
        assert_eq!(verify(&shop, BOB, "cs_test_0").await.json(), answer);
    }
    assert!(shop.stripe.calls_of("GET", SESSIONS).len() <= calls + 1);
}

#[tokio::test]
async fn a_users_own_sessions_cannot_hammer_stripe() {
    let shop = Shop::open().await;
    let session = shop.checkout(ANN, "monthly").await;
    let before = shop.stripe.calls().len();
    let begun = std::time::Instant::now();
    for _ in 0..40 {
        assert_eq!(verify(&shop, ANN, &session).await.status, 200);
        assert_eq!(shop.get(STATUS, &shop.token(ANN)).await.status, 200);
    }
    let turns = usize::try_from(begun.elapsed().as_secs() / 2).expect("a number") + 1;
    let calls = shop.stripe.calls().len() - before;
    assert!(calls <= 10 + 10 + 2 * turns, "{calls} calls");
}

#[tokio::test]
async fn the_first_answer_after_a_payment_is_right_although_many_were_asked_for_before() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let session = shop.checkout(ANN, "monthly").await;
    for _ in 0..5 {
        let answer = verify(&shop, ANN, &session).await.json();
        assert_eq!(answer["payment_status"], "unpaid");
    }
    shop.stripe.pay(&session);
    let answer = verify(&shop, ANN, &session).await.json();
    assert_eq!(answer["payment_status"], "paid");
}

#[tokio::test]
async fn a_paid_session_that_backs_nothing_cannot_be_used_to_make_work() {
    let shop = Shop::open().await;
    let session = shop.buy(ANN, "lifetime").await;
    shop.stripe.refund(&session);
    shop.auth0.until_roles(ANN, &["free-user"]).await;
    shop.settled().await;
    let reads = || shop.stripe.calls_of("GET", "/v1/subscriptions").len();
    let before = reads();
    let begun = std::time::Instant::now();
    for _ in 0..80 {
        let answer = verify(&shop, ANN, &session).await.json();
        assert_eq!(answer["payment_status"], "paid");
    }
    let turns = usize::try_from(begun.elapsed().as_secs() / 2).expect("a number") + 1;
    let reads = reads() - before;
    assert!(reads <= 10 + 30 + 2 * turns, "{reads} times");
}

#[tokio::test]
async fn what_is_not_the_users_takes_from_one_allowance_whichever_the_reason() {
    let shop = Shop::open().await;
    let theirs = shop.checkout(BOB, "monthly").await;
    for id in [
        theirs.as_str(),
        "nonsense",
        "cs_test_unknown",
        "cs_test_a-b",
    ] {
        // A shop of its own would be slow: the allowance is the user's.
        let user = format!("auth0|{}", id.len());
        let begun = std::time::Instant::now();
        let mut statuses = Vec::new();
        for _ in 0..34 {
            statuses.push(verify(&shop, &user, id).await.status);
        }
        assert_eq!(&statuses[..30], &[200; 30], "{id}");
        let limited = statuses.iter().filter(|status| **status == 429).count();
        let turns = usize::try_from(begun.elapsed().as_secs() / 2).expect("a number") + 1;
        assert!(limited <= 4 && limited + turns >= 4, "{id}: {statuses:?}");
    }
}

#[tokio::test]
async fn a_session_counts_as_soon_as_the_ledger_has_it_whatever_was_answered_before() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let session = shop.stripe.payment_link_purchase(ANN, PRICE_LIFETIME, true);
    shop.stripe
        .fault_next(1, "GET", SESSIONS, Fault::status(404));
    assert_eq!(verify(&shop, ANN, &session).await.json()["success"], false);
    // Remembered, for somebody who asks again and again.
    assert_eq!(verify(&shop, ANN, &session).await.json()["success"], false);
    shop.stripe.let_events_go();
    shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
    assert_eq!(verify(&shop, ANN, &session).await.json()["success"], true);
}
