//! What a bought plan replaces is set to end, once.

use super::market::{ANN, Market};
use crate::support::stripe::{Fault, PRICE_LIFETIME, PRICE_MONTHLY, PRICE_OTHER};
use tollgate::store::{Action, Cause, RoleChange};
use tollgate::sync::Stepped;

/// ANN has the monthly plan, and buys the lifetime one: its subscription, and the session not delivered yet.
async fn upgrade(market: &Market) -> String {
    let session = market.buy(ANN, "monthly").await;
    market.pay(ANN, "lifetime").await;
    market.deliver().await;
    market.stripe.subscription_of(&session)
}

fn ends(market: &Market, subscription: &str) -> bool {
    market.stripe.object(subscription)["cancel_at_period_end"] == true
}

async fn lines(market: &Market) -> Vec<String> {
    let mut deeds = market.deeds(ANN).await;
    deeds.retain(|deed| deed.starts_with("end "));
    deeds
}

#[tokio::test]
async fn a_lifetime_purchase_ends_the_subscription_with_its_period() {
    let market = Market::open().await;
    let subscription = upgrade(&market).await;
    market.settle().await;
    assert!(ends(&market, &subscription));
    assert_eq!(market.stripe.object(&subscription)["status"], "active");
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    assert_eq!(lines(&market).await, [format!("end {subscription}")]);
}

#[tokio::test]
async fn who_takes_it_up_again_by_hand_is_not_stopped_a_second_time() {
    let market = Market::open().await;
    let subscription = upgrade(&market).await;
    market.settle().await;
    market.deliver().await;
    market.settle().await;
    market.stripe.keep_going(&subscription);
    market.deliver().await;
    market.settle().await;
    assert!(!ends(&market, &subscription));
    assert_eq!(lines(&market).await.len(), 1);
}

#[tokio::test]
async fn a_lost_answer_counts_as_done_once_it_shows() {
    let market = Market::open().await;
    let subscription = upgrade(&market).await;
    let path = format!("/v1/subscriptions/{subscription}");
    market.stripe.fault_next(1, "POST", &path, Fault::CutAfter);
    assert_eq!(market.work().await, [Stepped::Retried]);
    market.settle().await;
    let line = format!("end {subscription}");
    assert_eq!(lines(&market).await, [format!("{line}!"), line]);
    market.stripe.keep_going(&subscription);
    market.deliver().await;
    market.settle().await;
    assert!(!ends(&market, &subscription));
}

#[tokio::test]
async fn a_role_that_is_missing_in_auth0_lets_nobody_pay_on_for_what_they_own() {
    let market = Market::open().await;
    market.auth0.delete_role("premium-lifetime");
    let subscription = upgrade(&market).await;
    assert_eq!(market.work().await, [Stepped::Dead]);
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    assert!(ends(&market, &subscription));
}

#[tokio::test]
async fn what_cannot_be_ended_keeps_nobody_from_the_role() {
    let market = Market::open().await;
    let subscription = upgrade(&market).await;
    let path = format!("/v1/subscriptions/{subscription}");
    market.stripe.fault("POST", &path, Fault::status(500));
    assert_eq!(market.work().await, [Stepped::Retried]);
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    // Nor is it given up because Auth0 refuses for good.
    market.auth0.delete_role("premium-lifetime");
    market.ask(ANN).await;
    assert_eq!(market.work().await, [Stepped::Retried]);
    market.stripe.mend();
    market.settle().await;
    assert!(ends(&market, &subscription));
}

#[tokio::test]
async fn what_a_stranger_bought_in_somebodys_name_ends_nothing() {
    for as_guest in [false, true] {
        let market = Market::open().await;
        let session = market.buy(ANN, "monthly").await;
        let subscription = market.stripe.subscription_of(&session);
        market
            .stripe
            .payment_link_purchase(ANN, PRICE_LIFETIME, as_guest);
        market.deliver().await;
        market.settle().await;
        assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
        assert!(!ends(&market, &subscription));
        assert!(lines(&market).await.is_empty());
    }
}

#[tokio::test]
async fn a_subscription_that_sells_other_things_too_goes_on() {
    let market = Market::open().await;
    let customer = market.customer(ANN).await;
    let subscription = market
        .stripe
        .create_subscription_by_hand(&customer, &[PRICE_MONTHLY, PRICE_OTHER]);
    market.buy(ANN, "lifetime").await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    assert!(!ends(&market, &subscription));
    assert!(lines(&market).await.is_empty());
}

#[tokio::test]
async fn once_is_once_however_much_was_written_down_since() {
    let market = Market::in_memory().await;
    let subscription = upgrade(&market).await;
    market.settle().await;
    for at in 0..1001 {
        let line = RoleChange {
            user: ANN.to_owned(),
            action: Action::Assign,
            subject: "premium-lifetime".to_owned(),
            plan: None,
            cause: Cause::default(),
            at,
            error: None,
        };
        market.store.audit(&line).await.expect("a ledger");
    }
    market.stripe.keep_going(&subscription);
    market.deliver().await;
    market.settle().await;
    assert!(!ends(&market, &subscription));
}

#[tokio::test]
async fn what_the_user_set_to_end_is_left_alone() {
    let market = Market::open().await;
    let session = market.buy(ANN, "monthly").await;
    let subscription = market.stripe.subscription_of(&session);
    market.stripe.set_cancel_at(&subscription);
    market.buy(ANN, "lifetime").await;
    assert!(lines(&market).await.is_empty());
    let path = format!("/v1/subscriptions/{subscription}");
    assert!(market.stripe.calls_of("POST", &path).is_empty());
}
