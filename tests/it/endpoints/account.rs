//! Events that name an account.

use serde_json::{Value, json};

use crate::shop::Shop;
use crate::support::stripe::Fault;
use crate::support::token;

const OWN: &str = "/v1/account";

/// What is said of an event of this account, signed now.
async fn result(shop: &Shop, id: &str, account: &str) -> Value {
    let event = json!({
        "id": id, "object": "event", "type": "customer.updated", "livemode": false, "created": token::now(),
        "account": account,
        "data": { "object": { "id": "cus_unknown", "object": "customer", "metadata": {} } },
    });
    let body = event.to_string();
    let signature = shop.stripe.signature(&body);
    let reply = shop.stripe.post(&body, &signature).await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["result"].clone()
}

#[tokio::test]
async fn the_very_first_event_of_another_account_is_ignored_although_the_own_is_not_configured() {
    let shop = Shop::open().await;
    for id in ["evt_1", "evt_2"] {
        let ignored = result(&shop, id, "acct_other").await;
        assert_eq!(
            (&ignored["status"], &ignored["reason"]),
            (&json!("ignored"), &json!("it is of another account"))
        );
    }
    let own = result(&shop, "evt_3", "acct_standin").await;
    assert_eq!(own["status"], "queued");
    assert_eq!(shop.stripe.calls_of("GET", OWN).len(), 1);
}

#[tokio::test]
async fn while_the_own_account_cannot_be_learned_events_of_all_accounts_are_taken() {
    let shop = Shop::open().await;
    shop.stripe.withhold("account_read");
    for n in 0..5 {
        let taken = result(&shop, &format!("evt_{n}"), "acct_standin").await;
        assert_eq!(taken["status"], "queued");
    }
    assert_eq!(shop.stripe.calls_of("GET", OWN).len(), 1);
}

#[tokio::test]
async fn an_event_does_not_wait_long_for_a_stripe_that_does_not_say_whose_the_key_is() {
    let shop = Shop::open().await;
    shop.stripe.fault("GET", OWN, Fault::Hold);
    assert_eq!(
        result(&shop, "evt_1", "acct_other").await["status"],
        "queued"
    );
    shop.stripe.until_calls(1, "GET", OWN).await;
    shop.stripe.release();
    let is_known = |line: &Value| line["stripe.account"] == "acct_standin";
    shop.gate.log.until("the own account", 1, is_known).await;
    assert_eq!(
        result(&shop, "evt_2", "acct_other").await["status"],
        "ignored"
    );
}
