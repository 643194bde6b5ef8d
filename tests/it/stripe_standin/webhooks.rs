//! Endpoints that were made by the API, and what they get.

use std::time::Duration;

use serde_json::{Value, json};

use super::setup::{Caller, Endpoint, id, ids, subscriber};
use crate::support::stripe::{PRICE_MONTHLY, SECRET, Stripe};

/// Makes an endpoint by the API.
async fn made(stripe: &Stripe, url: &str, more: &str) -> Value {
    let url = url.replace(':', "%3A").replace('/', "%2F");
    let form = format!("url={url}&{more}");
    let reply = Caller::of(stripe)
        .post("/v1/webhook_endpoints", &form)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// The time in a signature.
fn time(header: &str) -> i64 {
    let t = header.split([',', '=']).nth(1);
    t.and_then(|t| t.parse().ok()).expect("a time")
}

#[tokio::test]
async fn an_endpoint_gets_its_types_from_then_on_signed_with_its_own_secret() {
    let stripe = Stripe::start();
    let (customer, _, _) = subscriber(&stripe).await;
    let endpoint = Endpoint::start(&[500]);
    stripe.back_off(Duration::from_millis(1));
    let types =
        "enabled_events[0]=customer.subscription.deleted&enabled_events[1]=customer.deleted";
    let answer = made(&stripe, &endpoint.url(), types).await;
    let secret = answer["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret != SECRET);
    stripe.delete_customer(&customer);
    stripe.until_all_acknowledged().await;
    let kinds = endpoint.kinds();
    let expected = ["customer.subscription.deleted", "customer.deleted"];
    assert_eq!(kinds.len(), 3, "one of them twice: {kinds:?}");
    assert!(
        expected
            .iter()
            .all(|kind| kinds.iter().any(|sent| sent == kind))
    );
    for (header, body) in endpoint.received() {
        assert_eq!(header, Stripe::sign(&body, &[secret], time(&header)));
    }
}

#[tokio::test]
async fn each_of_several_endpoints_takes_an_event_for_itself() {
    let stripe = Stripe::start();
    stripe.back_off(Duration::from_millis(1));
    let (one, other, told) = (
        Endpoint::start(&[]),
        Endpoint::start(&[500]),
        Endpoint::start(&[]),
    );
    made(&stripe, &one.url(), "enabled_events[]=*").await;
    made(
        &stripe,
        &other.url(),
        "enabled_events[]=*&api_version=2024-06-20",
    )
    .await;
    stripe.send_to(&told.url());
    let customer = stripe.new_customer("a@example.test", &Value::Null);
    stripe.create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
    stripe.until_all_acknowledged().await;
    let made = stripe.outbox().len();
    assert_eq!(
        (one.kinds().len(), other.kinds().len(), told.kinds().len()),
        (made, made + 1, made)
    );
    let version = |endpoint: &Endpoint| {
        let body: Value = serde_json::from_str(&endpoint.received()[0].1).expect("JSON");
        body["api_version"].clone()
    };
    assert_eq!(version(&one), "2026-05-27.dahlia");
    assert_eq!(version(&other), "2024-06-20");
}

#[tokio::test]
async fn an_endpoint_that_is_switched_off_or_elsewhere_gets_nothing() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let (endpoint, other) = (Endpoint::start(&[]), Endpoint::start(&[]));
    let off = stripe.new_webhook_endpoint(&endpoint.url(), &["*"], None);
    let path = format!("/v1/webhook_endpoints/{off}");
    assert_eq!(caller.post(&path, "disabled=true").await.status, 200);
    stripe.new_webhook_endpoint(&other.url(), &["*"], None);
    stripe.new_customer("a@example.test", &Value::Null);
    stripe.until_all_acknowledged().await;
    assert_eq!((endpoint.kinds().len(), other.kinds().len()), (0, 1));
    assert_eq!(caller.post(&path, "disabled=false").await.status, 200);
    stripe.new_customer("b@example.test", &Value::Null);
    stripe.until_all_acknowledged().await;
    let last = endpoint.kinds().pop();
    assert_eq!(last.as_deref(), Some("customer.created"));
    stripe.new_webhook_endpoint("https://shop.test/hook", &["*"], None);
    stripe.new_customer("c@example.test", &Value::Null);
    stripe.until_attempts(5).await;
    let pending = caller.get("/v1/events?limit=1").await.json();
    assert_eq!(pending["data"][0]["type"], "customer.created");
}

#[tokio::test]
async fn what_no_endpoint_can_be_is_400() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    for form in [
        "enabled_events[]=*",
        "url=https%3A%2F%2Fx.test",
        "url=x.test&enabled_events[]=*",
        "url=https%3A%2F%2Fx.test&enabled_events[]=everything",
        "url=https%3A%2F%2Fx.test&enabled_events[]=*&api_version=newest",
        "url=https%3A%2F%2Fx.test&enabled_events[]=*&secret=x",
    ] {
        let reply = caller.post("/v1/webhook_endpoints", form).await;
        assert_eq!(reply.status, 400, "{form}");
    }
    let form = "url=https%3A%2F%2Fx.test&enabled_events[]=*&metadata[a]=1";
    for _ in 0..16 {
        let reply = caller.post("/v1/webhook_endpoints", form).await;
        assert_eq!(reply.status, 200);
    }
    let reply = caller.post("/v1/webhook_endpoints", form).await;
    assert_eq!(reply.status, 400);
    let listed = ids(&caller.get("/v1/webhook_endpoints?limit=100").await);
    let path = format!("/v1/webhook_endpoints/{}", listed[0]);
    assert_eq!(listed.len(), 16);
    let refused = caller.post(&path, "api_version=2024-06-20").await;
    assert_eq!(refused.status, 400, "a version stays what it is");
    let changed = caller.post(&path, "metadata[b]=2").await;
    assert_eq!(changed.json()["metadata"], json!({ "a": "1", "b": "2" }));
    assert_eq!(caller.delete(&path).await.status, 200);
    let reply = caller.post("/v1/webhook_endpoints", form).await;
    assert_ne!(id(&reply), listed[0]);
}

#[tokio::test]
async fn an_empty_account_has_neither_portal_nor_endpoint() {
    let stripe = Stripe::start_empty();
    let caller = Caller::of(&stripe);
    for list in ["webhook_endpoints", "billing_portal/configurations"] {
        let listed = ids(&caller.get(&format!("/v1/{list}")).await);
        assert_eq!(listed, [""; 0], "{list}");
    }
    stripe.set_up_portal(true);
    let path = "/v1/billing_portal/configurations?is_default=true";
    assert_eq!(ids(&caller.get(path).await).len(), 1);
}

#[tokio::test]
async fn the_date_of_answers_is_the_accounts() {
    let stripe = Stripe::start();
    stripe.set_time(Some(1_800_000_000));
    let reply = Caller::of(&stripe).get("/v1/account").await;
    assert_eq!(reply.header("date"), Some("Fri, 15 Jan 2027 08:00:00 GMT"));
}

#[tokio::test]
async fn a_price_may_be_retired_of_another_kind_and_of_the_other_mode() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let path = format!("/v1/prices/{PRICE_MONTHLY}");
    stripe.retire_price(PRICE_MONTHLY);
    assert_eq!(caller.get(&path).await.json()["active"], false);
    stripe.sell_again(PRICE_MONTHLY);
    stripe.sell_by_month(PRICE_MONTHLY, false);
    let price = caller.get(&path).await.json();
    assert_eq!(
        (&price["active"], &price["type"], &price["recurring"]),
        (&json!(true), &json!("one_time"), &Value::Null)
    );
    stripe.sell_by_month(PRICE_MONTHLY, true);
    stripe.move_to_other_mode(PRICE_MONTHLY, true);
    let missing = caller.get(&path).await;
    assert_eq!(missing.status, 404);
    assert!(
        missing
            .text()
            .contains("similar object exists in live mode")
    );
    let listed = ids(&caller.get("/v1/prices?limit=100").await);
    assert!(!listed.contains(&PRICE_MONTHLY.to_owned()));
    stripe.move_to_other_mode(PRICE_MONTHLY, false);
    let price = caller.get(&path).await.json();
    assert_eq!(
        (&price["type"], &price["livemode"]),
        (&json!("recurring"), &json!(false))
    );
}
