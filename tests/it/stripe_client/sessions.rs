//! What became of the money of a purchase, and whose things are.

use serde_json::{Value, json};
use tollgate::entitlement::{DisputeStatus, Payment};
use tollgate::stripe::{Owner, Whose};

use super::server::Stripe;
use super::world::{World, but, charge, intent, paid_session};

fn kept() -> Payment {
    Payment::Paid {
        refunded: false,
        disputes: Vec::new(),
    }
}

fn gone() -> Payment {
    Payment::Paid {
        refunded: true,
        disputes: Vec::new(),
    }
}

/// A charge that says by its amounts alone what was given back.
fn amounts(amount: Value, back: Value) -> Value {
    but(but(charge(), "amount", amount), "amount_refunded", back)
}

/// What became of the money of `cs_1`, asked for by itself and in its customer's list.
async fn payment(world: impl Fn() -> World, session: Value) -> Payment {
    let single = world().with("/v1/checkout/sessions/cs_1", session.clone());
    let stripe = single.start();
    let one = stripe.client(0).checkout_session("cs_1").await;
    let one = one.expect("an answer").expect("a session");
    let stripe = world()
        .list("/v1/checkout/sessions", "customer=cus_1", &[session])
        .start();
    let listed = stripe.client(0).checkout_sessions("cus_1").await;
    assert_eq!(listed.expect("a list"), std::slice::from_ref(&one));
    one.payment
}

#[tokio::test]
async fn a_purchase_is_paid_until_all_of_it_is_given_back() {
    for (charge, expected) in [
        (charge(), kept()),
        (but(charge(), "amount_refunded", json!(300)), kept()),
        (but(charge(), "refunded", json!(true)), gone()),
        (amounts(json!(1000), json!(999)), kept()),
        (amounts(json!(0), json!(0)), kept()),
        (amounts(Value::Null, json!(1000)), kept()),
        (amounts(json!(1000), json!(1000)), gone()),
        (amounts(json!(1000.0), json!(1e3)), gone()),
        (Value::Null, kept()),
    ] {
        let expanded = || World::new().with("/v1/payment_intents/pi_1", intent(&charge));
        assert_eq!(
            payment(expanded, paid_session()).await,
            expected,
            "{charge}"
        );
    }
}

#[tokio::test]
async fn a_charge_that_is_only_named_is_asked_for() {
    let world = || {
        World::new()
            .with("/v1/payment_intents/pi_1", intent(&json!("ch_1")))
            .with("/v1/charges/ch_1", but(charge(), "refunded", json!(true)))
    };
    let expected = Payment::Paid {
        refunded: true,
        disputes: Vec::new(),
    };
    assert_eq!(payment(world, paid_session()).await, expected);
    let expanded = but(paid_session(), "payment_intent", json!({ "id": "pi_1" }));
    assert_eq!(payment(world, expanded).await, expected);
}

#[tokio::test]
async fn the_disputes_of_a_disputed_charge_are_told_one_by_one() {
    let disputed = but(charge(), "disputed", json!(true));
    for (listed, expected) in [
        (
            vec![
                ("dp_1", "lost"),
                ("dp_2", "warning_closed"),
                ("dp_3", "settled_by_duel"),
            ],
            vec![
                DisputeStatus::Lost,
                DisputeStatus::WarningClosed,
                DisputeStatus::Unknown("settled_by_duel".into()),
            ],
        ),
        (vec![], vec![DisputeStatus::Unknown("unlisted".into())]),
    ] {
        let listed: Vec<Value> = listed
            .iter()
            .map(|(id, status)| json!({ "id": id, "object": "dispute", "status": status }))
            .collect();
        let world = || {
            World::new()
                .with("/v1/payment_intents/pi_1", intent(&disputed))
                .list("/v1/disputes", "charge=ch_1", &listed)
        };
        let expected = Payment::Paid {
            refunded: false,
            disputes: expected,
        };
        assert_eq!(payment(world, paid_session()).await, expected);
    }
}

#[tokio::test]
async fn disputes_that_are_not_listed_by_charge_are_asked_for_by_payment() {
    let disputed = but(charge(), "disputed", json!(true));
    let with = |filters: &[&str]| {
        let dispute = |id: &str, status: &str, intent: &str| json!({ "id": id, "status": status, "charge": "ch_1", "payment_intent": intent });
        let listed = [
            dispute("dp_1", "won", "pi_1"),
            dispute("dp_2", "lost", "pi_2"),
        ];
        let world = World::new().with("/v1/payment_intents/pi_1", intent(&disputed));
        let world = filters.iter().fold(world, |world, filter| {
            world.list("/v1/disputes", filter, &listed)
        });
        payment(move || world.clone(), paid_session())
    };
    let found = |disputes: &[DisputeStatus]| Payment::Paid {
        refunded: false,
        disputes: disputes.to_vec(),
    };
    let by_payment = with(&["payment_intent=pi_1"]).await;
    assert_eq!(by_payment, found(&[DisputeStatus::Won]));
    // Nowhere to be seen, and still disputed: no all-clear.
    let unlisted = DisputeStatus::Unknown("unlisted".into());
    assert_eq!(with(&[]).await, found(&[unlisted]));
}

#[tokio::test]
async fn money_is_looked_at_only_where_a_purchase_was_paid() {
    for (key, value, expected) in [
        ("mode", "subscription", Payment::Unpaid),
        ("status", "open", Payment::Unpaid),
        ("status", "expired", Payment::Unpaid),
        ("payment_status", "unpaid", Payment::Unpaid),
        (
            "payment_status",
            "no_payment_required",
            Payment::NotRequired,
        ),
        (
            "payment_status",
            "bartered",
            Payment::Unknown("bartered".into()),
        ),
    ] {
        let session = but(paid_session(), key, json!(value));
        let stripe = World::new()
            .with("/v1/checkout/sessions/cs_1", session)
            .start();
        let found = stripe.client(0).checkout_session("cs_1").await;
        let found = found.expect("an answer").expect("a session");
        assert_eq!(
            (found.payment, stripe.asked().len()),
            (expected, 1),
            "{value}"
        );
    }
    let none = but(paid_session(), "payment_intent", Value::Null);
    assert_eq!(payment(World::new, none).await, kept());
}

#[tokio::test]
async fn line_items_that_did_not_come_along_are_asked_for() {
    let lines = [
        json!({ "id": "li_1", "price": { "id": "price_life" } }),
        json!({ "id": "li_2", "price": { "id": "price_hat" } }),
    ];
    for shape in [Value::Null, json!({ "has_more": true, "data": [lines[0]] })] {
        let session = but(paid_session(), "line_items", shape);
        let stripe = World::new()
            .with("/v1/checkout/sessions/cs_1", session)
            .with("/v1/payment_intents/pi_1", intent(&charge()))
            .list("/v1/checkout/sessions/cs_1/line_items", "limit=100", &lines)
            .start();
        let found = stripe.client(0).checkout_session("cs_1").await;
        let found = found.expect("an answer").expect("a session");
        assert_eq!(found.prices, ["price_life", "price_hat"]);
    }
}

#[tokio::test]
async fn a_session_that_names_nobody_is_its_payments_users() {
    let world = || World::new().with("/v1/payment_intents/pi_1", intent(&charge()));
    let owner = |session: Value| async move {
        let stripe = world().with("/v1/checkout/sessions/cs_1", session).start();
        let found = stripe.client(0).checkout_session("cs_1").await;
        found.expect("an answer").expect("a session").owner
    };
    let by_payment = owner(paid_session()).await;
    assert_eq!(by_payment.metadata.as_deref(), Some("auth0|1"));
    let named = but(
        paid_session(),
        "metadata",
        json!({ "auth0_user_id": "auth0|2" }),
    );
    assert_eq!(owner(named).await.metadata.as_deref(), Some("auth0|2"));
    let referred = but(paid_session(), "client_reference_id", json!("auth0|3"));
    let referred = owner(referred).await;
    assert_eq!(
        (referred.metadata, referred.reference.as_deref()),
        (None, Some("auth0|3"))
    );
}

async fn whose(stripe: &Stripe, object: &str, id: &str) -> Option<Whose> {
    stripe.client(0).whose(object, id).await.expect("an answer")
}

fn of(customer: Option<&str>, metadata: Option<&str>, reference: Option<&str>) -> Whose {
    Whose {
        customer: customer.map(str::to_owned),
        owner: Owner {
            metadata: metadata.map(str::to_owned),
            reference: reference.map(str::to_owned),
        },
    }
}

#[tokio::test]
async fn an_object_is_its_customers() {
    let named = json!({ "auth0_user_id": "auth0|1" });
    let stripe = World::new()
        .with("/v1/customers/cus_1", json!({ "id": "cus_1", "metadata": named }))
        .with("/v1/customers/cus_2", json!({ "id": "cus_2", "object": "customer", "deleted": true }))
        .with("/v1/subscriptions/sub_1", json!({ "id": "sub_1", "customer": "cus_1", "metadata": named }))
        .with("/v1/checkout/sessions/cs_1", but(paid_session(), "client_reference_id", json!("auth0|1")))
        .with(
            "/v1/invoices/in_1",
            json!({ "id": "in_1", "customer": "cus_1", "parent": { "subscription_details": { "metadata": named } } }),
        )
        .with("/v1/charges/ch_1", charge())
        .with("/v1/payment_intents/pi_1", intent(&json!("ch_1")))
        .start();
    let user = Some("auth0|1");
    for (object, id, expected) in [
        ("customer", "cus_1", Some(of(Some("cus_1"), user, None))),
        ("customer", "cus_2", Some(of(Some("cus_2"), None, None))),
        ("subscription", "sub_1", Some(of(Some("cus_1"), user, None))),
        (
            "checkout.session",
            "cs_1",
            Some(of(Some("cus_1"), None, user)),
        ),
        ("invoice", "in_1", Some(of(Some("cus_1"), user, None))),
        ("charge", "ch_1", Some(of(Some("cus_1"), None, None))),
        (
            "payment_intent",
            "pi_1",
            Some(of(Some("cus_1"), user, None)),
        ),
        ("customer", "cus_9", None),
        ("product", "prod_1", None),
        ("", "x", None),
    ] {
        assert_eq!(whose(&stripe, object, id).await, expected, "{object} {id}");
    }
}

#[tokio::test]
async fn a_dispute_or_refund_is_that_of_its_charge_or_payment() {
    let by_charge = json!({ "id": "dp_1", "charge": "ch_1", "payment_intent": null });
    let by_payment = json!({ "id": "re_1", "charge": null, "payment_intent": { "id": "pi_1" } });
    let stripe = World::new()
        .with("/v1/disputes/dp_1", by_charge)
        .with("/v1/refunds/re_1", by_payment)
        .with("/v1/charges/ch_1", charge())
        .with("/v1/payment_intents/pi_1", intent(&json!("ch_1")))
        .start();
    assert_eq!(
        whose(&stripe, "dispute", "dp_1").await,
        Some(of(Some("cus_1"), None, None))
    );
    let refund = whose(&stripe, "refund", "re_1").await;
    assert_eq!(refund, Some(of(Some("cus_1"), Some("auth0|1"), None)));
}

#[tokio::test]
async fn what_a_guest_paid_is_the_users_whom_the_payment_or_its_session_names() {
    let guest = but(charge(), "customer", Value::Null);
    let named = but(intent(&json!("ch_1")), "customer", Value::Null);
    let nobody = but(named.clone(), "metadata", json!({}));
    let session = but(
        but(paid_session(), "customer", Value::Null),
        "client_reference_id",
        json!("auth0|3"),
    );
    for (payment, expected) in [
        (named, Some(of(None, Some("auth0|1"), None))),
        (nobody, Some(of(None, None, Some("auth0|3")))),
    ] {
        let stripe = World::new()
            .with(
                "/v1/disputes/dp_1",
                json!({ "id": "dp_1", "charge": "ch_1" }),
            )
            .with("/v1/charges/ch_1", guest.clone())
            .with("/v1/payment_intents/pi_1", payment)
            .list(
                "/v1/checkout/sessions",
                "payment_intent=pi_1",
                std::slice::from_ref(&session),
            )
            .start();
        for (object, id) in [
            ("dispute", "dp_1"),
            ("charge", "ch_1"),
            ("payment_intent", "pi_1"),
        ] {
            assert_eq!(whose(&stripe, object, id).await, expected, "{object}");
        }
    }
}

#[tokio::test]
async fn the_event_behind_a_thin_one_is_read() {
    let event = json!({
        "id": "evt_1", "object": "event", "type": "charge.dispute.created", "created": 7, "livemode": false,
        "data": { "object": { "id": "dp_1", "object": "dispute", "charge": "ch_1" } }
    });
    let stripe = World::new().with("/v1/events/evt_1", event).start();
    let event = stripe.client(0).event("evt_1").await.expect("an answer");
    assert_eq!(event.expect("an event").charge.as_deref(), Some("ch_1"));
}
