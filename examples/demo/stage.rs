//! What runs: the stand-ins and Tollgate, on ports of the system's choice.

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tokio_util::task::TaskTracker;
use tollgate::app::{App, Ending, Outlets};
use tollgate::stop::Stop;
use tollgate::store::Sqlite;

use crate::frontend::Frontend;
use crate::setup;
use crate::support::auth0::Auth0;
use crate::support::backend::Backend;
use crate::support::stripe::Stripe;
use crate::web::Ask;

/// How often a condition is looked at, and for how long.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);

/// The stand-ins.
pub(crate) struct Neighbours {
    pub(crate) auth0: Auth0,
    pub(crate) stripe: Stripe,
    pub(crate) backend: Backend,
    pub(crate) frontend: Frontend,
}

/// Everything that runs.
pub(crate) struct Stage {
    pub(crate) neighbours: Neighbours,
    /// Where Tollgate listens.
    pub(crate) gate: SocketAddr,
    /// Where its admin listener is.
    pub(crate) admin: SocketAddr,
    /// Its ledger, as the commands open it beside the running server.
    pub(crate) store: Sqlite,
    /// The config file and the ledger, removed at the end.
    folder: TempDir,
    stop: Stop,
    running: JoinHandle<Ending>,
}

impl Stage {
    /// Starts everything and waits until Tollgate is ready.
    pub(crate) async fn set() -> anyhow::Result<Self> {
        let neighbours = Neighbours {
            auth0: Auth0::start(),
            stripe: Stripe::start(),
            backend: Backend::start(),
            frontend: Frontend::start(),
        };
        setup::fill(&neighbours.auth0);
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let file = folder.path().join("tollgate.yaml");
        std::fs::write(&file, setup::yaml(&neighbours, folder.path()))?;
        let config =
            tollgate::config::load(&file, &|_| None).map_err(|report| anyhow!("{report}"))?;
        let stop = Stop::new();
        let app = App::start(config, Outlets::default(), stop.clone()).await?;
        let gate = *app.listening.first().context("a public listener")?;
        let admin = app.admin.context("an admin listener")?;
        let store = Sqlite::open_existing(&setup::ledger(folder.path())).await?;
        let webhook = format!("http://{gate}/stripe/webhook");
        neighbours.stripe.send_to(&webhook);
        let stage = Self {
            neighbours,
            gate,
            admin,
            store,
            folder,
            stop,
            running: TaskTracker::new().spawn(app.run(pending())),
        };
        stage.until_ready().await?;
        Ok(stage)
    }

    /// The config file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("tollgate.yaml")
    }

    /// Stops Tollgate as SIGTERM would.
    pub(crate) async fn clear(self) -> anyhow::Result<()> {
        self.stop.drain();
        ensure!(
            self.running.await? == Ending::Drained,
            "Tollgate was cut short"
        );
        Ok(())
    }

    async fn until_ready(&self) -> anyhow::Result<()> {
        let ready = Ask::get("/readyz", "");
        let found = until(async || {
            let status = ready.send(self.admin).await.status;
            (status == 200 || self.running.is_finished()).then_some(status)
        });
        ensure!(found.await == Some(200), "Tollgate did not become ready");
        Ok(())
    }
}

/// Looks again until there is something, or patience ends.
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let mut ticks = interval(LOOK);
    let found = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.ok()
}
