//! What becomes of a subscription, and the events that tell of it.

use serde_json::{Value, json};

use super::super::setup::{Caller, checkout_form, id, subscriber};
use super::{BILLED, DELETED, FAILED, INVOICE_PAID, PAID, UPDATED, events_of};
use crate::support::stripe::{PRICE_MONTHLY, Stripe};

#[tokio::test]
async fn a_renewal_is_paid_or_fails_is_exhausted_or_recovers() {
    let stripe = Stripe::start();
    let (_, _, subscription) = subscriber(&stripe).await;
    let end = |stripe: &Stripe| {
        stripe.object(&subscription)["items"]["data"][0]["current_period_end"].as_i64()
    };
    let status = || stripe.object(&subscription)["status"].clone();
    let before = end(&stripe);
    let told = events_of(&stripe, || stripe.renew(&subscription));
    assert_eq!(
        told,
        [&[UPDATED], &BILLED[..], &PAID, &INVOICE_PAID].concat()
    );
    assert!(end(&stripe) > before);
    let told = events_of(&stripe, || stripe.fail_renewal(&subscription));
    assert_eq!(
        told,
        [
            &[UPDATED],
            &BILLED[..],
            &FAILED,
            &["invoice.payment_failed", UPDATED]
        ]
        .concat()
    );
    assert_eq!(status(), "past_due");
    let told = events_of(&stripe, || stripe.exhaust(&subscription, "unpaid"));
    assert_eq!(
        told,
        [&FAILED[1..], &["invoice.payment_failed", UPDATED]].concat()
    );
    assert_eq!(status(), "unpaid");
    let told = events_of(&stripe, || stripe.recover(&subscription));
    assert_eq!(told, [&PAID[1..], &INVOICE_PAID, &[UPDATED]].concat());
    assert_eq!(status(), "active");
    stripe.fail_renewal(&subscription);
    let told = events_of(&stripe, || stripe.exhaust(&subscription, "canceled"));
    assert_eq!(told[3..], [DELETED, "invoice.marked_uncollectible"]);
    assert_eq!(status(), "canceled");
}

#[tokio::test]
async fn a_subscription_ends_with_its_period_if_it_is_set_to() {
    let stripe = Stripe::start();
    let (_, _, subscription) = subscriber(&stripe).await;
    let shown = || stripe.object(&subscription);
    assert_eq!(
        events_of(&stripe, || stripe.cancel_at_end(&subscription)),
        [UPDATED]
    );
    assert_eq!(
        (
            &shown()["cancel_at_period_end"],
            shown()["cancel_at"].is_i64()
        ),
        (&json!(true), true)
    );
    stripe.keep_going(&subscription);
    assert_eq!(
        (&shown()["cancel_at_period_end"], &shown()["cancel_at"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        events_of(&stripe, || stripe.set_cancel_at(&subscription)),
        [UPDATED]
    );
    assert_eq!(
        (
            &shown()["cancel_at_period_end"],
            shown()["cancel_at"].is_i64()
        ),
        (&json!(false), true)
    );
    stripe.keep_going(&subscription);
    assert_eq!(
        events_of(&stripe, || stripe.end_period(&subscription))[0],
        UPDATED
    );
    stripe.set_cancel_at(&subscription);
    assert_eq!(
        events_of(&stripe, || stripe.end_period(&subscription)),
        [DELETED]
    );
    assert_eq!(
        (&shown()["status"], shown()["ended_at"].is_i64()),
        (&json!("canceled"), true)
    );
}

#[tokio::test]
async fn the_api_ends_a_subscription_now_or_with_its_period() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let (_, _, subscription) = subscriber(&stripe).await;
    let path = format!("/v1/subscriptions/{subscription}");
    let ending = caller
        .post(&path, "cancel_at_period_end=true&metadata[why]=tired")
        .await
        .json();
    assert_eq!(
        (&ending["cancel_at_period_end"], &ending["metadata"]["why"]),
        (&json!(true), &json!("tired"))
    );
    assert_eq!(
        caller
            .post(&path, "cancel_at_period_end=true&cancel_at=1")
            .await
            .status,
        400
    );
    assert_eq!(
        caller
            .post(&path, "cancel_at_period_end=false")
            .await
            .json()["cancel_at"],
        Value::Null
    );
    assert_eq!(
        caller.post(&path, "cancel_at=4000000000").await.json()["cancel_at"],
        4_000_000_000_i64
    );
    assert_eq!(
        caller
            .post(&path, "pause_collection[behavior]=void")
            .await
            .json()["pause_collection"]["behavior"],
        "void"
    );
    assert_eq!(
        caller.post(&path, "pause_collection=").await.json()["pause_collection"],
        Value::Null
    );
    stripe.cancel_now(&subscription);
    assert_eq!(caller.delete(&path).await.status, 404);
    assert_eq!(
        caller.post(&path, "cancel_at_period_end=true").await.status,
        400
    );
    let (_, _, other) = subscriber(&stripe).await;
    assert_eq!(
        caller
            .delete(&format!("/v1/subscriptions/{other}"))
            .await
            .json()["status"],
        "canceled"
    );
}

#[tokio::test]
async fn a_subscription_pauses_is_tried_and_changes_its_price() {
    let stripe = Stripe::start();
    let (_, _, subscription) = subscriber(&stripe).await;
    let shown = || stripe.object(&subscription);
    assert_eq!(
        events_of(&stripe, || stripe.pause(&subscription)),
        [UPDATED, "customer.subscription.paused"]
    );
    assert_eq!(shown()["status"], "paused");
    assert_eq!(
        events_of(&stripe, || stripe.resume(&subscription)),
        [UPDATED, "customer.subscription.resumed"]
    );
    stripe.pause_collection(&subscription);
    assert_eq!(
        (&shown()["status"], shown()["pause_collection"].is_object()),
        (&json!("active"), true)
    );
    stripe.trial(&subscription, 7);
    assert_eq!(
        (&shown()["status"], shown()["trial_end"].is_i64()),
        (&json!("trialing"), true)
    );
    let told = events_of(&stripe, || stripe.warn_of_trial_end(&subscription));
    assert_eq!(told, ["customer.subscription.trial_will_end"]);
    stripe.new_price("price_yearly", 9900, true);
    stripe.switch_price(&subscription, "price_yearly");
    assert_eq!(shown()["items"]["data"][0]["price"]["id"], "price_yearly");
    stripe.set_status(&subscription, "resting");
    assert_eq!(shown()["status"], "resting");
    let last = stripe.outbox().pop().expect("an event");
    assert_eq!(last.object_id(), subscription);
}

#[tokio::test]
async fn a_trial_at_the_checkout_costs_nothing_yet() {
    let stripe = Stripe::start();
    let customer = stripe.new_customer("a@example.test", &Value::Null);
    let form = checkout_form(&customer, PRICE_MONTHLY) + "&subscription_data[trial_period_days]=7";
    let reply = Caller::of(&stripe)
        .post("/v1/checkout/sessions", &form)
        .await;
    let session = id(&reply);
    stripe.pay_nothing(&session);
    let subscription = stripe.object(&stripe.subscription_of(&session));
    assert_eq!(subscription["status"], "trialing");
}
