//! What a key may do.

use serde_json::json;
use tollgate::stripe::Right;

use super::server::{Say, missing, page, refused};
use super::setup::{client, told};
use super::simple::Simple;
use crate::support::stripe::Stripe;

/// Every right, and what the stand-in calls it.
const RIGHTS: [(Right, &str); 14] = [
    (Right::CustomersWrite, "customer_write"),
    (Right::CheckoutSessionsWrite, "checkout_session_write"),
    (Right::PortalWrite, "customer_portal_write"),
    (Right::SubscriptionsWrite, "subscription_write"),
    (Right::PricesRead, "price_read"),
    (Right::ProductsRead, "product_read"),
    (Right::PaymentIntentsRead, "payment_intent_read"),
    (Right::ChargesRead, "charge_read"),
    (Right::RefundsRead, "refund_read"),
    (Right::DisputesRead, "dispute_read"),
    (Right::InvoicesRead, "invoice_read"),
    (Right::EventsRead, "event_read"),
    (Right::WebhookEndpointsRead, "webhook_read"),
    (Right::WebhookEndpointsWrite, "webhook_write"),
];

#[tokio::test]
async fn each_right_is_told_by_a_call_that_changes_nothing() {
    let stripe = Stripe::start();
    let client = client(&stripe);
    let before = stripe.outbox().len();
    for (right, name) in RIGHTS {
        assert!(client.may(right).await.expect("an answer"), "{name}");
        stripe.withhold(name);
        assert!(!client.may(right).await.expect("an answer"), "{name}");
        // No other right is in the way.
        for (other, _) in RIGHTS.iter().filter(|(other, _)| *other != right) {
            assert!(client.may(*other).await.expect("an answer"), "{other:?}");
        }
        stripe.grant(name);
        assert!(client.may(right).await.expect("an answer"), "{name}");
    }
    assert_eq!(stripe.outbox().len(), before);
    for object in [
        "customer",
        "checkout.session",
        "subscription",
        "webhook_endpoint",
    ] {
        assert_eq!(stripe.ids(object), [""; 0], "{object}");
    }
    for right in Right::NEEDED {
        assert!(right.name().contains(": "), "{right:?}");
    }
}

#[tokio::test]
async fn a_portal_that_is_not_set_up_hides_no_right() {
    let message =
        "No configuration provided and your test mode default configuration has not been created.";
    let says = refused(
        400,
        json!({ "type": "invalid_request_error", "message": message }),
    );
    let may = told(says, async |client| client.may(Right::PortalWrite).await);
    assert!(may.await.expect("an answer"));
}

#[tokio::test]
async fn what_does_not_tell_of_a_right_is_an_error() {
    let unknown = json!({ "message": "Unrecognized request URL (GET: /v1/x)" });
    for say in [
        refused(401, json!({ "type": "invalid_request_error" })),
        refused(401, json!({ "code": "api_key_expired" })),
        refused(404, unknown),
        refused(
            400,
            json!({ "code": "parameter_unknown", "param": "limit" }),
        ),
        refused(500, json!({ "type": "api_error" })),
        refused(429, json!({ "code": "rate_limit" })),
        Say::Cut,
        Say::Text(200, "<html>".to_owned()),
    ] {
        for (right, _) in RIGHTS {
            let may = told(say.clone(), async |client| client.may(right).await).await;
            assert!(may.is_err(), "{right:?} {say:?}");
        }
    }
    let simple = Simple::start();
    assert!(simple.client().may(Right::ChargesRead).await.is_err());
    for say in [
        missing(),
        refused(400, json!({ "code": "resource_missing" })),
        page(&[], false),
    ] {
        let may = told(say, async |client| client.may(Right::DisputesRead).await);
        assert!(may.await.expect("an answer"));
    }
}
