//! Taking in a batch of events. Each statement serves the whole batch: what costs time beside the disk is the number
//! of statements.

use std::collections::{HashMap, HashSet};

use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row, Sqlite as Dialect};

use super::super::{
    Cause, Concern, EventState, Intent, JobKey, NewEvent, Priority, Purchase, PurchaseState, Received,
    StoreError,
};
use super::customers::{self, Known};
use super::jobs::{self, Request};
use super::{matching, purchases};

/// Rows of one statement, so that none has more parameters than it may.
const ROWS: usize = 500;

/// An event that is new, and what is known of it.
struct Fresh<'a> {
    event: &'a NewEvent,
    state: EventState,
    reason: Option<&'a str>,
    concern: Option<&'a Concern>,
    keys: Vec<JobKey>,
}

/// Keeps the events and asks for their jobs. One outcome for each, in order.
pub(super) async fn receive(
    tx: &mut SqliteConnection,
    events: &[NewEvent],
) -> Result<Vec<Received>, StoreError> {
    let mut seen = there(tx, events).await?;
    let mut outcomes = Vec::with_capacity(events.len());
    let mut fresh = Vec::new();
    for event in events {
        // Also an id that stands twice in this batch.
        let outcome = if !seen.insert(event.id.clone()) {
            Received::Duplicate
        } else if matches!(event.intent, Intent::Ignore(_)) {
            Received::Ignored
        } else {
            Received::Queued
        };
        outcomes.push(outcome);
        if outcome != Received::Duplicate {
            fresh.push(Fresh::new(event));
        }
    }
    let known = identify(tx, &fresh).await?;
    for one in &mut fresh {
        one.aim(&known);
    }
    let numbers = insert(tx, &fresh).await?;
    ask(tx, &fresh, &numbers).await?;
    Ok(outcomes)
}

impl<'a> Fresh<'a> {
    fn new(event: &'a NewEvent) -> Self {
        let (state, reason, concern) = match &event.intent {
            Intent::Ignore(reason) => (EventState::Ignored, Some(reason.as_str()), None),
            Intent::Sync(concern) => (EventState::Unmatched, None, Some(concern)),
        };
        Self {
            event,
            state,
            reason,
            concern,
            keys: Vec::new(),
        }
    }

    fn customer(&self) -> Option<&'a str> {
        self.concern.and_then(|concern| concern.customer.as_deref())
    }

    fn user(&self) -> Option<&'a str> {
        let user = self.concern.and_then(|concern| concern.user.as_ref());
        user.map(|(user, _)| user.as_str())
    }

    fn object(&self) -> Option<&'a (String, String)> {
        self.concern.and_then(|concern| concern.object.as_ref())
    }

    /// The checkout that is to be remembered. What it buys is found out when it is read.
    fn purchase(&self) -> Option<Purchase> {
        let session = self.concern.and_then(|concern| concern.session.clone())?;
        Some(Purchase {
            session,
            user: self.user()?.to_owned(),
            customer: None,
            plan: "unknown".to_owned(),
            state: PurchaseState::Open,
            created_at: self.event.created_at,
        })
    }

    /// Finds its jobs.
    fn aim(&mut self, known: &Known) {
        let customer = self.customer();
        let linked = customer.map(|customer| known.users(customer));
        let linked = linked.unwrap_or_default();
        self.keys = matching::aims(self.user(), linked, customer, self.object());
        if !self.keys.is_empty() {
            self.state = EventState::Queued;
        }
    }
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
                .push_bind(one.user().or(matching::first_user(&one.keys)))
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

/// Asks for each job once, for the last event that needs it, and lets the events wait for theirs.
async fn ask(
    tx: &mut SqliteConnection,
    fresh: &[Fresh<'_>],
    numbers: &HashMap<String, i64>,
) -> Result<(), StoreError> {
    let mut requests: Vec<Request> = Vec::new();
    let mut places: HashMap<&JobKey, usize> = HashMap::new();
    let mut waits = Vec::new();
    for one in fresh {
        let cause = Cause {
            why: one.event.event_type.clone(),
            event: Some(one.event.id.clone()),
        };
        for key in &one.keys {
            let place = *places.entry(key).or_insert_with(|| {
                requests.push(Request {
                    key: key.clone(),
                    cause: Cause::default(),
                    priority: Priority::Background,
                    now: one.event.received_at,
                });
                requests.len() - 1
            });
            if let Some(request) = requests.get_mut(place) {
                request.cause.clone_from(&cause);
            }
            waits.extend(
                numbers
                    .get(&one.event.id)
                    .map(|number| (place, key, *number)),
            );
        }
    }
    let mut generations = Vec::with_capacity(requests.len());
    for chunk in requests.chunks(ROWS) {
        generations.extend(jobs::ask_all(tx, chunk).await?);
    }
    wait(tx, &waits, &generations).await
}

/// Lets events wait for jobs, each given by its place in `generations`.
async fn wait(
    tx: &mut SqliteConnection,
    waits: &[(usize, &JobKey, i64)],
    generations: &[i64],
) -> Result<(), StoreError> {
    for chunk in waits.chunks(ROWS) {
        let mut query =
            QueryBuilder::<Dialect>::new("INSERT INTO event_jobs (job, event, generation) ");
        query.push_values(chunk, |mut row, (place, key, number)| {
            row.push_bind(key.to_string())
                .push_bind(number)
                .push_bind(generations.get(*place));
        });
        query.build().execute(&mut *tx).await?;
    }
    Ok(())
}
