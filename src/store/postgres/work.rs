//! How statements are run: each call with a deadline, transactions that lost against another again.

use std::ops::Range;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;
use tokio::time::{sleep, timeout};

use super::super::{Outage, StoreError};

/// How long a call may take, waiting for a connection and for locks included. The server's own limits are shorter; this
/// one is for a network that says nothing.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often a transaction that lost against another is tried, and the longest pause between.
const TRIES: u32 = 5;
const PAUSE_MS: u64 = 20;

/// Runs statements that read, or a single one that writes, on a connection.
macro_rules! once {
    ($store:ident, |$connection:ident| $work:expr) => {
        work::within(async {
            let mut $connection = $store.connection().await?;
            $work
        })
        .await
    };
}

/// Runs statements in a transaction; again, when the server says that it lost against another.
macro_rules! transaction {
    ($store:ident, |$tx:ident| $work:expr) => {{
        let mut tries = 1;
        loop {
            let done = work::within(async {
                let mut connection = $store.connection().await?;
                let mut $tx = sqlx::Connection::begin(&mut *connection).await?;
                let done = $work;
                $tx.commit().await?;
                Ok(done)
            })
            .await;
            match done {
                Err(error) if work::is_worth_a_try(&error, tries).await => tries += 1,
                outcome => break outcome,
            }
        }
    }};
}

pub(super) async fn within<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let done = timeout(DEADLINE, work).await;
    done.unwrap_or_else(|_| Err(Outage::Slow(DEADLINE).into()))
}

/// Whether a transaction that failed is to be tried again; if so, after a pause. After a serialization failure or a
/// deadlock nothing of it has happened, and it may go well the next time.
pub(super) async fn is_worth_a_try(error: &StoreError, tries: u32) -> bool {
    let StoreError::Unavailable(Outage::Database(error)) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(DatabaseError::code);
    let lost = code.is_some_and(|code| ["40001", "40P01"].contains(&&*code));
    if !lost || tries >= TRIES {
        return false;
    }
    sleep(Duration::from_millis(fastrand::u64(1..=PAUSE_MS))).await;
    true
}

/// Waits until nobody else asks for jobs, and keeps others from it until the end of the transaction.
pub(super) async fn alone(tx: &mut PgConnection) -> Result<(), StoreError> {
    let sql = "SELECT value FROM counters WHERE name = 'generation' FOR UPDATE";
    sqlx::query(sql).execute(tx).await?;
    Ok(())
}

/// The next numbers of a counter. Whoever took them holds the counter until the commit.
pub(super) async fn next(
    tx: &mut PgConnection,
    counter: &'static str,
    count: usize,
) -> Result<Range<i64>, StoreError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "UPDATE counters SET value = value + $2 WHERE name = $1 RETURNING value";
    let last = sqlx::query_scalar::<_, i64>(sql).bind(counter).bind(count);
    let last = last.fetch_one(tx).await?;
    Ok(last - count + 1..last + 1)
}

pub(super) use {once, transaction};
