//! The way to the customer portal, and back.

use serde_json::{Value, json};

use super::{PORTAL, error, keys};
use crate::shop::{ANN, BOB, FRONTEND, Shop};
use crate::support::raw::Reply;
use crate::support::stripe::Fault;

async fn portal(shop: &Shop, user: &str, body: &Value) -> Reply {
    shop.post(PORTAL, &shop.token(user), body).await
}

#[tokio::test]
async fn who_never_paid_has_no_portal() {
    let shop = Shop::open().await;
    shop.buy(BOB, "monthly").await;
    let (status, _, detail) = error(&portal(&shop, ANN, &json!({})).await);
    assert_eq!(status, 404);
    assert_eq!(
        detail,
        "Customer not found. Please create a subscription first."
    );
    assert!(
        shop.stripe
            .calls_of("POST", "/v1/billing_portal")
            .is_empty()
    );
}

#[tokio::test]
async fn the_portal_opens_for_the_users_own_customer_and_leads_back_to_the_dashboard() {
    let shop = Shop::open().await;
    let session = shop.buy(ANN, "monthly").await;
    let customer = shop.stripe.object(&session)["customer"].clone();
    for (body, url) in [
        (json!({}), format!("{FRONTEND}/dashboard")),
        (
            json!({ "return_url": null }),
            format!("{FRONTEND}/dashboard"),
        ),
        (
            json!({ "return_url": format!("{FRONTEND}/x?y#z") }),
            format!("{FRONTEND}/x?y#z"),
        ),
    ] {
        let reply = portal(&shop, ANN, &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let answer = reply.json();
        let names = [
            "customer_id",
            "expires_at",
            "portal_session_id",
            "portal_url",
            "success",
        ];
        assert_eq!(keys(&answer), names);
        assert_eq!(
            (&answer["customer_id"], &answer["expires_at"]),
            (&customer, &Value::Null)
        );
        let call = shop
            .stripe
            .calls_of("POST", "/v1/billing_portal")
            .pop()
            .expect("a call");
        assert_eq!(
            (&call.params["customer"], &call.params["return_url"]),
            (&customer, &json!(url))
        );
    }
    let bearer = format!("Bearer {}", shop.token(ANN));
    let bare = shop
        .gate
        .send("POST", PORTAL, &[("Authorization", &bearer)], "")
        .await;
    assert_eq!(bare.status, 201, "a body is not needed");
}

#[tokio::test]
async fn it_is_no_open_redirect() {
    let shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    for url in [
        "https://evil.example/",
        "//evil.example",
        "/dashboard",
        "",
        "javascript:alert(1)",
        "https://app.example.test.evil.example/",
        "https://app.example.test@evil.example/",
        "https://app.example.test\\@evil.example/",
        "http://app.example.test/",
        "https://app.example.test:444/",
        "https://app.example.test/\n",
    ] {
        let reply = portal(&shop, ANN, &json!({ "return_url": url })).await;
        assert_eq!(error(&reply).0, 400, "{url:?}");
    }
    assert!(
        shop.stripe
            .calls_of("POST", "/v1/billing_portal")
            .is_empty()
    );
}

#[tokio::test]
async fn a_portal_that_is_not_configured_is_424_and_a_customer_that_is_gone_404() {
    let shop = Shop::open().await;
    let session = shop.buy(ANN, "monthly").await;
    shop.stripe.set_up_portal(false);
    assert_eq!(error(&portal(&shop, ANN, &json!({})).await).0, 424);
    shop.stripe.set_up_portal(true);
    shop.stripe.hold_events();
    let customer = shop.stripe.object(&session)["customer"]
        .as_str()
        .expect("one")
        .to_owned();
    shop.stripe.delete_customer(&customer);
    for _ in 0..2 {
        let (status, code, _) = error(&portal(&shop, ANN, &json!({})).await);
        assert_eq!((status, code.as_str()), (404, "customer_not_found"));
    }
    let calls = shop.stripe.calls_of("POST", "/v1/billing_portal");
    assert_eq!(calls.len(), 2, "the ledger remembers that it is gone");
}

#[tokio::test]
async fn an_error_that_does_not_name_what_is_missing_is_looked_into() {
    let shop = Shop::open().await;
    let session = shop.buy(ANN, "monthly").await;
    shop.stripe.hold_events();
    let nothing = || Fault::status(404);
    shop.stripe
        .fault_next(1, "POST", "/v1/billing_portal", nothing());
    let reply = portal(&shop, ANN, &json!({})).await;
    assert_eq!(error(&reply).0, 502, "the customer is there");
    let customer = shop.stripe.object(&session)["customer"].clone();
    let customer = customer.as_str().expect("one");
    shop.stripe.delete_customer(customer);
    shop.stripe
        .fault_next(1, "POST", "/v1/billing_portal", nothing());
    for _ in 0..2 {
        let (status, code, _) = error(&portal(&shop, ANN, &json!({})).await);
        assert_eq!((status, code.as_str()), (404, "customer_not_found"));
    }
    let calls = shop.stripe.calls_of("POST", "/v1/billing_portal");
    assert_eq!(calls.len(), 2, "the ledger remembers that it is gone");
}

#[tokio::test]
async fn the_portal_cannot_be_used_to_hammer_stripe() {
    let shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    let begun = std::time::Instant::now();
    let mut limited = 0;
    for _ in 0..60 {
        let reply = portal(&shop, ANN, &json!({})).await;
        if reply.status != 201 {
            assert_eq!(error(&reply).0, 429);
            assert!(reply.header("retry-after").is_some());
            limited += 1;
        }
    }
    let turns = usize::try_from(begun.elapsed().as_secs() / 3).expect("a number") + 1;
    assert!(limited + turns >= 20, "{limited} of 60 were refused");
}
