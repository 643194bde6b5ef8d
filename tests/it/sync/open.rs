//! Checkouts that were begun and not paid: a user may have any number of them.

use tollgate::store::PurchaseState;
use tollgate::sync::Stepped;

use super::market::{ANN, Market};
use crate::support::stripe::{Fault, PRICE_LIFETIME};

/// ANN has begun so many checkouts, the oldest first; nothing was delivered.
async fn begun(count: usize) -> (Market, Vec<String>) {
    let market = Market::in_memory().await;
    let mut sessions = Vec::new();
    for _ in 0..count {
        market.pass(std::time::Duration::from_secs(1));
        sessions.push(market.checkout(ANN, "lifetime").await);
    }
    market.lose_events();
    (market, sessions)
}

/// How many checkouts were asked about by themselves.
fn asked(market: &Market) -> usize {
    let calls = market.stripe.calls_of("GET", "/v1/checkout/sessions/");
    calls.len()
}

/// How many checkouts stand so in the ledger.
async fn known(market: &Market, state: PurchaseState) -> usize {
    let known = market.store.purchases_of(ANN).await.expect("a ledger");
    known.iter().filter(|known| known.state == state).count()
}

#[tokio::test]
async fn of_many_open_checkouts_the_newest_twenty_are_asked_about() {
    let (market, sessions) = begun(25).await;
    market.ask(ANN).await;
    assert_eq!(market.work().await, [Stepped::Done]);
    assert_eq!(asked(&market), 20);
    // Not to be asked about is not to be over.
    assert_eq!(known(&market, PurchaseState::Open).await, 25);
    // What is paid is listed, however old it is.
    market.stripe.pay(&sessions[0]);
    market.ask(ANN).await;
    assert_eq!(market.work().await, [Stepped::Done]);
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    assert_eq!(known(&market, PurchaseState::Complete).await, 1);
    assert_eq!(known(&market, PurchaseState::Open).await, 24);
}

#[tokio::test]
async fn checkouts_that_are_over_are_written_down_however_many() {
    let (market, sessions) = begun(25).await;
    for session in &sessions {
        market.stripe.expire(session);
    }
    market.ask(ANN).await;
    assert_eq!(market.work().await, [Stepped::Done]);
    assert_eq!(known(&market, PurchaseState::Expired).await, 25);
    market.ask(ANN).await;
    market.work().await;
    assert_eq!(asked(&market), 25, "once each");
}

#[tokio::test]
async fn what_is_over_is_not_asked_about_again_after_a_failure() {
    let (market, sessions) = begun(8).await;
    for session in &sessions {
        market.stripe.expire(session);
    }
    let oldest = format!("/v1/checkout/sessions/{}", sessions[0]);
    market
        .stripe
        .fault_next(1, "GET", &oldest, Fault::status(500));
    market.ask(ANN).await;
    assert_eq!(market.work().await, [Stepped::Retried]);
    let over = known(&market, PurchaseState::Expired).await;
    assert!(over >= 4, "{over}");
    let before = asked(&market);
    market.settle().await;
    assert_eq!(asked(&market) - before, 8 - over);
    assert_eq!(known(&market, PurchaseState::Expired).await, 8);
}

#[tokio::test]
async fn a_guests_checkout_is_found_behind_any_number_that_came_to_nothing() {
    let market = Market::in_memory().await;
    market
        .stripe
        .payment_link_purchase(ANN, PRICE_LIFETIME, true);
    market.deliver().await;
    for _ in 0..25 {
        market.pass(std::time::Duration::from_secs(1));
        let session = market.checkout(ANN, "lifetime").await;
        market.stripe.expire(&session);
    }
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
}
