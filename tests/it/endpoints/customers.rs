//! Whose a Stripe customer is.

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use sqlx::Executor as _;

use super::{CHECKOUT, PORTAL, SUBSCRIPTIONS, error, ledger};
use crate::shop::{ANN, Shop};
use crate::support::auth0::{self, Trouble};
use crate::support::stripe::{Fault, PRICE_MONTHLY};

#[tokio::test]
async fn nobody_gets_a_customer_by_its_e_mail() {
    let shop = Shop::open().await;
    let theirs = shop
        .stripe
        .new_customer("somebody@example.test", &json!({}));
    shop.stripe
        .create_subscription_by_hand(&theirs, &[PRICE_MONTHLY]);
    let token = shop.token(ANN);
    assert_eq!(
        shop.get(SUBSCRIPTIONS, &token).await.json()["subscriptions"],
        json!([])
    );
    assert_eq!(error(&shop.post(PORTAL, &token, &json!({})).await).0, 404);
    assert_eq!(shop.premium_status(ANN).await["plan_type"], "free");
    let reply = shop
        .post(CHECKOUT, &token, &json!({ "plan_type": "monthly" }))
        .await;
    assert_ne!(reply.json()["customer_id"], theirs);
    assert_eq!(
        shop.get(SUBSCRIPTIONS, &token).await.json()["subscriptions"],
        json!([])
    );
}

#[tokio::test]
async fn a_reference_that_anybody_can_write_opens_no_billing() {
    let shop = Shop::open().await;
    let session = shop.stripe.payment_link_purchase(ANN, PRICE_MONTHLY, false);
    // It was paid for Ann, so she has it; what it was paid with is somebody's who is not known.
    shop.auth0.until_roles(ANN, &["premium-monthly"]).await;
    let token = shop.token(ANN);
    assert_eq!(
        shop.get(SUBSCRIPTIONS, &token).await.json()["subscriptions"],
        json!([])
    );
    assert_eq!(error(&shop.post(PORTAL, &token, &json!({})).await).0, 404);
    let id = shop.stripe.subscription_of(&session);
    let reply = shop
        .post(super::CANCEL, &token, &json!({ "subscription_id": id }))
        .await;
    assert_eq!(error(&reply).0, 404);
}

#[tokio::test]
async fn a_new_customer_bears_the_user_and_an_e_mail_that_is_verified() {
    for (verified, expected) in [(true, json!("ann@example.test")), (false, json!(null))] {
        let shop = Shop::open().await;
        shop.auth0.create_user(ANN, "ann@example.test", verified);
        shop.checkout(ANN, "monthly").await;
        let call = &shop.stripe.calls_of("POST", "/v1/customers")[0];
        assert_eq!(call.params["email"], expected);
        assert_eq!(call.params["metadata"], json!({ "auth0_user_id": ANN }));
    }
}

#[tokio::test]
async fn without_auth0_a_checkout_begins_all_the_same() {
    let shop = Shop::open().await;
    let trouble = Trouble::Instead(auth0::Fault::Hang);
    shop.auth0.trouble(Method::GET, "/api/v2/users/*", trouble);
    shop.checkout(ANN, "monthly").await;
    shop.auth0.mend_all();
    // The customer is known by now.
    shop.checkout(ANN, "lifetime").await;
    assert_eq!(shop.stripe.ids("customer").len(), 1);
}

/// Customers at Stripe when the ledger does not take the first, and the e-mail is verified or not at both tries.
async fn customers_of_two_tries(first: bool, second: bool) -> usize {
    let shop = Shop::open().await;
    shop.auth0.create_user(ANN, "ann@example.test", first);
    let mut lock = ledger(&shop).await;
    lock.execute("BEGIN IMMEDIATE").await.expect("the lock");
    let (token, body) = (shop.token(ANN), json!({ "plan_type": "monthly" }));
    let reply = shop.post(CHECKOUT, &token, &body).await;
    assert_eq!(error(&reply).0, 503);
    assert_eq!(shop.stripe.ids("customer").len(), 1);
    lock.execute("ROLLBACK").await.expect("released");
    shop.auth0.create_user(ANN, "ann@example.test", second);
    shop.checkout(ANN, "monthly").await;
    shop.stripe.ids("customer").len()
}

#[tokio::test]
async fn a_customer_that_the_ledger_does_not_know_is_found_again_whatever_the_e_mail_is_by_then() {
    let cases = [(true, true), (false, true), (false, false), (true, false)];
    let tries = cases.map(|(first, second)| customers_of_two_tries(first, second));
    // Where the e-mail is gone nobody can say what the first try was: that customer is left behind.
    assert_eq!(join_all(tries).await, [1, 1, 1, 2]);
}

#[tokio::test]
async fn a_customer_that_stripe_has_deleted_is_followed_by_a_new_one() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let first = shop.checkout(ANN, "monthly").await;
    let old = shop.stripe.ids("customer").remove(0);
    shop.stripe.delete_customer(&old);
    let second = shop.checkout(ANN, "lifetime").await;
    assert_ne!(first, second);
    assert_ne!(shop.stripe.object(&second)["customer"], json!(old));
    assert_eq!(shop.stripe.ids("checkout.session").len(), 2);
}

#[tokio::test]
async fn a_deleted_customer_is_followed_by_a_new_one_although_the_error_does_not_name_it() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    shop.checkout(ANN, "monthly").await;
    let old = shop.stripe.ids("customer").remove(0);
    shop.stripe.delete_customer(&old);
    shop.stripe
        .fault_next(1, "POST", "/v1/checkout/sessions", Fault::status(404));
    let second = shop.checkout(ANN, "lifetime").await;
    assert_ne!(shop.stripe.object(&second)["customer"], json!(old));
}

#[tokio::test]
async fn a_customer_that_stripe_does_not_know_at_all_is_the_keys_fault_and_nothing_is_marked() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    shop.checkout(ANN, "monthly").await;
    let mut ledger = ledger(&shop).await;
    // As it looks with the key of another account, or of the other mode.
    ledger
        .execute("UPDATE customers SET customer = 'cus_elsewhere'")
        .await
        .expect("moved");
    let (token, body) = (shop.token(ANN), json!({ "plan_type": "lifetime" }));
    for named in [true, false] {
        if !named {
            for path in ["/v1/billing_portal", "/v1/checkout/sessions"] {
                shop.stripe.fault("POST", path, Fault::status(404));
            }
        }
        for (path, body) in [(PORTAL, &json!({})), (CHECKOUT, &body)] {
            let (status, code, _) = error(&shop.post(path, &token, body).await);
            let expected = (502, "customer_unknown");
            assert_eq!((status, code.as_str()), expected, "{path} {named}");
        }
    }
    let marked: i64 = sqlx::query_scalar("SELECT count(*) FROM customers WHERE deleted = 1")
        .fetch_one(&mut ledger)
        .await
        .expect("a count");
    assert_eq!((marked, shop.stripe.ids("customer").len()), (0, 1));
}
