//! The three servers, on ports of the system's choice.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tollgate::app::{App, Ending, Outlets};
use tollgate::stop::Stop;

use crate::support::auth0::{AUDIENCE, Auth0};
use crate::support::backend::Backend;
use crate::support::raw::{Reply, Wire};

/// How often Tollgate is asked whether it is ready, and for how long.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: u32 = 500;

/// Everything that runs.
pub(crate) struct Stage {
    pub(crate) auth0: Auth0,
    pub(crate) backend: Backend,
    /// Where Tollgate listens.
    pub(crate) gate: SocketAddr,
    admin: SocketAddr,
    stop: Stop,
    running: JoinHandle<Ending>,
}

impl Stage {
    /// Starts all three and waits until Tollgate is ready.
    pub(crate) async fn set() -> anyhow::Result<Self> {
        let (auth0, backend) = (Auth0::start(), Backend::start());
        auth0.add_user("free", "auth0|free-user", &["read:basic-content"]);
        auth0.add_user(
            "premium",
            "auth0|premium-user",
            &["read:basic-content", "read:premium-content"],
        );
        let stop = Stop::new();
        let app = App::start(
            load(&yaml(&auth0, &backend))?,
            Outlets::default(),
            stop.clone(),
        )
        .await?;
        let gate = *app.listening.first().context("a public listener")?;
        let admin = app.admin.context("an admin listener")?;
        let running = TaskTracker::new().spawn(app.run(pending()));
        let stage = Self {
            auth0,
            backend,
            gate,
            admin,
            stop,
            running,
        };
        stage.until_ready().await?;
        Ok(stage)
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

    /// GET `path`, with a token or without.
    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Reply {
        let bearer = token
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let mut wire = Wire::connect(self.gate).await;
        wire.send(format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\n{bearer}\r\n",
            self.gate
        ))
        .await;
        wire.reply().await
    }

    /// Signs `user` in and gives the access token.
    pub(crate) async fn sign_in(&self, user: &str) -> String {
        let body = serde_json::json!({ "grant_type": "password", "username": user, "password": "any", "audience": AUDIENCE });
        let body = body.to_string();
        let mut wire = Wire::connect(self.auth0.address()).await;
        let head = format!(
            "POST /oauth/token HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n",
            self.auth0.address()
        );
        wire.send(format!(
            "{head}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        wire.reply().await.json()["access_token"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Asks again until the answer has this status, or patience ends.
    pub(crate) async fn until(&self, path: &str, token: &str, status: u16) -> Reply {
        let mut look = tokio::time::interval(LOOK);
        let mut reply = self.get(path, Some(token)).await;
        for _ in 0..PATIENCE {
            if reply.status == status {
                break;
            }
            look.tick().await;
            reply = self.get(path, Some(token)).await;
        }
        reply
    }

    async fn until_ready(&self) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(LOOK);
        for _ in 0..PATIENCE {
            look.tick().await;
            ensure!(!self.running.is_finished(), "Tollgate did not start");
            let Ok(socket) = TcpStream::connect(self.admin).await else {
                continue;
            };
            let mut wire = Wire::over(socket);
            wire.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await;
            if wire
                .try_reply(false)
                .await
                .is_ok_and(|reply| reply.status == 200)
            {
                return Ok(());
            }
        }
        anyhow::bail!("Tollgate did not become ready")
    }
}

fn load(yaml: &str) -> anyhow::Result<tollgate::config::Config> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(&file, yaml)?;
    tollgate::config::load(&file, &|_| None).map_err(|report| anyhow::anyhow!("{report}"))
}

fn yaml(auth0: &Auth0, backend: &Backend) -> String {
    format!(
        r#"
server: {{ listen: 127.0.0.1:0 }}
admin: {{ listen: 127.0.0.1:0 }}
upstream: {upstream}
auth0: {{ url: "{auth0}", audience: "{AUDIENCE}", leeway: 5s, jwks: {{ refresh: 1s, stale: 1h, cooldown: 1s }} }}
log: {{ level: error, access: false }}
plans:
  - {{ name: free, role: free-user }}
  - {{ name: monthly, role: premium-monthly, price: price_monthly, mode: subscription }}
roles:
  free-user: [read:basic-content]
  premium-monthly: [read:basic-content, read:premium-content]
default: deny
routes:
  - {{ path: /, methods: [GET], access: public }}
  - {{ path: /premium/insights, methods: [GET], permissions: [read:premium-content] }}
  - {{ path: "/admin/{{*rest}}", permissions: [access:admin-panel] }}
"#,
        upstream = backend.url(),
        auth0 = auth0.url(),
    )
}
