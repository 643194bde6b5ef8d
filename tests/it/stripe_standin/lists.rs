//! Pages, filters and expansion.

use std::slice::from_ref;

use serde_json::{Value, json};

use super::setup::{Caller, ids, owner, subscriber};
use crate::support::stripe::{PRICE_LIFETIME, PRICE_MONTHLY, PRICE_OTHER, Stripe};

#[tokio::test]
async fn lists_come_newest_first_in_pages() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let mut all: Vec<String> = (0..12)
        .map(|_| stripe.new_customer("a@b", &Value::Null))
        .collect();
    all.reverse();
    let first = caller.get("/v1/customers").await;
    assert_eq!(
        (ids(&first), &first.json()["has_more"]),
        (all[..10].to_vec(), &json!(true))
    );
    let next = caller
        .get(&format!(
            "/v1/customers?limit=100&starting_after={}",
            all[9]
        ))
        .await;
    assert_eq!(
        (ids(&next), &next.json()["has_more"]),
        (all[10..].to_vec(), &json!(false))
    );
    let back = caller
        .get(&format!("/v1/customers?limit=2&ending_before={}", all[3]))
        .await;
    assert_eq!(
        (ids(&back), &back.json()["has_more"]),
        (all[1..3].to_vec(), &json!(true))
    );
    for wrong in [
        "limit=0",
        "limit=101",
        "limit=x",
        "starting_after=cus_none",
        "page=2",
        "starting_after=a&ending_before=b",
    ] {
        assert_eq!(
            caller.get(&format!("/v1/customers?{wrong}")).await.status,
            400,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn canceled_subscriptions_are_left_out_unless_asked_for() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let (customer, _, subscription) = subscriber(&stripe).await;
    let kept = stripe.create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
    stripe.cancel_now(&subscription);
    let list = |more: &str| format!("/v1/subscriptions?customer={customer}{more}");
    assert_eq!(ids(&caller.get(&list("")).await), *from_ref(&kept));
    assert_eq!(
        ids(&caller.get(&list("&status=all")).await),
        [kept.clone(), subscription.clone()]
    );
    assert_eq!(
        ids(&caller.get(&list("&status=ended")).await),
        [subscription]
    );
    assert_eq!(
        ids(&caller
            .get(&list("&status=active&price=price_monthly"))
            .await),
        [kept]
    );
    assert_eq!(caller.get(&list("&status=dead")).await.status, 400);
    assert_eq!(
        caller
            .get("/v1/subscriptions?customer=cus_none")
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn ids_are_expanded_only_where_asked_for() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let (customer, session) = owner(&stripe).await;
    let plain = caller
        .get(&format!("/v1/checkout/sessions/{session}"))
        .await
        .json();
    assert_eq!(
        (plain.get("line_items"), plain["customer"].as_str()),
        (None, Some(customer.as_str()))
    );
    assert!(plain["payment_intent"].is_string());
    let list = format!(
        "/v1/checkout/sessions?customer={customer}&expand[]=data.line_items&expand[]=data.payment_intent.latest_charge"
    );
    let whole = caller.get(&list).await.json()["data"][0].clone();
    assert_eq!(
        whole["line_items"]["data"][0]["price"]["id"],
        PRICE_LIFETIME
    );
    assert_eq!(whole["payment_intent"]["latest_charge"]["paid"], true);
    let intent = plain["payment_intent"].as_str().unwrap_or_default();
    let path = format!("/v1/payment_intents/{intent}");
    let charge = stripe.charge_of(&session);
    assert_eq!(caller.get(&path).await.json()["latest_charge"], charge);
    let whole = caller
        .get(&format!(
            "{path}?expand[]=latest_charge.customer&expand[]=customer"
        ))
        .await
        .json();
    assert_eq!(whole["latest_charge"]["customer"]["id"], customer);
    for wrong in ["status", "customer.nothing", "data.customer", "a.b.c.d.e"] {
        let reply = caller.get(&format!("{path}?expand[]={wrong}")).await;
        assert_eq!(reply.status, 400, "{wrong}");
    }
    assert!(
        !caller.get(&list).await.text().contains("\"_"),
        "nothing of the stand-in's own is shown"
    );
}

#[tokio::test]
async fn money_is_found_by_what_it_belongs_to() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let (customer, session) = owner(&stripe).await;
    let (_, other) = owner(&stripe).await;
    let (charge, intent) = (
        stripe.charge_of(&session),
        stripe.object(&session)["payment_intent"].clone(),
    );
    let intent = intent.as_str().unwrap_or_default();
    let refund = stripe.refund_part(&session, 100);
    stripe.refund(&other);
    let dispute = stripe.dispute(&charge, "warning_needs_response");
    let cases = [
        (format!("charges?payment_intent={intent}"), &charge),
        (format!("charges?customer={customer}"), &charge),
        (format!("refunds?charge={charge}"), &refund),
        (format!("disputes?payment_intent={intent}"), &dispute),
        (
            format!("checkout/sessions?payment_intent={intent}&status=complete"),
            &session,
        ),
    ];
    for (path, expected) in cases {
        assert_eq!(
            ids(&caller.get(&format!("/v1/{path}")).await),
            *from_ref(expected),
            "{path}"
        );
    }
    for path in [
        format!("refunds/{refund}"),
        format!("disputes/{dispute}"),
        format!("charges/{charge}?expand[]=refunds"),
    ] {
        assert_eq!(
            caller.get(&format!("/v1/{path}")).await.status,
            200,
            "{path}"
        );
    }
    assert_eq!(caller.get("/v1/refunds?charge=ch_none").await.status, 400);
}

#[tokio::test]
async fn more_items_than_a_list_shows_are_read_page_by_page() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let customer = stripe.new_customer("a@b", &Value::Null);
    for n in 0..11 {
        stripe.new_price(&format!("price_n{n}"), 100, true);
    }
    let prices: Vec<String> = (0..11).map(|n| format!("price_n{n}")).collect();
    let prices: Vec<&str> = prices.iter().map(String::as_str).collect();
    let subscription = stripe.create_subscription_by_hand(&customer, &prices);
    let items = &stripe.object(&subscription)["items"];
    assert_eq!(
        (items["data"].as_array().map(Vec::len), &items["has_more"]),
        (Some(10), &json!(true))
    );
    let all = caller
        .get(&format!(
            "/v1/subscription_items?subscription={subscription}&limit=100"
        ))
        .await;
    assert_eq!(ids(&all).len(), 11);
    assert_eq!(caller.get("/v1/subscription_items").await.status, 400);
}

#[tokio::test]
async fn invoices_and_their_payments_can_be_read() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let (_, _, subscription) = subscriber(&stripe).await;
    let invoices = caller
        .get(&format!(
            "/v1/invoices?subscription={subscription}&expand[]=data.payments"
        ))
        .await;
    assert_eq!(
        invoices.json()["data"][0]["parent"]["subscription_details"]["subscription"],
        subscription
    );
    assert_eq!(
        invoices.json()["data"][0]["payments"]["data"][0]["status"],
        "paid"
    );
    let intent = stripe.object(&stripe.charge_of(&subscription))["payment_intent"].clone();
    let query = format!(
        "payment[type]=payment_intent&payment[payment_intent]={}",
        intent.as_str().unwrap_or_default()
    );
    let payments = caller
        .get(&format!("/v1/invoice_payments?{query}"))
        .await
        .json();
    assert_eq!(
        payments["data"][0]["invoice"],
        invoices.json()["data"][0]["id"]
    );
}

#[tokio::test]
async fn the_shop_and_webhook_endpoints_can_be_read() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let (_, session, _) = subscriber(&stripe).await;
    let items = caller
        .get(&format!("/v1/checkout/sessions/{session}/line_items"))
        .await
        .json();
    assert_eq!(items["data"][0]["amount_total"], 999);
    let prices = caller
        .get("/v1/prices?type=recurring&active=true&expand[]=data.product")
        .await
        .json();
    assert_eq!(prices["data"][0]["id"], PRICE_MONTHLY);
    assert_eq!(prices["data"][0]["product"]["object"], "product");
    assert_eq!(
        caller
            .get(&format!("/v1/prices/{PRICE_OTHER}"))
            .await
            .json()["unit_amount"],
        1500
    );
    assert_eq!(caller.get("/v1/products/prod_other").await.status, 200);
    let made = caller
        .post(
            "/v1/webhook_endpoints",
            "url=https%3A%2F%2Fshop.test%2Fhook&enabled_events[]=*",
        )
        .await
        .json();
    assert!(made["secret"].is_string());
    let path = format!(
        "/v1/webhook_endpoints/{}",
        made["id"].as_str().unwrap_or_default()
    );
    assert_eq!(
        caller.post(&path, "disabled=true").await.json()["status"],
        "disabled"
    );
    assert_eq!(
        caller.get("/v1/webhook_endpoints").await.json()["data"][0].get("secret"),
        None
    );
    assert_eq!(caller.delete(&path).await.json()["deleted"], true);
    assert_eq!(caller.get(&path).await.status, 404);
}
