//! Whose a job is while the ledger is away.

use http::Method;
use sqlx::{Connection as _, Executor as _};
use tollgate::store::{JobKey, JobState};
use tollgate::sync::Stepped;

use super::market::{ANN, Market};
use crate::support::auth0::{Auth0, Trouble};
use crate::support::raw::DEADLINE;

const ROLES: &str = "/api/v2/users/*/roles";

/// Waits until the worker has found the ledger away.
async fn until_it_fails(market: &Market) {
    let mut look = tokio::time::interval(std::time::Duration::from_millis(10));
    let found = tokio::time::timeout(DEADLINE, async {
        let line = "tollgate_ledger_errors_total{user=\"sync\"} 1";
        while !market.metrics.render(None).contains(line) {
            look.tick().await;
        }
    });
    assert!(found.await.is_ok(), "the ledger is locked");
}

#[tokio::test]
async fn a_job_that_failed_as_the_ledger_was_away_is_tried_again_as_soon_as_it_is_back() {
    let market = Market::open().await;
    market.pay(ANN, "lifetime").await;
    market.deliver().await;
    let (held, door) = Trouble::held();
    market.auth0.trouble_times(1, Method::POST, ROLES, held);
    let others = async {
        let has_called = |auth0: &Auth0| auth0.count(&Method::POST, ROLES) > 0;
        market.auth0.until(has_called).await;
        let mut lock = sqlx::SqliteConnection::connect(&market.url())
            .await
            .expect("the ledger");
        lock.execute("BEGIN IMMEDIATE").await.expect("the lock");
        door.open();
        until_it_fails(&market).await;
        lock.execute("ROLLBACK").await.expect("it is free again");
    };
    let (stepped, ()) = tokio::join!(market.sync.step(), others);
    assert_eq!(stepped.expect("a ledger"), Stepped::Retried);
    let job = market.store.job(&JobKey::User(ANN.to_owned())).await;
    let job = job.expect("a ledger").expect("a job");
    assert_eq!(job.state, JobState::Queued, "nobody waits for a lease");
    market.settle().await;
    assert_eq!(market.auth0.roles_of(ANN), ["premium-lifetime"]);
}
