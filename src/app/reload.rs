//! Reload: read and check the file first, then swap. What does not validate changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::App;
use super::billing::Running;
use super::console::Board;
use crate::config::{self, Config, Stamp, watched_files};
use crate::gate;
use crate::server::{self, Certificates};
use crate::telemetry::Metrics;

/// How often the files are looked at. Asking the file system notices every kind of change, a `ConfigMap`'s
/// symbolic link and a network mount included, which notifications do not.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Reloads the config when asked to.
pub(super) struct Reloader {
    file: PathBuf,
    files: Vec<PathBuf>,
    stamp: Stamp,
    /// What runs, for telling what a reload cannot change.
    running: Config,
    shared: Arc<gate::Shared>,
    billing: Option<Arc<Running>>,
    certificates: Certificates,
    metrics: Arc<Metrics>,
    board: Arc<Board>,
}

impl Reloader {
    pub(super) fn new(app: &App) -> Self {
        let files = watched_files(&app.config);
        Self {
            file: app.file.clone(),
            stamp: Stamp::of(&files),
            files,
            running: app.config.clone(),
            shared: Arc::clone(&app.shared),
            billing: app.billing.clone(),
            certificates: app.certificates.clone(),
            metrics: Arc::clone(&app.metrics),
            board: Arc::clone(&app.board),
        }
    }

    /// Waits until a file has changed and has stayed the same for a moment: writers are not always atomic.
    pub(super) async fn changed(&self) {
        let mut last = self.stamp.clone();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = Stamp::of(&self.files);
            if now != self.stamp && now == last {
                return;
            }
            last = now;
        }
    }

    /// Reads the config and puts it in force, or says why not.
    pub(super) fn reload(&mut self, why: &str) {
        self.stamp = Stamp::of(&self.files);
        let reloaded = self.try_reload();
        self.board.reloaded(why, reloaded.as_ref().err().cloned());
        match reloaded {
            Ok(()) => {
                self.metrics.config_reload("ok");
                tracing::info!(why, file = %self.file.display(), "config reloaded");
            }
            Err(error) => {
                self.metrics.config_reload("error");
                tracing::error!(why, error = %error, "config not reloaded; the running one stays in force");
            }
        }
    }

    fn try_reload(&mut self) -> Result<(), String> {
        let config =
            config::load(&self.file, &config::process_env).map_err(|report| report.to_string())?;
        let certificates = Certificates::none();
        if let Some(files) = &config.server.tls {
            // First somewhere else: a bad certificate must not leave half a reload behind.
            certificates
                .load(files)
                .map_err(|error| format!("server.tls: {error}"))?;
        }
        if config.server.tls.is_some() {
            // Else those in force stay: what listens with TLS does so until the next start.
            self.certificates.replace_with(&certificates);
        }
        self.shared.reload(config.gate.clone());
        self.board.rules(&self.shared, &config);
        if let (Some(running), Some(billing)) = (&self.billing, &config.billing) {
            running.reload(&billing.terms);
        }
        for section in sections_that_need_a_restart(&self.running, &config) {
            tracing::warn!(
                section,
                "a change in this section takes effect at the next start"
            );
        }
        self.files = watched_files(&config);
        self.stamp = Stamp::of(&self.files);
        self.running = config;
        Ok(())
    }
}

fn sections_that_need_a_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    // Secrets print as one word each, so a changed secret alone is not told: it cannot be, without keeping it.
    let differs =
        |a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| format!("{a:?}") != format!("{b:?}");
    // Certificates are read again, the rest of the section is not.
    let server = |config: &Config| server::Config {
        tls: None,
        ..config.server.clone()
    };
    // What is sold is read again, the rest is not.
    let billing = |config: &Config| {
        let billing = config.billing.clone()?;
        Some((
            billing.stripe,
            billing.auth0,
            billing.endpoints,
            billing.store,
            billing.sync,
            billing.reconcile,
            billing.max_token_age,
        ))
    };
    [
        ("server", server(old) != server(new)),
        ("admin", differs(&old.admin, &new.admin)),
        ("upstream", differs(&old.proxy, &new.proxy)),
        ("auth0", differs(&old.auth, &new.auth)),
        (
            "stripe, store, sync or reconcile",
            differs(&billing(old), &billing(new)),
        ),
        ("log or telemetry", differs(&old.telemetry, &new.telemetry)),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sections: &str) -> Config {
        let source = format!("upstream: http://127.0.0.1:1\ndefault: public\n{sections}\n");
        config::parse("gate.yaml".as_ref(), &source, &|_| None).unwrap()
    }

    #[test]
    fn whatever_a_reload_cannot_change_is_told() {
        for (section, text) in [
            ("server", "server: { listen: 127.0.0.1:2 }"),
            ("server", "server: { max_headers: 7 }"),
            ("server", "server: { drain_timeout: 7s }"),
            ("server", "server: { workers: 7 }"),
            ("admin", "admin: { listen: 127.0.0.1:2 }"),
            ("log or telemetry", "log: { level: debug }"),
        ] {
            let told = sections_that_need_a_restart(&config(""), &config(text));
            assert_eq!(told, [section], "{text}");
        }
    }

    #[test]
    fn what_a_reload_changes_is_not_told() {
        for text in [
            "cors: { allowed_origins: [\"*\"] }",
            "routes: [{ path: /x, access: public }]",
            "server: { max_body: 7KiB, base_path: /api, trusted_proxies: [10.0.0.0/8] }",
        ] {
            let told = sections_that_need_a_restart(&config(""), &config(text));
            assert!(told.is_empty(), "{text}: {told:?}");
        }
    }
}
