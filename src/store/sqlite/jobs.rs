//! The table `jobs`: what is still to be done, each thing once, and who works on it.

use std::ops::Range;

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite as Dialect};

use super::super::batch::Request;
use super::super::words::{known, text, unique};
use super::super::{
    Cause, Job, JobKey, JobState, JobStatus, Priority, StoreError, Totals, UnixMillis,
};
use super::{drift, next};

/// What a request does to a job that is there: it wakes a dead one, hurries one that waits, and is remembered by one that
/// runs.
const ASKED_AGAIN: &str = " ON CONFLICT (key) DO UPDATE SET
      generation = excluded.generation,
      priority = MAX(jobs.priority, excluded.priority),
      why = excluded.why,
      event = excluded.event,
      state = CASE jobs.state WHEN 'dead' THEN 'queued' ELSE jobs.state END,
      attempts = CASE jobs.state WHEN 'dead' THEN 0 ELSE jobs.attempts END,
      since = CASE jobs.state WHEN 'dead' THEN excluded.since ELSE jobs.since END,
      run_at = CASE jobs.state
          WHEN 'queued' THEN MIN(jobs.run_at, excluded.run_at)
          WHEN 'dead' THEN excluded.run_at
          ELSE jobs.run_at
      END,
      asked_at = CASE jobs.state
          WHEN 'running' THEN COALESCE(jobs.asked_at, excluded.since)
          ELSE NULL
      END";

/// Asks for a job; gives the number of this request.
pub(super) async fn ask(
    tx: &mut SqliteConnection,
    key: &JobKey,
    cause: &Cause,
    priority: Priority,
    now: UnixMillis,
) -> Result<i64, StoreError> {
    let request = Request {
        key: key.clone(),
        cause: cause.clone(),
        priority,
        now,
    };
    Ok(ask_all(tx, &[request]).await?.end - 1)
}

/// Asks for jobs, each with another key; gives the numbers of these requests, in order.
pub(super) async fn ask_all(
    tx: &mut SqliteConnection,
    requests: &[Request],
) -> Result<Range<i64>, StoreError> {
    let generations = next(tx, "generation", requests.len()).await?;
    let mut query = QueryBuilder::<Dialect>::new(
        "INSERT INTO jobs (key, state, priority, generation, attempts, since, run_at, why, event) ",
    );
    query.push_values(
        requests.iter().zip(generations.clone()),
        |mut row, (one, generation)| {
            row.push_bind(one.key.to_string())
                .push("'queued'")
                .push_bind(one.priority.rank())
                .push_bind(generation)
                .push("0")
                .push_bind(one.now)
                .push_bind(one.now)
                .push_bind(&one.cause.why)
                .push_bind(&one.cause.event);
        },
    );
    query.push(ASKED_AGAIN);
    query.build().execute(tx).await?;
    Ok(generations)
}

/// Queues the job again if it is dead; says how many were.
pub(super) async fn wake(
    tx: &mut SqliteConnection,
    key: &JobKey,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    let sql = "UPDATE jobs SET state = 'queued', attempts = 0, since = ?2, run_at = ?2
               WHERE key = ?1 AND state = 'dead'";
    let woken = sqlx::query(sql).bind(key.to_string()).bind(now);
    Ok(woken.execute(tx).await?.rows_affected())
}

/// Takes the most urgent job that is due. Its wish to be quick is granted with that; a later try has none.
pub(super) async fn take(
    tx: &mut SqliteConnection,
    now: UnixMillis,
    lease_ms: i64,
) -> Result<Option<Job>, StoreError> {
    // One search for each priority: both walk the index in its order and stop at the first row.
    let sql = "UPDATE jobs SET
                   state = 'running', lease = ?2, run_at = ?3, priority = 0, asked_at = NULL,
                   attempts = attempts + (state = 'running')
               WHERE key = COALESCE(
                   (SELECT key FROM jobs WHERE state <> 'dead' AND priority = 1 AND run_at <= ?1
                    ORDER BY run_at, key LIMIT 1),
                   (SELECT key FROM jobs WHERE state <> 'dead' AND priority = 0 AND run_at <= ?1
                    ORDER BY run_at, key LIMIT 1))
               RETURNING key, generation, attempts, since, why, event, lease";
    let row = sqlx::query(sql)
        .bind(now)
        .bind(unique())
        .bind(now.saturating_add(lease_ms))
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Fails when somebody else has the job.
pub(super) async fn hold(tx: &mut SqliteConnection, job: &Job) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM jobs WHERE key = ?1 AND lease = ?2";
    let held = sqlx::query(sql).bind(job.key.to_string()).bind(&job.lease);
    held.fetch_optional(tx)
        .await?
        .map(drop)
        .ok_or(StoreError::LeaseLost)
}

/// Keeps the job for `lease_ms` from now.
pub(super) async fn renew(
    tx: &mut SqliteConnection,
    job: &Job,
    now: UnixMillis,
    lease_ms: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET run_at = ?3 WHERE key = ?1 AND lease = ?2";
    let renewed = sqlx::query(sql)
        .bind(job.key.to_string())
        .bind(&job.lease)
        .bind(now.saturating_add(lease_ms))
        .execute(tx)
        .await?;
    one(renewed.rows_affected())
}

/// Ends the job: it is gone, or queued again when it was asked for while it ran, which is then said.
pub(super) async fn close(
    tx: &mut SqliteConnection,
    job: &Job,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let gone = "DELETE FROM jobs WHERE key = ?1 AND lease = ?2 AND generation = ?3";
    let gone = sqlx::query(gone)
        .bind(job.key.to_string())
        .bind(&job.lease)
        .bind(job.generation)
        .execute(&mut *tx)
        .await?;
    if gone.rows_affected() == 1 {
        return Ok(false);
    }
    let again = "UPDATE jobs SET state = 'queued', lease = NULL, attempts = 0, since = COALESCE(asked_at, ?3),
                                 run_at = ?3, asked_at = NULL, error = NULL
                 WHERE key = ?1 AND lease = ?2";
    let again = sqlx::query(again)
        .bind(job.key.to_string())
        .bind(&job.lease)
        .bind(now)
        .execute(tx)
        .await?;
    one(again.rows_affected())?;
    Ok(true)
}

pub(super) async fn retry(
    tx: &mut SqliteConnection,
    job: &Job,
    run_at: UnixMillis,
    error: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET state = 'queued', lease = NULL, attempts = attempts + 1,
                               run_at = MIN(?3, COALESCE(asked_at, ?3)), asked_at = NULL, error = ?4
               WHERE key = ?1 AND lease = ?2";
    let done = sqlx::query(sql)
        .bind(job.key.to_string())
        .bind(&job.lease)
        .bind(run_at)
        .bind(text(error))
        .execute(tx)
        .await?;
    one(done.rows_affected())
}

/// Gives the job up, or queues it when it was asked for while it ran, which is then said.
pub(super) async fn park(
    tx: &mut SqliteConnection,
    job: &Job,
    error: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE jobs SET state = CASE WHEN generation > ?3 THEN 'queued' ELSE 'dead' END,
                               attempts = CASE WHEN generation > ?3 THEN 0 ELSE attempts + 1 END,
                               since = CASE WHEN generation > ?3 THEN COALESCE(asked_at, ?4) ELSE since END,
                               lease = NULL, run_at = ?4, asked_at = NULL, error = ?5
               WHERE key = ?1 AND lease = ?2
               RETURNING state = 'queued'";
    let queued = sqlx::query_scalar(sql)
        .bind(job.key.to_string())
        .bind(&job.lease)
        .bind(job.generation)
        .bind(now)
        .bind(text(error))
        .fetch_optional(tx)
        .await?;
    queued.ok_or(StoreError::LeaseLost)
}

pub(super) async fn release(tx: &mut SqliteConnection) -> Result<u64, StoreError> {
    // Due since it began to wait, whatever the time is.
    let sql = "UPDATE jobs SET state = 'queued', lease = NULL, attempts = attempts + 1, run_at = since, asked_at = NULL
               WHERE state = 'running'";
    Ok(sqlx::query(sql).execute(tx).await?.rows_affected())
}

pub(super) async fn next_due(pool: &SqlitePool) -> Result<Option<UnixMillis>, StoreError> {
    let sql = "SELECT MIN(due) FROM (
                   SELECT MIN(run_at) AS due FROM jobs WHERE state <> 'dead' AND priority = 0
                   UNION ALL
                   SELECT MIN(run_at) FROM jobs WHERE state <> 'dead' AND priority = 1)";
    Ok(sqlx::query_scalar(sql).fetch_one(pool).await?)
}

pub(super) async fn by_key(
    pool: &SqlitePool,
    key: &JobKey,
) -> Result<Option<JobStatus>, StoreError> {
    let sql = "SELECT * FROM jobs WHERE key = ?1";
    let row = sqlx::query(sql).bind(key.to_string());
    let row = row.fetch_optional(pool).await?;
    row.as_ref().map(status).transpose()
}

pub(super) async fn list(
    pool: &SqlitePool,
    state: JobState,
    limit: u32,
) -> Result<Vec<JobStatus>, StoreError> {
    let sql = "SELECT * FROM jobs WHERE state = ?1 ORDER BY since, key LIMIT ?2";
    let rows = sqlx::query(sql).bind(state.word()).bind(limit);
    rows.fetch_all(pool).await?.iter().map(status).collect()
}

pub(super) async fn totals(pool: &SqlitePool) -> Result<Totals, StoreError> {
    let sql = "SELECT COUNT(*) FILTER (WHERE state = 'queued') AS queued,
                      COUNT(*) FILTER (WHERE state = 'running') AS running,
                      COUNT(*) FILTER (WHERE state = 'dead') AS dead,
                      MIN(since) FILTER (WHERE state <> 'dead') AS oldest
               FROM jobs";
    let jobs = sqlx::query(sql).fetch_one(pool).await?;
    let paid = "SELECT plan, COUNT(*) FROM entitlements WHERE paid = 1 AND plan IS NOT NULL
                GROUP BY plan ORDER BY plan";
    Ok(Totals {
        queued: jobs.try_get("queued")?,
        running: jobs.try_get("running")?,
        dead: jobs.try_get("dead")?,
        oldest: jobs.try_get("oldest")?,
        paid: sqlx::query_as(paid).fetch_all(pool).await?,
        drift: drift::count(pool).await?,
    })
}

/// The lease held if, and only if, one row was written.
fn one(rows: u64) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}

fn read(row: &SqliteRow) -> Result<Job, StoreError> {
    Ok(Job {
        key: JobKey::parse(row.try_get("key")?)?,
        generation: row.try_get("generation")?,
        attempts: row.try_get("attempts")?,
        since: row.try_get("since")?,
        cause: Cause {
            why: row.try_get("why")?,
            event: row.try_get("event")?,
        },
        lease: row.try_get("lease")?,
    })
}

fn status(row: &SqliteRow) -> Result<JobStatus, StoreError> {
    let state: String = row.try_get("state")?;
    Ok(JobStatus {
        key: JobKey::parse(row.try_get("key")?)?,
        state: known("job state", &state, JobState::from_word(&state))?,
        attempts: row.try_get("attempts")?,
        since: row.try_get("since")?,
        run_at: row.try_get("run_at")?,
        error: row.try_get("error")?,
    })
}
