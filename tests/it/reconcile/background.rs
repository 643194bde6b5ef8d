//! The look at every user in the background of a server.

use std::time::Duration;

use tokio::time::{interval, timeout};

use super::subscribe;
use crate::shop::{ANN, BOB, Shop};
use crate::support::raw::DEADLINE;

const DRIFT: &str = "tollgate_drift_users";
const RUNS: &str = "tollgate_reconcile_runs_total";

#[tokio::test]
async fn a_look_in_the_background_tells_by_metric_and_log_and_mends_nothing() {
    let shop = Shop::with(|setup| setup.section("reconcile: { every: 1s }")).await;
    shop.gate.until_metric(RUNS, &[("result", "ok")], 1.0).await;
    subscribe(&shop, ANN);
    shop.auth0.give_role(BOB, "premium-lifetime");
    for kind in ["missing", "extra"] {
        shop.gate.until_metric(DRIFT, &[("kind", kind)], 1.0).await;
    }
    shop.gate
        .until_metric(RUNS, &[("result", "drift")], 1.0)
        .await;
    let ended = "tollgate_reconcile_last_success_timestamp_seconds";
    shop.gate.until_metric(ended, &[], 1_000_000_000.0).await;
    let told = shop.gate.log.until("the drift", 1, |event| {
        event["level"] == "WARN" && event["reconcile.drift"] == 2
    });
    told.await;
    assert_eq!(shop.auth0.roles_of(ANN), ["free-user"]);
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user", "premium-lifetime"]);
}

#[tokio::test]
async fn a_look_in_the_background_mends_where_the_config_says_so() {
    let shop = Shop::with(|setup| setup.section("reconcile: { every: 1s, fix: true }")).await;
    subscribe(&shop, ANN);
    shop.auth0.give_role(BOB, "premium-lifetime");
    shop.auth0.until_roles(ANN, &["premium-monthly"]).await;
    shop.auth0.until_roles(BOB, &["free-user"]).await;
    shop.gate
        .log
        .until("what was mended", 1, |event| {
            event["reconcile.fixed"].as_u64() > Some(0)
        })
        .await;
}

#[tokio::test]
async fn without_a_word_of_it_in_the_config_nobody_is_looked_at() {
    let shop = Shop::open().await;
    subscribe(&shop, ANN);
    // Once the gauges are there, a round of housekeeping is over.
    let gauge = format!("{DRIFT}{{kind=\"missing\"}}");
    let mut look = interval(Duration::from_millis(10));
    let shown = timeout(DEADLINE, async {
        while !shop.gate.metrics().await.contains(&gauge) {
            look.tick().await;
        }
    });
    assert!(shown.await.is_ok(), "{}", shop.gate.metrics().await);
    assert!(!shop.gate.metrics().await.contains(RUNS));
    assert!(shop.stripe.calls_of("GET", "/v1/customers").is_empty());
}
