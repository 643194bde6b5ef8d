//! What goes wrong so rarely that a schedule hardly meets it, each as a story of its own.

use crate::support::stripe::Fault;
use crate::sync::market::{ANN, Market};

#[tokio::test]
async fn a_failure_that_stripe_keeps_under_its_key_does_not_keep_what_is_replaced_running() {
    let market = Market::in_memory().await;
    let session = market.buy(ANN, "monthly").await;
    let subscription = market.stripe.subscription_of(&session);
    market.pay(ANN, "lifetime").await;
    market.deliver().await;
    let path = format!("/v1/subscriptions/{subscription}");
    market.stripe.fault_next(1, "POST", &path, Fault::Broken);
    market.settle().await;
    assert_eq!(market.job(ANN).await, None, "the job is done");
    let now = market.stripe.object(&subscription);
    assert_eq!(now["cancel_at_period_end"], true);
    let calls = market.stripe.calls_of("POST", &path).len();
    assert!(calls <= 3, "{calls} calls");
}
