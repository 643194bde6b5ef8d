//! Events and the jobs they wait for: the table `event_jobs`.
//!
//! An event that concerns several users waits for each of their jobs, and is processed when the last of them is done:
//! to say less than was done does no harm, and nothing is called processed that may not have happened.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

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
    tx: &mut SqliteConnection,
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
    tx: &mut SqliteConnection,
    event: &Pending,
    keys: &[JobKey],
    now: UnixMillis,
) -> Result<(), StoreError> {
    let waits = "INSERT INTO event_jobs (job, event, generation) VALUES (?1, ?2, ?3)
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
    tx: &mut SqliteConnection,
    customer: &str,
    user: &str,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    let newest =
        "SELECT number, id, event_type FROM events WHERE customer = ?1 AND state = 'unmatched'
                  ORDER BY number DESC LIMIT 1";
    let newest = sqlx::query(newest).bind(customer);
    let Some(newest) = newest.fetch_optional(&mut *tx).await? else {
        return Ok(0);
    };
    let cause = pending(&newest)?.cause;
    let key = JobKey::User(user.to_owned());
    let generation = jobs::ask(tx, &key, &cause, Priority::Background, now).await?;
    let waits = "INSERT INTO event_jobs (job, event, generation)
                 SELECT ?2, number, ?3 FROM events WHERE customer = ?1 AND state = 'unmatched'";
    sqlx::query(waits)
        .bind(customer)
        .bind(key.to_string())
        .bind(generation)
        .execute(&mut *tx)
        .await?;
    let queued = "UPDATE events SET state = 'queued', user_id = COALESCE(user_id, ?2)
                  WHERE customer = ?1 AND state = 'unmatched'";
    sqlx::query(queued)
        .bind(customer)
        .bind(user)
        .execute(tx)
        .await?;
    Ok(1)
}

/// The job did its events: those that wait for no other are processed.
pub(super) async fn process(
    tx: &mut SqliteConnection,
    job: &Job,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let processed = "UPDATE events SET state = 'processed', processed_at = ?3
                     WHERE number IN (SELECT event FROM event_jobs WHERE job = ?1 AND generation <= ?2)
                       AND NOT EXISTS (SELECT 1 FROM event_jobs o WHERE o.event = events.number AND o.job <> ?1)";
    sqlx::query(processed)
        .bind(job.key.to_string())
        .bind(job.generation)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    forget(tx, job).await
}

/// The job found out whose its events are: they wait for the next jobs, or as unmatched. Says how many jobs were asked
/// for.
pub(super) async fn settle(
    tx: &mut SqliteConnection,
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
    identify(tx, job, first_user(&keys), customer).await?;
    for key in &keys {
        pass_on(tx, job, key, now).await?;
        asked += 1;
    }
    if keys.is_empty() {
        give_up(tx, job).await?;
    }
    forget(tx, job).await?;
    Ok(asked)
}

/// Writes down whose the job's events are.
async fn identify(
    tx: &mut SqliteConnection,
    job: &Job,
    user: Option<&str>,
    customer: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "UPDATE events SET user_id = COALESCE(user_id, ?3), customer = COALESCE(customer, ?4)
               WHERE number IN (SELECT event FROM event_jobs WHERE job = ?1 AND generation <= ?2)";
    sqlx::query(sql)
        .bind(job.key.to_string())
        .bind(job.generation)
        .bind(user)
        .bind(customer)
        .execute(tx)
        .await?;
    Ok(())
}

/// Asks for the job `next`, for which the job's events wait from now on.
async fn pass_on(
    tx: &mut SqliteConnection,
    job: &Job,
    next: &JobKey,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let generation = jobs::ask(tx, next, &job.cause, Priority::Background, now).await?;
    let sql = "INSERT INTO event_jobs (job, event, generation)
               SELECT ?3, event, ?4 FROM event_jobs WHERE job = ?1 AND generation <= ?2
               ON CONFLICT (job, event) DO UPDATE SET generation = excluded.generation";
    sqlx::query(sql)
        .bind(job.key.to_string())
        .bind(job.generation)
        .bind(next.to_string())
        .bind(generation)
        .execute(tx)
        .await?;
    Ok(())
}

/// Nobody is known whose the job's events are.
async fn give_up(tx: &mut SqliteConnection, job: &Job) -> Result<(), StoreError> {
    let sql = "UPDATE events SET state = 'unmatched'
               WHERE number IN (SELECT event FROM event_jobs WHERE job = ?1 AND generation <= ?2)
                 AND NOT EXISTS (SELECT 1 FROM event_jobs o WHERE o.event = events.number AND o.job <> ?1)";
    sqlx::query(sql)
        .bind(job.key.to_string())
        .bind(job.generation)
        .execute(tx)
        .await?;
    Ok(())
}

/// The job's events no longer wait for it.
async fn forget(tx: &mut SqliteConnection, job: &Job) -> Result<(), StoreError> {
    let sql = "DELETE FROM event_jobs WHERE job = ?1 AND generation <= ?2";
    sqlx::query(sql)
        .bind(job.key.to_string())
        .bind(job.generation)
        .execute(tx)
        .await?;
    Ok(())
}

/// Reads `number, id, event_type`.
pub(super) fn pending(row: &SqliteRow) -> Result<Pending, StoreError> {
    Ok(Pending {
        number: row.try_get("number")?,
        cause: Cause {
            why: row.try_get("event_type")?,
            event: Some(row.try_get("id")?),
        },
    })
}
