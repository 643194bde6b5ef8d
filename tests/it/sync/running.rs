//! The worker by itself: it waits for jobs, keeps the gauges, stops when told; and the overlay that follows the ledger.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tollgate::clock::Clock;
use tollgate::store::{Derived, JobState};
use tollgate::sync::{Config, Overlay, Stepped, Sync, follow, load};

use super::log::Log;
use super::market::{ANN, BOB, Market};
use crate::support::stripe::Fault;

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the worker until `until` is over, then stops it and waits for its end.
async fn run_until(market: &Market, until: impl Future<Output = ()>) {
    let stop = CancellationToken::new();
    let sync = Arc::new(Sync::new(market.parts.clone(), super::market::config()));
    let told = async {
        timeout(PATIENCE, until).await.expect("it happens in time");
        stop.cancel();
    };
    let both = async { tokio::join!(sync.run(stop.clone()), told) };
    timeout(2 * PATIENCE, both)
        .await
        .expect("it stops when told");
}

/// The quickest of a few rounds, which a busy machine does not disturb all.
async fn quickest(mut round: impl AsyncFnMut()) -> Duration {
    let mut quickest = Duration::MAX;
    for _ in 0..8 {
        // For whoever waits to have found nothing more to do. Should it be too short, the round proves less and fails
        // no sooner.
        sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        round().await;
        quickest = quickest.min(began.elapsed());
    }
    quickest
}

#[tokio::test]
async fn a_job_is_taken_as_soon_as_it_is_there() {
    let market = Market::open().await;
    let config = Config {
        workers: 1,
        ..super::market::config()
    };
    let sync = Arc::new(Sync::new(market.parts.clone(), config));
    let stop = CancellationToken::new();
    let story = async {
        // The worker has just found nothing to do, so without a signal a round would take most of the half second until
        // it looks again.
        let quickest = quickest(async || {
            market.ask(ANN).await;
            while market.job(ANN).await.is_some() {
                sleep(Duration::from_millis(1)).await;
            }
        });
        let quickest = timeout(PATIENCE, quickest).await.expect("it is taken");
        assert!(quickest < Duration::from_millis(250), "{quickest:?}");
        stop.cancel();
    };
    tokio::join!(Arc::clone(&sync).run(stop.clone()), story);
}

#[tokio::test]
async fn what_ran_out_of_time_has_another_chance_at_the_start_and_what_is_final_has_not() {
    let (log, _guard) = Log::begin();
    let market = Market::open().await;
    market.auth0.delete_user(BOB);
    market.pay(BOB, "lifetime").await;
    market.deliver().await;
    assert_eq!(market.work().await, [Stepped::Dead]);
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    market
        .stripe
        .fault("GET", "/v1/subscriptions", Fault::status(500));
    assert_eq!(market.work().await, [Stepped::Retried]);
    market.pass(Duration::from_secs(24 * 3600));
    assert_eq!(market.work().await, [Stepped::Dead]);
    let error = market.job(ANN).await.expect("a job").error;
    assert!(error.expect("an error").starts_with("out of time: "));
    market.stripe.mend();
    run_until(&market, async {
        market.auth0.until_roles(ANN, &["premium-monthly"]).await;
    })
    .await;
    let bobs = market.job(BOB).await.expect("a job");
    assert_eq!((bobs.state, bobs.attempts), (JobState::Dead, 1));
    let told = log.lines("jobs that were given up for their age are tried again");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("WARN") && told[0].contains("jobs.count=1"));
}

#[tokio::test]
async fn a_job_that_another_process_wrote_is_noticed() {
    let mut market = Market::open().await;
    let worker = Arc::new(Sync::new(market.parts.clone(), super::market::config()));
    // From here on the market writes through a connection whose signals the worker does not hear.
    market.restart().await;
    let stop = CancellationToken::new();
    let story = async {
        market.pay(ANN, "monthly").await;
        market.deliver().await;
        let arrived = market.auth0.until_roles(ANN, &["premium-monthly"]);
        timeout(PATIENCE, arrived).await.expect("it is noticed");
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), story);
}

#[tokio::test]
async fn the_gauges_tell_of_jobs_lag_and_premium_users() {
    let market = Market::open().await;
    market.buy(ANN, "monthly").await;
    market.auth0.delete_user(BOB);
    market.pay(BOB, "lifetime").await;
    market.deliver().await;
    let wanted = [
        "tollgate_jobs{state=\"dead\"} 1",
        "tollgate_jobs{state=\"queued\"} 0",
        "tollgate_jobs{state=\"running\"} 0",
        "tollgate_premium_users{plan=\"monthly\"} 1",
        "tollgate_premium_users{plan=\"lifetime\"} 1",
        "tollgate_sync_lag_seconds 0",
        "tollgate_role_changes_total{action=\"assign\",plan=\"monthly\",result=\"ok\"} 1",
        "tollgate_role_changes_total{action=\"remove\",plan=\"free\",result=\"ok\"} 1",
    ];
    run_until(&market, async {
        let mut rounds = tokio::time::interval(Duration::from_millis(20));
        loop {
            let text = market.metrics.render(None);
            if wanted.iter().all(|line| text.contains(line)) {
                return;
            }
            rounds.tick().await;
        }
    })
    .await;
}

/// A job of ANN's that finds this plan.
async fn derive(market: &Market, plan: &str) {
    market.ask(ANN).await;
    let now = market.now();
    let job = market.store.take(now, 1000).await.expect("a ledger");
    let job = job.expect("a job");
    let derived = Derived {
        plan: Some(plan.to_owned()),
        ..Derived::default()
    };
    let written = market.store.derived(&job, &derived, true, now).await;
    written.expect("a ledger");
    market.store.finish(&job, now).await.expect("a ledger");
}

#[tokio::test]
async fn the_overlay_follows_the_ledger() {
    let market = Market::open().await;
    market.buy(ANN, "monthly").await;
    let overlay = Arc::new(Overlay::new(
        Duration::from_secs(24 * 3600),
        Duration::from_secs(30),
    ));
    let clock = Arc::clone(&market.clock) as Arc<dyn Clock>;
    let loaded = load(0, &*market.store, &overlay, &*clock).await.unwrap();
    let plan = || overlay.standing(ANN).and_then(|known| known.plan.clone());
    assert_eq!(plan().as_deref(), Some("monthly"), "before any request");

    let stop = CancellationToken::new();
    let following = follow(
        loaded,
        Arc::clone(&market.store),
        Arc::clone(&overlay),
        clock,
        Arc::clone(&market.metrics),
        stop.clone(),
    );
    let story = async {
        let mut changes = overlay.changes();
        market.buy(ANN, "lifetime").await;
        let told = changes.wait_for(|_| plan().as_deref() == Some("lifetime"));
        timeout(PATIENCE, told).await.expect("in time").unwrap();

        // The ledger has just been read, so without a signal a round would take most of the quarter of a second until it
        // is read again.
        let mut plans = ["monthly", "lifetime"].into_iter().cycle();
        let quickest = quickest(async || {
            let plan_now = plans.next().expect("one");
            derive(&market, plan_now).await;
            let told = changes.wait_for(|_| plan().as_deref() == Some(plan_now));
            told.await.expect("it is told");
        });
        let quickest = timeout(PATIENCE, quickest).await.expect("in time");
        assert!(quickest < Duration::from_millis(125), "{quickest:?}");
        stop.cancel();
    };
    tokio::join!(following, story);
    assert!(market.metrics.render(None).contains("tollgate_ledger_up 1"));
}
