//! Putting the parts together, and the life of the process: start, reload, drain, end.

mod billing;
mod console;
mod reload;
mod signals;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::admin::Admin;
use crate::auth::{FetchError, Keys, Verifier};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::gate::{self, Gate};
use crate::proxy::{self, ConnectError, Upstream};
use crate::server::{self, BindError, Certificates, Limits, Listen, Server, StartError, TlsError};
use crate::stop::Stop;
use crate::store::StoreError;
use crate::telemetry::Metrics;
use crate::telemetry::log::LogGuard;
use crate::telemetry::trace::Tracer;
use crate::{auth0, stripe};
pub use signals::Signals;

/// Connections that the admin listener bears: probes and scrapes, not the public.
const ADMIN_CONNECTIONS: usize = 100;

/// Why the process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Certificate or key cannot be used.
    #[error("server.tls: {0}")]
    Tls(#[from] TlsError),
    /// The way to the upstream cannot be prepared.
    #[error("upstream: {0}")]
    Upstream(#[from] ConnectError),
    /// No client for the key set can be made.
    #[error("auth0.jwks: {0}")]
    Keys(#[from] FetchError),
    /// Threads cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A metric was registered twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No client for Stripe can be made.
    #[error(transparent)]
    Stripe(#[from] stripe::Error),
    /// No client for Auth0's Management API can be made.
    #[error(transparent)]
    Auth0(#[from] auth0::Error),
    /// A socket broke.
    #[error("a listening socket broke: {0}")]
    Socket(#[from] io::Error),
}

/// Things made before the runtime, because they have threads of their own.
#[derive(Clone, Default)]
pub struct Outlets {
    /// The log.
    pub log: Option<Arc<LogGuard>>,
    /// Traces.
    pub tracer: Option<Arc<Tracer>>,
}

/// A running gate.
pub struct App {
    /// Where the public listeners are, in the order of the config.
    pub listening: Vec<SocketAddr>,
    /// Where the admin listener is.
    pub admin: Option<SocketAddr>,
    file: PathBuf,
    config: Config,
    server: Server,
    shared: Arc<gate::Shared>,
    certificates: Certificates,
    metrics: Arc<Metrics>,
    drain_timeout: Duration,
    stop: Stop,
    /// Ends after the public server, so that probes see the drain.
    admin_stop: Stop,
    background: TaskTracker,
    billing: Option<Arc<billing::Running>>,
    /// What the console shows of the config.
    board: Arc<console::Board>,
}

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything in flight was finished.
    Drained,
    /// Some of it took longer than `drain_timeout` and was dropped.
    CutShort,
}

impl App {
    /// Starts everything. Auth0 and the upstream need not be there yet.
    ///
    /// # Errors
    ///
    /// See [`StartupError`].
    pub async fn start(config: Config, outlets: Outlets, stop: Stop) -> Result<Self, StartupError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Arc::new(Metrics::new()?);
        let background = TaskTracker::new();
        let admin_stop = Stop::new();
        // To the end of the drain: a request in flight may still name a key that has to be fetched.
        let keys = start_keys(&config, &metrics, &background, &admin_stop)?;
        let certificates = Certificates::none();
        if let Some(files) = &config.server.tls {
            certificates.load(files)?;
        }
        let upstream = proxy::Shared::new(config.proxy.clone(), Arc::clone(&clock))?;
        let (listeners, listening) = bind_all(&config.server)?;
        // Last, because it begins to work on jobs: a start that fails must not.
        let around = billing::Surroundings {
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            background: &background,
            end: &admin_stop,
            stop: &stop,
        };
        let (shared, billing) = start_gate(&config, keys.as_ref(), outlets.tracer, &around).await?;
        let board = Arc::new(console::Board::new(&shared, &config));
        let page = console::page(
            &config,
            &board,
            billing.as_ref(),
            &around,
            (keys, outlets.log),
        );
        let admin = start_admin(&config, page, &background, &admin_stop)?;
        let gates = Arc::clone(&shared);
        let make = move |scope: server::Scope| {
            Gate::new(
                Arc::clone(&gates),
                Upstream::new(Arc::clone(&upstream), scope.tasks, scope.stop),
            )
        };
        let settings = &config.server;
        let server = Server::start(settings, listeners, &certificates, &metrics, &stop, make)?;
        let app = Self {
            listening,
            admin,
            drain_timeout: config.server.drain_timeout,
            file: config.file.clone(),
            config,
            server,
            shared,
            certificates,
            metrics,
            stop,
            admin_stop,
            background,
            billing: billing.map(Arc::new),
            board,
        };
        app.announce();
        Ok(app)
    }

    fn announce(&self) {
        for (address, listen) in self.listening.iter().zip(&self.config.server.listeners) {
            tracing::info!(listener.address = %address, listener.tls = listen.tls, "listening");
        }
        if let Some(address) = self.admin {
            tracing::info!(listener.address = %address, "admin listening");
        }
    }

    /// Runs until the stop is asked for and everything has ended, reloading when `reload` says so.
    pub async fn run(self, reload: impl Future<Output = ()>) -> Ending {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.draining() => {}
            () = reload => {}
        }
        tracing::info!("draining: no new connections, requests in flight are finished");
        let overtime = async {
            tokio::time::sleep(self.drain_timeout).await;
            stop.kill();
        };
        let finished = async {
            self.server.finished().await;
            // Until now, because a request in flight may wait for what they do.
            if let Some(billing) = &self.billing {
                billing.finish().await;
            }
        };
        tokio::pin!(finished);
        let cut_short = tokio::select! {
            () = &mut finished => false,
            () = overtime => {
                finished.await;
                true
            }
            () = stop.killed() => true,
        };
        self.admin_stop.kill();
        self.background.close();
        self.background.wait().await;
        if let Some(billing) = &self.billing {
            billing.close().await;
        }
        if cut_short {
            tracing::warn!("stopped before everything in flight was finished");
            Ending::CutShort
        } else {
            tracing::info!("stopped");
            Ending::Drained
        }
    }
}

/// The public listeners and where they are.
fn bind_all(
    config: &server::Config,
) -> Result<(Vec<server::Listener>, Vec<SocketAddr>), StartupError> {
    let bound = config.listeners.iter().map(|listen| server::bind(*listen));
    let listeners = bound.collect::<Result<Vec<_>, _>>()?;
    let addresses = listeners.iter().map(server::Listener::address);
    let listening = addresses.collect::<io::Result<_>>()?;
    Ok((listeners, listening))
}

/// Starts the task that keeps the keys fresh.
fn start_keys(
    config: &Config,
    metrics: &Arc<Metrics>,
    background: &TaskTracker,
    stop: &Stop,
) -> Result<Option<Arc<Keys>>, StartupError> {
    let Some(auth) = &config.auth else {
        return Ok(None);
    };
    let keys = Arc::new(Keys::new(auth.jwks.clone(), Arc::clone(metrics))?);
    background.spawn(Arc::clone(&keys).run(stop.token()));
    Ok(Some(keys))
}

/// Prepares what all workers share, the payment half included.
async fn start_gate(
    config: &Config,
    keys: Option<&Arc<Keys>>,
    tracer: Option<Arc<Tracer>>,
    around: &billing::Surroundings<'_>,
) -> Result<(Arc<gate::Shared>, Option<billing::Running>), StartupError> {
    let (clock, metrics) = (&around.clock, &around.metrics);
    let verifier = keys.zip(config.auth.clone()).map(|(keys, auth)| {
        let keys = Arc::clone(keys);
        Verifier::new(auth, keys, Arc::clone(clock), Arc::clone(metrics))
    });
    let (sold, billing) = match &config.billing {
        Some(config) => Some(billing::start(config, around).await?).unzip(),
        None => (None, None),
    };
    let shared = gate::Shared::new(
        config.gate.clone(),
        verifier,
        Arc::clone(clock),
        Arc::clone(metrics),
        tracer,
        sold,
    );
    Ok((Arc::new(shared), billing))
}

fn start_admin(
    config: &Config,
    page: Admin,
    background: &TaskTracker,
    stop: &Stop,
) -> Result<Option<SocketAddr>, StartupError> {
    let Some(settings) = &config.admin else {
        return Ok(None);
    };
    let listener = server::bind(Listen {
        address: settings.address,
        tls: false,
    })?;
    let address = listener.address()?;
    let limits = Limits {
        max_connections: ADMIN_CONNECTIONS,
        ..config.server.limits
    };
    // The public connections are the ones that the metric counts.
    let uncounted = Arc::new(Metrics::new()?);
    let serving = server::serve_on(listener, limits, uncounted, stop.clone(), page);
    background.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(error = %error, "the admin listener broke");
        }
    });
    Ok(Some(address))
}
