//! The payment half: ledger, clients, overlay, workers.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::StartupError;
use crate::clock::Clock;
use crate::config::{self, Billing};
use crate::endpoints::{self, Endpoints};
use crate::entitlement::Terms;
use crate::gate;
use crate::stop::Stop;
use crate::store::{Inbox, Postgres, Sqlite, Store};
use crate::sync::{self, Overlay, Sync};
use crate::telemetry::Metrics;
use crate::{admin, auth0, stripe};

/// How long after a ledger that failed every user is tried to be looked at again.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// How long the ledger may take to let go of its connections at the end.
const LAST_CALL: Duration = Duration::from_secs(2);

/// The payment half, running.
pub(super) struct Running {
    terms: Arc<ArcSwap<Terms>>,
    store: Arc<dyn Store>,
    auth0: Arc<auth0::Client>,
    stripe: Arc<stripe::Client>,
    /// The workers, which end before the rest.
    workers: TaskTracker,
    stop_workers: CancellationToken,
}

/// What it is started with.
pub(super) struct Surroundings<'a> {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    /// Tasks that live to the end of the drain, and their end.
    pub(super) background: &'a TaskTracker,
    pub(super) end: &'a Stop,
    /// Dropped at once when this says so.
    pub(super) stop: &'a Stop,
}

/// Starts it. When this returns the overlay knows all that the ledger does.
///
/// # Errors
///
/// When the ledger cannot be opened, or a client cannot be made.
pub(super) async fn start(
    config: &Billing,
    around: &Surroundings<'_>,
) -> Result<(gate::Billing, Running), StartupError> {
    let Surroundings { clock, metrics, .. } = around;
    let store = open(&config.store).await?;
    let stripe = stripe::Client::new(config.stripe.clone(), Arc::clone(metrics))?;
    let auth0 = auth0::Client::new(config.auth0.clone(), Arc::clone(clock), Arc::clone(metrics))?;
    let (stripe, auth0) = (Arc::new(stripe), Arc::new(auth0));
    let terms = Arc::new(ArcSwap::from_pointee(config.terms.clone()));
    let overlay = follow(config, &store, around).await?;
    let parts = sync::Parts {
        stripe: Arc::clone(&stripe),
        auth0: Arc::clone(&auth0),
        store: Arc::clone(&store),
        terms: Arc::clone(&terms),
        clock: Arc::clone(clock),
        metrics: Arc::clone(metrics),
    };
    let (workers, stop_workers) = (TaskTracker::new(), CancellationToken::new());
    work(config, parts, &workers, (around.stop, &stop_workers));
    let searched = (Arc::clone(&auth0), Arc::clone(&stripe));
    let endpoints = Endpoints::new(
        endpoints::Parts {
            stripe,
            auth0,
            inbox: Inbox::start(Arc::clone(&store), around.background, around.end.token()),
            store: Arc::clone(&store),
            terms: Arc::clone(&terms),
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
        },
        config.endpoints.clone(),
    );
    let learning = endpoints.learn_account();
    let learning = around.end.token().run_until_cancelled_owned(learning);
    around.background.spawn(learning);
    let running = Running {
        terms,
        store,
        auth0: searched.0,
        stripe: searched.1,
        workers,
        stop_workers,
    };
    Ok((gate::Billing { overlay, endpoints }, running))
}

/// Starts the workers, and the look at every user now and then.
fn work(
    config: &Billing,
    parts: sync::Parts,
    tasks: &TaskTracker,
    (stop, stop_workers): (&Stop, &CancellationToken),
) {
    if let Some(how) = config.reconcile {
        look(config, &parts, how, tasks, (stop, stop_workers));
    }
    let sync = Arc::new(Sync::new(parts, config.sync.clone()));
    let (killed, stopped) = (stop.clone(), stop_workers.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = sync.run(stopped) => {}
            () = killed.killed() => {}
        }
    });
}

/// Starts the look at every user now and then.
fn look(
    config: &Billing,
    parts: &sync::Parts,
    how: sync::Reconcile,
    tasks: &TaskTracker,
    (stop, stop_workers): (&Stop, &CancellationToken),
) {
    let (parts, config, tracker) = (parts.clone(), config.sync.clone(), tasks.clone());
    let (killed, stopped) = (stop.clone(), stop_workers.clone());
    tasks.spawn(async move {
        loop {
            let (killed, stopped_too) = (killed.clone(), stopped.clone());
            let looking = sync::look_now_and_then(parts.clone(), config.clone(), how, stopped_too);
            let looking = tracker.spawn(async move {
                tokio::select! {
                    () = looking => {}
                    () = killed.killed() => {}
                }
            });
            if looking.await.is_ok() {
                return;
            }
            // A bug must not end all looks to come without a word.
            tracing::error!("looking at every user failed unexpectedly; it is begun anew");
            let pause = stopped.run_until_cancelled(tokio::time::sleep(LOOK_PAUSE));
            if pause.await.is_none() {
                return;
            }
        }
    });
}

async fn open(config: &config::Store) -> Result<Arc<dyn Store>, StartupError> {
    match config {
        config::Store::Sqlite(url) => {
            let store = Sqlite::open(url.expose()).await?;
            store.claim().await?;
            // One process uses the file, so whatever is leased was left by the last run.
            let released = store.release_leases().await?;
            if released > 0 {
                tracing::info!(jobs = released, "taking up jobs that the last run left");
            }
            Ok(Arc::new(store))
        }
        // Leases may be other replicas': those of the dead run out.
        config::Store::Postgres(url) => Ok(Arc::new(Postgres::open(url.expose()).await?)),
    }
}

/// Loads the overlay, and starts what keeps it in line.
async fn follow(
    config: &Billing,
    store: &Arc<dyn Store>,
    around: &Surroundings<'_>,
) -> Result<Arc<Overlay>, StartupError> {
    let overlay = Overlay::new(config.max_token_age, config.leeway);
    let overlay = Arc::new(match config.store {
        config::Store::Sqlite(_) => overlay,
        config::Store::Postgres(_) => overlay.of_a_fleet(),
    });
    let mut from = sync::load(0, &**store, &overlay, &*around.clock).await?;
    let (store, followed) = (Arc::clone(store), Arc::clone(&overlay));
    let (clock, metrics) = (Arc::clone(&around.clock), Arc::clone(&around.metrics));
    let (tasks, end) = (around.background.clone(), around.end.token());
    around.background.spawn(async move {
        loop {
            let following = sync::follow(
                from,
                Arc::clone(&store),
                Arc::clone(&followed),
                Arc::clone(&clock),
                Arc::clone(&metrics),
                end.clone(),
            );
            if tasks.spawn(following).await.is_ok() {
                return;
            }
            // A bug must not freeze the overlay, or a refund would stop nobody. What it knows already is passed over.
            tracing::error!("following the ledger failed unexpectedly; it is begun anew");
            from = 0;
        }
    });
    Ok(overlay)
}

impl Running {
    /// Puts new terms in force. Users who have a right to something else by them are found as after a restart.
    pub(super) fn reload(&self, terms: &Terms) {
        if **self.terms.load() != *terms {
            self.terms.store(Arc::new(terms.clone()));
        }
    }

    /// What the console needs of it.
    pub(super) fn payments(&self) -> admin::Payments {
        let terms = Arc::clone(&self.terms);
        admin::Payments {
            store: Arc::clone(&self.store),
            auth0: Arc::clone(&self.auth0),
            stripe: Arc::clone(&self.stripe),
            terms: Box::new(move || terms.load_full()),
        }
    }

    /// Lets go of the ledger, when nothing uses it any more.
    pub(super) async fn close(&self) {
        if timeout(LAST_CALL, self.store.close()).await.is_err() {
            tracing::warn!("the ledger did not let go in time; nothing is lost");
        }
    }

    /// Lets the workers finish what they are at, and waits for them.
    pub(super) async fn finish(&self) {
        self.stop_workers.cancel();
        self.workers.close();
        self.workers.wait().await;
    }
}
