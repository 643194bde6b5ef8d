//! The tenant's rate limit, obeyed.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Method;
use tollgate::auth0::{Error, Kind};
use tollgate::clock::SystemClock;

use super::{ANN, ROLES, Tenant, USERS, kind};
use crate::support::auth0::{Fault, TOKEN, Trouble};
use crate::support::token::now;

/// For so long it is told to wait at least.
fn told<T>(result: Result<T, Error>) -> Duration {
    match result {
        Err(error) if error.kind == Kind::RateLimited => error.retry_after.expect("a time"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was let through"),
    }
}

#[tokio::test]
async fn after_a_429_nobody_asks_before_retry_after() {
    let tenant = Tenant::start();
    let too_many = Trouble::TooMany {
        retry_after: Some(1),
        reset: Some(now() + 50),
    };
    tenant.auth0.trouble_times(1, Method::GET, ROLES, too_many);
    let asked = Instant::now();
    let limited = tenant.client.roles_of(ANN).await;
    assert_eq!(told(limited), Duration::from_secs(1));
    assert_eq!(tenant.auth0.seen().len(), 1, "it is not repeated by itself");
    let others = join_all((0..5).map(|_| tenant.client.user(ANN))).await;
    assert!(others.iter().all(Result::is_ok));
    for later in &tenant.auth0.seen()[1..] {
        assert!(later.at >= asked + Duration::from_secs(1));
    }
}

#[tokio::test]
async fn without_retry_after_the_reset_counts() {
    let tenant = Tenant::start();
    let too_many = Trouble::TooMany {
        retry_after: None,
        reset: Some(now() + 30),
    };
    tenant.auth0.trouble_times(1, Method::GET, ROLES, too_many);
    let told_to_wait = told(tenant.client.roles_of(ANN).await).as_secs();
    assert!((28..=30).contains(&told_to_wait), "{told_to_wait}");
}

#[tokio::test]
async fn a_tenant_whose_429_says_nothing_is_asked_more_and_more_seldom() {
    let tenant = Tenant::start();
    let silent = Trouble::TooMany {
        retry_after: None,
        reset: None,
    };
    tenant.auth0.trouble_times(2, Method::GET, ROLES, silent);
    let patient = tenant.client.patient(Duration::from_secs(60));
    let roles = patient.roles_of(ANN).await;
    assert!(roles.is_ok(), "{:?}", roles.err());
    let seen = tenant.auth0.seen();
    assert_eq!(seen.len(), 3);
    for (pair, seconds) in seen.windows(2).zip([1, 2]) {
        assert!(pair[1].at >= pair[0].at + Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn who_would_wait_too_long_is_told_so_at_once_and_nothing_is_asked() {
    let tenant = Tenant::start();
    let too_many = Trouble::TooMany {
        retry_after: Some(50),
        reset: None,
    };
    tenant.auth0.trouble_times(1, Method::GET, ROLES, too_many);
    assert_eq!(told(tenant.client.roles_of(ANN).await).as_secs(), 50);
    let before = Instant::now();
    for _ in 0..3 {
        let wait = told(tenant.client.user(ANN).await);
        assert!(wait > Duration::from_secs(40), "{wait:?}");
    }
    assert!(before.elapsed() < Duration::from_secs(3));
    assert_eq!(tenant.auth0.seen().len(), 1);
}

#[tokio::test]
async fn when_nothing_remains_nobody_asks_before_the_reset() {
    let tenant = Tenant::start();
    let reset = now() + 4;
    let none_left = Trouble::Headers(vec![
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset", reset.to_string()),
    ]);
    tenant.auth0.trouble_times(1, Method::GET, USERS, none_left);
    tenant.held(ANN).await;
    assert!(now() < reset, "the answer itself is not held back");
    tenant.held(ANN).await;
    assert!(now() >= reset, "{} is too early for {reset}", now());
}

#[tokio::test]
async fn a_tenant_of_the_smallest_size_never_has_to_say_429() {
    let two = |config: &mut tollgate::auth0::Config| config.rate = "2/s".parse().expect("a rate");
    let tenant = Tenant::with(two, SystemClock);
    tenant.auth0.limit(2, 2.0);
    let calls = join_all((0..5).map(|_| tenant.client.roles_of(ANN))).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(tenant.counted("/users/{id}/roles", "429"), None);
    assert_eq!(tenant.counted("/users/{id}/roles", "200"), Some(5));
}

#[tokio::test]
async fn a_tenant_that_allows_less_than_the_config_says_is_obeyed() {
    let tenant = Tenant::start();
    tenant.auth0.limit(1, 2.0);
    let mut limited = 0;
    for _ in 0..3 {
        let calls = join_all((0..2).map(|_| tenant.client.roles_of(ANN))).await;
        limited += calls.into_iter().filter_map(kind).count();
    }
    // Of two at once one comes too late; it says so, and the next two wait.
    assert!(limited <= 3, "{limited}");
    tenant.held(ANN).await;
}

#[tokio::test]
async fn a_token_endpoint_that_says_429_is_not_asked_again_before_its_time() {
    let tenant = Tenant::start();
    let too_many = Trouble::TooMany {
        retry_after: Some(50),
        reset: None,
    };
    tenant.auth0.trouble(Method::POST, TOKEN, too_many);
    for _ in 0..3 {
        assert!(told(tenant.client.roles_of(ANN).await) > Duration::from_secs(40));
    }
    assert_eq!(tenant.auth0.hits(TOKEN), 1);
}

#[tokio::test]
async fn a_5xx_is_tried_once_more_a_lasting_one_is_told() {
    let tenant = Tenant::start();
    let broken = || Trouble::Instead(Fault::Status(502));
    tenant.auth0.trouble_times(1, Method::GET, ROLES, broken());
    tenant.held(ANN).await;
    assert_eq!(tenant.auth0.count(&Method::GET, ROLES), 2);
    tenant.auth0.trouble(Method::GET, ROLES, broken());
    let failed = tenant.client.roles_of(ANN).await;
    assert_eq!(kind(failed), Some(Kind::Api(502)));
    assert_eq!(tenant.auth0.count(&Method::GET, ROLES), 4);
}

#[tokio::test]
async fn browsers_never_hold_jobs_up_and_those_that_would_wait_too_long_are_told_at_once() {
    let patience = Duration::from_secs(1);
    let mut rounds = Vec::new();
    // A busy machine does not disturb all of them.
    for _ in 0..3 {
        let (worked, served, longest) = browsers_and_jobs(patience).await;
        let is_quick = worked < Duration::from_millis(1500) && longest < patience * 3;
        if is_quick && (10..=20).contains(&served) {
            return;
        }
        rounds.push((worked, served, longest));
    }
    unreachable!("jobs took, browsers served, the longest waited: {rounds:?}");
}

/// Many browsers and four jobs, one after the other, where ten calls a second are allowed. Gives how long the jobs took,
/// how many browsers were served, and how long one waited at most.
async fn browsers_and_jobs(patience: Duration) -> (Duration, usize, Duration) {
    let ten = |config: &mut tollgate::auth0::Config| config.rate = "10/s".parse().expect("a rate");
    let tenant = Tenant::with(ten, SystemClock);
    let browser = tenant.client.within(patience);
    let browsers = join_all((0..200).map(|_| async {
        let begun = Instant::now();
        let asked = browser.roles_of(ANN).await;
        (asked.is_ok(), begun.elapsed())
    }));
    let jobs = async {
        let begun = Instant::now();
        for _ in 0..4 {
            tenant.held(ANN).await;
        }
        begun.elapsed()
    };
    let (asked, worked) = tokio::join!(browsers, jobs);
    let served = asked.iter().filter(|(served, _)| *served).count();
    let longest = asked.iter().map(|(_, time)| *time).max().expect("one");
    (worked, served, longest)
}

#[tokio::test]
async fn a_call_given_up_while_it_waits_for_its_turn_leaves_it_to_the_next() {
    let ten = |config: &mut tollgate::auth0::Config| config.rate = "10/s".parse().expect("a rate");
    let tenant = Tenant::with(ten, SystemClock);
    join_all((0..10).map(|_| tenant.client.roles_of(ANN))).await;
    let calls = (0..40).map(|_| tokio::time::timeout(Duration::ZERO, tenant.client.roles_of(ANN)));
    assert!(join_all(calls).await.iter().all(Result::is_err));
    let begun = Instant::now();
    tenant.held(ANN).await;
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}
