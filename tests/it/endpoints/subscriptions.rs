//! A user's subscriptions, and ending one.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{CANCEL, SUBSCRIPTIONS, error};
use crate::gate::launch;
use crate::shop::{ANN, BOB, FRONTEND, Shop, setup};
use crate::support::raw::Reply;
use crate::support::stripe::{PRICE_MONTHLY, PRICE_OTHER};

async fn cancel(shop: &Shop, user: &str, id: &str) -> Reply {
    let body = json!({ "subscription_id": id });
    shop.post(CANCEL, &shop.token(user), &body).await
}

async fn list(shop: &Shop, user: &str) -> Value {
    let reply = shop.get(SUBSCRIPTIONS, &shop.token(user)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(
        (&answer["success"], &answer["user_id"]),
        (&json!(true), &json!(user))
    );
    answer["subscriptions"].clone()
}

async fn subscribed(shop: &Shop, user: &str) -> String {
    let session = shop.buy(user, "monthly").await;
    shop.stripe.subscription_of(&session)
}

/// Starts Tollgate again with `cancel: immediately` and a ledger of its own.
async fn end_at_once(shop: &mut Shop) {
    let folder = tempfile::tempdir().expect("a folder");
    let usual = setup(&shop.auth0, &shop.stripe, &shop.backend).yaml_in(folder.path());
    let line = format!("frontend_url: {FRONTEND}");
    let changed = usual.replace(&line, &format!("{line}\n  cancel: immediately"));
    assert_ne!(usual, changed);
    let config = folder.path().join("tollgate.yaml");
    std::fs::write(&config, changed).expect("a config file");
    shop.gate = launch(folder, &config, false).await;
    shop.gate.until_readyz(200).await;
    let url = format!("http://{}/stripe/webhook", shop.gate.address);
    shop.stripe.send_to(&url);
}

#[tokio::test]
async fn the_list_is_of_the_users_own_customer() {
    let shop = Shop::open().await;
    assert_eq!(list(&shop, ANN).await, json!([]));
    let id = subscribed(&shop, ANN).await;
    let mut found = list(&shop, ANN).await;
    assert!(found[0]["current_period_end"].take().is_i64());
    let expected = json!([{
        "id": id, "status": "active", "current_period_end": null, "plan_id": PRICE_MONTHLY, "plan_type": "monthly",
        "cancel_at_period_end": false, "amount": 999, "currency": "eur",
    }]);
    assert_eq!(found, expected);
    assert_eq!(list(&shop, BOB).await, json!([]));
}

#[tokio::test]
async fn what_names_somebody_else_is_not_shown_and_not_ended_although_the_customer_is_shared() {
    let shop = Shop::open().await;
    let mine = subscribed(&shop, ANN).await;
    let customer = shop.stripe.object(&mine)["customer"]
        .as_str()
        .expect("one")
        .to_owned();
    let theirs = shop
        .stripe
        .create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
    shop.stripe
        .set_metadata(&theirs, &json!({ "auth0_user_id": BOB }));
    let shown = list(&shop, ANN).await;
    assert_eq!((&shown[0]["id"], &shown[1]), (&json!(mine), &Value::Null));
    assert_eq!(error(&cancel(&shop, ANN, &theirs).await).0, 404);
    assert_eq!(shop.stripe.object(&theirs)["cancel_at_period_end"], false);
}

#[tokio::test]
async fn a_subscription_made_in_the_dashboard_is_its_customers_users() {
    let shop = Shop::open().await;
    shop.checkout(ANN, "monthly").await;
    let customer = shop.stripe.ids("customer").remove(0);
    let id = shop
        .stripe
        .create_subscription_by_hand(&customer, &[PRICE_OTHER, PRICE_MONTHLY]);
    let shown = list(&shop, ANN).await;
    assert_eq!(
        (&shown[0]["id"], &shown[0]["plan_id"]),
        (&json!(id), &json!(PRICE_MONTHLY))
    );
    assert_eq!(cancel(&shop, ANN, &id).await.status, 200);
    assert_eq!(shop.stripe.object(&id)["cancel_at_period_end"], true);
}

#[tokio::test]
async fn somebody_elses_subscription_an_unknown_one_and_nonsense_are_the_same_404() {
    let shop = Shop::open().await;
    let theirs = subscribed(&shop, BOB).await;
    let said = (
        404,
        "subscription_not_found".to_owned(),
        "Subscription not found".to_owned(),
    );
    for id in [theirs.as_str(), "sub_unknown", "cus_1", "", "sub_1/cancel"] {
        assert_eq!(error(&cancel(&shop, ANN, id).await), said, "{id}");
    }
    assert_eq!(shop.stripe.object(&theirs)["cancel_at_period_end"], false);
    assert_eq!(
        shop.premium_status(BOB).await["cancel_at_period_end"],
        false
    );
}

#[tokio::test]
async fn a_subscription_is_set_to_end_with_its_period_once_and_again() {
    let shop = Shop::open().await;
    let id = subscribed(&shop, ANN).await;
    let expected = json!({
        "success": true, "message": "Subscription will be canceled at the end of the current period",
        "data": { "subscription_id": id },
    });
    for _ in 0..2 {
        let reply = cancel(&shop, ANN, &id).await;
        assert_eq!((reply.status, reply.json()), (200, expected.clone()));
    }
    let path = format!("/v1/subscriptions/{id}");
    assert_eq!(shop.stripe.calls_of("POST", &path).len(), 1);
    let status = shop.premium_status(ANN).await;
    assert_eq!(
        (&status["plan_type"], &status["cancel_at_period_end"]),
        (&json!("monthly"), &json!(true))
    );
    assert_eq!(list(&shop, ANN).await[0]["cancel_at_period_end"], true);
    shop.stripe.end_period(&id);
    assert_eq!(error(&cancel(&shop, ANN, &id).await).0, 409);
    assert_eq!(list(&shop, ANN).await[0]["status"], "canceled");
}

#[tokio::test]
async fn an_end_that_was_taken_back_can_be_set_again() {
    let shop = Shop::open().await;
    let id = subscribed(&shop, ANN).await;
    assert_eq!(cancel(&shop, ANN, &id).await.status, 200);
    shop.stripe.keep_going(&id);
    assert_eq!(cancel(&shop, ANN, &id).await.status, 200);
    assert_eq!(shop.stripe.object(&id)["cancel_at_period_end"], true);
}

#[tokio::test]
async fn an_end_that_the_portal_has_set_is_seen() {
    let shop = Shop::open().await;
    let id = subscribed(&shop, ANN).await;
    shop.stripe.set_cancel_at(&id);
    assert_eq!(list(&shop, ANN).await[0]["cancel_at_period_end"], true);
    assert_eq!(cancel(&shop, ANN, &id).await.status, 200);
    assert!(
        shop.stripe
            .calls_of("POST", "/v1/subscriptions/")
            .is_empty()
    );
}

#[tokio::test]
async fn the_config_may_say_that_it_ends_at_once() {
    let mut shop = Shop::open().await;
    end_at_once(&mut shop).await;
    let id = subscribed(&shop, ANN).await;
    let reply = cancel(&shop, ANN, &id).await;
    assert_eq!(
        (reply.status, &reply.json()["message"]),
        (200, &json!("Subscription has been canceled"))
    );
    assert_eq!(shop.stripe.object(&id)["status"], "canceled");
    assert_eq!(shop.premium_status(ANN).await["plan_type"], "free");
    assert_eq!(error(&cancel(&shop, ANN, &id).await).0, 409);
}

#[tokio::test]
async fn stripe_away_is_503() {
    let mut shop = Shop::open().await;
    let id = subscribed(&shop, ANN).await;
    shop.stripe.go_down().await;
    assert_eq!(error(&cancel(&shop, ANN, &id).await).0, 503);
    let reply = shop.get(SUBSCRIPTIONS, &shop.token(ANN)).await;
    assert_eq!(error(&reply).0, 503);
}

#[tokio::test]
async fn a_list_that_is_asked_for_again_and_again_cannot_hammer_stripe() {
    let shop = Shop::open().await;
    let id = subscribed(&shop, ANN).await;
    // What the jobs read of the purchase is not asked for by anybody.
    shop.settled().await;
    let calls = || shop.stripe.calls_of("GET", "/v1/subscriptions").len();
    let before = calls();
    let begun = std::time::Instant::now();
    for _ in 0..10 {
        join_all((0..5).map(|_| list(&shop, ANN))).await;
    }
    let turns = usize::try_from(begun.elapsed().as_secs() / 2).expect("a number") + 1;
    let asked = calls() - before;
    assert!(asked <= 5 + 2 * turns, "{asked} calls");
    // What the user does shows all the same.
    assert_eq!(cancel(&shop, ANN, &id).await.status, 200);
    assert_eq!(list(&shop, ANN).await[0]["cancel_at_period_end"], true);
}

#[tokio::test]
async fn made_up_subscriptions_cannot_hammer_stripe() {
    let shop = Shop::open().await;
    let begun = std::time::Instant::now();
    let mut limited = 0;
    for n in 0..40 {
        let reply = cancel(&shop, ANN, &format!("sub_{n}")).await;
        if reply.status == 429 {
            assert!(reply.header("retry-after").is_some());
            limited += 1;
        } else {
            assert_eq!(error(&reply).0, 404);
        }
    }
    let turns = usize::try_from(begun.elapsed().as_secs() / 2).expect("a number") + 1;
    assert!(limited + turns >= 20, "{limited} of 40 were refused");
    let asked = shop.stripe.calls_of("GET", "/v1/subscriptions/").len();
    assert!(asked <= 20 + turns, "{asked} calls");
    assert_eq!(error(&cancel(&shop, BOB, "sub_1").await).0, 404);
}

#[tokio::test]
async fn a_subscription_that_was_never_paid_ends_at_once() {
    let shop = Shop::open().await;
    let id = subscribed(&shop, ANN).await;
    shop.stripe.set_status(&id, "incomplete");
    let reply = cancel(&shop, ANN, &id).await;
    assert_eq!(
        (reply.status, &reply.json()["message"]),
        (200, &json!("Subscription has been canceled"))
    );
    let path = format!("/v1/subscriptions/{id}");
    assert_eq!(shop.stripe.calls_of("DELETE", &path).len(), 1);
    assert!(shop.stripe.calls_of("POST", &path).is_empty());
}
