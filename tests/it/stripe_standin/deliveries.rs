//! Events on their way.

use std::time::Duration;

use serde_json::Value;

use super::setup::{Caller, Endpoint, subscriber};
use crate::support::stripe::{Form, SECRET, Stripe};

#[test]
fn the_signature_is_that_of_the_published_vector() {
    let body = r#"{"id":"evt_test","object":"event"}"#;
    let header = Stripe::sign(body, &["whsec_test_secret"], 1_700_000_000);
    let v1 = "v1=8042376f6ca064adbe037642a718227dfd59047137eb49497a54c49eb0cfb724";
    assert!(
        header.starts_with(&format!("t=1700000000,{v1},v0=")),
        "{header}"
    );
}

#[tokio::test]
async fn events_go_by_themselves_in_order_once_the_endpoint_is_known() {
    let stripe = Stripe::start();
    subscriber(&stripe).await;
    let endpoint = Endpoint::start(&[]);
    stripe.send_to(&endpoint.url());
    stripe.until_all_acknowledged().await;
    let made: Vec<String> = stripe
        .outbox()
        .into_iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(endpoint.kinds(), made);
    assert_eq!(stripe.acknowledged().len(), made.len());
    for (header, body) in endpoint.received() {
        let t = header
            .split([',', '='])
            .nth(1)
            .and_then(|t| t.parse().ok())
            .expect("a time");
        assert_eq!(header, Stripe::sign(&body, &[SECRET], t));
    }
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_and_signed_anew() {
    let stripe = Stripe::start();
    stripe.back_off(Duration::from_millis(1));
    stripe.set_signing_time(Some(1));
    // A redirect is no acknowledgement.
    let endpoint = Endpoint::start(&[500, 302]);
    stripe.new_customer("a@example.test", &Value::Null);
    stripe.send_to(&endpoint.url());
    stripe.until_attempts(1).await;
    stripe.until_all_acknowledged().await;
    let statuses: Vec<Option<u16>> = stripe
        .attempts()
        .iter()
        .map(|attempt| attempt.status)
        .collect();
    assert_eq!(statuses, [Some(500), Some(302), Some(200)]);
    assert!(
        stripe
            .attempts()
            .iter()
            .all(|attempt| attempt.kind == "customer.created")
    );
    let received = endpoint.received();
    assert!(received[0].0.starts_with("t=1,") && received[0].1 == received[2].1);
    let list = Caller::of(&stripe)
        .get("/v1/events?delivery_success=true")
        .await
        .json();
    assert_eq!(list["data"][0]["pending_webhooks"], 0);
}

#[tokio::test]
async fn while_a_secret_is_rolled_there_is_a_signature_for_each() {
    let stripe = Stripe::start();
    stripe.hold_events();
    stripe.set_secrets(&["whsec_new", "whsec_old"]);
    stripe.set_signing_time(Some(1_700_000_000));
    let endpoint = Endpoint::start(&[400]);
    stripe.send_to(&endpoint.url());
    let signature = stripe.signature("{}");
    assert_eq!(
        signature,
        Stripe::sign("{}", &["whsec_new", "whsec_old"], 1_700_000_000)
    );
    assert_eq!(signature.matches("v1=").count(), 2);
    let reply = stripe.post("{}", &signature).await.expect("an answer");
    assert_eq!(
        (reply.status, endpoint.received()),
        (400, vec![(signature, "{}".to_owned())])
    );
}

#[tokio::test]
async fn a_test_delivers_held_events_in_any_order_and_form() {
    let stripe = Stripe::start();
    stripe.hold_events();
    let endpoint = Endpoint::start(&[]);
    stripe.send_to(&endpoint.url());
    subscriber(&stripe).await;
    assert!(stripe.attempts().is_empty());
    let mut events = stripe.outbox();
    events.reverse();
    for event in &events[..2] {
        stripe.deliver(event).await.expect("an answer");
    }
    stripe.deliver(&events[0]).await.expect("an answer");
    stripe
        .deliver_as(&events[2], Form::Thin, false)
        .await
        .expect("an answer");
    let kinds = [
        &events[0].kind,
        &events[1].kind,
        &events[0].kind,
        &format!("v1.{}", events[2].kind),
    ];
    assert_eq!(endpoint.kinds(), kinds.map(Clone::clone));
    assert_eq!(stripe.acknowledged()[3], events[2].id_in(Form::Thin));
    stripe.let_events_go();
    stripe.until_all_acknowledged().await;
    assert_eq!(
        endpoint.received().len(),
        events.len() + 1,
        "what was taken is not sent again"
    );
}

#[tokio::test]
async fn the_endpoint_gets_what_it_subscribed_to_in_its_form() {
    let stripe = Stripe::start();
    let endpoint = Endpoint::start(&[]);
    stripe.subscribe(&["invoice.paid", "checkout.session.completed"]);
    stripe.send_as(Form::Thin);
    stripe.send_at_once(8);
    stripe.send_to(&endpoint.url());
    subscriber(&stripe).await;
    stripe.until_all_acknowledged().await;
    let mut kinds = endpoint.kinds();
    kinds.sort();
    assert_eq!(kinds, ["v1.checkout.session.completed", "v1.invoice.paid"]);
}
