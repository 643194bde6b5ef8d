//! Signals: SIGTERM and SIGINT drain, a second one kills, SIGHUP reloads.

use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::reload::Reloader;
use super::{App, Ending};

/// The signals that steer the process. From the moment they are listened for, none ends it by surprise.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens for them. Do it before anybody is told that the process is up.
    ///
    /// # Errors
    ///
    /// When the system does not let us.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Runs the app until a signal, or its stop, ends it.
    pub async fn steer(self, app: App) -> Ending {
        let Self {
            mut terminate,
            mut interrupt,
            mut hangup,
        } = self;
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
            ending = app.run(reloading) => ending,
            () = signals => Ending::CutShort,
        }
    }
}

async fn either(a: &mut Signal, b: &mut Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}
