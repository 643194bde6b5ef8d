//! What a purchase, and what takes it back, does to roles.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tollgate::entitlement::PastDue;
use tollgate::store::{EventFilter, EventState};
use tollgate::sync::Stepped;

use super::market::{ANN, BOB, Market};
use crate::support::stripe::Form;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_purchase_gives_the_role_and_takes_the_free_one() {
    for (plan, role) in [
        ("monthly", "premium-monthly"),
        ("lifetime", "premium-lifetime"),
    ] {
        let market = Market::open().await;
        let session = market.buy(ANN, plan).await;
        assert_eq!(market.auth0.roles_of(ANN), [role]);
        assert_eq!(market.auth0.roles_of(BOB), ["free-user"]);
        let row = market.row(ANN).await;
        assert_eq!(row.derived.plan.as_deref(), Some(plan));
        assert!(row.derived.paid && row.changed_at.is_some());
        assert!(row.confirmed_at >= row.changed_at);
        assert_eq!(row.roles, Some(vec![role.to_owned()]));
        let backing = row.derived.backing.unwrap();
        if plan == "monthly" {
            assert_eq!(backing, market.stripe.subscription_of(&session));
            assert_eq!(row.derived.status.as_deref(), Some("active"));
            assert_eq!(row.derived.ends, Some(false));
            let end = row.derived.period_end.unwrap();
            assert_eq!(row.derived.recheck_at, Some((end + 3600) * 1000));
        } else {
            assert_eq!(backing, session);
            assert_eq!(row.derived.recheck_at, None);
        }
    }
}

#[tokio::test]
async fn roles_are_added_before_others_are_removed() {
    let market = Market::open().await;
    market.buy(ANN, "monthly").await;
    let seen = market.auth0.seen();
    let writes = seen.iter().filter(|seen| seen.path.ends_with("/roles"));
    let writes: Vec<&Method> = writes
        .map(|seen| &seen.method)
        .filter(|method| *method != Method::GET)
        .collect();
    assert_eq!(writes, [Method::POST, Method::DELETE]);
    assert_eq!(
        market.deeds(ANN).await,
        ["assign premium-monthly", "remove free-user"]
    );
}

#[tokio::test]
async fn the_audit_names_the_event_that_caused_a_change() {
    let market = Market::open().await;
    market.buy(ANN, "lifetime").await;
    for line in market.audit(ANN).await {
        assert_eq!(line.plan.as_deref(), Some("lifetime"));
        let event = market
            .store
            .event(&line.cause.event.unwrap())
            .await
            .unwrap();
        assert_eq!(event.unwrap().event_type, line.cause.why);
    }
}

#[tokio::test]
async fn events_of_one_purchase_make_one_job() {
    let market = Market::open().await;
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    assert_eq!(market.work().await, [Stepped::Done]);
    let filter = EventFilter {
        state: Some(EventState::Queued),
        limit: 100,
        ..EventFilter::default()
    };
    assert_eq!(market.store.events(&filter).await.unwrap(), []);
}

#[tokio::test]
async fn a_second_look_changes_nothing() {
    let market = Market::open().await;
    market.buy(ANN, "monthly").await;
    let (row, seen) = (market.row(ANN).await, market.auth0.seen().len());
    for event in market.stripe.outbox() {
        market.receive(&event).await;
    }
    market.stripe.renew(&row.derived.backing.unwrap());
    market.deliver().await;
    market.settle().await;
    let again = market.row(ANN).await;
    assert_eq!(
        (again.changed_at, again.confirmed_at),
        (row.changed_at, row.confirmed_at)
    );
    let writes = market.auth0.seen().split_off(seen);
    assert!(writes.iter().all(|seen| seen.method == Method::GET));
}

#[tokio::test]
async fn what_takes_a_purchase_back_takes_the_role_back() {
    for plan in ["monthly", "lifetime"] {
        let market = Market::open().await;
        let session = market.buy(ANN, plan).await;
        if plan == "monthly" {
            market
                .stripe
                .cancel_now(&market.stripe.subscription_of(&session));
        } else {
            market.stripe.refund(&session);
        }
        market.deliver().await;
        market.settle().await;
        assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
        assert_eq!(market.plan(ANN).await, "free");
    }
}

#[tokio::test]
async fn a_dispute_takes_it_and_winning_it_gives_it_back() {
    let market = Market::open().await;
    let session = market.buy(ANN, "lifetime").await;
    let dispute = market.stripe.dispute(&session, "needs_response");
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
    market.stripe.dispute_status(&dispute, "won");
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
}

#[tokio::test]
async fn thin_events_do_as_well() {
    let market = Market::open().await;
    let session = market.pay(ANN, "lifetime").await;
    for event in market.news() {
        market.receive_as(&event, Form::Thin).await;
    }
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    market.stripe.refund(&session);
    for event in market.news() {
        market.receive_as(&event, Form::Thin).await;
    }
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
}

#[tokio::test]
async fn a_checkout_that_is_not_paid_yet_gives_nothing_until_it_is() {
    let market = Market::open().await;
    let session = market.checkout(ANN, "lifetime").await;
    market.stripe.pay_later(&session);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
    market.stripe.async_succeed(&session);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
}

#[tokio::test]
async fn an_admin_stays_admin_throughout() {
    let market = Market::open().await;
    market.auth0.give_role(ANN, "admin");
    let session = market.buy(ANN, "monthly").await;
    assert_eq!(market.auth0.roles_of(ANN), ["admin", "premium-monthly"]);
    let known = market.row(ANN).await.roles.unwrap();
    assert!(known.contains(&"admin".to_owned()), "the overlay must know");
    market
        .stripe
        .cancel_now(&market.stripe.subscription_of(&session));
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["admin", "free-user"]);
    let touched = market.deeds(ANN).await;
    assert!(!touched.iter().any(|deed| deed.contains("admin")));
}

#[tokio::test]
async fn app_metadata_follows_and_what_others_wrote_stays() {
    let market = Market::open().await;
    market.auth0.set_app_metadata(ANN, "theme", json!("dark"));
    let session = market.buy(ANN, "monthly").await;
    let metadata = Value::from(market.auth0.app_metadata(ANN));
    let activated = metadata["premium_activated_at"].as_str().unwrap();
    assert!(activated.starts_with("20") && activated.ends_with('Z'));
    for (key, value) in [
        ("premium_status", "active"),
        ("plan_type", "monthly"),
        ("subscription_source", "stripe"),
        ("role_assigned", "premium-monthly"),
        ("theme", "dark"),
    ] {
        assert_eq!(metadata[key], value, "{key}");
    }
    market
        .stripe
        .cancel_now(&market.stripe.subscription_of(&session));
    market.deliver().await;
    market.settle().await;
    let metadata = Value::from(market.auth0.app_metadata(ANN));
    assert_eq!(metadata["premium_status"], "inactive");
    assert_eq!(metadata["plan_type"], "free");
    assert_eq!(metadata["theme"], "dark");
    assert!(
        metadata["premium_activated_at"].is_null() && metadata["subscription_source"].is_null()
    );
}

#[tokio::test]
async fn who_never_paid_gets_no_app_metadata() {
    let market = Market::open().await;
    let session = market.checkout(ANN, "monthly").await;
    market.stripe.expire(&session);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.plan(ANN).await, "free");
    assert!(market.auth0.app_metadata(ANN).is_empty());
}

#[tokio::test]
async fn a_time_of_grace_ends_although_nothing_happens() {
    let market = Market::with(PastDue::Grace(7 * DAY)).await;
    let session = market.buy(ANN, "monthly").await;
    let subscription = market.stripe.subscription_of(&session);
    market.pass(30 * DAY);
    market.stripe.fail_renewal(&subscription);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    market.pass(6 * DAY);
    assert_eq!(market.recheck().await, 0);
    market.pass(DAY);
    assert_eq!(market.recheck().await, 1);
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
    assert_eq!(market.recheck().await, 0, "once is enough");
}

#[tokio::test]
async fn an_end_whose_event_was_lost_is_noticed_after_the_period() {
    let market = Market::open().await;
    let session = market.buy(ANN, "monthly").await;
    let subscription = market.stripe.subscription_of(&session);
    market.stripe.cancel_at_end(&subscription);
    market.pass(30 * DAY);
    market.stripe.end_period(&subscription);
    market.lose_events();
    market.pass(Duration::from_secs(3600));
    assert_eq!(market.recheck().await, 1);
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
}
