//! What is made in Stripe, and what Stripe refuses.

use serde_json::json;
use tollgate::stripe::{IdempotencyKey, Kind, NewCheckout, SessionMode};

use super::server::{Asked, Stripe, ok, refused};
use crate::support::openapi::{Tree, decode};

fn key() -> IdempotencyKey {
    IdempotencyKey("intent".to_owned())
}

pub(super) fn checkout(mode: SessionMode, user: &str) -> NewCheckout {
    NewCheckout {
        mode,
        price: "price_1".to_owned(),
        customer: "cus_1".to_owned(),
        user: user.to_owned(),
        plan: "monthly".to_owned(),
        success_url:
            "https://x.test/?payment=success&plan=monthly&session_id={CHECKOUT_SESSION_ID}"
                .to_owned(),
        cancel_url: "https://x.test/?payment=canceled".to_owned(),
    }
}

/// The parameters as `name[of][place]=value`, sorted.
fn parameters(asked: &Asked) -> Vec<String> {
    fn flatten(tree: &Tree, at: &str, into: &mut Vec<String>) {
        match tree {
            Tree::Leaf(value) => into.push(format!("{at}={value}")),
            Tree::Map(fields) => fields
                .iter()
                .for_each(|(name, tree)| flatten(tree, &format!("{at}/{name}"), into)),
        }
    }
    assert_eq!(asked.other, "", "a POST has no query");
    let mut all = Vec::new();
    flatten(
        &Tree::Map(decode(&asked.form).expect("a form")),
        "",
        &mut all,
    );
    all
}

/// What is sent for this checkout.
async fn sent(checkout: &NewCheckout) -> Vec<String> {
    let stripe = Stripe::saying(vec![ok(json!({
        "id": "cs_1", "mode": "payment", "status": "open", "payment_status": "unpaid", "customer": "cus_1",
        "url": "https://checkout.test/cs_1"
    }))]);
    let made = stripe
        .client(0)
        .create_checkout_session(checkout, &key())
        .await;
    let made = made.expect("a session");
    assert_eq!(made.url.as_deref(), Some("https://checkout.test/cs_1"));
    assert_eq!(made.prices, ["price_1"]);
    let asked = &stripe.asked()[..];
    let [asked] = asked else {
        unreachable!("one request: {asked:?}");
    };
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/v1/checkout/sessions")
    );
    assert_eq!(
        asked.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(asked.header("idempotency-key"), Some("intent"));
    parameters(asked)
}

#[tokio::test]
async fn a_checkout_says_who_buys_what_on_the_session_and_on_what_it_makes() {
    for (mode, word, data) in [
        (
            SessionMode::Subscription,
            "subscription",
            "subscription_data",
        ),
        (SessionMode::Payment, "payment", "payment_intent_data"),
    ] {
        let mut expected = vec![
            "/cancel_url=https://x.test/?payment=canceled".to_owned(),
            "/client_reference_id=auth0|1".to_owned(),
            "/customer=cus_1".to_owned(),
            "/line_items/0/price=price_1".to_owned(),
            "/line_items/0/quantity=1".to_owned(),
            "/metadata/auth0_user_id=auth0|1".to_owned(),
            "/metadata/plan_type=monthly".to_owned(),
            format!("/mode={word}"),
            format!("/{data}/metadata/auth0_user_id=auth0|1"),
            format!("/{data}/metadata/plan_type=monthly"),
            "/success_url=https://x.test/?payment=success&plan=monthly&session_id={CHECKOUT_SESSION_ID}"
                .to_owned(),
        ];
        expected.sort();
        let mut sent = sent(&checkout(mode, "auth0|1")).await;
        sent.sort();
        assert_eq!(sent, expected);
    }
}

#[tokio::test]
async fn a_user_too_long_for_a_reference_is_named_by_metadata_alone() {
    let reference = |user: String| async move {
        let sent = sent(&checkout(SessionMode::Payment, &user)).await;
        assert!(sent.contains(&format!("/metadata/auth0_user_id={user}")));
        sent.iter()
            .any(|parameter| parameter.starts_with("/client_reference_id="))
    };
    assert!(reference("u".repeat(200)).await);
    assert!(!reference("u".repeat(201)).await);
}

#[tokio::test]
async fn a_customer_is_made_with_its_user_and_an_email_where_one_is_known() {
    let stripe = Stripe::saying(vec![ok(json!({
        "id": "cus_1", "metadata": { "auth0_user_id": "auth0|1" }
    }))]);
    let client = stripe.client(0);
    let made = client
        .create_customer("auth0|1", None, &key())
        .await
        .expect("a customer");
    assert_eq!(
        (made.id.as_str(), made.user.as_deref()),
        ("cus_1", Some("auth0|1"))
    );
    let email = Some("a+b@x.test");
    client
        .create_customer("auth0|1", email, &key())
        .await
        .expect("a customer");
    let asked = stripe.asked();
    assert_eq!(parameters(&asked[0]), ["/metadata/auth0_user_id=auth0|1"]);
    assert_eq!(
        parameters(&asked[1]),
        ["/email=a+b@x.test", "/metadata/auth0_user_id=auth0|1"]
    );
}

#[tokio::test]
async fn a_subscription_is_set_to_end_with_its_period() {
    let stripe = Stripe::saying(vec![ok(json!({
        "id": "sub_1", "status": "active", "cancel_at_period_end": true, "items": { "data": [] }
    }))]);
    let ended = stripe
        .client(0)
        .cancel_at_period_end("sub_1", &key())
        .await
        .expect("an answer");
    assert!(ended.ends);
    assert_eq!(
        parameters(&stripe.asked()[0]),
        ["/cancel_at_period_end=true"]
    );
}

#[tokio::test]
async fn a_portal_without_configuration_and_one_for_nobody_are_told_apart() {
    let open = |error| async move {
        let stripe = Stripe::saying(vec![refused(400, error)]);
        let opened = stripe
            .client(3)
            .create_portal_session("cus_1", "https://x.test/")
            .await;
        opened.expect_err("an error").kind
    };
    let unset = open(json!({
        "type": "invalid_request_error",
        "message": "No configuration provided and your test mode default configuration has not been created."
    }));
    assert!(matches!(
        unset.await,
        Kind::Invalid {
            portal: true,
            status: 400,
            ..
        }
    ));
    let nobody = open(json!({
        "type": "invalid_request_error", "code": "resource_missing", "param": "customer",
        "message": "No such customer: 'cus_1'"
    }));
    let missing = Kind::Missing {
        param: Some("customer".to_owned()),
    };
    assert_eq!(nobody.await, missing);
    let other = open(
        json!({ "type": "invalid_request_error", "param": "return_url", "message": "Not a valid URL" }),
    );
    assert!(matches!(other.await, Kind::Invalid { portal: false, .. }));
}

#[tokio::test]
async fn a_price_that_does_not_exist_is_named() {
    let error = json!({
        "type": "invalid_request_error", "code": "resource_missing", "param": "line_items[0][price]",
        "message": "No such price: 'price_1'"
    });
    let stripe = Stripe::saying(vec![refused(400, error)]);
    let checkout = checkout(SessionMode::Payment, "auth0|1");
    let refused = stripe
        .client(0)
        .create_checkout_session(&checkout, &key())
        .await;
    let error = refused.expect_err("an error");
    let param = Some("line_items[0][price]".to_owned());
    assert_eq!(error.kind, Kind::Missing { param });
    assert_eq!(
        (error.call, error.request_id.as_deref()),
        ("/v1/checkout/sessions", Some("req_bad"))
    );
    assert!(!error.is_retryable());
}
