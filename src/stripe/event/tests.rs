use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parsed(event: &Value) -> Result<Envelope, EventError> {
    Envelope::parse(event.to_string().as_bytes())
}

fn snapshot_of(name: &str, object: &Value) -> Value {
    json!({
        "id": "evt_1", "object": "event", "api_version": "2020-08-27", "type": name, "livemode": false,
        "created": 1_700_000_000, "data": { "object": object, "previous_attributes": {} }, "pending_webhooks": 1
    })
}

fn thin_of(name: &str, related: &Value) -> Value {
    json!({
        "id": "evt_test_65S", "object": "v2.core.event", "type": name, "livemode": true,
        "created": "2026-11-02T09:00:00.250Z", "related_object": related, "snapshot_event": "evt_1"
    })
}

#[test]
fn a_snapshot_event_is_read() {
    let event = snapshot_of(
        "checkout.session.completed",
        &json!({
            "id": "cs_1", "object": "checkout.session", "customer": "cus_1",
            "client_reference_id": "auth0|1", "metadata": { "auth0_user_id": "auth0|2", "plan_type": "monthly" },
            "payment_intent": null
        }),
    );
    let expected = Envelope {
        id: "evt_1".into(),
        event_type: "checkout.session.completed".into(),
        form: Form::Snapshot,
        live: Some(false),
        created_at: 1_700_000_000_000,
        account: None,
        object: Some("checkout.session".into()),
        object_id: Some("cs_1".into()),
        customer: Some("cus_1".into()),
        owner: Owner {
            metadata: Some("auth0|2".into()),
            reference: Some("auth0|1".into()),
        },
        charge: None,
        payment_intent: None,
        snapshot_event: None,
    };
    assert_eq!(parsed(&event), Ok(expected));
}

#[test]
fn a_thin_event_is_read() {
    let related =
        json!({ "id": "sub_1", "type": "subscription", "url": "/v1/subscriptions/sub_1" });
    let event = parsed(&thin_of("v1.customer.subscription.updated", &related)).unwrap();
    let expected = Envelope {
        id: "evt_test_65S".into(),
        event_type: "customer.subscription.updated".into(),
        form: Form::Thin,
        live: Some(true),
        created_at: 1_793_610_000_250,
        account: None,
        object: Some("subscription".into()),
        object_id: Some("sub_1".into()),
        customer: None,
        owner: Owner::default(),
        charge: None,
        payment_intent: None,
        snapshot_event: Some("evt_1".into()),
    };
    assert_eq!(event, expected);
    assert!(matters(&event.event_type));
}

#[test]
fn the_related_object_of_a_thin_event_has_the_word_of_its_object_field() {
    for (written, word) in [
        ("subscription", "subscription"),
        ("customer.subscription", "subscription"),
        ("v1.customer.subscription", "subscription"),
        ("checkout.session", "checkout.session"),
        ("charge.dispute", "dispute"),
        ("dispute", "dispute"),
        ("charge", "charge"),
    ] {
        let event = thin_of("v1.x", &json!({ "id": "x_1", "type": written }));
        assert_eq!(parsed(&event).unwrap().object.as_deref(), Some(word));
    }
    let customer = thin_of(
        "v1.customer.deleted",
        &json!({ "id": "cus_1", "type": "customer" }),
    );
    assert_eq!(
        parsed(&customer).unwrap().customer.as_deref(),
        Some("cus_1")
    );
    let mut none = thin_of("v1.billing.meter.no_meter_found", &Value::Null);
    none["context"] = json!("acct_1");
    let none = parsed(&none).unwrap();
    assert_eq!((none.object, none.object_id), (None, None));
    assert_eq!(none.account.as_deref(), Some("acct_1"));
}

#[test]
fn the_customer_may_be_a_string_an_object_null_or_the_object_itself() {
    for (object, customer) in [
        (json!({ "id": "sub_1", "customer": "cus_1" }), Some("cus_1")),
        (
            json!({ "id": "sub_1", "customer": { "id": "cus_1", "object": "customer" } }),
            Some("cus_1"),
        ),
        (
            json!({ "id": "sub_1", "customer": { "id": "cus_1", "deleted": true } }),
            Some("cus_1"),
        ),
        (json!({ "id": "sub_1", "customer": null }), None),
        (json!({ "id": "sub_1", "customer": 7 }), None),
        (json!({ "id": "sub_1", "customer": "" }), None),
        (json!({ "id": "sub_1" }), None),
        (
            json!({ "id": "cus_1", "object": "customer", "deleted": true }),
            Some("cus_1"),
        ),
    ] {
        let event = parsed(&snapshot_of("customer.updated", &object)).unwrap();
        assert_eq!(event.customer.as_deref(), customer, "{object}");
    }
}

#[test]
fn an_invoice_names_the_user_of_its_subscription_in_the_older_and_the_newer_shape() {
    let details = json!({ "metadata": { "auth0_user_id": "auth0|1" } });
    for invoice in [
        json!({ "id": "in_1", "object": "invoice", "metadata": {}, "subscription_details": details }),
        json!({ "id": "in_1", "object": "invoice", "metadata": null, "parent": { "subscription_details": details } }),
    ] {
        let event = parsed(&snapshot_of("invoice.paid", &invoice)).unwrap();
        assert_eq!(event.owner.metadata.as_deref(), Some("auth0|1"));
    }
    let other =
        json!({ "id": "in_1", "object": "invoice", "parent": null, "subscription_details": null });
    assert_eq!(
        parsed(&snapshot_of("invoice.paid", &other)).unwrap().owner,
        Owner::default()
    );
}

#[test]
fn disputes_and_refunds_name_their_charge_and_payment_intent() {
    for (charge, intent) in [
        (json!("ch_1"), json!("pi_1")),
        (
            json!({ "id": "ch_1" }),
            json!({ "id": "pi_1", "object": "payment_intent" }),
        ),
    ] {
        let dispute = json!({ "id": "dp_1", "object": "dispute", "charge": charge, "payment_intent": intent });
        let event = parsed(&snapshot_of("charge.dispute.created", &dispute)).unwrap();
        assert_eq!(event.charge.as_deref(), Some("ch_1"));
        assert_eq!(event.payment_intent.as_deref(), Some("pi_1"));
    }
}

#[test]
fn what_is_no_event_is_refused_with_the_field_that_is_wrong() {
    for body in [
        "",
        "no",
        "[]",
        "7",
        "null",
        "\"evt_1\"",
        "{\"id\":",
        "\u{1}",
    ] {
        assert_eq!(
            Envelope::parse(body.as_bytes()),
            Err(EventError::NotAnEvent),
            "{body}"
        );
    }
    for (key, value, field) in [
        ("id", Value::Null, "id"),
        ("id", json!("sub_1"), "id"),
        ("id", json!("evt_"), "id"),
        ("id", json!("evt_ 1"), "id"),
        ("id", json!("evt_é"), "id"),
        ("id", json!(format!("evt_{}", "1".repeat(252))), "id"),
        ("type", Value::Null, "type"),
        ("type", json!(""), "type"),
        ("type", json!("a\nb"), "type"),
        ("type", json!("a".repeat(256)), "type"),
        ("object", json!("charge"), "object"),
        ("created", json!("2026-11-02T09:00:00Z"), "created"),
        ("livemode", json!("true"), "livemode"),
        ("data", json!([]), "data.object"),
        ("data", json!({ "object": [] }), "data.object"),
    ] {
        let mut event = snapshot_of("customer.updated", &json!({ "id": "cus_1" }));
        event[key] = value;
        assert_eq!(parsed(&event), Err(EventError::Field(field)), "{event}");
    }
    for (key, value) in [("created", json!(7)), ("created", json!("today"))] {
        let mut event = thin_of("v1.customer.updated", &Value::Null);
        event[key] = value;
        assert_eq!(parsed(&event), Err(EventError::Field(key)), "{event}");
    }
    assert_eq!(parsed(&json!({})), Err(EventError::Field("id")));
    assert_eq!(
        parsed(&json!({ "id": "evt_1", "type": "x" })),
        Err(EventError::Field("data.object"))
    );
}

#[test]
fn what_may_be_missing_may_be_missing() {
    let mut event = snapshot_of(
        "customer.updated",
        &json!({ "id": "cus_1", "object": "customer" }),
    );
    for key in ["livemode", "created", "object", "api_version"] {
        event.as_object_mut().unwrap().remove(key);
    }
    let event = parsed(&event).unwrap();
    assert_eq!((event.live, event.created_at), (None, 0));
    assert_eq!(event.customer.as_deref(), Some("cus_1"));
}

#[test]
fn the_moment_of_an_event_may_be_written_with_a_fraction() {
    for (created, millis) in [
        (json!(1.7e9), 1_700_000_000_000),
        (json!(1_700_000_000.25), 1_700_000_000_000),
    ] {
        let mut event = snapshot_of("customer.updated", &json!({ "id": "cus_1" }));
        event["created"] = created;
        assert_eq!(parsed(&event).unwrap().created_at, millis);
    }
}

#[test]
fn the_events_that_matter_are_those_that_can_change_a_right() {
    for name in [
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "customer.subscription.deleted",
        "customer.deleted",
        "invoice.paid",
        "charge.refunded",
        "charge.dispute.funds_withdrawn",
        "refund.failed",
    ] {
        assert!(matters(name), "{name}");
    }
    for name in [
        "",
        "customer.created",
        "v1.invoice.paid",
        "product.updated",
        "Invoice.paid",
    ] {
        assert!(!matters(name), "{name}");
    }
    let mut sorted = EVENT_TYPES.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!((sorted.len(), EVENT_TYPES.len()), (30, 30));
}

/// Any JSON, with keys that the envelope looks at.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "id",
        "object",
        "type",
        "created",
        "livemode",
        "data",
        "customer",
        "metadata",
        "auth0_user_id",
        "related_object",
        "parent",
        "subscription_details",
        "snapshot_event",
        "charge",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "event",
            "v2.core.event",
            "evt_1",
            "x",
            "2026-11-02T09:00:00Z"
        ])
        .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..12)
                .prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_answered(body in any::<Vec<u8>>()) {
        prop_assert!(Envelope::parse(&body).is_err());
    }

    #[test]
    fn any_json_is_answered(mut event in any_json(), thin in any::<bool>()) {
        let _ = parsed(&event);
        if event.is_object() {
            event["id"] = json!("evt_1");
            event["type"] = json!("customer.updated");
            event["object"] = json!(if thin { "v2.core.event" } else { "event" });
            if let Ok(envelope) = parsed(&event) {
                prop_assert_eq!(envelope.id, "evt_1");
                prop_assert!(envelope.customer.is_none_or(|id| json::is_id(&id)));
            }
        }
    }
}
