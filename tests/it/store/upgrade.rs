//! A ledger that an earlier program wrote is brought up to date, with all that is in it.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tollgate::store::{EventFilter, JobState, Postgres, Sqlite, Store};

use super::copy::fill;
use super::{LEASE, START};
use crate::support::postgres::Server;

/// Makes a ledger what the first migration had left, and nothing that was in it then is touched.
pub(crate) const TO_THE_FIRST: &str = "
    ALTER TABLE entitlements DROP COLUMN terms;
    DROP TABLE looks;
    DROP TABLE drift;
    DELETE FROM counters WHERE name = 'look';
    DELETE FROM _sqlx_migrations WHERE version > 1";

/// All that can be seen of a ledger.
async fn seen(store: &Arc<dyn Store>) -> String {
    let all = EventFilter {
        limit: 1000,
        ..EventFilter::default()
    };
    let events = store.events(&all).await.expect("events");
    let body = store.event("evt_ignored").await.expect("an answer");
    let mut jobs = Vec::new();
    for state in [JobState::Queued, JobState::Running, JobState::Dead] {
        jobs.extend(store.jobs(state, 1000).await.expect("jobs"));
    }
    let links = store.users_of("cus_1").await.expect("links");
    let purchases = store.purchases_of("auth0|1").await.expect("purchases");
    let rows = store.changes_after(0, 1000).await.expect("rows");
    let audit = store.role_changes("auth0|1", 10).await.expect("lines");
    assert!(body.is_some() && !jobs.is_empty() && !links.is_empty() && !purchases.is_empty());
    assert!(!rows.is_empty() && !audit.is_empty());
    let totals = store.totals().await.expect("totals");
    format!("{events:?} {body:?} {jobs:?} {links:?} {purchases:?} {rows:?} {audit:?} {totals:?}")
}

/// Sees that everything is there, and that what is new works.
async fn is_up_to_date(store: &Arc<dyn Store>, before: &str) {
    assert_eq!(seen(store).await, before);
    let look = store.begin_look(false, START, LEASE).await;
    assert!(look.expect("an answer").is_some());
    let known = store.known_users(None, 10).await.expect("users");
    assert_eq!(known, ["auth0|1", "auth0|2"]);
}

#[tokio::test]
async fn an_old_file_is_brought_up_to_date_with_its_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ledger.db");
    let url = format!("sqlite://{}", file.display());
    let open = async || {
        let store = Sqlite::open(&url).await;
        let store: Arc<dyn Store> = Arc::new(store.expect("a ledger"));
        store
    };
    let before = {
        let store = open().await;
        fill(&store).await;
        seen(&store).await
    };
    let options = SqliteConnectOptions::new().filename(&file);
    let mut old: SqliteConnection = options.connect().await.expect("a connection");
    let undone = sqlx::raw_sql(TO_THE_FIRST).execute(&mut old).await;
    undone.expect("as the first migration left it");
    drop(old);
    is_up_to_date(&open().await, &before).await;
}

#[tokio::test]
async fn an_old_database_is_brought_up_to_date_with_its_data() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database().await;
    let open = async || {
        let store = Postgres::open(&database.url).await;
        let store: Arc<dyn Store> = Arc::new(store.expect("a ledger"));
        store
    };
    let before = {
        let store = open().await;
        fill(&store).await;
        seen(&store).await
    };
    database.sql(TO_THE_FIRST);
    // Replicas start together.
    let (one, other) = tokio::join!(open(), open());
    is_up_to_date(&one, &before).await;
    assert_eq!(seen(&other).await, before);
}
