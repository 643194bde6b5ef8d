//! `tollgate serve`: run the gate.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::app::{App, Ending, Outlets, Signals};
use crate::config;
use crate::stop::Stop;
use crate::telemetry::log;
use crate::telemetry::trace::Tracer;

/// Threads beside the workers: keys, admin pages, reload.
const CONTROL_THREADS: usize = 1;

/// A huge page is resident as a whole once a byte of it is used: for a few megabytes spread over many threads that is
/// twice the memory, and no fewer cycles were measured for it. Best effort: it is only memory.
#[cfg(target_os = "linux")]
fn without_huge_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
fn without_huge_pages() {}

/// Runs until a signal: 0 when everything was finished, 1 when it could not start or was cut short, 2 when the
/// config is wrong.
pub(super) fn run(path: &Path) -> anyhow::Result<u8> {
    let config = match config::load(path, &config::process_env) {
        Ok(config) => config,
        Err(report) => {
            write!(std::io::stderr(), "{report}")?;
            return Ok(2);
        }
    };
    without_huge_pages();
    let log = Arc::new(log::init(&config.telemetry)?);
    let tracer = config
        .telemetry
        .otlp
        .as_ref()
        .map(Tracer::new)
        .transpose()
        .context("telemetry.otlp")?
        .map(Arc::new);
    let outlets = Outlets {
        log: Some(Arc::clone(&log)),
        tracer: tracer.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()?;
    let ending = runtime.block_on(async {
        let signals = Signals::listen()?;
        let app = App::start(config, outlets, Stop::new()).await?;
        anyhow::Ok(signals.steer(app).await)
    });
    drop(runtime);
    if let Some(tracer) = tracer {
        tracer.shutdown();
    }
    match ending {
        Ok(Ending::Drained) => Ok(0),
        Ok(Ending::CutShort) => Ok(1),
        Err(error) => {
            tracing::error!(error = %error, "cannot start");
            Ok(1)
        }
    }
}
