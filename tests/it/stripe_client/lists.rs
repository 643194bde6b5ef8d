//! Lists are read to their end, or not at all.

use serde_json::{Value, json};
use tollgate::entitlement::SubscriptionStatus;
use tollgate::stripe::Kind;

use super::server::{Asked, Stripe, missing, ok, page, refused, refused_with};

fn subscription(number: usize) -> Value {
    json!({
        "id": format!("sub_{number}"), "object": "subscription", "status": "canceled", "customer": "cus_1",
        "items": { "has_more": false, "data": [{ "id": "si_1", "price": { "id": "price_1" } }] }
    })
}

/// Where a page begins: behind the number of its `starting_after`.
fn begin(asked: &Asked) -> usize {
    let after = asked
        .form
        .split('&')
        .find_map(|part| part.strip_prefix("starting_after=sub_"));
    after.map_or(0, |number| number.parse::<usize>().expect("a number") + 1)
}

#[tokio::test]
async fn every_page_of_a_list_is_read() {
    let stripe = Stripe::start(|asked, _| {
        let begin = begin(asked);
        let end = (begin + 100).min(250);
        let data: Vec<Value> = (begin..end).map(subscription).collect();
        page(&data, end < 250)
    });
    let all = stripe
        .client(0)
        .subscriptions("cus_1")
        .await
        .expect("a list");
    assert_eq!(all.len(), 250);
    assert!(
        all.iter()
            .all(|one| one.status == SubscriptionStatus::Canceled)
    );
    let asked = stripe.asked();
    let forms: Vec<&str> = asked.iter().map(|asked| asked.form.as_str()).collect();
    assert_eq!(
        forms,
        [
            "customer=cus_1&status=all&limit=100",
            "customer=cus_1&status=all&limit=100&starting_after=sub_99",
            "customer=cus_1&status=all&limit=100&starting_after=sub_199",
        ]
    );
}

#[tokio::test]
async fn what_shifts_into_two_pages_counts_once() {
    let stripe = Stripe::start(|_, count| match count {
        0 => page(&[subscription(1), subscription(2)], true),
        _ => page(&[subscription(2), subscription(3)], false),
    });
    let all = stripe
        .client(0)
        .subscriptions("cus_1")
        .await
        .expect("a list");
    let ids: Vec<&str> = all.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["sub_1", "sub_2", "sub_3"]);
}

#[tokio::test]
async fn a_list_that_does_not_get_on_or_cannot_be_read_is_an_error_and_never_cut() {
    let stuck = page(&[subscription(1)], true);
    let empty = page(&[], true);
    let nameless = page(
        &[json!({ "object": "subscription", "status": "active" })],
        false,
    );
    let no_list = ok(json!({ "object": "account" }));
    let cut = ok(json!({ "object": "list", "has_more": true }));
    let odd = ok(json!({ "object": "list", "data": "none" }));
    for (answer, requests) in [
        (stuck, 2),
        (empty, 1),
        (nameless, 1),
        (no_list, 1),
        (cut, 1),
        (odd, 1),
    ] {
        let stripe = Stripe::saying(vec![answer.clone()]);
        let error = stripe
            .client(0)
            .subscriptions("cus_1")
            .await
            .expect_err("an error");
        assert_eq!(error.kind, Kind::Unreadable, "{answer:?}");
        assert_eq!(stripe.asked().len(), requests, "{answer:?}");
    }
    let endless = Stripe::start(|asked, _| page(&[subscription(begin(asked))], true));
    let error = endless
        .client(0)
        .subscriptions("cus_1")
        .await
        .expect_err("an error");
    assert_eq!((error.kind, endless.asked().len()), (Kind::Unreadable, 50));
}

#[tokio::test]
async fn a_page_that_fails_fails_the_list() {
    let stripe = Stripe::start(|_, count| match count {
        0 => page(&[subscription(1)], true),
        _ => refused_with(500, &[]),
    });
    let error = stripe
        .client(1)
        .subscriptions("cus_1")
        .await
        .expect_err("an error");
    assert_eq!((error.kind, stripe.asked().len()), (Kind::Api(500), 3));
}

#[tokio::test]
async fn items_that_did_not_come_along_are_asked_for() {
    let items = |data: Value, more: bool| json!({ "has_more": more, "data": data });
    for shape in [
        items(json!([{ "id": "si_1", "price": "price_1" }]), true),
        Value::Null,
        json!({ "object": "list", "url": "/v1/subscription_items" }),
    ] {
        let stripe = Stripe::start(move |asked, _| match asked.path.as_str() {
            "/v1/subscription_items" => page(
                &[
                    json!({ "id": "si_1", "price": { "id": "price_1", "unit_amount": 3 } }),
                    json!({ "id": "si_2", "price": { "id": "price_2" } }),
                ],
                false,
            ),
            _ => ok(json!({ "id": "sub_1", "status": "active", "items": shape })),
        });
        let found = stripe
            .client(0)
            .subscription("sub_1")
            .await
            .expect("an answer");
        let found = found.expect("a subscription");
        assert_eq!(found.prices, ["price_1", "price_2"]);
        assert_eq!(found.amount, Some(3));
        assert_eq!(stripe.asked()[1].form, "subscription=sub_1&limit=100");
    }
}

#[tokio::test]
async fn what_is_not_there_is_none_and_no_error() {
    let stripe = Stripe::saying(vec![missing()]);
    let client = stripe.client(0);
    assert!(client.customer("cus_1").await.expect("an answer").is_none());
    assert!(
        client
            .subscription("sub_1")
            .await
            .expect("an answer")
            .is_none()
    );
    assert!(
        client
            .checkout_session("cs_1")
            .await
            .expect("an answer")
            .is_none()
    );
    assert!(client.event("evt_1").await.expect("an answer").is_none());
    assert!(
        client
            .whose("dispute", "dp_1")
            .await
            .expect("an answer")
            .is_none()
    );
    assert!(
        client
            .subscriptions("cus_1")
            .await
            .expect("an answer")
            .is_empty()
    );
    assert!(
        client
            .checkout_sessions("cus_1")
            .await
            .expect("an answer")
            .is_empty()
    );
}

#[tokio::test]
async fn an_id_that_nothing_can_have_is_not_asked_for() {
    let stripe = Stripe::saying(vec![ok(json!({ "id": "cus_1" }))]);
    let client = stripe.client(0);
    for id in ["", "../customers", "a/b", "..", "a b", "cus_\n1", "é"] {
        assert!(
            client.customer(id).await.expect("an answer").is_none(),
            "{id}"
        );
        assert!(
            client
                .checkout_session(id)
                .await
                .expect("an answer")
                .is_none(),
            "{id}"
        );
        let error = client.cancel_now(id).await.expect_err("an error");
        assert!(matches!(error.kind, Kind::Missing { .. }), "{id}");
    }
    // No customer is not every customer.
    assert!(
        client
            .subscriptions("")
            .await
            .expect("an answer")
            .is_empty()
    );
    assert!(
        client
            .checkout_sessions("")
            .await
            .expect("an answer")
            .is_empty()
    );
    assert!(stripe.asked().is_empty());
    client
        .customer("cus_1?expand[]=x#y%2f")
        .await
        .expect("an answer");
    let asked = &stripe.asked()[0];
    assert_eq!(
        asked.path,
        "/v1/customers/cus_1%3Fexpand%5B%5D%3Dx%23y%252f"
    );
    assert_eq!(asked.form, "");
}

#[tokio::test]
async fn a_list_may_be_on_one_page_without_a_word_about_more() {
    let all: Vec<Value> = (0..150).map(subscription).collect();
    for (answer, count) in [
        (json!({ "object": "list", "data": all }), 150),
        (json!({ "data": all }), 150),
        (json!({ "object": "list", "data": [] }), 0),
        (json!({ "object": "list", "data": null }), 0),
        (json!({ "object": "list" }), 0),
    ] {
        let stripe = Stripe::saying(vec![ok(answer.clone())]);
        let listed = stripe.client(0).subscriptions("cus_1").await;
        assert_eq!(listed.expect("a list").len(), count, "{answer}");
        assert_eq!(stripe.asked().len(), 1);
    }
}

#[tokio::test]
async fn what_names_another_owner_than_was_asked_for_is_left_out_of_every_list() {
    let named = |number: usize, customer: Value| {
        let mut one = subscription(number);
        one["customer"] = customer;
        one
    };
    // The last of a page is left out, and still where the next one begins.
    let stripe = Stripe::start(move |_, count| match count {
        0 => page(
            &[
                named(1, json!("cus_2")),
                named(2, json!("cus_1")),
                named(3, json!({ "id": "cus_2" })),
            ],
            true,
        ),
        _ => page(
            &[named(4, json!({ "id": "cus_1" })), named(5, Value::Null)],
            false,
        ),
    });
    let listed = stripe.client(0).subscriptions("cus_1").await;
    let listed = listed.expect("a list");
    let ids: Vec<&str> = listed.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["sub_2", "sub_4", "sub_5"]);
    assert!(stripe.asked()[1].form.ends_with("starting_after=sub_3"));

    let session = |id: &str, customer: &str| {
        json!({
            "id": id, "mode": "payment", "status": "open", "payment_status": "unpaid", "customer": customer,
            "line_items": { "data": [] }
        })
    };
    let stripe = Stripe::saying(vec![page(
        &[session("cs_1", "cus_2"), session("cs_2", "cus_1")],
        false,
    )]);
    let listed = stripe.client(0).checkout_sessions("cus_1").await;
    let listed = listed.expect("a list");
    assert_eq!((listed.len(), listed[0].id.as_str()), (1, "cs_2"));
}

#[tokio::test]
async fn items_of_other_subscriptions_are_left_out_too() {
    let stripe = Stripe::start(|asked, _| match asked.path.as_str() {
        "/v1/subscription_items" => page(
            &[
                json!({ "id": "si_1", "subscription": "sub_2", "price": "price_2" }),
                json!({ "id": "si_2", "subscription": "sub_1", "price": "price_1" }),
            ],
            false,
        ),
        _ => ok(json!({ "id": "sub_1", "status": "active" })),
    });
    let found = stripe.client(0).subscription("sub_1").await;
    let found = found.expect("an answer").expect("a subscription");
    assert_eq!(found.prices, ["price_1"]);
}

fn session(id: &str, status: &str) -> Value {
    json!({
        "id": id, "object": "checkout.session", "customer": "cus_1", "mode": "subscription", "status": status,
        "payment_status": "paid", "created": 7, "metadata": {}
    })
}

#[tokio::test]
async fn only_completed_sessions_are_asked_for() {
    let stripe = Stripe::start(|_, _| page(&[session("cs_1", "complete")], false));
    let all = stripe.client(0).checkout_sessions("cus_1").await;
    assert_eq!(all.expect("a list").len(), 1);
    let asked = stripe.asked();
    assert_eq!(asked.len(), 1);
    let form = &asked[0].form;
    assert!(
        form.split('&').any(|part| part == "status=complete"),
        "{form}"
    );
}

#[tokio::test]
async fn a_list_that_refuses_a_status_is_asked_for_without() {
    let stripe = Stripe::start(|asked, _| {
        if asked.form.contains("status=") {
            let error = json!({ "type": "invalid_request_error", "code": "parameter_unknown", "param": "status" });
            return refused(400, error);
        }
        page(
            &[session("cs_1", "complete"), session("cs_2", "open")],
            false,
        )
    });
    let all = stripe.client(0).checkout_sessions("cus_1").await;
    let all = all.expect("a list");
    let ids: Vec<&str> = all.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["cs_1", "cs_2"]);
    assert_eq!(stripe.asked().len(), 2);
}

#[tokio::test]
async fn a_list_that_fails_is_not_asked_for_in_another_way() {
    for (answer, is_error) in [(refused_with(500, &[]), true), (missing(), false)] {
        let stripe = Stripe::saying(vec![answer]);
        let all = stripe.client(0).checkout_sessions("cus_1").await;
        assert_eq!(all.is_err(), is_error);
        assert_eq!(stripe.asked().len(), 1);
    }
}
