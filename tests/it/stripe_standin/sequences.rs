//! What each act changes, and the events that tell of it.

mod subscription;

use serde_json::{Value, json};

use super::setup::{Caller, owner, subscriber};
use crate::support::stripe::{PRICE_LIFETIME, PRICE_MONTHLY, Stripe};

/// The types of the events that `act` causes.
fn events_of(stripe: &Stripe, act: impl FnOnce()) -> Vec<String> {
    let before = stripe.outbox().len();
    act();
    let after = stripe.outbox_after(before).into_iter();
    after.map(|event| event.kind).collect()
}

const PAID: [&str; 3] = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
];
const FAILED: [&str; 3] = [
    "payment_intent.created",
    "charge.failed",
    "payment_intent.payment_failed",
];
const BILLED: [&str; 2] = ["invoice.created", "invoice.finalized"];
const INVOICE_PAID: [&str; 2] = ["invoice.paid", "invoice.payment_succeeded"];
const UPDATED: &str = "customer.subscription.updated";
const DELETED: &str = "customer.subscription.deleted";

async fn checkout(stripe: &Stripe, price: &str) -> String {
    let customer = stripe.new_customer("a@example.test", &Value::Null);
    Caller::of(stripe).checkout(&customer, price).await
}

#[tokio::test]
async fn a_purchase_by_card_is_paid_at_once() {
    let stripe = Stripe::start();
    let session = checkout(&stripe, PRICE_LIFETIME).await;
    let open = stripe.object(&session);
    assert_eq!(
        (&open["status"], &open["payment_status"]),
        (&json!("open"), &json!("unpaid"))
    );
    let told = events_of(&stripe, || stripe.pay(&session));
    assert_eq!(told, [&PAID[..], &["checkout.session.completed"]].concat());
    let paid = stripe.object(&session);
    assert_eq!(
        (&paid["status"], &paid["payment_status"], &paid["url"]),
        (&json!("complete"), &json!("paid"), &Value::Null)
    );
    let charge = stripe.object(&stripe.charge_of(&session));
    assert_eq!(
        (&charge["amount"], &charge["metadata"]["auth0_user_id"]),
        (&json!(19_900), &json!("auth0|u"))
    );
}

#[tokio::test]
async fn a_subscription_by_card_is_active_at_once() {
    let stripe = Stripe::start();
    let session = checkout(&stripe, PRICE_MONTHLY).await;
    let told = events_of(&stripe, || stripe.pay(&session));
    let expected = [
        &["customer.subscription.created"],
        &BILLED[..],
        &PAID,
        &INVOICE_PAID,
        &["checkout.session.completed"],
    ];
    assert_eq!(told, expected.concat());
    let subscription = stripe.object(&stripe.subscription_of(&session));
    assert_eq!(
        (
            &subscription["status"],
            &subscription["metadata"]["auth0_user_id"]
        ),
        (&json!("active"), &json!("auth0|u"))
    );
    assert_eq!(stripe.object(&session)["payment_intent"], Value::Null);
}

#[tokio::test]
async fn a_delayed_method_is_complete_and_unpaid_until_the_money_comes() {
    let stripe = Stripe::start();
    let session = checkout(&stripe, PRICE_LIFETIME).await;
    let told = events_of(&stripe, || stripe.pay_later(&session));
    assert_eq!(
        told,
        [
            "payment_intent.created",
            "payment_intent.processing",
            "checkout.session.completed"
        ]
    );
    assert_eq!(stripe.object(&session)["payment_status"], "unpaid");
    let told = events_of(&stripe, || stripe.async_succeed(&session));
    assert_eq!(
        told,
        [&PAID[1..], &["checkout.session.async_payment_succeeded"]].concat()
    );
    assert_eq!(stripe.object(&session)["payment_status"], "paid");

    let session = checkout(&stripe, PRICE_LIFETIME).await;
    stripe.pay_later(&session);
    let told = events_of(&stripe, || stripe.async_fail(&session));
    assert_eq!(
        told,
        [&FAILED[1..], &["checkout.session.async_payment_failed"]].concat()
    );
    assert_eq!(stripe.object(&session)["payment_status"], "unpaid");
}

#[tokio::test]
async fn a_coupon_an_expiry_and_a_second_payment() {
    let stripe = Stripe::start();
    let session = checkout(&stripe, PRICE_LIFETIME).await;
    assert_eq!(
        events_of(&stripe, || stripe.pay_nothing(&session)),
        ["checkout.session.completed"]
    );
    assert_eq!(
        stripe.object(&session)["payment_status"],
        "no_payment_required"
    );
    let monthly = checkout(&stripe, PRICE_MONTHLY).await;
    stripe.pay_nothing(&monthly);
    assert_eq!(
        stripe.object(&stripe.subscription_of(&monthly))["status"],
        "active"
    );
    let late = checkout(&stripe, PRICE_LIFETIME).await;
    assert_eq!(
        events_of(&stripe, || stripe.expire(&late)),
        ["checkout.session.expired"]
    );
    assert_eq!(stripe.object(&late)["status"], "expired");
    let caller = Caller::of(&stripe);
    let again = caller
        .post(&format!("/v1/checkout/sessions/{late}/expire"), "")
        .await;
    assert_eq!(again.status, 400);
    let open = checkout(&stripe, PRICE_LIFETIME).await;
    assert_eq!(
        caller
            .post(&format!("/v1/checkout/sessions/{open}/expire"), "")
            .await
            .json()["status"],
        "expired"
    );
}

#[tokio::test]
async fn a_refund_is_full_or_not_and_may_fail_later() {
    let stripe = Stripe::start();
    let (_, session) = owner(&stripe).await;
    let charge = || stripe.object(&stripe.charge_of(&session));
    let told = events_of(&stripe, || drop(stripe.refund_part(&session, 900)));
    assert_eq!(told, ["refund.created", "charge.refunded"]);
    assert_eq!(
        (&charge()["refunded"], &charge()["amount_refunded"]),
        (&json!(false), &json!(900))
    );
    let rest = stripe.refund(&session);
    assert_eq!(
        (&charge()["refunded"], &charge()["amount_refunded"]),
        (&json!(true), &json!(19_900))
    );
    let told = events_of(&stripe, || stripe.refund_fails(&rest));
    assert_eq!(
        told,
        ["refund.updated", "charge.refund.updated", "refund.failed"]
    );
    assert_eq!(
        (&charge()["refunded"], &charge()["amount_refunded"]),
        (&json!(false), &json!(900))
    );
}

#[tokio::test]
async fn a_dispute_withdraws_the_money_an_inquiry_does_not() {
    let stripe = Stripe::start();
    let (_, session) = owner(&stripe).await;
    let mut dispute = String::new();
    let told = events_of(&stripe, || {
        dispute = stripe.dispute(&session, "warning_needs_response");
    });
    assert_eq!(told, ["charge.dispute.created"]);
    let told = events_of(&stripe, || {
        stripe.dispute_status(&dispute, "needs_response");
    });
    assert_eq!(
        told,
        ["charge.dispute.updated", "charge.dispute.funds_withdrawn"]
    );
    assert_eq!(
        events_of(&stripe, || stripe.dispute_status(&dispute, "under_review")),
        ["charge.dispute.updated"]
    );
    let told = events_of(&stripe, || stripe.dispute_status(&dispute, "won"));
    assert_eq!(
        told,
        ["charge.dispute.closed", "charge.dispute.funds_reinstated"]
    );
    assert_eq!(stripe.object(&stripe.charge_of(&session))["disputed"], true);
    let (_, _, subscription) = subscriber(&stripe).await;
    let told = events_of(&stripe, || {
        dispute = stripe.dispute(&subscription, "needs_response");
    });
    assert_eq!(
        told,
        ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    );
    assert_eq!(
        events_of(&stripe, || stripe.dispute_status(&dispute, "lost")),
        ["charge.dispute.closed"]
    );
}

#[tokio::test]
async fn who_is_deleted_loses_the_subscriptions() {
    let stripe = Stripe::start();
    let (customer, _, subscription) = subscriber(&stripe).await;
    let told = events_of(&stripe, || stripe.delete_customer(&customer));
    assert_eq!(told, [DELETED, "customer.deleted"]);
    assert_eq!(stripe.object(&subscription)["status"], "canceled");
    assert_eq!(stripe.object(&customer)["deleted"], true);
}

#[tokio::test]
async fn what_comes_from_the_dashboard_or_a_link_has_no_metadata() {
    let stripe = Stripe::start();
    let customer = stripe.new_customer("a@example.test", &Value::Null);
    let by_hand = stripe.create_subscription_by_hand(&customer, &[PRICE_MONTHLY, PRICE_LIFETIME]);
    let shown = stripe.object(&by_hand);
    assert_eq!(
        (
            &shown["metadata"],
            shown["items"]["data"].as_array().map(Vec::len)
        ),
        (&json!({}), Some(2))
    );
    let guest = stripe.object(&stripe.payment_link_purchase("auth0|x", PRICE_LIFETIME, true));
    assert_eq!(
        (&guest["customer"], &guest["client_reference_id"]),
        (&Value::Null, &json!("auth0|x"))
    );
    let known = stripe.object(&stripe.payment_link_purchase("auth0|x", PRICE_LIFETIME, false));
    assert!(known["customer"].is_string() && known["metadata"] == json!({}));
    let monthly = stripe.payment_link_purchase("auth0|x", PRICE_MONTHLY, true);
    assert!(
        stripe.object(&monthly)["customer"].is_string(),
        "a subscription always has one"
    );
    let elsewhere = stripe.new_checkout(&customer, PRICE_LIFETIME);
    assert_eq!(stripe.object(&elsewhere)["status"], "open");
}

#[tokio::test]
async fn an_event_may_be_told_twice_or_never_and_nothing_new_makes_none() {
    let stripe = Stripe::start();
    let (_, _, subscription) = subscriber(&stripe).await;
    let last = stripe.outbox().pop().expect("an event");
    let again = stripe.tell_again(&last);
    assert_ne!(again.id, last.id);
    assert_eq!(
        (&again.kind, again.object_id()),
        (&last.kind, last.object_id())
    );
    assert_eq!(stripe.outbox().pop().map(|event| event.id), Some(again.id));
    stripe.cancel_at_end(&subscription);
    assert!(events_of(&stripe, || stripe.cancel_at_end(&subscription)).is_empty());
    stripe.make_no_events(true);
    assert!(events_of(&stripe, || stripe.cancel_now(&subscription)).is_empty());
    stripe.make_no_events(false);
    assert_eq!(stripe.object(&subscription)["status"], "canceled");
}
