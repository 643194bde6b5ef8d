//! The worker by itself: it waits for jobs, keeps the gauges, stops when told; and the overlay that follows the ledger.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tollgate::clock::Clock;
use tollgate::sync::{Overlay, Sync, follow, load};

use super::market::{ANN, Market};

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

#[tokio::test]
async fn a_job_is_taken_as_soon_as_it_is_there() {
    let market = Market::open().await;
    run_until(&market, async {
        market.pay(ANN, "monthly").await;
        market.deliver().await;
        market.auth0.until_roles(ANN, &["premium-monthly"]).await;
    })
    .await;
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
    market.auth0.delete_user(super::market::BOB);
    market.pay(super::market::BOB, "lifetime").await;
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
        stop.cancel();
    };
    tokio::join!(following, story);
    assert!(market.metrics.render(None).contains("tollgate_ledger_up 1"));
}
