//! A simple Stripe: it has what a test put there and nothing else. It expands nothing, filters nothing, has every list on
//! one page, writes numbers as it likes, and does not recognise any other address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tollgate::entitlement::Payment;
use tollgate::stripe::{Client, Kind};

use super::server::{Say, Stripe, missing, ok, refused, refused_with};
use super::world::{but, charge, paid_session};

/// What is at each path: an object, a list, or null for an object that is not there.
type Objects = Arc<Mutex<BTreeMap<String, Value>>>;

/// The server.
pub(crate) struct Simple {
    stripe: Stripe,
    objects: Objects,
}

impl Simple {
    /// One that has nothing yet.
    pub(crate) fn start() -> Self {
        let objects = Objects::default();
        let there = Arc::clone(&objects);
        Self {
            stripe: Stripe::start(move |asked, _| answer(&there, &asked.path)),
            objects,
        }
    }

    /// Puts this at `path`, whatever was there.
    pub(crate) fn put(&self, path: &str, object: Value) -> &Self {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.insert(path.to_owned(), object);
        self
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        self.stripe.client(0)
    }

    /// The paths that were asked for.
    fn asked(&self) -> Vec<String> {
        let asked = self.stripe.asked();
        asked.into_iter().map(|asked| asked.path).collect()
    }
}

fn answer(objects: &Objects, path: &str) -> Say {
    let objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
    match objects.get(path) {
        Some(Value::Null) => missing(),
        Some(Value::Array(data)) if data.is_empty() => ok(json!({ "object": "list" })),
        Some(Value::Array(data)) => ok(json!({ "object": "list", "data": data })),
        Some(object) => ok(object.clone()),
        None => unrecognised(path),
    }
}

fn unrecognised(path: &str) -> Say {
    let message = format!("Unrecognized request URL (GET: {path}).");
    refused(
        404,
        json!({ "type": "invalid_request_error", "message": message }),
    )
}

fn without_prices() -> Value {
    but(paid_session(), "line_items", Value::Null)
}

#[tokio::test]
async fn prices_are_asked_for_only_where_something_was_bought_once() {
    for (key, word) in [
        ("mode", "subscription"),
        ("mode", "setup"),
        ("status", "open"),
        ("status", "expired"),
        ("status", "haggling"),
    ] {
        let stripe = Simple::start();
        let session = but(
            but(without_prices(), "payment_intent", Value::Null),
            key,
            json!(word),
        );
        stripe.put("/v1/checkout/sessions", json!([session]));
        let listed = stripe.client().checkout_sessions("cus_1").await;
        let listed = listed.expect("a list");
        assert_eq!((listed.len(), listed[0].prices.len()), (1, 0), "{word}");
        assert_eq!(stripe.asked(), ["/v1/checkout/sessions"], "{word}");
    }
}

#[tokio::test]
async fn prices_that_are_not_to_be_had_are_unknown_and_no_error() {
    let stripe = Simple::start();
    let part = json!({ "has_more": true, "data": [{ "id": "li_1", "price": "price_life" }] });
    for (lines, prices) in [(Value::Null, &[][..]), (part, &["price_life"])] {
        let session = but(paid_session(), "line_items", lines);
        stripe
            .put("/v1/checkout/sessions/cs_1", session)
            .put(
                "/v1/payment_intents/pi_1",
                json!({ "id": "pi_1", "latest_charge": "ch_1" }),
            )
            .put("/v1/charges/ch_1", but(charge(), "refunded", json!(true)));
        let found = stripe.client().checkout_session("cs_1").await;
        let found = found.expect("an answer").expect("a session");
        assert_eq!(found.prices, prices);
        let refunded = Payment::Paid {
            refunded: true,
            disputes: Vec::new(),
        };
        assert_eq!(found.payment, refunded);
    }
}

#[tokio::test]
async fn prices_that_may_be_had_later_are_waited_for() {
    let stripe = Stripe::start(|asked, _| match asked.path.as_str() {
        "/v1/checkout/sessions/cs_1" => ok(without_prices()),
        _ => refused_with(500, &[]),
    });
    let found = stripe.client(0).checkout_session("cs_1").await;
    assert_eq!(found.expect_err("an error").kind, Kind::Api(500));
}

#[tokio::test]
async fn line_items_need_no_ids() {
    let stripe = Simple::start();
    stripe
        .put(
            "/v1/checkout/sessions/cs_1",
            but(without_prices(), "payment_intent", Value::Null),
        )
        .put(
            "/v1/checkout/sessions/cs_1/line_items",
            json!([{ "price": { "id": "price_life" } }, { "price": { "id": "price_hat" } }]),
        );
    let found = stripe.client().checkout_session("cs_1").await;
    let found = found.expect("an answer").expect("a session");
    assert_eq!(found.prices, ["price_life", "price_hat"]);
}

#[tokio::test]
async fn a_customer_that_is_not_to_be_seen_is_not_one_that_does_not_exist() {
    let stripe = Simple::start();
    stripe.put("/v1/customers/cus_2", Value::Null);
    let client = stripe.client();
    let withheld = client.customer("cus_1").await.expect("an answer");
    let withheld = withheld.expect("a customer");
    assert!(withheld.is_withheld && !withheld.deleted);
    assert_eq!((withheld.id.as_str(), withheld.user), ("cus_1", None));
    let whose = client.whose("customer", "cus_1").await.expect("an answer");
    assert_eq!(whose.expect("its own").customer.as_deref(), Some("cus_1"));
    assert!(client.customer("cus_2").await.expect("an answer").is_none());
}

#[tokio::test]
async fn checkouts_that_are_not_to_be_listed_are_none_and_subscriptions_are_an_error() {
    let stripe = Simple::start();
    let client = stripe.client();
    let listed = client.checkout_sessions("cus_1").await;
    assert!(listed.expect("a list").is_empty());
    // To take them for none would end what everybody pays for.
    let refused = client.subscriptions("cus_1").await.expect_err("an error");
    assert!(matches!(refused.kind, Kind::Invalid { status: 404, .. }));
}

#[tokio::test]
async fn money_that_is_not_to_be_seen_counts_as_it_came() {
    let kept = Payment::Paid {
        refunded: false,
        disputes: Vec::new(),
    };
    let stripe = Simple::start();
    stripe.put("/v1/checkout/sessions/cs_1", paid_session());
    let payment = async || {
        let found = stripe.client().checkout_session("cs_1").await;
        found.expect("an answer").expect("a session").payment
    };
    assert_eq!(payment().await, kept);
    stripe.put(
        "/v1/payment_intents/pi_1",
        json!({ "id": "pi_1", "latest_charge": "ch_1" }),
    );
    assert_eq!(payment().await, kept);
}
