//! One session for each intent.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{CHECKOUT, error};
use crate::shop::{ANN, BOB, Shop};
use crate::support::raw::Reply;
use crate::support::stripe::Fault;

async fn begin_with(shop: &Shop, user: &str, plan: &str, key: &str) -> Reply {
    let bearer = format!("Bearer {}", shop.token(user));
    let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", key)];
    let body = json!({ "plan_type": plan }).to_string();
    shop.gate.send("POST", CHECKOUT, &headers, &body).await
}

async fn session_with(shop: &Shop, user: &str, plan: &str, key: &str) -> Value {
    let reply = begin_with(shop, user, plan, key).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["session_id"].clone()
}

#[tokio::test]
async fn a_double_click_gives_one_session_and_one_customer() {
    let shop = Shop::open().await;
    let clicks = join_all((0..6).map(|_| shop.checkout(ANN, "monthly"))).await;
    let again = shop.checkout(ANN, "monthly").await;
    assert!(clicks.iter().all(|session| *session == again), "{clicks:?}");
    assert_eq!(shop.stripe.ids("checkout.session"), [again]);
    assert_eq!(shop.stripe.ids("customer").len(), 1);
}

#[tokio::test]
async fn a_second_purchase_after_a_refund_is_a_new_session() {
    let shop = Shop::open().await;
    let first = shop.buy(ANN, "lifetime").await;
    shop.stripe.refund(&first);
    shop.auth0.until_roles(ANN, &["free-user"]).await;
    let second = shop.buy(ANN, "lifetime").await;
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_session_that_has_expired_is_followed_by_a_new_one_although_nobody_told() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let first = shop.checkout(ANN, "monthly").await;
    shop.stripe.expire(&first);
    let second = shop.checkout(ANN, "monthly").await;
    assert_ne!(first, second);
    assert_eq!(shop.stripe.object(&second)["status"], "open");
}

#[tokio::test]
async fn the_clients_key_is_bound_to_the_user_and_the_plan() {
    let shop = Shop::open().await;
    let first = session_with(&shop, ANN, "monthly", "k-1").await;
    assert_eq!(session_with(&shop, ANN, "monthly", "k-1").await, first);
    for (user, plan, key) in [
        (ANN, "monthly", "k-2"),
        (ANN, "lifetime", "k-1"),
        (BOB, "monthly", "k-1"),
    ] {
        assert_ne!(
            session_with(&shop, user, plan, key).await,
            first,
            "{user} {plan} {key}"
        );
    }
    let sent = shop.stripe.calls_of("POST", "/v1/checkout/sessions");
    let names = |key: &str| {
        sent.iter()
            .all(|call| call.idempotency_key.as_deref() != Some(key))
    };
    assert!(names("k-1"), "somebody else's key must not collide with it");
    let (status, code, _) = error(&begin_with(&shop, ANN, "monthly", "a b").await);
    assert_eq!((status, code.as_str()), (400, "invalid_idempotency_key"));
}

#[tokio::test]
async fn a_clients_key_whose_checkout_is_over_says_so() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let first = session_with(&shop, ANN, "monthly", "k-1").await;
    shop.stripe.expire(first.as_str().expect("an id"));
    for _ in 0..2 {
        let (status, code, _) = error(&begin_with(&shop, ANN, "monthly", "k-1").await);
        assert_eq!((status, code.as_str()), (409, "idempotency_key_used"));
    }
    assert_ne!(session_with(&shop, ANN, "monthly", "k-2").await, first);
}

#[tokio::test]
async fn a_second_click_waits_for_a_first_one_that_is_slow() {
    let shop = Shop::open().await;
    let path = "/v1/checkout/sessions";
    shop.stripe.fault_next(1, "POST", path, Fault::Hold);
    let clicks = join_all([
        shop.checkout(ANN, "monthly"),
        shop.checkout(ANN, "monthly"),
        shop.checkout(ANN, "monthly"),
    ]);
    let release = async {
        shop.stripe.until_calls(1, "POST", path).await;
        // Others are not held up, and by then the other clicks have come too.
        shop.checkout(BOB, "monthly").await;
        assert_eq!(shop.stripe.calls_of("POST", path).len(), 2);
        shop.stripe.release();
    };
    let (clicks, ()) = tokio::join!(clicks, release);
    assert!(clicks.iter().all(|session| *session == clicks[0]));
    assert_eq!(shop.stripe.ids("checkout.session").len(), 2);
    assert_eq!(shop.stripe.ids("customer").len(), 2);
}

#[tokio::test]
async fn a_click_that_went_away_does_not_keep_the_next_one_from_its_session() {
    for path in ["/v1/checkout/sessions", "/v1/customers"] {
        let shop = Shop::open().await;
        shop.stripe.fault_next(1, "POST", path, Fault::Hold);
        {
            let first = begin_with(&shop, ANN, "monthly", "k-1");
            tokio::select! {
                _ = first => unreachable!("it is held"),
                () = shop.stripe.until_calls(1, "POST", path) => {}
            }
        }
        // To Stripe the first is still under way, as it is when it came from another process: 409, again and again.
        let second = begin_with(&shop, ANN, "monthly", "k-1");
        let release = async {
            shop.stripe.until_calls(6, "POST", path).await;
            shop.stripe.release();
        };
        let (second, ()) = tokio::join!(second, release);
        assert_eq!(second.status, 201, "{path}: {}", second.text());
        for object in ["checkout.session", "customer"] {
            assert_eq!(shop.stripe.ids(object).len(), 1, "{path}: {object}");
        }
    }
}
