//! The table `jobs`: what is still to be done, each thing once, and who works on it.
//!
//! Times are the caller's: a replica whose clock is ahead takes over a lease early by as much, which the half of a lease
//! that the worker leaves unused allows for; one whose clock is behind does so late.

use std::ops::Range;

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::super::batch::Request;
use super::super::words::{known, text, unique};
use super::super::{
    Cause, Job, JobKey, JobState, JobStatus, Priority, StoreError, Totals, UnixMillis,
};
use super::drift;
use super::work::next;

/// Asks for a job; gives the number of this request.
pub(super) async fn ask(
    tx: &mut PgConnection,
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

/// Asks for jobs, each with another key; gives the numbers of these requests, in order. A request wakes a dead job,
/// hurries one that waits, and is remembered by one that runs.
pub(super) async fn ask_all(
    tx: &mut PgConnection,
    requests: &[Request],
) -> Result<Range<i64>, StoreError> {
    let generations = next(tx, "generation", requests.len()).await?;
    let sql = "INSERT INTO jobs (key, state, priority, generation, attempts, since, run_at, why, event)
               SELECT key, 'queued', priority, generation, 0, now, now, why, event
               FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[])
                   AS asked (key, priority, generation, now, why, event)
               ON CONFLICT (key) DO UPDATE SET
                   generation = excluded.generation,
                   priority = GREATEST(jobs.priority, excluded.priority),
                   why = excluded.why,
                   event = excluded.event,
                   state = CASE jobs.state WHEN 'dead' THEN 'queued' ELSE jobs.state END,
                   attempts = CASE jobs.state WHEN 'dead' THEN 0 ELSE jobs.attempts END,
                   since = CASE jobs.state WHEN 'dead' THEN excluded.since ELSE jobs.since END,
                   run_at = CASE jobs.state
                       WHEN 'queued' THEN LEAST(jobs.run_at, excluded.run_at)
                       WHEN 'dead' THEN excluded.run_at
                       ELSE jobs.run_at
                   END,
                   asked_at = CASE jobs.state
                       WHEN 'running' THEN COALESCE(jobs.asked_at, excluded.since)
                       ELSE NULL
                   END";
    let all = requests.iter();
    sqlx::query(sql)
        .bind(
            all.clone()
                .map(|one| one.key.to_string())
                .collect::<Vec<_>>(),
        )
        .bind(
            all.clone()
                .map(|one| one.priority.rank())
                .collect::<Vec<_>>(),
        )
        .bind(generations.clone().collect::<Vec<_>>())
        .bind(all.clone().map(|one| one.now).collect::<Vec<_>>())
        .bind(
            all.clone()
                .map(|one| one.cause.why.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            all.map(|one| one.cause.event.as_deref())
                .collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
    Ok(generations)
}

/// Queues the job again if it is dead; says how many were.
pub(super) async fn wake(
    tx: &mut PgConnection,
    key: &JobKey,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    let sql = "UPDATE jobs SET state = 'queued', attempts = 0, since = $2, run_at = $2
               WHERE key = $1 AND state = 'dead'";
    let woken = sqlx::query(sql).bind(key.to_string()).bind(now);
    Ok(woken.execute(tx).await?.rows_affected())
}

/// Takes the most urgent job that is due and that nobody else is just taking or asking for. Its wish to be quick is
/// granted with that; a later try has none.
pub(super) async fn take(
    connection: &mut PgConnection,
    now: UnixMillis,
    lease_ms: i64,
) -> Result<Option<Job>, StoreError> {
    // One search for each priority: both walk the index in its order and stop at the first row.
    let sql = "WITH urgent AS MATERIALIZED (
                   SELECT key FROM jobs WHERE state <> 'dead' AND priority = 1 AND run_at <= $1
                   ORDER BY run_at, key LIMIT 1 FOR UPDATE SKIP LOCKED),
               other AS MATERIALIZED (
                   SELECT key FROM jobs
                   WHERE state <> 'dead' AND priority = 0 AND run_at <= $1 AND NOT EXISTS (SELECT 1 FROM urgent)
                   ORDER BY run_at, key LIMIT 1 FOR UPDATE SKIP LOCKED)
               UPDATE jobs SET
                   state = 'running', lease = $2, run_at = $3, priority = 0, asked_at = NULL,
                   attempts = attempts + CASE state WHEN 'running' THEN 1 ELSE 0 END
               FROM (SELECT key FROM urgent UNION ALL SELECT key FROM other) AS due
               WHERE jobs.key = due.key
               RETURNING jobs.key, generation, attempts, since, why, event, lease";
    let row = sqlx::query(sql)
        .bind(now)
        .bind(unique())
        .bind(now.saturating_add(lease_ms))
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Fails when somebody else has the job. Nobody takes it before the end of the transaction: its lock is also the first
/// that a writer about a job takes, so that no two wait for each other.
pub(super) async fn hold(tx: &mut PgConnection, job: &Job) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM jobs WHERE key = $1 AND lease = $2 FOR UPDATE";
    let held = sqlx::query(sql).bind(job.key.to_string()).bind(&job.lease);
    held.fetch_optional(tx)
        .await?
        .map(drop)
        .ok_or(StoreError::LeaseLost)
}

/// Keeps the job for `lease_ms` from now.
pub(super) async fn renew(
    connection: &mut PgConnection,
    job: &Job,
    now: UnixMillis,
    lease_ms: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET run_at = $3 WHERE key = $1 AND lease = $2";
    let renewed = sqlx::query(sql)
        .bind(job.key.to_string())
        .bind(&job.lease)
        .bind(now.saturating_add(lease_ms))
        .execute(connection)
        .await?;
    one(renewed.rows_affected())
}

/// Ends the job: it is gone, or queued again when it was asked for while it ran, which is then said.
pub(super) async fn close(
    tx: &mut PgConnection,
    job: &Job,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let gone = "DELETE FROM jobs WHERE key = $1 AND lease = $2 AND generation = $3";
    let gone = sqlx::query(gone)
        .bind(job.key.to_string())
        .bind(&job.lease)
        .bind(job.generation)
        .execute(&mut *tx)
        .await?;
    if gone.rows_affected() == 1 {
        return Ok(false);
    }
    let again = "UPDATE jobs SET state = 'queued', lease = NULL, attempts = 0, since = COALESCE(asked_at, $3),
                                 run_at = $3, asked_at = NULL, error = NULL
                 WHERE key = $1 AND lease = $2";
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
    connection: &mut PgConnection,
    job: &Job,
    run_at: UnixMillis,
    error: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET state = 'queued', lease = NULL, attempts = attempts + 1,
                               run_at = LEAST($3, COALESCE(asked_at, $3)), asked_at = NULL, error = $4
               WHERE key = $1 AND lease = $2";
    let done = sqlx::query(sql)
        .bind(job.key.to_string())
        .bind(&job.lease)
        .bind(run_at)
        .bind(text(error))
        .execute(connection)
        .await?;
    one(done.rows_affected())
}

/// Gives the job up, or queues it when it was asked for while it ran, which is then said.
pub(super) async fn park(
    connection: &mut PgConnection,
    job: &Job,
    error: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE jobs SET state = CASE WHEN generation > $3 THEN 'queued' ELSE 'dead' END,
                               attempts = CASE WHEN generation > $3 THEN 0 ELSE attempts + 1 END,
                               since = CASE WHEN generation > $3 THEN COALESCE(asked_at, $4) ELSE since END,
                               lease = NULL, run_at = $4, asked_at = NULL, error = $5
               WHERE key = $1 AND lease = $2
               RETURNING state = 'queued'";
    let queued = sqlx::query_scalar(sql)
        .bind(job.key.to_string())
        .bind(&job.lease)
        .bind(job.generation)
        .bind(now)
        .bind(text(error))
        .fetch_optional(connection)
        .await?;
    queued.ok_or(StoreError::LeaseLost)
}

pub(super) async fn release(connection: &mut PgConnection) -> Result<u64, StoreError> {
    // Due since it began to wait, whatever the time is.
    let sql = "UPDATE jobs SET state = 'queued', lease = NULL, attempts = attempts + 1, run_at = since, asked_at = NULL
               WHERE state = 'running'";
    Ok(sqlx::query(sql).execute(connection).await?.rows_affected())
}

pub(super) async fn next_due(
    connection: &mut PgConnection,
) -> Result<Option<UnixMillis>, StoreError> {
    let sql = "SELECT LEAST(
                   (SELECT MIN(run_at) FROM jobs WHERE state <> 'dead' AND priority = 0),
                   (SELECT MIN(run_at) FROM jobs WHERE state <> 'dead' AND priority = 1))";
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}

pub(super) async fn by_key(
    connection: &mut PgConnection,
    key: &JobKey,
) -> Result<Option<JobStatus>, StoreError> {
    let sql = "SELECT * FROM jobs WHERE key = $1";
    let row = sqlx::query(sql).bind(key.to_string());
    let row = row.fetch_optional(connection).await?;
    row.as_ref().map(status).transpose()
}

pub(super) async fn list(
    connection: &mut PgConnection,
    state: JobState,
    limit: u32,
) -> Result<Vec<JobStatus>, StoreError> {
    let sql = "SELECT * FROM jobs WHERE state = $1 ORDER BY since, key LIMIT $2";
    let rows = sqlx::query(sql).bind(state.word()).bind(i64::from(limit));
    let rows = rows.fetch_all(connection).await?;
    rows.iter().map(status).collect()
}

pub(super) async fn totals(connection: &mut PgConnection) -> Result<Totals, StoreError> {
    let sql = "SELECT COUNT(*) FILTER (WHERE state = 'queued') AS queued,
                      COUNT(*) FILTER (WHERE state = 'running') AS running,
                      COUNT(*) FILTER (WHERE state = 'dead') AS dead,
                      MIN(since) FILTER (WHERE state <> 'dead') AS oldest
               FROM jobs";
    let jobs = sqlx::query(sql).fetch_one(&mut *connection).await?;
    let paid = "SELECT plan, COUNT(*) FROM entitlements WHERE paid AND plan IS NOT NULL
                GROUP BY plan ORDER BY plan";
    Ok(Totals {
        queued: jobs.try_get("queued")?,
        running: jobs.try_get("running")?,
        dead: jobs.try_get("dead")?,
        oldest: jobs.try_get("oldest")?,
        paid: sqlx::query_as(paid).fetch_all(&mut *connection).await?,
        drift: drift::count(connection).await?,
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

fn read(row: &PgRow) -> Result<Job, StoreError> {
    Ok(Job {
        key: JobKey::parse(row.try_get("key")?)?,
        generation: row.try_get("generation")?,
        attempts: attempts(row)?,
        since: row.try_get("since")?,
        cause: Cause {
            why: row.try_get("why")?,
            event: row.try_get("event")?,
        },
        lease: row.try_get("lease")?,
    })
}

fn status(row: &PgRow) -> Result<JobStatus, StoreError> {
    let state: String = row.try_get("state")?;
    Ok(JobStatus {
        key: JobKey::parse(row.try_get("key")?)?,
        state: known("job state", &state, JobState::from_word(&state))?,
        attempts: attempts(row)?,
        since: row.try_get("since")?,
        run_at: row.try_get("run_at")?,
        error: row.try_get("error")?,
    })
}

fn attempts(row: &PgRow) -> Result<u32, StoreError> {
    let attempts: i64 = row.try_get("attempts")?;
    u32::try_from(attempts).map_err(|_| StoreError::Corrupt(format!("{attempts} attempts")))
}
