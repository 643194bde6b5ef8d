//! What Stripe does not know at all is no reason to take anything from somebody who paid.

use tollgate::store::{JobState, LinkKind};
use tollgate::sync::Stepped;

use super::market::{ANN, Market};
use crate::support::stripe::{PRICE_LIFETIME, PRICE_MONTHLY};

/// A market at an account whose next objects have ids that no other account has.
async fn elsewhere() -> Market {
    let market = Market::open().await;
    for _ in 0..100 {
        market
            .stripe
            .new_customer("x@example.test", &serde_json::json!({}));
    }
    market.lose_events();
    market
}

/// ANN has bought the plan, and the worker now asks an account that has never heard of it.
async fn bought_elsewhere(plan: &str) -> Market {
    let mut market = elsewhere().await;
    market.buy(ANN, plan).await;
    market.change_account();
    market
}

/// The user's job is dead, and its error says what to do.
async fn is_given_up(market: &Market, what: &str) {
    let job = market.job(ANN).await.expect("a job");
    assert_eq!(job.state, JobState::Dead);
    let error = job.error.expect("an error");
    assert!(
        error.contains(&format!("Stripe does not know the {what}")),
        "{error}"
    );
    assert!(
        error.contains(
            "nothing is taken away; see that `stripe.secret_key` is of the account and mode"
        ),
        "{error}"
    );
}

/// ANN gets another customer, which Stripe knows, and which bought this.
async fn buys_here(market: &Market, price: &str) {
    let customer = market
        .stripe
        .new_customer("x@example.test", &serde_json::json!({}));
    if price == PRICE_MONTHLY {
        market
            .stripe
            .create_subscription_by_hand(&customer, &[price]);
    } else {
        let session = market.stripe.new_checkout(&customer, price);
        market.stripe.pay(&session);
    }
    let now = market.now();
    let linked = market.store.link(&customer, ANN, LinkKind::Owner, now);
    linked.await.expect("a link");
    market.deliver().await;
}

#[tokio::test]
async fn a_customer_that_stripe_does_not_know_takes_nothing_from_a_paid_user() {
    for (plan, role) in [
        ("monthly", "premium-monthly"),
        ("lifetime", "premium-lifetime"),
    ] {
        let market = bought_elsewhere(plan).await;
        market.ask(ANN).await;
        assert_eq!(market.work().await, [Stepped::Dead]);
        is_given_up(&market, "customer cus_").await;
        assert_eq!(market.auth0.roles_of(ANN), [role]);
        let row = market.row(ANN).await;
        assert!(row.derived.paid && row.confirmed_at.is_some());
        assert_eq!(row.derived.plan.as_deref(), Some(plan));
    }
}

#[tokio::test]
async fn beside_a_customer_that_stripe_does_not_know_a_gain_goes_through() {
    let market = bought_elsewhere("monthly").await;
    buys_here(&market, PRICE_LIFETIME).await;
    market.settle().await;
    assert_eq!(market.plan(ANN).await, "lifetime");
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    // And who never paid is not kept from buying.
    let mut market = elsewhere().await;
    market.customer(ANN).await;
    market.change_account();
    buys_here(&market, PRICE_MONTHLY).await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
}

#[tokio::test]
async fn a_lower_plan_does_not_hide_that_a_higher_one_is_not_known() {
    let market = bought_elsewhere("lifetime").await;
    buys_here(&market, PRICE_MONTHLY).await;
    assert!(market.settle().await.contains(&Stepped::Dead));
    is_given_up(&market, "customer cus_").await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
}

#[tokio::test]
async fn what_stripe_does_know_ends_as_it_says_beside_a_customer_that_it_does_not() {
    let mut market = elsewhere().await;
    market.customer(ANN).await;
    market.change_account();
    buys_here(&market, PRICE_MONTHLY).await;
    market.settle().await;
    let subscription = market.row(ANN).await.derived.backing.expect("one");
    market.stripe.cancel_now(&subscription);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
}

#[tokio::test]
async fn a_guests_checkout_that_stripe_does_not_know_takes_nothing_either() {
    let mut market = elsewhere().await;
    let session = market
        .stripe
        .payment_link_purchase(ANN, PRICE_LIFETIME, true);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    market.change_account();
    market.ask(ANN).await;
    assert_eq!(market.work().await, [Stepped::Dead]);
    is_given_up(&market, &format!("checkout {session}")).await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
}

#[tokio::test]
async fn a_customer_that_was_deleted_is_known_and_its_subscriptions_end() {
    let market = Market::open().await;
    market.buy(ANN, "monthly").await;
    market.stripe.delete_customer(&market.customer(ANN).await);
    market.lose_events();
    market.ask(ANN).await;
    assert_eq!(market.work().await, [Stepped::Done]);
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
}
