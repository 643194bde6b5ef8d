//! Buying at a simple Stripe, which answers little more than it must. What it does say is true.

use serde_json::{Value, json};
use tollgate::store::{LinkKind, Purchase, PurchaseState};
use tollgate::sync::Stepped;

use super::log::Log;
use super::market::{ANN, Market};
use crate::stripe_client::simple::Simple;
use crate::support::stripe::{PRICE_LIFETIME, PRICE_MONTHLY};

const CUSTOMER: &str = "/v1/customers/cus_1";
const SUBSCRIPTIONS: &str = "/v1/subscriptions";
const SESSION: &str = "/v1/checkout/sessions/cs_1";
const SESSIONS: &str = "/v1/checkout/sessions";

/// A market at a simple Stripe, whose customer `cus_1` is ANN's.
async fn market(stripe: &Simple) -> Market {
    let mut market = Market::in_memory().await;
    let linked = market
        .store
        .link("cus_1", ANN, LinkKind::Owner, market.now());
    linked.await.expect("a link");
    market.ask_another(stripe.client());
    market
}

/// The user's job is done, and the role is this.
async fn ends_with(market: &Market, role: &str) {
    market.ask(ANN).await;
    assert_eq!(market.work().await, [Stepped::Done]);
    assert_eq!(market.auth0.roles_of(ANN), [role]);
}

/// The checkout `cs_1` was begun here, for this plan.
async fn began(market: &Market, plan: &str) {
    let purchase = Purchase {
        session: "cs_1".to_owned(),
        user: ANN.to_owned(),
        customer: Some("cus_1".to_owned()),
        plan: plan.to_owned(),
        state: PurchaseState::Open,
        created_at: market.now(),
    };
    let recorded = market.store.record_purchase(&purchase).await;
    recorded.expect("a purchase");
}

fn subscription(id: &str, customer: &str, status: &str) -> Value {
    json!({
        "id": id, "customer": customer, "status": status,
        "items": { "data": [{ "id": "si_1", "price": { "id": PRICE_MONTHLY }, "current_period_end": 4.1e9 }] }
    })
}

fn session(mode: &str) -> Value {
    json!({
        "id": "cs_1", "customer": "cus_1", "mode": mode, "status": "complete", "payment_status": "paid",
        "payment_intent": if mode == "payment" { "pi_1" } else { "" }, "created": 1.7e9, "metadata": {}
    })
}

fn pay_for_it(stripe: &Simple, charge: Value) {
    stripe
        .put(SESSION, session("payment"))
        .put(
            "/v1/payment_intents/pi_1",
            json!({ "id": "pi_1", "latest_charge": "ch_1" }),
        )
        .put("/v1/charges/ch_1", charge);
}

#[tokio::test]
async fn a_subscription_is_all_that_a_monthly_plan_needs() {
    let stripe = Simple::start();
    stripe.put(
        SUBSCRIPTIONS,
        json!([subscription("sub_1", "cus_1", "active")]),
    );
    let market = market(&stripe).await;
    ends_with(&market, "premium-monthly").await;
    assert_eq!(
        market.row(ANN).await.derived.period_end,
        Some(4_100_000_000)
    );
    stripe.put(
        SUBSCRIPTIONS,
        json!([subscription("sub_1", "cus_1", "canceled")]),
    );
    ends_with(&market, "free-user").await;
    // A customer that is not to be seen is not one that nobody knows.
    stripe.put(
        SUBSCRIPTIONS,
        json!([subscription("sub_2", "cus_1", "active")]),
    );
    ends_with(&market, "premium-monthly").await;
    stripe.put(SUBSCRIPTIONS, json!([]));
    ends_with(&market, "free-user").await;
}

#[tokio::test]
async fn what_is_not_to_be_had_is_told_of_once() {
    let (log, _guard) = Log::begin();
    let stripe = Simple::start();
    stripe
        .put(SUBSCRIPTIONS, json!([]))
        .put(SESSION, session("payment"));
    let market = market(&stripe).await;
    began(&market, "lifetime").await;
    for _ in 0..3 {
        ends_with(&market, "premium-lifetime").await;
    }
    for told in [
        "customers are not to be seen",
        "checkouts are not to be listed",
        "prices of checkouts are not to be had",
        "payments are not to be seen",
    ] {
        let lines = log.lines(told);
        assert_eq!(lines.len(), 1, "{told}: {lines:?}");
        assert!(lines[0].contains("WARN"), "{lines:?}");
    }
}

#[tokio::test]
async fn the_checkout_of_a_monthly_plan_needs_no_prices() {
    let stripe = Simple::start();
    stripe
        .put(
            SUBSCRIPTIONS,
            json!([subscription("sub_1", "cus_1", "active")]),
        )
        .put(SESSIONS, json!([session("subscription")]));
    let market = market(&stripe).await;
    began(&market, "monthly").await;
    ends_with(&market, "premium-monthly").await;
}

#[tokio::test]
async fn a_purchase_without_prices_is_what_the_ledger_began_it_for() {
    let charge = |back: i64| json!({ "id": "ch_1", "amount": 9900, "amount_refunded": back, "refunded": false });
    for is_listed in [true, false] {
        let stripe = Simple::start();
        stripe.put(SUBSCRIPTIONS, json!([]));
        if is_listed {
            stripe.put(SESSIONS, json!([session("payment")]));
        }
        pay_for_it(&stripe, charge(0));
        let market = market(&stripe).await;
        began(&market, "lifetime").await;
        ends_with(&market, "premium-lifetime").await;
        // And stays so, now that the ledger has it as complete.
        ends_with(&market, "premium-lifetime").await;
        pay_for_it(&stripe, charge(100));
        ends_with(&market, "premium-lifetime").await;
        pay_for_it(&stripe, charge(9900));
        ends_with(&market, "free-user").await;
    }
}

#[tokio::test]
async fn a_purchase_without_prices_gives_no_plan_that_is_not_sold_once() {
    for plan in [Some("monthly"), Some("free"), Some("unknown"), None] {
        let stripe = Simple::start();
        stripe
            .put(SUBSCRIPTIONS, json!([]))
            .put(SESSIONS, json!([session("payment")]));
        pay_for_it(&stripe, json!({ "id": "ch_1" }));
        let market = market(&stripe).await;
        if let Some(plan) = plan {
            began(&market, plan).await;
        }
        ends_with(&market, "free-user").await;
    }
}

#[tokio::test]
async fn prices_that_are_known_count_before_what_the_ledger_says() {
    let stripe = Simple::start();
    let mut other = session("payment");
    other["line_items"] = json!({ "data": [{ "id": "li_1", "price": "price_hat" }] });
    stripe
        .put(SUBSCRIPTIONS, json!([]))
        .put(SESSIONS, json!([other]));
    let market = market(&stripe).await;
    began(&market, "lifetime").await;
    ends_with(&market, "free-user").await;
}

#[tokio::test]
async fn what_others_bought_counts_for_nobody_else_in_a_list_of_everything() {
    let stripe = Simple::start();
    let mut other = session("payment");
    other["customer"] = json!("cus_2");
    other["line_items"] = json!({ "data": [{ "id": "li_1", "price": PRICE_LIFETIME }] });
    stripe
        .put(
            SUBSCRIPTIONS,
            json!([subscription("sub_2", "cus_2", "active")]),
        )
        .put(SESSIONS, json!([other]));
    let market = market(&stripe).await;
    ends_with(&market, "free-user").await;
}

#[tokio::test]
async fn a_dispute_that_cannot_be_asked_for_is_whose_its_events_snapshot_leads_to() {
    for has_snapshot in [true, false] {
        let stripe = Simple::start();
        stripe.put(SUBSCRIPTIONS, json!([])).put(
            "/v1/charges/ch_1",
            json!({ "id": "ch_1", "customer": "cus_1" }),
        );
        if has_snapshot {
            let dispute = json!({ "id": "dp_1", "object": "dispute", "charge": "ch_1" });
            let snapshot = json!({
                "id": "evt_snap", "object": "event", "type": "charge.dispute.created", "created": 1, "livemode": false,
                "data": { "object": dispute }
            });
            stripe.put("/v1/events/evt_snap", snapshot);
        }
        let market = market(&stripe).await;
        let thin = json!({
            "id": "evt_thin", "object": "v2.core.event", "type": "v1.charge.dispute.created", "livemode": false,
            "created": "2026-11-01T00:00:00Z", "snapshot_event": "evt_snap",
            "related_object": { "id": "dp_1", "type": "dispute", "url": "/v1/disputes/dp_1" }
        });
        market.receive_body(&thin).await;
        let last = if has_snapshot {
            Stepped::Done
        } else {
            Stepped::Dead
        };
        assert_eq!(market.work().await.last(), Some(&last));
        let event = market.store.event("evt_thin").await.expect("a ledger");
        let user = event.expect("an event").user;
        assert_eq!(user.as_deref(), has_snapshot.then_some(ANN));
    }
}

#[tokio::test]
async fn a_deleted_customer_has_no_subscriptions_whatever_is_listed() {
    let stripe = Simple::start();
    let listed = json!([subscription("sub_1", "cus_1", "active")]);
    stripe
        .put(CUSTOMER, json!({ "id": "cus_1" }))
        .put(SUBSCRIPTIONS, listed);
    let market = market(&stripe).await;
    ends_with(&market, "premium-monthly").await;
    stripe.put(CUSTOMER, json!({ "id": "cus_1", "deleted": true }));
    ends_with(&market, "free-user").await;
    // Nor when it is seen no more.
    stripe.put(CUSTOMER, Value::Null);
    ends_with(&market, "free-user").await;
}

#[tokio::test]
async fn a_deleted_customer_keeps_what_was_bought_once() {
    let stripe = Simple::start();
    stripe
        .put(CUSTOMER, json!({ "id": "cus_1", "deleted": true }))
        .put(
            SUBSCRIPTIONS,
            json!([subscription("sub_1", "cus_1", "active")]),
        )
        .put(SESSIONS, json!([session("payment")]));
    pay_for_it(&stripe, json!({ "id": "ch_1" }));
    let market = market(&stripe).await;
    began(&market, "lifetime").await;
    ends_with(&market, "premium-lifetime").await;
}

#[tokio::test]
async fn an_event_that_says_deleted_of_a_customer_that_lives_ends_nothing() {
    let stripe = Simple::start();
    stripe.put(CUSTOMER, json!({ "id": "cus_1" })).put(
        SUBSCRIPTIONS,
        json!([subscription("sub_1", "cus_1", "active")]),
    );
    let market = market(&stripe).await;
    let deleted = market.store.customer_deleted("cus_1").await;
    deleted.expect("a ledger");
    ends_with(&market, "premium-monthly").await;
}
