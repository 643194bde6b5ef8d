//! The way of a webhook's event into the ledger. A commit waits for the disk, so events that come while one runs go
//! together into the next. Nobody waits for others to come.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{NewEvent, Outage, Received, Store, StoreError};

/// Events of one transaction.
const BATCH: usize = 256;
/// Events that wait, at most 1 MiB each; more are refused, and Stripe sends them again.
const WAITING: usize = 256;
/// How long an event may take, the waiting included. Stripe waits longer than this.
const DEADLINE: Duration = Duration::from_secs(5);

/// The door to the ledger for events. Clones share it.
#[derive(Clone, Debug)]
pub struct Inbox {
    queue: mpsc::Sender<Waiting>,
}

/// An event, and who waits for what becomes of it.
#[derive(Debug)]
struct Waiting {
    event: NewEvent,
    answer: oneshot::Sender<Result<Received, StoreError>>,
}

impl Inbox {
    /// Starts the task that writes. After `stop` it takes no more, writes what waits, and ends; so `stop` is to come
    /// after the last request was answered.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        tasks.spawn(run(store, waiting, tasks.clone(), stop));
        Self { queue }
    }

    /// Keeps the event. It is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the ledger cannot take it now, or too many wait, or it takes too long;
    /// [`StoreError::Refused`] when it never will.
    pub async fn receive(&self, event: NewEvent) -> Result<Received, StoreError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { event, answer };
        self.queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Outage::Busy,
            mpsc::error::TrySendError::Closed(_) => Outage::Stopping,
        })?;
        match tokio::time::timeout(DEADLINE, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Outage::Stopping.into()),
            Err(_) => Err(Outage::Slow(DEADLINE).into()),
        }
    }
}

async fn run(
    store: Arc<dyn Store>,
    mut waiting: mpsc::Receiver<Waiting>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            () = stop.cancelled(), if !waiting.is_closed() => waiting.close(),
            taken = waiting.recv_many(&mut batch, BATCH) => {
                if taken == 0 {
                    return;
                }
                // A task of its own: a bug that one batch hits must not close the door for all that follow.
                if tasks.spawn(write(Arc::clone(&store), batch)).await.is_err() {
                    tracing::error!("writing events failed unexpectedly; Stripe sends them again");
                }
            }
        }
    }
}

/// Writes a batch and answers everyone in it.
async fn write(store: Arc<dyn Store>, mut batch: Vec<Waiting>) {
    let store = &*store;
    // Who gave up was told that the event is not kept, and Stripe sends it again.
    batch.retain(|waiting| !waiting.answer.is_closed());
    let (events, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|waiting| (waiting.event, waiting.answer))
        .unzip();
    let outcomes = match keep(store, &events).await {
        Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
        Err(StoreError::Unavailable(outage)) => {
            let outage = |_| Err(StoreError::Unavailable(outage.clone()));
            events.iter().map(outage).collect()
        }
        Err(error) if events.len() == 1 => vec![Err(error)],
        Err(_) => one_by_one(store, &events).await,
    };
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        // Who has gone needs no answer.
        let _ = answer.send(outcome);
    }
}

/// One event spoiled the batch; the others are kept.
async fn one_by_one(store: &dyn Store, events: &[NewEvent]) -> Vec<Result<Received, StoreError>> {
    let mut outcomes = Vec::with_capacity(events.len());
    for event in events {
        let kept = keep(store, std::slice::from_ref(event)).await;
        let missing = || StoreError::Corrupt("no outcome for an event".to_owned());
        outcomes.push(kept.and_then(|one| one.first().copied().ok_or_else(missing)));
    }
    outcomes
}

async fn keep(store: &dyn Store, events: &[NewEvent]) -> Result<Vec<Received>, StoreError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let kept = tokio::time::timeout(DEADLINE, store.receive(events)).await;
    kept.unwrap_or_else(|_| Err(Outage::Slow(DEADLINE).into()))
}
