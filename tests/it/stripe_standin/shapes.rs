//! Objects and events in today's shapes, in older ones, in live mode, and thin.

use serde_json::{Value, json};

use super::setup::{Caller, subscriber};
use crate::support::stripe::{Form, LIVE_KEY, PRICE_MONTHLY, Stripe};

#[tokio::test]
async fn older_answers_have_the_period_and_the_plan_on_the_subscription() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.set_time(Some(1_800_000_000));
    let (_, _, subscription) = subscriber(&stripe).await;
    let path = format!("/v1/subscriptions/{subscription}?expand[]=latest_invoice");
    let end = json!(1_800_000_000 + 30 * 24 * 3600);
    let new = caller.get(&path).await.json();
    assert_eq!(
        (new.get("current_period_end"), new.get("plan")),
        (None, None)
    );
    assert_eq!(new["items"]["data"][0]["current_period_end"], end);
    assert_eq!(new["latest_invoice"].get("subscription"), None);
    stripe.answer_in_older_shapes(true);
    let old = caller.get(&path).await.json();
    assert_eq!(
        (&old["current_period_end"], &old["plan"]["id"]),
        (&end, &json!(PRICE_MONTHLY))
    );
    assert_eq!(old["items"]["data"][0].get("current_period_end"), None);
    assert_eq!(old["items"]["data"][0]["price"]["id"], PRICE_MONTHLY);
    assert_eq!(
        (
            &old["latest_invoice"]["subscription"],
            &old["latest_invoice"]["paid"]
        ),
        (&json!(subscription), &json!(true))
    );
}

#[tokio::test]
async fn events_are_rendered_in_the_endpoints_version() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.send_in_older_shapes(true);
    let (_, _, subscription) = subscriber(&stripe).await;
    // Before 2025-03-31 it was there before it was paid.
    let told = stripe
        .outbox()
        .into_iter()
        .filter(|event| event.object_id() == subscription);
    let told: Vec<(String, Value)> = told
        .map(|event| {
            let body = event.body(Form::Snapshot, true);
            assert!(body["data"]["object"]["current_period_end"].is_i64());
            (event.kind, body["data"]["object"]["status"].clone())
        })
        .collect();
    let expected = [
        ("customer.subscription.created", "incomplete"),
        ("customer.subscription.updated", "active"),
    ];
    assert_eq!(
        told,
        expected.map(|(kind, status)| (kind.to_owned(), json!(status)))
    );
    let listed = caller
        .get("/v1/events?type=customer.subscription.updated")
        .await
        .json()["data"][0]
        .clone();
    assert_eq!(
        (
            &listed["api_version"],
            &listed["data"]["previous_attributes"]["status"]
        ),
        (&json!("2024-06-20"), &json!("incomplete"))
    );
    let id = listed["id"].as_str().unwrap_or_default();
    assert_eq!(caller.get(&format!("/v1/events/{id}")).await.json(), listed);
    assert_eq!(caller.get("/v1/events/evt_none").await.status, 404);
}

#[tokio::test]
async fn a_thin_event_names_its_object_and_its_snapshot() {
    let stripe = Stripe::start();
    stripe.set_time(Some(1_800_000_000));
    let (_, session, _) = subscriber(&stripe).await;
    let event = stripe.outbox().pop().expect("an event");
    let thin = event.body(Form::Thin, false);
    assert_eq!(
        thin["related_object"],
        json!({ "id": session, "type": "checkout.session", "url": format!("/v1/checkout/sessions/{session}") })
    );
    assert_eq!(
        (&thin["object"], &thin["type"]),
        (
            &json!("v2.core.event"),
            &json!("v1.checkout.session.completed")
        )
    );
    assert_eq!(
        (&thin["created"], &thin["snapshot_event"]),
        (&json!("2027-01-15T08:00:00.000Z"), &json!(event.id))
    );
    assert_eq!(thin["id"], event.id_in(Form::Thin));
    assert_ne!(event.id_in(Form::Thin), event.id_in(Form::Snapshot));
    assert_eq!((event.created, thin.get("data")), (1_800_000_000, None));
}

#[tokio::test]
async fn live_mode_shows_in_ids_and_flags() {
    let stripe = Stripe::start();
    stripe.go_live();
    let mut caller = Caller::of(&stripe);
    let customer = stripe.new_customer("a@example.test", &Value::Null);
    let form = super::setup::checkout_form(&customer, PRICE_MONTHLY);
    let refused = caller.post("/v1/checkout/sessions", &form).await;
    assert_eq!(refused.status, 401, "a key of test mode");
    LIVE_KEY.clone_into(&mut caller.key);
    let session = caller.checkout(&customer, PRICE_MONTHLY).await;
    stripe.pay(&session);
    let subscription = stripe.subscription_of(&session);
    assert!(session.starts_with("cs_live_"));
    assert_eq!(stripe.object(&subscription)["livemode"], true);
    let event = stripe.outbox().pop().expect("an event");
    assert_eq!(event.body(Form::Snapshot, false)["livemode"], true);
}

#[tokio::test]
async fn the_events_of_some_types_are_listed() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.set_time(Some(1_800_000_000));
    subscriber(&stripe).await;
    let list = async |query: &str| {
        super::setup::ids(&caller.get(&format!("/v1/events?{query}")).await).len()
    };
    assert_eq!(list("type=invoice.*").await, 4);
    assert_eq!(
        list("types[]=invoice.paid&types[]=customer.created").await,
        2
    );
    assert_eq!(list("created[gt]=1800000000").await, 0);
    assert_eq!(
        list("created[gte]=1800000000&limit=100").await,
        stripe.outbox().len()
    );
    assert_eq!(
        list("created[lt]=1800000000").await + list("created[lte]=1799999999").await,
        0
    );
    assert_eq!(list("delivery_success=true").await, 0);
}
