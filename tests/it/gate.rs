//! Starts the real binary as a child process, on ports of the system's choice, and talks to it.

mod log;
mod setup;
mod tls;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{interval, timeout};

use crate::support::auth0::Auth0;
use crate::support::backend::Backend;
use crate::support::raw::{DEADLINE, Reply, Wire};

pub(crate) use log::Log;
pub(crate) use setup::{Setup, binary, launch};
pub(crate) use tls::{Certificate, tls_before, tls_before_both};

/// How often a condition that nobody announces is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A running Tollgate.
pub(crate) struct Gate {
    child: Child,
    /// The listener without TLS.
    pub(crate) address: SocketAddr,
    /// The listener with TLS, where there is one.
    pub(crate) tls: Option<SocketAddr>,
    /// The admin listener.
    pub(crate) admin: SocketAddr,
    pub(crate) log: Log,
    /// The folder with the config file, removed at the end.
    pub(crate) folder: tempfile::TempDir,
}

/// Tollgate with its two neighbours.
pub(crate) struct World {
    pub(crate) auth0: Auth0,
    pub(crate) backend: Backend,
    pub(crate) gate: Gate,
}

impl World {
    /// Starts all three with the usual routes.
    pub(crate) async fn start() -> Self {
        Self::with(|setup| setup).await
    }

    /// Starts all three with a changed config.
    pub(crate) async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let (auth0, backend) = (Auth0::start(), Backend::start());
        let gate = change(Setup::new(&auth0, &backend.url())).start().await;
        Self {
            auth0,
            backend,
            gate,
        }
    }

    /// GET with a good token of `subject`.
    pub(crate) async fn get_as(&self, path: &str, subject: &str, permissions: &[&str]) -> Reply {
        self.gate
            .get_with_token(path, &self.auth0.token(subject, permissions))
            .await
    }
}

impl Gate {
    /// A new connection without TLS.
    pub(crate) async fn wire(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// GET without a token.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    /// GET with `Authorization: Bearer TOKEN`.
    pub(crate) async fn get_with_token(&self, path: &str, token: &str) -> Reply {
        self.send(
            "GET",
            path,
            &[("Authorization", &format!("Bearer {token}"))],
            "",
        )
        .await
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut wire = self.wire().await;
        wire.send(request(method, path, headers, body)).await;
        wire.try_reply(method == "HEAD").await.expect("a response")
    }

    /// One request, every byte of its head given, on a connection of its own. `None` when no answer came.
    pub(crate) async fn send_raw(&self, bytes: impl AsRef<[u8]>) -> Option<Reply> {
        let socket = tokio::net::TcpStream::connect(self.address).await.ok()?;
        let mut wire = Wire::over(socket);
        wire.try_send(bytes).await.ok()?;
        wire.try_reply(false).await.ok()
    }

    /// GET from the admin listener; `None` when it does not answer.
    pub(crate) async fn admin(&self, path: &str) -> Option<Reply> {
        let socket = tokio::net::TcpStream::connect(self.admin).await.ok()?;
        let mut wire = Wire::over(socket);
        wire.try_send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .await
            .ok()?;
        wire.try_reply(false).await.ok()
    }

    /// Waits until `/readyz` answers `status`.
    pub(crate) async fn until_readyz(&self, status: u16) {
        let mut look = interval(LOOK);
        let reached = timeout(DEADLINE, async {
            while self
                .admin("/readyz")
                .await
                .is_none_or(|reply| reply.status != status)
            {
                look.tick().await;
            }
        });
        assert!(
            reached.await.is_ok(),
            "/readyz never was {status}\n{}",
            self.log.text()
        );
    }

    /// The metrics, as Prometheus reads them.
    pub(crate) async fn metrics(&self) -> String {
        let reply = self.admin("/metrics").await;
        reply
            .unwrap_or_else(|| unreachable!("no metrics\n{}", self.log.text()))
            .text()
    }

    /// The sum of the samples of `name` that have all these labels.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.metrics().await;
        let fits = |line: &&str| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with(['{', ' '])
                && labels
                    .iter()
                    .all(|(key, value)| rest.contains(&format!("{key}=\"{value}\"")))
        };
        let values = text
            .lines()
            .filter(fits)
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// Waits until [`Gate::metric`] is at least `least`.
    pub(crate) async fn until_metric(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        let mut look = interval(LOOK);
        let reached = timeout(DEADLINE, async {
            while self.metric(name, labels).await < least {
                look.tick().await;
            }
        });
        assert!(
            reached.await.is_ok(),
            "{name}{labels:?} never was {least}\n{}",
            self.metrics().await
        );
    }

    /// Sends a signal by its name: `TERM`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &process])
            .status()
            .expect("kill");
        assert!(sent.success(), "SIG{name} could not be sent");
    }

    /// Lets no file of the process grow beyond `bytes`; `false` when the system has no means to say so.
    pub(crate) fn limit_files(&self, bytes: u64) -> bool {
        let limit = match bytes {
            u64::MAX => "unlimited".to_owned(),
            bytes => bytes.to_string(),
        };
        let process = self.child.id().to_string();
        let limited = Command::new("prlimit")
            .args(["--pid", &process, &format!("--fsize={limit}:unlimited")])
            .status();
        limited.is_ok_and(|status| status.success())
    }

    /// Waits for the end of the process.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        let mut look = interval(LOOK);
        let ended = timeout(DEADLINE, async {
            loop {
                if let Some(status) = self.child.try_wait().expect("our child") {
                    return status;
                }
                look.tick().await;
            }
        });
        ended
            .await
            .unwrap_or_else(|_| unreachable!("still running\n{}", self.log.text()))
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    /// Replaces the config file's text.
    pub(crate) fn rewrite_config(&self, setup: &Setup) {
        let folder = self.folder.path();
        std::fs::write(folder.join("tollgate.yaml"), setup.yaml_in(folder)).expect("a config file");
    }

    /// The access-log lines so far.
    pub(crate) fn access_log(&self) -> Vec<Value> {
        self.log
            .events()
            .into_iter()
            .filter(|event| !event["request.id"].is_null())
            .collect()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request with `Host` and, where there is a body, its length.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: gate.test\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if !body.is_empty() {
        let _ = write!(text, "Content-Length: {}\r\n", body.len());
    }
    text.push_str("\r\n");
    text.push_str(body);
    text
}
