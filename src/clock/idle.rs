//! A timer for silence.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Runs out when nothing has moved for a while.
///
/// Nothing is armed until somebody has to wait, so what never waits costs nothing.
#[derive(Debug)]
pub struct IdleTimer {
    patience: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl IdleTimer {
    /// A timer that bears `patience` of silence.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            sleep: None,
            waiting: false,
        }
    }

    /// Something moved.
    pub fn moved(&mut self) {
        self.waiting = false;
    }

    /// Nothing moved this time: ready when it has been so for too long.
    pub fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if !self.waiting {
            self.waiting = true;
            sleep.as_mut().reset(Instant::now() + patience);
        }
        sleep.as_mut().poll(cx)
    }
}
