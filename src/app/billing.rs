//! The payment half: ledger, clients, overlay, workers.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::StartupError;
use crate::clock::Clock;
use crate::config::{self, Billing};
use crate::endpoints::{self, Endpoints};
use crate::entitlement::Terms;
use crate::gate;
use crate::stop::Stop;
use crate::store::{Inbox, Sqlite, Store};
use crate::sync::{self, Overlay, Sync};
use crate::telemetry::Metrics;
use crate::{auth0, stripe};

/// The payment half, running.
pub(super) struct Running {
    /// What is sold; a reload swaps it.
    pub(super) terms: Arc<ArcSwap<Terms>>,
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
    let released = store.release_leases().await?;
    if released > 0 {
        tracing::info!(jobs = released, "taking up jobs that the last run left");
    }
    let stripe = stripe::Client::new(config.stripe.clone(), Arc::clone(metrics))?;
    let auth0 = auth0::Client::new(config.auth0.clone(), Arc::clone(clock), Arc::clone(metrics))?;
    let (stripe, auth0) = (Arc::new(stripe), Arc::new(auth0));
    let terms = Arc::new(ArcSwap::from_pointee(config.terms.clone()));
    let overlay = follow(config, &store, around).await?;
    let sync = Arc::new(Sync::new(
        sync::Parts {
            stripe: Arc::clone(&stripe),
            auth0: Arc::clone(&auth0),
            store: Arc::clone(&store),
            terms: Arc::clone(&terms),
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
        },
        config.sync.clone(),
    ));
    let (workers, stop_workers) = (TaskTracker::new(), CancellationToken::new());
    let (killed, stopped) = (around.stop.clone(), stop_workers.clone());
    workers.spawn(async move {
        tokio::select! {
            () = sync.run(stopped) => {}
            () = killed.killed() => {}
        }
    });
    let endpoints = Endpoints::new(
        endpoints::Parts {
            stripe,
            auth0,
            inbox: Inbox::start(Arc::clone(&store), around.background, around.end.token()),
            store,
            terms: Arc::clone(&terms),
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
        },
        config.endpoints.clone(),
    );
    let running = Running {
        terms,
        workers,
        stop_workers,
    };
    Ok((gate::Billing { overlay, endpoints }, running))
}

async fn open(config: &config::Store) -> Result<Arc<dyn Store>, StartupError> {
    match config {
        config::Store::Sqlite(url) => Ok(Arc::new(Sqlite::open(url.expose()).await?)),
        config::Store::Postgres(_) => Err(StartupError::Postgres),
    }
}

/// Loads the overlay, and starts what keeps it in line.
async fn follow(
    config: &Billing,
    store: &Arc<dyn Store>,
    around: &Surroundings<'_>,
) -> Result<Arc<Overlay>, StartupError> {
    let overlay = Arc::new(Overlay::new(config.max_token_age, config.leeway));
    let from = sync::load(0, &**store, &overlay, &*around.clock).await?;
    around.background.spawn(sync::follow(
        from,
        Arc::clone(store),
        Arc::clone(&overlay),
        Arc::clone(&around.clock),
        Arc::clone(&around.metrics),
        around.end.token(),
    ));
    Ok(overlay)
}

impl Running {
    /// Lets the workers finish what they are at, and waits for them.
    pub(super) async fn finish(&self) {
        self.stop_workers.cancel();
        self.workers.close();
        self.workers.wait().await;
    }
}
