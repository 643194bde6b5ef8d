//! Events and the jobs they wait for: the table `event_jobs`.
//!
//! An event that concerns several users waits for each of their jobs, and is processed when the last of them is done:
//! to say less than was done does no harm, and nothing is called processed that may not have happened.
//!
//! The jobs of one event may end at once on several replicas. Each locks the event before it looks for the others, so
//! that the last one sees that it is the last.

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::super::aim::{aims, first_user};
use super::super::{Cause, Job, JobKey, Match, Priority, StoreError, UnixMillis};
use super::{customers, jobs};

/// An event, as far as its jobs need it.
pub(super) struct Pending {
    pub(super) number: i64,
    pub(super) cause: Cause,
}

/// The jobs for what concerns `user`, `customer`, `object`.
pub(super) async fn targets(
    tx: &mut PgConnection,
    user: Option<&str>,
    customer: Option<&str>,
    object: Option<&(String, String)>,
) -> Result<Vec<JobKey>, StoreError> {
    let linked = match customer {
        Some(customer) => customers::users(tx, customer).await?,
        None => Vec::new(),
    };
    Ok(aims(user, &linked, customer, object))
}

/// Asks for these jobs for an event, which waits for them from now on.
pub(super) async fn ask_for(
    tx: &mut PgConnection,
    event: &Pending,
    keys: &[JobKey],
    now: UnixMillis,
) -> Result<(), StoreError> {
    let waits = "INSERT INTO event_jobs (job, event, generation) VALUES ($1, $2, $3)
                 ON CONFLICT (job, event) DO UPDATE SET generation = excluded.generation";
    for key in keys {
        let generation = jobs::ask(tx, key, &event.cause, Priority::Background, now).await?;
        sqlx::query(waits)
            .bind(key.to_string())
            .bind(event.number)
            .bind(generation)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Queues the unmatched events of a customer whose user is known now, and says how many jobs were asked for.
pub(super) async fn queue_unmatched(
    tx: &mut PgConnection,
    customer: &str,
    user: &str,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    let newest =
        "SELECT number, id, event_type FROM events WHERE customer = $1 AND state = 'unmatched'
                  ORDER BY number DESC LIMIT 1";
    let newest = sqlx::query(newest).bind(customer);
    let Some(newest) = newest.fetch_optional(&mut *tx).await? else {
        return Ok(0);
    };
    let cause = pending(&newest)?.cause;
    let key = JobKey::User(user.to_owned());
    let generation = jobs::ask(tx, &key, &cause, Priority::Background, now).await?;
    let waits = "INSERT INTO event_jobs (job, event, generation)
                 SELECT $2, number, $3 FROM events WHERE customer = $1 AND state = 'unmatched'";
    sqlx::query(waits)
        .bind(customer)
        .bind(key.to_string())
        .bind(generation)
        .execute(&mut *tx)
        .await?;
    let queued = "UPDATE events SET state = 'queued', user_id = COALESCE(user_id, $2)
                  WHERE customer = $1 AND state = 'unmatched'";
    sqlx::query(queued)
        .bind(customer)
        .bind(user)
        .execute(tx)
        .await?;
    Ok(1)
}

/// The job did its events: those that wait for no other are processed.
pub(super) async fn process(
    tx: &mut PgConnection,
    job: &Job,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let events = lock(tx, job).await?;
    if events.is_empty() {
        return Ok(());
    }
    let processed = "UPDATE events SET state = 'processed', processed_at = $3
                     WHERE number = ANY($1)
                       AND NOT EXISTS (SELECT 1 FROM event_jobs o WHERE o.event = events.number AND o.job <> $2)";
    sqlx::query(processed)
        .bind(&events)
        .bind(job.key.to_string())
        .bind(now)
        .execute(&mut *tx)
        .await?;
    forget(tx, job, &events).await
}

/// The job found out whose its events are: they wait for the next jobs, or as unmatched. Says how many jobs were asked
/// for.
pub(super) async fn settle(
    tx: &mut PgConnection,
    job: &Job,
    found: &Match,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    let mut asked = 0;
    let (user, customer) = match found {
        Match::User {
            user,
            kind,
            customer,
        } => {
            if let Some(customer) = customer {
                asked += customers::link(tx, customer, user, *kind, now).await?;
            }
            (Some(user.as_str()), customer.as_deref())
        }
        Match::Customer(customer) => (None, Some(customer.as_str())),
        Match::Nobody => (None, None),
    };
    // The customer that was asked about may have got a user since it was looked for.
    let customer = customer.or(match &job.key {
        JobKey::Customer(customer) => Some(customer.as_str()),
        JobKey::User(_) | JobKey::Object(..) => None,
    });
    let mut keys = targets(tx, user, customer, None).await?;
    // A search that leads to itself has found nobody; it would run for ever.
    keys.retain(|key| *key != job.key);
    let events = lock(tx, job).await?;
    identify(tx, &events, first_user(&keys), customer).await?;
    for key in &keys {
        pass_on(tx, job, &events, key, now).await?;
        asked += 1;
    }
    if keys.is_empty() {
        give_up(tx, job, &events).await?;
    }
    forget(tx, job, &events).await?;
    Ok(asked)
}

/// The events that wait for this try of the job, locked in one order by everybody.
async fn lock(tx: &mut PgConnection, job: &Job) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT number FROM events
               WHERE number IN (SELECT event FROM event_jobs WHERE job = $1 AND generation <= $2)
               ORDER BY number FOR UPDATE";
    let events = sqlx::query_scalar(sql)
        .bind(job.key.to_string())
        .bind(job.generation);
    Ok(events.fetch_all(tx).await?)
}

/// Writes down whose the events are.
async fn identify(
    tx: &mut PgConnection,
    events: &[i64],
    user: Option<&str>,
    customer: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "UPDATE events SET user_id = COALESCE(user_id, $2), customer = COALESCE(customer, $3)
               WHERE number = ANY($1)";
    sqlx::query(sql)
        .bind(events)
        .bind(user)
        .bind(customer)
        .execute(tx)
        .await?;
    Ok(())
}

/// Asks for the job `next`, for which the events wait from now on.
async fn pass_on(
    tx: &mut PgConnection,
    job: &Job,
    events: &[i64],
    next: &JobKey,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let generation = jobs::ask(tx, next, &job.cause, Priority::Background, now).await?;
    let sql = "INSERT INTO event_jobs (job, event, generation)
               SELECT $1, event, $2 FROM UNNEST($3::bigint[]) AS waiting (event)
               ON CONFLICT (job, event) DO UPDATE SET generation = excluded.generation";
    sqlx::query(sql)
        .bind(next.to_string())
        .bind(generation)
        .bind(events)
        .execute(tx)
        .await?;
    Ok(())
}

/// Nobody is known whose the events are.
async fn give_up(tx: &mut PgConnection, job: &Job, events: &[i64]) -> Result<(), StoreError> {
    let sql = "UPDATE events SET state = 'unmatched'
               WHERE number = ANY($1)
                 AND NOT EXISTS (SELECT 1 FROM event_jobs o WHERE o.event = events.number AND o.job <> $2)";
    sqlx::query(sql)
        .bind(events)
        .bind(job.key.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// The events no longer wait for the job.
async fn forget(tx: &mut PgConnection, job: &Job, events: &[i64]) -> Result<(), StoreError> {
    let sql = "DELETE FROM event_jobs WHERE job = $1 AND generation <= $2 AND event = ANY($3)";
    sqlx::query(sql)
        .bind(job.key.to_string())
        .bind(job.generation)
        .bind(events)
        .execute(tx)
        .await?;
    Ok(())
}

/// Reads `number, id, event_type`.
fn pending(row: &PgRow) -> Result<Pending, StoreError> {
    Ok(Pending {
        number: row.try_get("number")?,
        cause: Cause {
            why: row.try_get("event_type")?,
            event: Some(row.try_get("id")?),
        },
    })
}
