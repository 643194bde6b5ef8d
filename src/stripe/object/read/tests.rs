use proptest::prelude::*;
use serde_json::json;

use super::*;

fn subscribed(object: &Value) -> Subscription {
    subscription(object).unwrap().object
}

fn bought(object: &Value) -> CheckoutSession {
    session(object).unwrap().object.session
}

#[test]
fn a_subscription_is_read_the_same_from_the_older_and_the_newer_shape() {
    let price = json!({ "id": "price_1", "unit_amount": 500, "currency": "eur" });
    let newer = json!({
        "id": "sub_1", "status": "active", "customer": "cus_1", "currency": "eur", "cancel_at_period_end": false,
        "cancel_at": null, "metadata": { "auth0_user_id": "auth0|1" },
        "items": { "has_more": false, "data": [
            { "id": "si_1", "price": price, "quantity": 2, "current_period_start": 10, "current_period_end": 20 }
        ] }
    });
    let older = json!({
        "id": "sub_1", "status": "active", "customer": { "id": "cus_1", "object": "customer" },
        "current_period_start": 10, "current_period_end": 20, "cancel_at_period_end": false,
        "metadata": { "auth0_user_id": "auth0|1" },
        "items": { "data": [
            { "id": "si_1", "plan": { "id": "price_1", "amount": 500, "currency": "eur" }, "quantity": 2 }
        ] }
    });
    let oldest = json!({
        "id": "sub_1", "status": "active", "customer": "cus_1", "quantity": 2,
        "plan": { "id": "price_1", "amount": 500, "currency": "eur" },
        "current_period_start": 10, "current_period_end": 20, "metadata": { "auth0_user_id": "auth0|1" }
    });
    let expected = Subscription {
        id: "sub_1".into(),
        customer: Some("cus_1".into()),
        owner: Owner {
            metadata: Some("auth0|1".into()),
            reference: None,
        },
        status: SubscriptionStatus::Active,
        prices: vec!["price_1".into()],
        amount: Some(1000),
        currency: Some("eur".into()),
        period_start: Some(10),
        period_end: Some(20),
        ends: false,
    };
    for object in [newer, older, oldest] {
        let part = subscription(&object).unwrap();
        assert!(part.whole, "{object}");
        assert_eq!(part.object, expected, "{object}");
    }
}

#[test]
fn numbers_may_be_written_with_a_fraction() {
    let object = json!({
        "id": "sub_1", "status": "active", "current_period_start": 1.6e9, "cancel_at": 1.7e9,
        "items": { "data": [{
            "price": { "id": "price_1", "unit_amount": 500.0 }, "quantity": 2.0, "current_period_end": 1_700_000_000.5
        }] }
    });
    let read = subscribed(&object);
    assert_eq!(read.period_start, Some(1_600_000_000));
    assert_eq!(read.period_end, Some(1_700_000_000));
    assert_eq!((read.amount, read.ends), (Some(1000), true));
    let object =
        json!({ "id": "cs_1", "mode": "payment", "payment_status": "paid", "created": 1.7e9 });
    assert_eq!(bought(&object).created, 1_700_000_000);
}

#[test]
fn all_items_count_by_price_in_whichever_form_it_is() {
    let object = json!({
        "id": "sub_1", "status": "past_due",
        "items": { "data": [
            { "price": "price_1", "current_period_start": 5, "current_period_end": 100 },
            { "price": { "id": "price_2" }, "current_period_start": 10, "current_period_end": 20 },
            { "price": null, "plan": "plan_3" },
            { "price": null }
        ] }
    });
    let read = subscribed(&object);
    assert_eq!(read.prices, ["price_1", "price_2", "plan_3"]);
    assert_eq!((read.period_start, read.period_end), (Some(10), Some(20)));
    assert_eq!((read.amount, read.customer), (None, None));
}

#[test]
fn items_that_did_not_all_come_along_are_known_to_be_missing() {
    for (items, whole) in [
        (
            json!({ "data": [{ "price": "price_1" }], "has_more": true }),
            false,
        ),
        (
            json!({ "data": [{ "price": "price_1" }], "has_more": null }),
            true,
        ),
        (json!({ "data": [] }), true),
        (json!(null), false),
        (json!({ "url": "/v1/subscription_items" }), false),
    ] {
        let object = json!({ "id": "sub_1", "status": "active", "items": items });
        assert_eq!(subscription(&object).unwrap().whole, whole, "{object}");
    }
}

#[test]
fn a_subscription_is_set_to_end_by_either_field() {
    for (fields, ends) in [
        (json!({ "cancel_at_period_end": true }), true),
        (
            json!({ "cancel_at_period_end": false, "cancel_at": 99 }),
            true,
        ),
        (
            json!({ "cancel_at_period_end": false, "cancel_at": null }),
            false,
        ),
        (json!({}), false),
    ] {
        let mut object = json!({ "id": "sub_1", "status": "active" });
        for (key, value) in fields.as_object().unwrap() {
            object[key] = value.clone();
        }
        assert_eq!(subscribed(&object).ends, ends, "{object}");
    }
}

#[test]
fn unknown_words_are_kept_and_never_fail() {
    let object = json!({ "id": "sub_1", "status": "hibernating" });
    let unknown = SubscriptionStatus::Unknown("hibernating".into());
    assert_eq!(subscribed(&object).status, unknown);
    let object = json!({ "id": "cs_1", "mode": "barter", "status": "haggling", "payment_status": "cowries" });
    let read = bought(&object);
    assert_eq!(read.mode, SessionMode::Other("barter".into()));
    assert_eq!(read.status, SessionStatus::Unknown("haggling".into()));
    assert_eq!(read.payment_status, "cowries");
    assert_eq!(read.payment, Payment::Unpaid);
    let status = DisputeStatus::Unknown("duel".into());
    assert_eq!(dispute(&json!({ "status": "duel" })), Some(status));
}

#[test]
fn a_session_is_paid_when_it_is_of_mode_payment_complete_and_says_so() {
    let paid = Payment::Paid {
        refunded: false,
        disputes: Vec::new(),
    };
    for (mode, status, word, expected) in [
        ("payment", "complete", "paid", paid),
        (
            "payment",
            "complete",
            "no_payment_required",
            Payment::NotRequired,
        ),
        ("payment", "complete", "unpaid", Payment::Unpaid),
        (
            "payment",
            "complete",
            "half",
            Payment::Unknown("half".into()),
        ),
        ("payment", "open", "paid", Payment::Unpaid),
        ("payment", "open", "no_payment_required", Payment::Unpaid),
        ("payment", "expired", "unpaid", Payment::Unpaid),
        ("payment", "", "paid", Payment::Unpaid),
        (
            "payment",
            "waiting",
            "paid",
            Payment::Unknown("waiting".into()),
        ),
        ("subscription", "complete", "paid", Payment::Unpaid),
        ("setup", "complete", "no_payment_required", Payment::Unpaid),
    ] {
        let object =
            json!({ "id": "cs_1", "mode": mode, "status": status, "payment_status": word });
        assert_eq!(bought(&object).payment, expected, "{object}");
    }
}

#[test]
fn a_session_is_read_with_what_it_names() {
    let object = json!({
        "id": "cs_1", "mode": "payment", "status": "complete", "payment_status": "paid", "created": 7,
        "customer": { "id": "cus_1", "deleted": true }, "client_reference_id": "auth0|1",
        "metadata": { "auth0_user_id": "auth0|1", "plan_type": "lifetime", "odd": 7 }, "url": null,
        "payment_intent": { "id": "pi_1" }, "subscription": null,
        "line_items": { "data": [{ "id": "li_1", "price": { "id": "price_1" } }, { "id": "li_2", "price": null }] }
    });
    let part = session(&object).unwrap();
    assert!(part.whole);
    assert_eq!(part.object.intent.as_deref(), Some("pi_1"));
    let read = part.object.session;
    assert_eq!(read.prices, ["price_1"]);
    assert_eq!(
        (read.customer.as_deref(), read.url, read.created),
        (Some("cus_1"), None, 7)
    );
    let metadata: Vec<&str> = read.metadata.keys().map(String::as_str).collect();
    assert_eq!(metadata, ["auth0_user_id", "plan_type"]);
    assert_eq!(read.owner.reference.as_deref(), Some("auth0|1"));
    let without = json!({ "id": "cs_1", "mode": "payment", "payment_status": "paid" });
    assert!(!session(&without).unwrap().whole);
}

#[test]
fn what_is_no_such_object_is_not_read() {
    for object in [
        json!({}),
        json!(7),
        json!({ "id": 7 }),
        json!({ "id": "" }),
        json!({ "id": "a b" }),
    ] {
        assert!(customer(&object).is_none(), "{object}");
        assert!(subscription(&object).is_none(), "{object}");
        assert!(session(&object).is_none(), "{object}");
        assert!(charge(&object).is_none(), "{object}");
        assert!(portal(&object).is_none(), "{object}");
        assert!(dispute(&object).is_none(), "{object}");
    }
    let items = json!({ "id": "sub_1", "status": "active", "items": { "data": [7] } });
    assert!(subscription(&items).is_none());
}

#[test]
fn a_deleted_customer_says_so() {
    let read = customer(&json!({ "id": "cus_1", "object": "customer", "deleted": true })).unwrap();
    assert!(read.deleted && read.user.is_none());
    let read =
        customer(&json!({ "id": "cus_1", "metadata": { "auth0_user_id": "auth0|1" } })).unwrap();
    assert!(!read.deleted);
    assert_eq!(read.user.as_deref(), Some("auth0|1"));
}

/// Any JSON, under keys that are read.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "id",
        "status",
        "items",
        "data",
        "has_more",
        "price",
        "plan",
        "unit_amount",
        "quantity",
        "customer",
        "mode",
        "payment_status",
        "line_items",
        "metadata",
        "cancel_at",
        "current_period_end",
        "refunded",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["active", "payment", "complete", "paid", "x_1"])
            .prop_map(Value::from),
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
    fn any_json_is_answered(object in any_json()) {
        let _ = (customer(&object), charge(&object), portal(&object), dispute(&object), whose(&object));
        if let Some(part) = subscription(&object) {
            prop_assert_eq!(Some(part.object.id.as_str()), object["id"].as_str());
        }
        if let Some(part) = session(&object) {
            prop_assert_eq!(Some(part.object.session.id.as_str()), object["id"].as_str());
        }
    }
}
