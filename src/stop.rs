//! Stopping in two steps: softly, when work in flight is finished, and hard, when it is not waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// The wish to stop, shared by every task.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    soft: CancellationToken,
    hard: CancellationToken,
    /// What `soft` says, without its lock: asked for at every wake-up of every connection.
    draining: Arc<AtomicBool>,
}

impl Stop {
    /// Nobody wishes to stop yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Take no new work, finish what runs.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.soft.cancel();
    }

    /// Drop what runs.
    pub fn kill(&self) {
        self.drain();
        self.hard.cancel();
    }

    /// Whether no new work may be taken.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Waits for [`Stop::drain`].
    pub fn draining(&self) -> WaitForCancellationFuture<'_> {
        self.soft.cancelled()
    }

    /// Waits for [`Stop::kill`].
    pub fn killed(&self) -> WaitForCancellationFuture<'_> {
        self.hard.cancelled()
    }

    /// The soft wish, for a task that takes a plain token.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.soft.clone()
    }
}
