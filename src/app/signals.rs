//! Signals: SIGTERM and SIGINT drain, a second one kills, SIGHUP reloads.

use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::reload::Reloader;
use super::{App, Ending};

/// Runs the app until a signal, or its stop, ends it.
///
/// # Errors
///
/// When signals cannot be listened for.
pub async fn run_until_signalled(app: App) -> io::Result<Ending> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stop = app.stop.clone();
    let mut reloader = Reloader::new(&app);
    let reloading = async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => reloader.reload("SIGHUP"),
                () = reloader.changed() => reloader.reload("file changed"),
            }
        }
    };
    let signals = async move {
        either(&mut terminate, &mut interrupt).await;
        stop.drain();
        either(&mut terminate, &mut interrupt).await;
        tracing::warn!("a second signal: stopping at once");
        stop.kill();
        pending::<()>().await;
    };
    tokio::select! {
        ending = app.run(reloading) => Ok(ending),
        () = signals => Ok(Ending::CutShort),
    }
}

async fn either(a: &mut Signal, b: &mut Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}
