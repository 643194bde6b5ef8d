//! Taking in a batch of events. Each statement serves the whole batch: what costs time beside the disk is the number
//! of statements.

use std::collections::{HashMap, HashSet};

use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row, Sqlite as Dialect};

use super::super::aim::first_user;
use super::super::batch::{self, Fresh, Wait};
use super::super::{NewEvent, Received, StoreError};
use super::customers::{self, Known};
use super::{jobs, purchases};

/// Rows of one statement, so that none has more parameters than it may.
const ROWS: usize = 500;

/// Keeps the events and asks for their jobs. One outcome for each, in order.
pub(super) async fn receive(
    tx: &mut SqliteConnection,
    events: &[NewEvent],
) -> Result<Vec<Received>, StoreError> {
    let (outcomes, mut fresh) = batch::sort(events, there(tx, events).await?);
    let known = identify(tx, &fresh).await?;
    for one in &mut fresh {
        let linked = one.customer().map(|customer| known.users(customer));
        one.aim(linked.unwrap_or_default());
    }
    let numbers = insert(tx, &fresh).await?;
    ask(tx, &fresh, &numbers).await?;
    Ok(outcomes)
}

/// The ids that are in the ledger already.
async fn there(
    tx: &mut SqliteConnection,
    events: &[NewEvent],
) -> Result<HashSet<String>, StoreError> {
    let mut seen = HashSet::new();
    for chunk in events.chunks(ROWS) {
        let mut query = QueryBuilder::<Dialect>::new("SELECT id FROM events WHERE id IN (");
        let mut ids = query.separated(", ");
        for event in chunk {
            ids.push_bind(&event.id);
        }
        query.push(")");
        for row in query.build().fetch_all(&mut *tx).await? {
            seen.insert(row.try_get("id")?);
        }
    }
    Ok(seen)
}

/// Writes the links that the events tell of, and gives all links of their customers.
async fn identify(tx: &mut SqliteConnection, fresh: &[Fresh<'_>]) -> Result<Known, StoreError> {
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

/// Writes the events, and gives the number of each id.
async fn insert(
    tx: &mut SqliteConnection,
    fresh: &[Fresh<'_>],
) -> Result<HashMap<String, i64>, StoreError> {
    let mut numbers = HashMap::new();
    for chunk in fresh.chunks(ROWS) {
        let mut query = QueryBuilder::<Dialect>::new(
            "INSERT INTO events (id, event_type, live, created_at, received_at, state, reason, customer, user_id,
                                 object_kind, object_id, body) ",
        );
        query.push_values(chunk, |mut row, one| {
            row.push_bind(&one.event.id)
                .push_bind(&one.event.event_type)
                .push_bind(one.event.live)
                .push_bind(one.event.created_at)
                .push_bind(one.event.received_at)
                .push_bind(one.state.word())
                .push_bind(one.reason)
                .push_bind(one.customer())
                .push_bind(one.user().or(first_user(&one.keys)))
                .push_bind(one.object().map(|(kind, _)| kind))
                .push_bind(one.object().map(|(_, id)| id))
                .push_bind(&*one.event.body);
        });
        query.push(" RETURNING id, number");
        for row in query.build().fetch_all(&mut *tx).await? {
            numbers.insert(row.try_get("id")?, row.try_get("number")?);
        }
    }
    Ok(numbers)
}

/// Asks for the jobs, and lets the events wait for theirs.
async fn ask(
    tx: &mut SqliteConnection,
    fresh: &[Fresh<'_>],
    numbers: &HashMap<String, i64>,
) -> Result<(), StoreError> {
    let (requests, waits) = batch::requests(fresh);
    let mut generations = Vec::with_capacity(requests.len());
    for chunk in requests.chunks(ROWS) {
        generations.extend(jobs::ask_all(tx, chunk).await?);
    }
    wait(tx, &waits, &generations, numbers).await
}

/// Lets events wait for jobs.
async fn wait(
    tx: &mut SqliteConnection,
    waits: &[Wait<'_>],
    generations: &[i64],
    numbers: &HashMap<String, i64>,
) -> Result<(), StoreError> {
    for chunk in waits.chunks(ROWS) {
        let mut query =
            QueryBuilder::<Dialect>::new("INSERT INTO event_jobs (job, event, generation) ");
        query.push_values(chunk, |mut row, wait| {
            row.push_bind(wait.key.to_string())
                .push_bind(numbers.get(wait.event))
                .push_bind(generations.get(wait.place));
        });
        query.build().execute(&mut *tx).await?;
    }
    Ok(())
}
