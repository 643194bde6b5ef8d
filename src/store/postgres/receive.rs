//! Taking in a batch of events. Each statement serves the whole batch: what costs time beside the disk is the number
//! of statements.

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::super::aim::first_user;
use super::super::batch::{self, Fresh};
use super::super::{NewEvent, Received, StoreError};
use super::customers::{self, Known};
use super::{jobs, purchases};

/// Keeps the events and asks for their jobs. One outcome for each, in order.
pub(super) async fn receive(
    tx: &mut PgConnection,
    events: &[NewEvent],
) -> Result<Vec<Received>, StoreError> {
    let (outcomes, mut fresh) = batch::sort(events, there(tx, events).await?);
    if fresh.is_empty() {
        return Ok(outcomes);
    }
    let known = identify(tx, &fresh).await?;
    for one in &mut fresh {
        let linked = one.customer().map(|customer| known.users(customer));
        one.aim(linked.unwrap_or_default());
    }
    let numbers = insert(tx, &fresh).await?;
    ask(tx, &fresh, &numbers).await?;
    Ok(outcomes)
}

/// The ids that are in the ledger already. Who asks for jobs is alone, so no other replica adds one meanwhile.
async fn there(tx: &mut PgConnection, events: &[NewEvent]) -> Result<HashSet<String>, StoreError> {
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    let sql = "SELECT id FROM events WHERE id = ANY($1)";
    let there = sqlx::query_scalar(sql).bind(ids).fetch_all(tx).await?;
    Ok(there.into_iter().collect())
}

/// Writes the links and checkouts that the events tell of, and gives all links of their customers.
async fn identify(tx: &mut PgConnection, fresh: &[Fresh<'_>]) -> Result<Known, StoreError> {
    let customers: HashSet<&str> = fresh.iter().filter_map(Fresh::customer).collect();
    let known = Known::read(tx, &customers).await?;
    let mut changed = false;
    for one in fresh {
        if let Some(purchase) = one.purchase() {
            purchases::record(tx, &purchase).await?;
        }
        let Some((concern, customer)) = one.concern.zip(one.customer()) else {
            continue;
        };
        if let Some((user, kind)) = &concern.user
            && !known.has(customer, user, *kind)
        {
            customers::link(tx, customer, user, *kind, one.event.received_at).await?;
            changed = true;
        }
        if concern.customer_deleted {
            customers::mark_deleted(tx, customer).await?;
        }
    }
    if changed {
        return Known::read(tx, &customers).await;
    }
    Ok(known)
}

/// Writes the events in their order, and gives the number of each id.
async fn insert(
    tx: &mut PgConnection,
    fresh: &[Fresh<'_>],
) -> Result<HashMap<String, i64>, StoreError> {
    let sql = "INSERT INTO events (id, event_type, live, created_at, received_at, state, reason, customer, user_id,
                                   object_kind, object_id, body)
               SELECT id, event_type, live, created_at, received_at, state, reason, customer, user_id,
                      object_kind, object_id, body
               FROM UNNEST($1::text[], $2::text[], $3::bool[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
                           $8::text[], $9::text[], $10::text[], $11::text[], $12::bytea[])
                   WITH ORDINALITY
                   AS new (id, event_type, live, created_at, received_at, state, reason, customer, user_id,
                           object_kind, object_id, body, place)
               ORDER BY place
               RETURNING id, number";
    let all = fresh.iter();
    let texts = |text: fn(&'_ Fresh<'_>) -> String| fresh.iter().map(text).collect::<Vec<_>>();
    let rows = sqlx::query(sql)
        .bind(texts(|one| one.event.id.clone()))
        .bind(texts(|one| one.event.event_type.clone()))
        .bind(all.clone().map(|one| one.event.live).collect::<Vec<_>>())
        .bind(
            all.clone()
                .map(|one| one.event.created_at)
                .collect::<Vec<_>>(),
        )
        .bind(
            all.clone()
                .map(|one| one.event.received_at)
                .collect::<Vec<_>>(),
        )
        .bind(all.clone().map(|one| one.state.word()).collect::<Vec<_>>())
        .bind(all.clone().map(|one| one.reason).collect::<Vec<_>>())
        .bind(all.clone().map(Fresh::customer).collect::<Vec<_>>())
        .bind(all.clone().map(user_of).collect::<Vec<_>>())
        .bind(
            all.clone()
                .map(|one| one.object().map(|(kind, _)| kind.as_str()))
                .collect::<Vec<_>>(),
        )
        .bind(
            all.clone()
                .map(|one| one.object().map(|(_, id)| id.as_str()))
                .collect::<Vec<_>>(),
        )
        .bind(all.map(|one| &*one.event.body).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    let mut numbers = HashMap::with_capacity(rows.len());
    for row in rows {
        numbers.insert(row.try_get("id")?, row.try_get("number")?);
    }
    Ok(numbers)
}

/// Whose the event is called: the user it names, or the one that was known first.
fn user_of<'a>(one: &'a Fresh<'_>) -> Option<&'a str> {
    one.user().or(first_user(&one.keys))
}

/// Asks for the jobs, and lets the events wait for theirs.
async fn ask(
    tx: &mut PgConnection,
    fresh: &[Fresh<'_>],
    numbers: &HashMap<String, i64>,
) -> Result<(), StoreError> {
    let (requests, waits) = batch::requests(fresh);
    if requests.is_empty() {
        return Ok(());
    }
    let generations: Vec<i64> = jobs::ask_all(tx, &requests).await?.collect();
    let all = waits.iter();
    let sql = "INSERT INTO event_jobs (job, event, generation)
               SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[])";
    sqlx::query(sql)
        .bind(
            all.clone()
                .map(|wait| wait.key.to_string())
                .collect::<Vec<_>>(),
        )
        .bind(
            all.clone()
                .map(|wait| numbers.get(wait.event).copied())
                .collect::<Vec<_>>(),
        )
        .bind(
            all.map(|wait| generations.get(wait.place).copied())
                .collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
    Ok(())
}
