//! Failures in the middle, and what they must not cost.

use std::time::Duration;

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use http::Method;
use tollgate::clock::Clock;
use tollgate::store::{Cause, JobKey, JobState, Priority};
use tollgate::sync::{Parts, Stepped, Sync};

use super::market::{ANN, BOB, Market};
use crate::support::auth0::{Fault as Auth0Fault, Trouble};
use crate::support::stripe::Fault;

const ROLES: &str = "/api/v2/users/*/roles";

#[tokio::test]
async fn a_failure_between_adding_and_removing_costs_nobody_a_plan() {
    let market = Market::open().await;
    let broken = Trouble::Instead(Auth0Fault::Status(503));
    market.auth0.trouble(Method::DELETE, ROLES, broken);
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    assert_eq!(market.work().await, [Stepped::Retried]);
    assert_eq!(market.auth0.roles_of(ANN), ["free-user", "premium-monthly"]);
    assert_eq!(
        market.row(ANN).await.confirmed_at,
        None,
        "the overlay holds"
    );
    market.auth0.mend_all();
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    let deeds = market.deeds(ANN).await;
    assert_eq!(
        deeds,
        [
            "assign premium-monthly",
            "remove free-user!",
            "remove free-user"
        ]
    );
}

#[tokio::test]
async fn a_failure_to_add_removes_nothing() {
    let market = Market::open().await;
    market.buy(ANN, "monthly").await;
    let broken = Trouble::Instead(Auth0Fault::Status(500));
    market.auth0.trouble(Method::POST, ROLES, broken);
    market.pay(ANN, "lifetime").await;
    market.deliver().await;
    assert_eq!(market.work().await, [Stepped::Retried]);
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    assert_eq!(
        market.plan(ANN).await,
        "lifetime",
        "the ledger is right first"
    );
    market.auth0.mend_all();
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
}

#[tokio::test]
async fn an_answer_that_is_lost_does_no_harm() {
    for method in [Method::POST, Method::DELETE] {
        let market = Market::open().await;
        let lost = Trouble::After(Auth0Fault::Cut);
        market.auth0.trouble_times(2, method, ROLES, lost);
        market.pay(ANN, "monthly").await;
        market.deliver().await;
        market.settle().await;
        assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
        assert!(market.row(ANN).await.confirmed_at.is_some());
    }
}

#[tokio::test]
async fn a_reading_from_before_the_last_change_does_not_mislead() {
    let market = Market::open().await;
    market.auth0.late_role_reads(3);
    let session = market.buy(ANN, "lifetime").await;
    market.stripe.refund(&session);
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
    market.buy(ANN, "monthly").await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
}

#[tokio::test]
async fn metadata_that_cannot_be_written_does_not_hold_the_roles_back() {
    let market = Market::open().await;
    let broken = Trouble::Instead(Auth0Fault::Status(500));
    market.auth0.trouble(Method::PATCH, "/api/v2/users", broken);
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    assert_eq!(market.work().await, [Stepped::Retried]);
    assert!(market.row(ANN).await.confirmed_at.is_some());
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    market.auth0.mend_all();
    market.settle().await;
    let metadata = market.auth0.app_metadata(ANN);
    assert_eq!(metadata["premium_status"], "active");
}

#[tokio::test]
async fn both_sides_are_obeyed_when_they_ask_to_wait() {
    let market = Market::open().await;
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    let too_many = Fault::rate_limited(120);
    market
        .stripe
        .fault_next(1, "GET", "/v1/subscriptions", too_many);
    let before = market.now();
    assert_eq!(market.work().await, [Stepped::Retried]);
    assert!(market.job(ANN).await.unwrap().run_at >= before + 120_000);
    market.pass(Duration::from_secs(121));

    let before = market.now();
    let asked = Trouble::TooMany {
        retry_after: Some(2),
        reset: None,
    };
    market.auth0.trouble_times(1, Method::GET, ROLES, asked);
    assert_eq!(market.work().await, [Stepped::Retried]);
    assert!(market.job(ANN).await.unwrap().run_at >= before + 2_000);
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
}

#[tokio::test]
async fn while_a_side_is_away_the_job_waits_and_its_error_is_to_be_seen() {
    let mut market = Market::open().await;
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    market.auth0.go_down().await;
    assert_eq!(market.work().await, [Stepped::Retried]);
    let job = market.job(ANN).await.unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Queued, 1));
    assert!(job.error.unwrap().contains("Auth0: it cannot be reached"));
    assert_eq!(
        market.plan(ANN).await,
        "monthly",
        "the overlay knows already"
    );
    market.auth0.come_up();
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
    assert_eq!(market.job(ANN).await, None);
}

#[tokio::test]
async fn stripe_away_changes_nothing_for_anybody() {
    let mut market = Market::open().await;
    market.buy(ANN, "lifetime").await;
    let key = JobKey::User(ANN.to_owned());
    let (cause, now) = (Cause::default(), market.now());
    let asked = market
        .store
        .enqueue(&key, &cause, Priority::Background, now);
    asked.await.unwrap();
    market.stripe.go_down().await;
    assert_eq!(market.work().await, [Stepped::Retried]);
    assert_eq!(market.plan(ANN).await, "lifetime");
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    market.stripe.come_up();
    market.settle().await;
}

#[tokio::test]
async fn a_job_that_keeps_failing_is_given_up_after_its_time_and_an_event_wakes_it() {
    let market = Market::open().await;
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    let away = Fault::status(500);
    market.stripe.fault("GET", "/v1/subscriptions", away);
    assert_eq!(market.work().await, [Stepped::Retried]);
    market.pass(Duration::from_secs(24 * 3600));
    assert_eq!(market.work().await, [Stepped::Dead]);
    assert_eq!(market.job(ANN).await.unwrap().state, JobState::Dead);
    market.stripe.mend();
    assert_eq!(market.work().await, [], "the dead do nothing by themselves");
    market.pay(ANN, "lifetime").await;
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
}

#[tokio::test]
async fn a_step_that_is_dropped_anywhere_is_made_up_for() {
    // Held at each of the calls in turn, then dropped there.
    for (method, path) in [
        ("GET", "/v1/subscriptions"),
        ("GET", "/v1/checkout/sessions"),
    ] {
        let market = Market::open().await;
        market.pay(ANN, "lifetime").await;
        market.deliver().await;
        market.stripe.fault_next(1, method, path, Fault::Hang);
        tokio::select! {
            _ = market.sync.step() => unreachable!("it hangs"),
            () = market.stripe.until_calls(1, method, path) => {}
        }
        assert_eq!(market.step().await, Stepped::Idle, "the lease holds");
        market.settle().await;
        assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    }
}

#[tokio::test]
async fn a_process_that_ends_in_the_middle_goes_on_where_it_was() {
    let mut market = Market::open().await;
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    let hang = Trouble::Instead(Auth0Fault::Hang);
    market.auth0.trouble(Method::DELETE, ROLES, hang);
    tokio::select! {
        _ = market.sync.step() => unreachable!("it hangs"),
        () = market.auth0.until(|auth0| auth0.count(&Method::DELETE, ROLES) > 0) => {}
    }
    market.auth0.mend_all();
    market.restart().await;
    assert_eq!(market.work().await, [Stepped::Done]);
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);

    // Nobody knows what the first try did last, and a reading may be late: it is looked at once more.
    market.pass(Duration::from_secs(120));
    assert_eq!(market.recheck().await, 1);
    market.settle().await;
    market.pass(Duration::from_secs(120));
    assert_eq!(market.recheck().await, 0);
}

#[tokio::test]
async fn a_lost_lease_stops_the_step_without_a_word() {
    let market = Market::open().await;
    market.pay(ANN, "lifetime").await;
    market.deliver().await;
    market
        .stripe
        .fault_next(1, "GET", "/v1/subscriptions", Fault::Hold);
    let slow = market.sync.step();
    let meanwhile = async {
        market
            .stripe
            .until_calls(1, "GET", "/v1/subscriptions")
            .await;
        market.pass(Duration::from_secs(3600));
        let other = market.step().await;
        market.stripe.release();
        other
    };
    let (slow, other) = tokio::join!(slow, meanwhile);
    assert_eq!((slow.unwrap(), other), (Stepped::Lost, Stepped::Done));
    let deeds = market.deeds(ANN).await;
    assert_eq!(deeds, ["assign premium-lifetime", "remove free-user"]);
}

#[tokio::test]
async fn who_lost_the_lease_after_changing_roles_has_the_user_looked_at_again() {
    let market = Market::open().await;
    let session = market.pay(ANN, "lifetime").await;
    market.deliver().await;
    let late = crate::support::auth0::Door::default();
    market
        .auth0
        .trouble_times(1, Method::POST, ROLES, Trouble::Held(late.clone()));
    let slow = market.sync.step();
    let meanwhile = async {
        market
            .auth0
            .until(|auth0| auth0.count(&Method::POST, ROLES) > 0)
            .await;
        // Another takes over, and all is undone, before the first one's wish arrives.
        market.pass(Duration::from_secs(3600));
        market.stripe.refund(&session);
        market.deliver().await;
        let other = market.step().await;
        late.open();
        other
    };
    let (slow, other) = tokio::join!(slow, meanwhile);
    assert_eq!((slow.unwrap(), other), (Stepped::Lost, Stepped::Done));
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
}

#[tokio::test]
async fn a_role_that_cannot_be_given_for_long_has_one_line_in_the_audit() {
    let market = Market::open().await;
    let broken = Trouble::Instead(Auth0Fault::Status(500));
    market.auth0.trouble(Method::POST, ROLES, broken);
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    for _ in 0..10 {
        assert_eq!(market.work().await, [Stepped::Retried]);
        market.pass(Duration::from_secs(300));
    }
    assert_eq!(market.deeds(ANN).await, ["assign premium-monthly!"]);
    // Failing in another way is news.
    market.auth0.mend_all();
    let broken = Trouble::Instead(Auth0Fault::Status(503));
    market.auth0.trouble(Method::POST, ROLES, broken);
    assert_eq!(market.work().await, [Stepped::Retried]);
    market.auth0.mend_all();
    market.settle().await;
    assert_eq!(
        market.deeds(ANN).await,
        [
            "assign premium-monthly!",
            "assign premium-monthly!",
            "assign premium-monthly",
            "remove free-user"
        ]
    );
}

#[tokio::test]
async fn a_lost_answer_that_has_no_line_of_its_own_is_still_made_up_for() {
    let market = Market::open().await;
    let broken = Trouble::Instead(Auth0Fault::Cut);
    market.auth0.trouble(Method::POST, ROLES, broken);
    let session = market.pay(ANN, "monthly").await;
    market.deliver().await;
    assert_eq!(market.work().await, [Stepped::Retried]);
    market.pass(Duration::from_secs(300));
    market.auth0.mend_all();
    let lost = Trouble::After(Auth0Fault::Cut);
    market.auth0.trouble(Method::POST, ROLES, lost);
    assert_eq!(market.work().await, [Stepped::Retried]);
    assert_eq!(market.deeds(ANN).await, ["assign premium-monthly!"]);
    market.pass(Duration::from_secs(300));
    market.auth0.mend_all();
    market.auth0.late_role_reads(1);
    market
        .stripe
        .cancel_now(&market.stripe.subscription_of(&session));
    market.deliver().await;
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
}

/// A clock that breaks at the second question after it was told to: the first is which job to take.
struct Broken {
    clock: Arc<dyn Clock>,
    questions: AtomicIsize,
}

impl Clock for Broken {
    fn since_epoch(&self) -> Duration {
        let before = self.questions.fetch_sub(1, Ordering::SeqCst);
        assert_ne!(before, 1, "the clock is broken");
        self.clock.since_epoch()
    }
}

#[tokio::test]
async fn a_step_that_breaks_is_tried_again_later_and_given_up_after_its_time() {
    let market = Market::open().await;
    let clock = Arc::new(Broken {
        clock: Arc::clone(&market.clock) as Arc<dyn Clock>,
        questions: AtomicIsize::new(2),
    });
    let parts = Parts {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        ..market.parts.clone()
    };
    let sync = Sync::new(parts, super::market::config());
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    assert_eq!(sync.step().await.unwrap(), Stepped::Retried);
    let job = market.job(ANN).await.unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Queued, 1));
    assert!(job.error.unwrap().contains("it broke in the middle"));
    clock.questions.store(2, Ordering::SeqCst);
    market.pass(Duration::from_secs(24 * 3600));
    assert_eq!(sync.step().await.unwrap(), Stepped::Dead);
    market.ask(ANN).await;
    assert_eq!(sync.step().await.unwrap(), Stepped::Done);
    assert_eq!(market.auth0.roles_of(ANN), ["premium-monthly"]);
}

#[tokio::test]
async fn two_workers_never_have_one_user_and_work_on_two_at_once() {
    let market = Market::open().await;
    for user in [ANN, BOB] {
        market.pay(user, "lifetime").await;
    }
    market.deliver().await;
    market
        .stripe
        .fault_next(1, "GET", "/v1/subscriptions", Fault::Hold);
    let first = market.sync.step();
    let meanwhile = async {
        market
            .stripe
            .until_calls(1, "GET", "/v1/subscriptions")
            .await;
        let second = market.step().await;
        let third = market.step().await;
        market.stripe.release();
        (second, third)
    };
    let (first, (second, third)) = tokio::join!(first, meanwhile);
    assert_eq!(
        (first.unwrap(), second, third),
        (Stepped::Done, Stepped::Done, Stepped::Idle)
    );
    for user in [ANN, BOB] {
        assert_eq!(market.auth0.roles_of(user), ["premium-lifetime"]);
    }
}

#[tokio::test]
async fn what_comes_while_a_job_runs_is_looked_at_afterwards() {
    let market = Market::open().await;
    let session = market.pay(ANN, "lifetime").await;
    market.deliver().await;
    let roles = "/api/v2/users/*/roles";
    let door = crate::support::auth0::Door::default();
    market
        .auth0
        .trouble(Method::GET, roles, Trouble::Held(door.clone()));
    let running = market.sync.step();
    let meanwhile = async {
        market
            .auth0
            .until(|auth0| auth0.count(&Method::GET, roles) > 0)
            .await;
        market.stripe.refund(&session);
        market.deliver().await;
        door.open();
    };
    let (first, ()) = tokio::join!(running, meanwhile);
    assert_eq!(first.unwrap(), Stepped::Done);
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
    market.work().await;
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
}
