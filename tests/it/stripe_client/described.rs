//! Every request that the client sends is one that Stripe's description of its API allows.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::stripe::{EVENT_TYPES, IdempotencyKey, Right, SessionMode};

use super::server::{Asked, Say, Stripe, missing, ok, page};
use super::world::{but, charge, intent, paid_session};
use super::writes::checkout;
use crate::support::openapi::Validator;

/// Calls that Stripe has, and the description, which is cut, has not.
const BESIDE: [&str; 2] = ["/v1/disputes/dp_1", "/v1/refunds/re_1"];

/// A Stripe where each call leads to all those that may follow it: lists have two pages, nothing is expanded, guests
/// pay, and charges are disputed.
fn answer(asked: &Asked) -> Say {
    let second = asked.form.contains("starting_after");
    let list = |object: Value| {
        let id = if second { "x_2" } else { "x_1" };
        page(&[but(object, "id", json!(id))], !second)
    };
    let subscription =
        json!({ "id": "sub_1", "status": "active", "customer": "cus_1", "items": null });
    let session = but(paid_session(), "line_items", Value::Null);
    let disputed = but(
        but(charge(), "disputed", json!(true)),
        "customer",
        Value::Null,
    );
    let payment = but(
        but(intent(&json!("ch_1")), "customer", Value::Null),
        "metadata",
        Value::Null,
    );
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/v1/billing_portal/sessions") => {
            ok(json!({ "id": "bps_1", "url": "https://x.test/" }))
        }
        ("POST", "/v1/checkout/sessions") | (_, "/v1/checkout/sessions/cs_1") => ok(session),
        ("GET", "/v1/customers" | "/v1/refunds") => list(json!({})),
        ("GET", "/v1/webhook_endpoints") => list(endpoint()),
        (_, "/v1/webhook_endpoints" | "/v1/webhook_endpoints/we_1") => ok(endpoint()),
        (_, "/v1/billing_portal/configurations") => list(json!({ "active": true })),
        (_, "/v1/prices/price_1") => ok(json!({ "id": "price_1" })),
        (_, "/v1/customers" | "/v1/customers/cus_1") => ok(json!({ "id": "cus_1" })),
        (_, "/v1/subscriptions/sub_1") => ok(subscription),
        (_, "/v1/subscriptions") => list(subscription),
        (_, "/v1/checkout/sessions") => list(session),
        (_, "/v1/subscription_items" | "/v1/disputes") => {
            list(json!({ "status": "won", "price": "price_1" }))
        }
        (_, path) if path.ends_with("/line_items") => list(json!({ "price": "price_1" })),
        (_, "/v1/payment_intents/pi_1") => ok(payment),
        (_, "/v1/charges/ch_1") => ok(disputed),
        (_, "/v1/disputes/dp_1") => ok(json!({ "id": "dp_1", "charge": "ch_1" })),
        (_, "/v1/refunds/re_1") => ok(json!({ "id": "re_1", "payment_intent": "pi_1" })),
        (_, "/v1/account") => ok(json!({ "id": "acct_1" })),
        (_, "/v1/invoices/in_1") => ok(json!({ "id": "in_1", "customer": "cus_1" })),
        _ => missing(),
    }
}

fn endpoint() -> Value {
    json!({ "id": "we_1", "url": "https://x.test/hook", "secret": "whsec_1" })
}

/// Makes every call of set-up, and those that go through the whole account.
async fn exercise_setup(stripe: &Stripe) {
    let (client, key) = (stripe.client(0), IdempotencyKey("intent".to_owned()));
    let answered = "an answer";
    client.account().await.expect(answered);
    client.price("price_1").await.expect(answered);
    client.webhook_endpoints().await.expect(answered);
    client
        .create_webhook_endpoint("https://x.test/hook", EVENT_TYPES, &key)
        .await
        .expect(answered);
    let events: Vec<String> = EVENT_TYPES.iter().map(ToString::to_string).collect();
    for (events, enable) in [(Some(&events[..]), false), (None, true)] {
        client
            .update_webhook_endpoint("we_1", events, enable, &key)
            .await
            .expect(answered);
    }
    client.has_portal().await.expect(answered);
    for right in Right::NEEDED {
        assert!(client.may(right).await.expect(answered));
    }
    for right in [Right::WebhookEndpointsRead, Right::WebhookEndpointsWrite] {
        assert!(client.may(right).await.expect(answered));
    }
    for after in [None, Some("x_1")] {
        client.customers_after(after).await.expect(answered);
        client.subscriptions_after(after).await.expect(answered);
        client.sessions_after(after).await.expect(answered);
    }
    let found = client.customers_by_email("a+b@x.test").await;
    found.expect(answered);
}

/// Makes every call that the client knows.
async fn exercise(stripe: &Stripe) {
    let (client, key) = (stripe.client(0), IdempotencyKey("intent".to_owned()));
    let answered = "an answer";
    client.customer("cus_1").await.expect(answered);
    client
        .create_customer("auth0|1", Some("a@x.test"), &key)
        .await
        .expect(answered);
    client.subscriptions("cus_1").await.expect(answered);
    client.subscription("sub_1").await.expect(answered);
    client
        .cancel_at_period_end("sub_1", &key)
        .await
        .expect(answered);
    client.cancel_now("sub_1").await.expect(answered);
    client.checkout_sessions("cus_1").await.expect(answered);
    client.checkout_session("cs_1").await.expect(answered);
    for mode in [SessionMode::Payment, SessionMode::Subscription] {
        let checkout = checkout(mode, "auth0|1");
        client
            .create_checkout_session(&checkout, &key)
            .await
            .expect(answered);
    }
    client
        .create_portal_session("cus_1", "https://x.test/")
        .await
        .expect(answered);
    client.event("evt_1").await.expect(answered);
    client.account_id().await.expect(answered);
    for (object, id) in [
        ("customer", "cus_1"),
        ("subscription", "sub_1"),
        ("checkout.session", "cs_1"),
        ("invoice", "in_1"),
        ("charge", "ch_1"),
        ("payment_intent", "pi_1"),
        ("dispute", "dp_1"),
        ("refund", "re_1"),
    ] {
        client.whose(object, id).await.expect(answered);
    }
    for (object, id) in [("dispute", "dp_0"), ("refund", "re_0")] {
        client.whose_listed(object, id).await.expect(answered);
    }
}

#[tokio::test]
async fn every_request_is_as_stripe_describes_it() {
    let Some(validator) = Validator::load() else {
        println!("not run: ../shared/stripe-openapi.json is missing");
        return;
    };
    let stripe = Stripe::start(|asked, _| answer(asked));
    exercise(&stripe).await;
    exercise_setup(&stripe).await;
    let (mut requests, mut operations) = (0, BTreeSet::new());
    for asked in stripe.asked() {
        assert_eq!(asked.other, "", "{asked:?}");
        if BESIDE.contains(&asked.path.as_str()) {
            assert_eq!((asked.method.as_str(), asked.form.as_str()), ("GET", ""));
            continue;
        }
        let verdict = validator.check(&asked.method, &asked.path, &asked.form);
        assert_eq!(verdict, Ok(()), "{asked:?}");
        let template = validator
            .template(&asked.method, &asked.path)
            .expect("a path");
        operations.insert(format!("{} {template}", asked.method));
        requests += 1;
    }
    let listed: Vec<&str> = operations.iter().map(String::as_str).collect();
    assert_eq!(listed, OPERATIONS);
    assert!(requests >= 90, "{requests} requests");
}

/// What the client asks of Stripe, all of it.
const OPERATIONS: [&str; 28] = [
    "DELETE /v1/subscriptions/{subscription_exposed_id}",
    "GET /v1/account",
    "GET /v1/billing_portal/configurations",
    "GET /v1/charges/{charge}",
    "GET /v1/checkout/sessions",
    "GET /v1/checkout/sessions/{session}",
    "GET /v1/checkout/sessions/{session}/line_items",
    "GET /v1/customers",
    "GET /v1/customers/{customer}",
    "GET /v1/disputes",
    "GET /v1/events/{id}",
    "GET /v1/invoices/{invoice}",
    "GET /v1/payment_intents/{intent}",
    "GET /v1/prices/{price}",
    "GET /v1/products/{id}",
    "GET /v1/refunds",
    "GET /v1/subscription_items",
    "GET /v1/subscriptions",
    "GET /v1/subscriptions/{subscription_exposed_id}",
    "GET /v1/webhook_endpoints",
    "POST /v1/billing_portal/sessions",
    "POST /v1/checkout/sessions",
    "POST /v1/checkout/sessions/{session}/expire",
    "POST /v1/customers",
    "POST /v1/customers/{customer}",
    "POST /v1/subscriptions/{subscription_exposed_id}",
    "POST /v1/webhook_endpoints",
    "POST /v1/webhook_endpoints/{webhook_endpoint}",
];

#[test]
fn the_judge_refuses_what_the_description_does_not_know() {
    let Some(validator) = Validator::load() else {
        println!("not run: ../shared/stripe-openapi.json is missing");
        return;
    };
    for (method, path, form) in [
        ("GET", "/v1/customers", "limit=100"),
        ("GET", "/v1/customers/cus_1", "expand[]=a&expand[]=b"),
        ("POST", "/v1/customers", "metadata[a]=b&metadata[c]="),
        (
            "POST",
            "/v1/checkout/sessions",
            "line_items%5B0%5D%5Bquantity%5D=2&mode=payment",
        ),
        ("GET", "/v1/checkout/sessions", "created[gte]=7"),
        ("GET", "/v1/checkout/sessions", "created=7"),
    ] {
        assert_eq!(
            validator.check(method, path, form),
            Ok(()),
            "{method} {path}?{form}"
        );
    }
    for (method, path, form) in [
        ("GET", "/v1/custmers", ""),
        ("PUT", "/v1/customers/cus_1", ""),
        ("GET", "/v1/customers/cus_1/more", ""),
        ("GET", "/v1/customers/", ""),
        ("GET", "/v1/customers", "limits=100"),
        ("GET", "/v1/customers", "limit=all"),
        ("GET", "/v1/customers", "limit[]=1"),
        ("GET", "/v1/customers/cus_1", "expand=a"),
        ("GET", "/v1/customers/cus_1", "expand[1]=a"),
        ("GET", "/v1/subscription_items", "limit=1"),
        ("GET", "/v1/subscriptions", "status=gone"),
        ("GET", "/v1/subscriptions", "customer"),
        ("GET", "/v1/subscriptions", "customer=%zz"),
        ("GET", "/v1/subscriptions", "customer=a&customer=b"),
        ("POST", "/v1/customers", "metadata=b"),
        ("POST", "/v1/customers", "metadata[a][b]=c"),
        ("POST", "/v1/checkout/sessions", "line_items[0][color]=red"),
        (
            "POST",
            "/v1/checkout/sessions",
            "line_items[0][quantity]=two",
        ),
        ("POST", "/v1/checkout/sessions", "allow_promotion_codes=yes"),
        (
            "POST",
            "/v1/checkout/sessions",
            &format!("client_reference_id={}", "a".repeat(201)),
        ),
    ] {
        assert!(
            validator.check(method, path, form).is_err(),
            "{method} {path}?{form}"
        );
    }
}
