//! What runs: the stand-ins, and Tollgate on ports that the system chose.

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
use crate::page::Page;
use crate::program::Program;
use crate::setup;
use crate::support::auth0::Auth0;
use crate::support::backend::Backend;
use crate::support::net::Reserved;
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

/// Where Tollgate listens.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    /// For everybody.
    pub(crate) gate: SocketAddr,
    /// For operators.
    pub(crate) admin: SocketAddr,
}

/// Everything that is there before Tollgate runs.
pub(crate) struct Stage {
    pub(crate) neighbours: Neighbours,
    pub(crate) addresses: Addresses,
    /// The program, for what operators do.
    pub(crate) program: Program,
    /// The config file, the ledger and the webhook's secret, removed at the end.
    folder: TempDir,
    /// Stripe is told where to send events before anybody listens there, so the ports are ours from the start.
    _reserved: [Reserved; 2],
}

/// Tollgate, in this process.
pub(crate) struct Tollgate {
    /// Its ledger, as the commands open it beside the running server.
    pub(crate) store: Sqlite,
    stop: Stop,
    running: JoinHandle<Ending>,
}

impl Stage {
    /// Starts the stand-ins: a tenant with users and no roles, an account with prices and nothing else.
    pub(crate) fn set() -> anyhow::Result<Self> {
        let neighbours = Neighbours {
            auth0: Auth0::start_empty(),
            stripe: Stripe::start_empty(),
            backend: Backend::start(),
            frontend: Frontend::start(),
        };
        neighbours.auth0.grant_setup();
        setup::add_users(&neighbours.auth0);
        let reserved = [Reserved::any(), Reserved::any()];
        let [gate, admin] = reserved.each_ref().map(Reserved::address);
        let addresses = Addresses { gate, admin };
        let folder = tempfile::Builder::new()
            .prefix("tollgate-demo-")
            .tempdir()
            .context("a temporary folder")?;
        let file = folder.path().join("tollgate.yaml");
        let text = setup::yaml(&neighbours, addresses, folder.path());
        std::fs::write(&file, text)?;
        Ok(Self {
            neighbours,
            addresses,
            program: Program::beside(&file)?,
            folder,
            _reserved: reserved,
        })
    }

    /// Says where everything is.
    pub(crate) fn introduce(&self, page: &mut Page) {
        let Neighbours {
            auth0,
            stripe,
            backend,
            frontend,
        } = &self.neighbours;
        for line in [
            "Tollgate between stand-ins for Auth0, Stripe, a backend and a frontend, all on this machine".to_owned(),
            format!("   Auth0     {}", auth0.url()),
            format!("   Stripe    {}", stripe.url()),
            format!("   backend   {}", backend.url()),
            format!("   frontend  http://{}", frontend.address()),
            format!("   Tollgate  http://{}", self.addresses.gate),
            format!("   console   http://{}", self.addresses.admin),
        ] {
            page.line(&line);
        }
    }

    /// Where the secret of the webhook endpoint is to be.
    pub(crate) fn secret_file(&self) -> PathBuf {
        setup::secret_file(self.folder.path())
    }
}

impl Tollgate {
    /// Starts it with the stage's config file, and waits until it is ready.
    pub(crate) async fn start(stage: &Stage) -> anyhow::Result<Self> {
        let config = tollgate::config::load(stage.program.config(), &|_| None);
        let config = config.map_err(|report| anyhow!("{report}"))?;
        let stop = Stop::new();
        let app = App::start(config, Outlets::default(), stop.clone()).await?;
        let store = Sqlite::open_existing(&setup::ledger(stage.folder.path())).await?;
        let tollgate = Self {
            store,
            stop,
            running: TaskTracker::new().spawn(app.run(pending())),
        };
        tollgate.until_ready(stage.addresses.admin).await?;
        Ok(tollgate)
    }

    /// Stops it as SIGTERM would.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.stop.drain();
        ensure!(
            self.running.await? == Ending::Drained,
            "Tollgate was cut short"
        );
        Ok(())
    }

    async fn until_ready(&self, admin: SocketAddr) -> anyhow::Result<()> {
        let ready = Ask::get("/readyz", "");
        let found = until(async || {
            let status = ready.send(admin).await.status;
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
