//! What it refuses, and how.

use serde_json::{Value, json};

use super::setup::{Caller, checkout_form, id, ids};
use crate::support::stripe::{PRICE_LIFETIME, PRICE_MONTHLY, PRICE_OTHER, Stripe};

/// Status, `code` and `param` of a refusal.
fn told(reply: &crate::support::raw::Reply) -> (u16, Value, Value) {
    let error = reply.json()["error"].clone();
    assert!(
        reply.header("request-id").is_some(),
        "every answer has its id"
    );
    (reply.status, error["code"].clone(), error["param"].clone())
}

#[tokio::test]
async fn a_key_that_is_missing_unknown_or_revoked_is_401() {
    let stripe = Stripe::start();
    let mut caller = Caller::of(&stripe);
    assert_eq!(caller.get("/v1/account").await.status, 200);
    caller.key = "sk_test_other".to_owned();
    let reply = caller.get("/v1/account").await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["type"]),
        (401, &json!("invalid_request_error"))
    );
    stripe.accept_key("sk_test_other");
    assert_eq!(caller.get("/v1/account").await.status, 200);
    stripe.revoke_key("sk_test_other");
    assert_eq!(caller.get("/v1/account").await.status, 401);
    caller.key.clear();
    assert_eq!(caller.get("/v1/account").await.status, 401);
}

#[tokio::test]
async fn a_right_that_a_key_lacks_is_403_before_the_object_is_looked_for() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.withhold("subscription_read");
    let reply = caller.get("/v1/subscriptions/sub_none").await;
    assert_eq!(told(&reply).0, 403);
    assert!(reply.text().contains("rak_subscription_read"));
    assert_eq!(
        caller.delete("/v1/subscriptions/sub_none").await.status,
        404
    );
    stripe.grant("subscription_read");
    assert_eq!(caller.get("/v1/subscriptions/sub_none").await.status, 404);
}

#[tokio::test]
async fn parameters_it_does_not_know_or_cannot_read_are_400() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let customer = stripe.new_customer("a@example.test", &Value::Null);
    let good = checkout_form(&customer, PRICE_LIFETIME);
    let cases = [
        (
            "payment_method_types[]=card",
            "parameter_unknown",
            "payment_method_types",
        ),
        ("ui_mode=hosted", "parameter_unknown", "ui_mode"),
        (
            "line_items[0][plan]=x",
            "parameter_unknown",
            "line_items[0][plan]",
        ),
        (
            "line_items[1][price]=price_none&line_items[1][quantity]=1",
            "resource_missing",
            "line_items[1][price]",
        ),
        (
            "line_items[1][price]=price_other",
            "parameter_missing",
            "line_items[1][quantity]",
        ),
        (
            "line_items[0][quantity]=one",
            "parameter_invalid_integer",
            "line_items[0][quantity]",
        ),
        ("customer=cus_none", "resource_missing", "customer"),
        ("customer=", "parameter_invalid_empty", "customer"),
        ("success_url=%2Fback", "url_invalid", "success_url"),
        ("success_url[x]=1", "", ""),
    ];
    for (more, code, param) in cases {
        let reply = caller
            .post("/v1/checkout/sessions", &format!("{good}&{more}"))
            .await;
        let expected = |text: &str| {
            if text.is_empty() {
                Value::Null
            } else {
                text.into()
            }
        };
        assert_eq!(
            told(&reply),
            (400, expected(code), expected(param)),
            "{more}"
        );
    }
    assert_eq!(
        caller.post("/v1/checkout/sessions", &good).await.status,
        200
    );
}

#[tokio::test]
async fn parameters_that_do_not_fit_together_are_400() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.set_time(Some(1_800_000_000));
    let customer = stripe.new_customer("a@example.test", &Value::Null);
    stripe.retire_price(PRICE_OTHER);
    let good = checkout_form(&customer, PRICE_LIFETIME);
    let long = "x".repeat(201);
    let cases = [
        (
            good.replace("mode=payment", "mode=subscription"),
            "mode is wrong for the price",
        ),
        (
            good.replace("price_lifetime", PRICE_MONTHLY),
            "a recurring price",
        ),
        (
            good.replace("price_lifetime", PRICE_OTHER),
            "a price that is sold no more",
        ),
        (
            good.replace("payment_intent_data", "subscription_data"),
            "data of the other mode",
        ),
        (good.replace("mode=payment", "mode=gift"), "no such mode"),
        (good.replace("mode=payment&", ""), "no mode"),
        (
            format!("{good}&customer_email=a%40b"),
            "customer and e-mail",
        ),
        (
            format!("{good}&client_reference_id={long}"),
            "a long reference",
        ),
        (format!("{good}&expires_at=1800000060"), "too short a life"),
        (format!("{good}&allow_promotion_codes=yes"), "no boolean"),
    ];
    for (form, what) in cases {
        assert_eq!(
            caller.post("/v1/checkout/sessions", &form).await.status,
            400,
            "{what}"
        );
    }
    let reply = caller
        .post(
            "/v1/checkout/sessions",
            &format!("{good}&expires_at=1800003600"),
        )
        .await;
    assert_eq!(reply.json()["expires_at"], 1_800_003_600);
}

#[tokio::test]
async fn metadata_has_limits_and_is_merged() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let pair = |key: &str, value: &str| format!("metadata[{key}]={value}");
    let many: Vec<String> = (0..51).map(|n| pair(&n.to_string(), "x")).collect();
    for form in [
        pair(&"k".repeat(41), "x"),
        pair("k", &"x".repeat(501)),
        many.join("&"),
    ] {
        assert_eq!(caller.post("/v1/customers", &form).await.status, 400);
    }
    let good = [
        pair(&"k".repeat(40), &"x".repeat(500)),
        pair("0", "digits are a key"),
        pair("a", "1"),
    ];
    let customer = id(&caller.post("/v1/customers", &good.join("&")).await);
    let path = format!("/v1/customers/{customer}");
    let changed = caller
        .post(&path, "metadata[a]=&metadata[b]=2&name=A")
        .await
        .json();
    assert_eq!(
        (&changed["metadata"]["a"], &changed["metadata"]["b"]),
        (&Value::Null, &json!("2"))
    );
    assert_eq!(changed["metadata"]["0"], "digits are a key");
    assert_eq!(
        caller.post(&path, "metadata=").await.json()["metadata"],
        json!({})
    );
    assert_eq!(
        told(&caller.post(&path, "email=nobody").await).1,
        "email_invalid"
    );
    stripe.set_metadata(&customer, &json!({ "auth0_user_id": "auth0|x" }));
    assert_eq!(
        stripe.object(&customer)["metadata"]["auth0_user_id"],
        "auth0|x"
    );
}

#[tokio::test]
async fn a_call_that_does_not_exist_is_404_and_json_is_not_read() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    assert_eq!(told(&caller.get("/v1/nothing").await).0, 404);
    assert_eq!(
        told(&caller.delete("/v1/prices/price_monthly").await).0,
        404
    );
    let missing = told(&caller.get("/v1/checkout/sessions/cs_test_none").await);
    assert_eq!(missing, (404, "resource_missing".into(), "id".into()));
    let other_mode = caller.get("/v1/checkout/sessions/cs_live_a1").await;
    assert!(
        other_mode
            .text()
            .contains("similar object exists in live mode")
    );
    let mut wire = crate::support::raw::Wire::connect(stripe.address()).await;
    wire.send(
        "POST /v1/customers HTTP/1.1\r\nHost: stripe\r\nAuthorization: Bearer sk_test_standin\r\n\
        Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    )
    .await;
    assert_eq!(wire.reply().await.status, 400);
}

#[tokio::test]
async fn a_portal_that_was_not_set_up_is_400() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let customer = stripe.new_customer("a@example.test", &Value::Null);
    let form = format!("customer={customer}&return_url=https%3A%2F%2Fshop.test%2F");
    stripe.set_up_portal(false);
    let reply = caller.post("/v1/billing_portal/sessions", &form).await;
    assert!(
        reply.status == 400 && reply.text().contains("portal settings"),
        "{}",
        reply.text()
    );
    let active = "/v1/billing_portal/configurations?active=true";
    assert!(ids(&caller.get(active).await).is_empty());
    stripe.set_up_portal(true);
    assert_eq!(ids(&caller.get(active).await).len(), 1);
    let opened = caller
        .post("/v1/billing_portal/sessions", &form)
        .await
        .json();
    assert!(
        opened["url"]
            .as_str()
            .is_some_and(|url| url.starts_with(&stripe.url()))
    );
    assert_eq!(
        told(&caller.post("/v1/billing_portal/sessions", "").await).2,
        "customer"
    );
}

#[tokio::test]
async fn a_deleted_customer_is_shown_as_such_and_cannot_be_used() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let customer = id(&caller.post("/v1/customers", "email=a%40b").await);
    let path = format!("/v1/customers/{customer}");
    let gone = json!({ "id": customer, "object": "customer", "deleted": true });
    assert_eq!(caller.delete(&path).await.json(), gone);
    assert_eq!(caller.get(&path).await.json(), gone);
    assert_eq!(caller.delete(&path).await.status, 404);
    assert_eq!(caller.post(&path, "name=A").await.status, 404);
    let form = checkout_form(&customer, PRICE_MONTHLY);
    let refused = caller.post("/v1/checkout/sessions", &form).await;
    assert_eq!(
        told(&refused),
        (400, "resource_missing".into(), "customer".into())
    );
    let list = format!("/v1/subscriptions?customer={customer}&status=all");
    assert_eq!(
        told(&caller.get(&list).await),
        (400, "resource_missing".into(), "customer".into())
    );
    stripe.list_deleted_customers(true);
    assert_eq!(caller.get(&list).await.json()["data"], json!([]));
}
