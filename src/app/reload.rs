//! Reload: read and check the file first, then swap. What does not validate changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::App;
use crate::config::{self, Config, Stamp, watched_files};
use crate::gate;
use crate::server::Certificates;
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
    certificates: Certificates,
    metrics: Arc<Metrics>,
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
            certificates: app.certificates.clone(),
            metrics: Arc::clone(&app.metrics),
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
        match self.try_reload() {
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
        self.certificates.replace_with(&certificates);
        self.shared.reload(config.gate.clone());
        for section in self.sections_that_need_a_restart(&config) {
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

    fn sections_that_need_a_restart(&self, new: &Config) -> Vec<&'static str> {
        let old = &self.running;
        // Secrets print as one word each, so a changed secret alone is not told: it cannot be, without keeping it.
        let differs =
            |a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| format!("{a:?}") != format!("{b:?}");
        let listeners = |config: &Config| {
            (
                config.server.listeners.clone(),
                config.server.limits,
                config.server.workers,
            )
        };
        [
            ("server", differs(&listeners(old), &listeners(new))),
            ("admin", differs(&old.admin, &new.admin)),
            ("upstream", differs(&old.proxy, &new.proxy)),
            ("auth0", differs(&old.auth, &new.auth)),
            ("log or telemetry", differs(&old.telemetry, &new.telemetry)),
        ]
        .into_iter()
        .filter_map(|(name, changed)| changed.then_some(name))
        .collect()
    }
}
