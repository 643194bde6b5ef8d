//! The table `events`: what Stripe sent, each once.

use bytes::Bytes;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite as Dialect};

use super::super::aim::first_user;
use super::super::words::known;
use super::super::{Cause, Event, EventFilter, EventState, JobKey, StoreError, UnixMillis};
use super::matching::{self, Pending};

/// Bodies that one transaction drops.
const PRUNED_AT_ONCE: u32 = 1000;

pub(super) async fn by_id(pool: &SqlitePool, id: &str) -> Result<Option<Event>, StoreError> {
    let sql = "SELECT * FROM events WHERE id = ?1";
    let Some(row) = sqlx::query(sql).bind(id).fetch_optional(pool).await? else {
        return Ok(None);
    };
    let body: Option<Vec<u8>> = row.try_get("body")?;
    Ok(Some(Event {
        body: body.map(Bytes::from),
        ..read(&row)?
    }))
}

pub(super) async fn list(
    pool: &SqlitePool,
    filter: &EventFilter,
) -> Result<Vec<Event>, StoreError> {
    let mut query = QueryBuilder::<Dialect>::new(
        "SELECT id, event_type, live, created_at, received_at, processed_at, state, reason, customer, user_id
         FROM events WHERE TRUE",
    );
    if let Some(state) = filter.state {
        query.push(" AND state = ").push_bind(state.word());
    }
    if let Some(event_type) = &filter.event_type {
        query.push(" AND event_type = ").push_bind(event_type);
    }
    if let Some(user) = &filter.user {
        // A customer that two share brings each of them its events.
        query.push(" AND (user_id = ").push_bind(user);
        query.push(" OR customer IN (SELECT customer FROM customers WHERE user_id = ");
        query.push_bind(user).push("))");
    }
    query.push(" ORDER BY number DESC LIMIT ");
    query.push_bind(filter.limit);
    let rows = query.build().fetch_all(pool).await?;
    rows.iter().map(read).collect()
}

/// Queues the event again, and says how many jobs were asked for.
pub(super) async fn replay(
    tx: &mut SqliteConnection,
    id: &str,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    let sql = "SELECT number, user_id, customer, object_kind, object_id FROM events WHERE id = ?1";
    let found = sqlx::query(sql).bind(id).fetch_optional(&mut *tx).await?;
    let Some(row) = found else {
        return Ok(0);
    };
    let user: Option<String> = row.try_get("user_id")?;
    let customer: Option<String> = row.try_get("customer")?;
    let kind: Option<String> = row.try_get("object_kind")?;
    let object = kind.zip(row.try_get("object_id")?);
    let keys = matching::targets(tx, user.as_deref(), customer.as_deref(), object.as_ref()).await?;
    if keys.is_empty() {
        return Ok(0);
    }
    let cause = Cause {
        why: "replay".to_owned(),
        event: Some(id.to_owned()),
    };
    let number = row.try_get("number")?;
    matching::ask_for(tx, &Pending { number, cause }, &keys, now).await?;
    queue(tx, number, &keys).await?;
    Ok(keys.len() as u64)
}

/// Writes that the event waits for these jobs, and whose it is.
async fn queue(tx: &mut SqliteConnection, number: i64, keys: &[JobKey]) -> Result<(), StoreError> {
    let sql =
        "UPDATE events SET state = 'queued', processed_at = NULL, user_id = COALESCE(user_id, ?2)
               WHERE number = ?1";
    let queued = sqlx::query(sql).bind(number).bind(first_user(keys));
    queued.execute(tx).await?;
    Ok(())
}

pub(super) async fn prune(
    tx: &mut SqliteConnection,
    before: UnixMillis,
) -> Result<u64, StoreError> {
    let sql = "UPDATE events SET body = NULL WHERE number IN (
                   SELECT number FROM events
                   WHERE body IS NOT NULL AND state IN ('processed', 'ignored') AND received_at < ?1
                   ORDER BY received_at LIMIT ?2)";
    let done = sqlx::query(sql).bind(before).bind(PRUNED_AT_ONCE);
    Ok(done.execute(tx).await?.rows_affected())
}

/// Reads all but the body.
fn read(row: &SqliteRow) -> Result<Event, StoreError> {
    let state: String = row.try_get("state")?;
    Ok(Event {
        id: row.try_get("id")?,
        event_type: row.try_get("event_type")?,
        live: row.try_get("live")?,
        created_at: row.try_get("created_at")?,
        received_at: row.try_get("received_at")?,
        processed_at: row.try_get("processed_at")?,
        state: known("event state", &state, EventState::from_word(&state))?,
        reason: row.try_get("reason")?,
        customer: row.try_get("customer")?,
        user: row.try_get("user_id")?,
        body: None,
    })
}
