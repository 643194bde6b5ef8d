//! The awkward cases, each with the outcome that was decided for it.

use serde_json::json;
use tollgate::store::{EventFilter, EventState, JobState, LinkKind};
use tollgate::sync::Stepped;

use super::market::{ANN, BOB, Market};
use crate::support::stripe::{Form, PRICE_LIFETIME, PRICE_MONTHLY, PRICE_OTHER};

fn oddities(market: &Market, kind: &str) -> bool {
    let line = format!("tollgate_entitlement_oddities_total{{kind=\"{kind}\"}} 1");
    market.metrics.render(None).contains(&line)
}

#[tokio::test]
async fn a_user_deleted_in_auth0_is_given_up_and_what_was_paid_stays_in_the_ledger() {
    let market = Market::open().await;
    market.auth0.delete_user(ANN);
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    assert_eq!(market.work().await, [Stepped::Dead]);
    let job = market.job(ANN).await.unwrap();
    assert_eq!(job.state, JobState::Dead);
    let error = job.error.unwrap();
    assert!(
        error.contains("the user does not exist in Auth0 any more"),
        "{error}"
    );
    assert!(error.contains("cancel there"), "{error}");
    let row = market.row(ANN).await;
    assert_eq!(row.derived.plan.as_deref(), Some("monthly"));
    assert_eq!(row.confirmed_at, None);
}

#[tokio::test]
async fn a_role_missing_in_auth0_is_named_and_the_plan_holds_by_the_overlay_until_it_is_made() {
    let market = Market::open().await;
    market.auth0.delete_role("premium-monthly");
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    assert_eq!(market.work().await, [Stepped::Dead]);
    let error = market.job(ANN).await.unwrap().error.unwrap();
    assert!(
        error.contains("make the role \"premium-monthly\""),
        "{error}"
    );
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"], "nothing is lost");
    let row = market.row(ANN).await;
    assert!(row.derived.paid && row.changed_at.is_some() && row.confirmed_at.is_none());

    market.auth0.create_role("premium-monthly", &[]);
    let event = market.stripe.outbox().into_iter().last().unwrap();
    let replayed = market.store.replay(&event.id, market.now()).await;
    assert!(replayed.unwrap(), "a replay wakes it");
    assert_eq!(market.work().await, [Stepped::Done]);
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    assert!(market.row(ANN).await.confirmed_at.is_some());
}

#[tokio::test]
async fn a_tenant_without_the_free_role_does_not_keep_a_premium_one() {
    let market = Market::open().await;
    let session = market.buy(ANN, "lifetime").await;
    market.auth0.delete_role("free-user");
    market.stripe.refund(&session);
    market.deliver().await;
    let done = market.work().await;
    assert_eq!(done.last(), Some(&Stepped::Dead));
    assert!(market.auth0.roles_of(ANN).is_empty());
}

#[tokio::test]
async fn a_price_of_no_plan_is_left_aside_and_told_of_once() {
    let market = Market::open().await;
    let customer = market.customer(ANN).await;
    market
        .stripe
        .create_subscription_by_hand(&customer, &[PRICE_OTHER]);
    market.deliver().await;
    assert_eq!(market.work().await, [Stepped::Done]);
    assert_eq!(market.plan(ANN).await, "free");
    assert!(oddities(&market, "price"));
    market
        .stripe
        .create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.plan(ANN).await, "monthly");
    assert!(oddities(&market, "price"), "not counted again");
}

#[tokio::test]
async fn a_status_that_is_not_known_gives_no_access_and_an_alarm() {
    let market = Market::open().await;
    let session = market.buy(ANN, "monthly").await;
    let subscription = market.stripe.subscription_of(&session);
    market.stripe.set_status(&subscription, "hibernating");
    market.deliver().await;
    assert_eq!(market.work().await, [Stepped::Done]);
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
    assert!(oddities(&market, "status"));
}

#[tokio::test]
async fn under_a_shared_customer_each_gets_what_names_them_and_the_heir_the_rest() {
    let market = Market::open().await;
    let customer = market.customer(ANN).await;
    let unnamed = market
        .stripe
        .create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
    let session = market.stripe.new_checkout(&customer, PRICE_LIFETIME);
    market
        .stripe
        .set_metadata(&session, &json!({ "auth0_user_id": BOB }));
    market.stripe.pay(&session);
    // Nothing tells of BOB but what ANN's job reads.
    let events = market.news();
    let of_ann = events.iter().find(|event| event.object_id() == unnamed);
    market.receive(of_ann.unwrap()).await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    assert_eq!(market.auth0.roles_of(BOB), ["premium-lifetime"]);
    assert!(oddities(&market, "owner"));
    // Whatever happens later, it stays so.
    for event in &events {
        market.receive(event).await;
    }
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    assert_eq!(market.auth0.roles_of(BOB), ["premium-lifetime"]);
}

#[tokio::test]
async fn the_customers_own_metadata_decides_who_inherits() {
    let market = Market::open().await;
    let customer = market.stripe.new_customer("x@example.test", &json!({}));
    let now = market.now();
    let linked = market.store.link(&customer, BOB, LinkKind::Reference, now);
    linked.await.unwrap();
    market
        .stripe
        .create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(BOB), ["premium-monthly"]);
    market
        .stripe
        .set_metadata(&customer, &json!({ "auth0_user_id": ANN }));
    market
        .stripe
        .renew(&market.row(BOB).await.derived.backing.unwrap());
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    assert_eq!(market.auth0.roles_of(BOB), ["free-user"]);
}

#[tokio::test]
async fn a_deleted_customer_ends_subscriptions_and_keeps_what_was_bought_once() {
    for (plan, role) in [("monthly", "free-user"), ("lifetime", "premium-lifetime")] {
        let market = Market::open().await;
        market.buy(ANN, plan).await;
        let customer = market.customer(ANN).await;
        market.stripe.delete_customer(&customer);
        market.deliver().await;
        market.settle().await;
        assert_eq!(market.auth0.roles_of(ANN), [role]);
        let links = market.store.customers_of(ANN).await.unwrap();
        assert!(links[0].deleted);
    }
}

#[tokio::test]
async fn money_given_back_after_the_customer_was_deleted_still_counts() {
    let market = Market::open().await;
    let session = market.buy(ANN, "lifetime").await;
    market.stripe.delete_customer(&market.customer(ANN).await);
    market.stripe.refund(&session);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
}

#[tokio::test]
async fn a_customer_of_nobody_waits_and_is_matched_when_it_becomes_known() {
    let market = Market::open().await;
    let customer = market.stripe.new_customer("x@example.test", &json!({}));
    market
        .stripe
        .create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
    market.deliver().await;
    market.settle().await;
    let in_state = async |state| {
        let filter = EventFilter {
            state: Some(state),
            limit: 100,
            ..EventFilter::default()
        };
        market.store.events(&filter).await.unwrap().len()
    };
    assert!(in_state(EventState::Unmatched).await > 0);
    let now = market.now();
    let linked = market.store.link(&customer, ANN, LinkKind::Owner, now);
    linked.await.unwrap();
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    assert_eq!(in_state(EventState::Unmatched).await, 0);
    assert_eq!(in_state(EventState::Queued).await, 0);
}

#[tokio::test]
async fn a_customer_is_found_by_its_metadata_or_by_what_it_bought() {
    for by_customer in [true, false] {
        let market = Market::open().await;
        let names = |named: bool| {
            if named {
                json!({ "auth0_user_id": ANN })
            } else {
                json!({})
            }
        };
        let customer = market
            .stripe
            .new_customer("x@example.test", &names(by_customer));
        let bought = market
            .stripe
            .create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
        market.stripe.set_metadata(&bought, &names(!by_customer));
        // The events say nothing of it.
        for event in market.news() {
            market.receive_as(&event, Form::Thin).await;
        }
        market.settle().await;
        assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
        let links = market.store.customers_of(ANN).await.unwrap();
        let kind = if by_customer {
            LinkKind::Owner
        } else {
            LinkKind::Item
        };
        assert_eq!((links.len(), links[0].kind), (1, kind));
    }
}

#[tokio::test]
async fn a_payment_link_gives_to_whom_the_reference_names_guest_or_not() {
    for (as_guest, form) in [
        (false, Form::Snapshot),
        (false, Form::Thin),
        (true, Form::Snapshot),
        (true, Form::Thin),
    ] {
        let market = Market::open().await;
        let deliver = async || {
            for event in market.news() {
                market.receive_as(&event, form).await;
            }
            market.settle().await;
        };
        let session = market
            .stripe
            .payment_link_purchase(ANN, PRICE_LIFETIME, as_guest);
        deliver().await;
        let case = format!("{as_guest} {form:?}");
        assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"], "{case}");
        market.stripe.refund(&session);
        deliver().await;
        assert_eq!(market.auth0.roles_of(ANN), ["free-user"], "{case}");
    }
}

#[tokio::test]
async fn what_is_no_plans_or_not_paid_costs_nobody_a_role_given_by_hand() {
    let market = Market::open().await;
    market.auth0.take_role(ANN, "free-user");
    market.auth0.give_role(ANN, "premium-lifetime");
    market.stripe.new_price("price_shirt", 1500, false);
    for as_guest in [false, true] {
        market
            .stripe
            .payment_link_purchase(ANN, "price_shirt", as_guest);
    }
    let customer = market.customer(ANN).await;
    market
        .stripe
        .create_subscription_by_hand(&customer, &[PRICE_OTHER]);
    let session = market.checkout(ANN, "lifetime").await;
    market.stripe.pay_later(&session);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    market.stripe.async_fail(&session);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    assert!(market.deeds(ANN).await.is_empty());
}

#[tokio::test]
async fn a_bought_plans_role_is_left_to_a_user_of_whom_stripe_knows_no_purchase() {
    let market = Market::open().await;
    market.auth0.take_role(ANN, "free-user");
    market.auth0.give_role(ANN, "premium-lifetime");
    // A checkout that came to nothing is no purchase.
    let customer = market.customer(ANN).await;
    let session = market.stripe.new_checkout(&customer, PRICE_MONTHLY);
    market.stripe.expire(&session);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    assert!(oddities(&market, "role"));
    assert_eq!(market.row(ANN).await.changed_at, None, "tokens count");
    // Once there is one, Stripe decides.
    let session = market.buy(ANN, "monthly").await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    market
        .stripe
        .cancel_now(&market.stripe.subscription_of(&session));
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
}
