//! What other replicas tell: jobs to be done, entitlements that changed. Told within the transaction that writes, so
//! that nothing is told that did not happen.
//!
//! A notification may be lost with its connection, so whoever waits for signals also looks for itself at an interval.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgNotification, PgPoolOptions};
use tokio::time::{sleep, timeout};

use super::super::{Signals, StoreError};

const JOBS: &str = "tollgate_jobs";
const CHANGES: &str = "tollgate_changes";
/// The first and the longest pause before the next try.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// How long it takes to connect at most, and to answer whether it is still there.
const DEADLINE: Duration = Duration::from_secs(3);
/// A connection that says nothing for so long is asked whether it is still there: a network may forget it silently.
const SILENCE: Duration = Duration::from_secs(10);
/// Each wakes one who waits, and one more is remembered; nobody needs more at a time.
const AT_A_TIME: u64 = 64;

/// Tells this process that so many jobs were asked for.
pub(super) fn asked(signals: &Signals, jobs: u64) {
    for _ in 0..jobs.min(AT_A_TIME) {
        signals.jobs.notify_one();
    }
}

/// Tells the others, once the transaction is durable, that so many jobs were asked for by `me`.
pub(super) async fn tell_jobs(
    tx: &mut PgConnection,
    me: &str,
    jobs: u64,
) -> Result<(), StoreError> {
    if jobs > 0 {
        tell(tx, JOBS, format!("{me} {jobs}")).await?;
    }
    Ok(())
}

/// Tells the others, once the transaction is durable, that an entitlement was written by `me`.
pub(super) async fn tell_change(tx: &mut PgConnection, me: &str) -> Result<(), StoreError> {
    tell(tx, CHANGES, me.to_owned()).await
}

async fn tell(tx: &mut PgConnection, channel: &str, text: String) -> Result<(), StoreError> {
    let sql = "SELECT pg_notify($1, $2)";
    let told = sqlx::query(sql).bind(channel).bind(text);
    told.execute(tx).await?;
    Ok(())
}

/// Listens for what others tell, on a connection of its own, and passes it on to `signals`, for ever.
pub(super) async fn listen(options: PgConnectOptions, signals: Arc<Signals>, me: String) {
    let mut pause = PAUSES.0;
    let mut told = false;
    loop {
        let lost = match hear(&options, &signals, &me, &mut pause, &mut told).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        if !told {
            tracing::warn!(error = %lost, "notifications of other replicas are not heard; looking at an interval");
            told = true;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Listens until the connection is lost.
async fn hear(
    options: &PgConnectOptions,
    signals: &Signals,
    me: &str,
    pause: &mut Duration,
    told: &mut bool,
) -> Result<Infallible, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(DEADLINE)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    // A lost connection is to be heard of, because of what was missed.
    listener.eager_reconnect(false);
    in_time(listener.listen_all([JOBS, CHANGES])).await?;
    if *told {
        tracing::info!("notifications of other replicas are heard again");
        *told = false;
    }
    *pause = PAUSES.0;
    // Whatever was told meanwhile is read now.
    signals.changed();
    asked(signals, AT_A_TIME);
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => pass_on(&notification, signals, me),
            Ok(Ok(None)) => return Err(sqlx::Error::PoolTimedOut),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                in_time(sqlx::query("SELECT 1").execute(&mut listener)).await?;
            }
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let done = timeout(DEADLINE, work).await;
    done.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// What this process told itself it knows already.
fn pass_on(notification: &PgNotification, signals: &Signals, me: &str) {
    let (who, count) = notification
        .payload()
        .split_once(' ')
        .unwrap_or((notification.payload(), ""));
    if who == me {
        return;
    }
    if notification.channel() == CHANGES {
        signals.changed();
    } else {
        asked(signals, count.parse().unwrap_or(1));
    }
}
