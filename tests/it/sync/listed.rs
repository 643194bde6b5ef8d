//! A Stripe that lists refunds and disputes, and does not know them by their ids.

use serde_json::{Value, json};
use tollgate::store::LinkKind;
use tollgate::sync::Stepped;

use super::market::{ANN, Market};
use crate::stripe_client::simple::Simple;

/// One whose customer `cus_1` is ANN's, and paid the charge `ch_1` by `pi_1`.
async fn market(stripe: &Simple) -> Market {
    stripe
        .put("/v1/subscriptions", json!([]))
        .put(
            "/v1/charges/ch_1",
            json!({ "id": "ch_1", "customer": "cus_1" }),
        )
        .put(
            "/v1/payment_intents/pi_1",
            json!({ "id": "pi_1", "customer": "cus_1" }),
        );
    let mut market = Market::in_memory().await;
    let linked = market
        .store
        .link("cus_1", ANN, LinkKind::Owner, market.now());
    linked.await.expect("a link");
    market.ask_another(stripe.client());
    market
}

fn thin(event_type: &str, object: &str, id: &str) -> Value {
    json!({
        "id": "evt_thin", "object": "v2.core.event", "type": event_type, "livemode": false,
        "created": "2026-11-01T00:00:00Z",
        "related_object": { "id": id, "type": object, "url": format!("/v1/{object}s/{id}") }
    })
}

/// How the last step ended, and whose the event is then.
async fn after(market: &Market, event: &Value) -> (Option<Stepped>, Option<String>) {
    market.receive_body(event).await;
    let last = market.work().await.pop();
    let event = market.store.event("evt_thin").await.expect("a ledger");
    (last, event.expect("an event").user)
}

#[tokio::test]
async fn a_refund_or_dispute_that_is_only_to_be_listed_is_whose_its_charge_or_payment_is() {
    for (event_type, object, id) in [
        ("v1.refund.created", "refund", "re_1"),
        ("v1.refund.failed", "refund", "re_2"),
        ("v1.charge.dispute.created", "dispute", "dp_1"),
    ] {
        let stripe = Simple::start();
        let refunds = json!([
            { "id": "re_9", "object": "refund", "charge": "ch_9" },
            { "id": "re_1", "object": "refund", "charge": "ch_1" },
            { "id": "re_2", "object": "refund", "payment_intent": "pi_1" },
        ]);
        let disputes = json!([{ "id": "dp_1", "object": "dispute", "charge": "ch_1" }]);
        stripe
            .put("/v1/refunds", refunds)
            .put("/v1/disputes", disputes);
        let market = market(&stripe).await;
        let found = after(&market, &thin(event_type, object, id)).await;
        let expected = (Some(Stepped::Done), Some(ANN.to_owned()));
        assert_eq!(found, expected, "{id}");
    }
}

#[tokio::test]
async fn one_that_is_not_listed_either_waits_for_an_operator() {
    for listed in [None, Some(json!([{ "id": "re_9", "charge": "ch_1" }]))] {
        let stripe = Simple::start();
        if let Some(listed) = listed {
            stripe.put("/v1/refunds", listed);
        }
        let market = market(&stripe).await;
        let event = thin("v1.refund.created", "refund", "re_1");
        assert_eq!(after(&market, &event).await, (Some(Stepped::Dead), None));
    }
}
