//! How a run ends before its end: a signal, a second one, and the time that it has.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

/// How long the look may take, and how long the making after it. A large tenant's roles take hundreds of calls, of which
/// Auth0 takes two a second at least.
pub(super) const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What holds from the first change on. The first Ctrl-C or SIGTERM asks for an end after what is at hand, so that no
/// secret is lost; the second one ends that too.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    deadline: Instant,
    is_asked: bool,
    is_late: bool,
}

impl Stop {
    /// From now on signals are waited for, and the time runs.
    ///
    /// # Errors
    ///
    /// When signals cannot be waited for.
    pub(super) fn after(patience: Duration) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            deadline: Instant::now() + patience,
            is_asked: false,
            is_late: false,
        })
    }

    /// Whether nothing new is to be begun.
    pub(super) fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// Why `beside` gave up.
    pub(super) fn why(&self) -> &'static str {
        if self.is_late {
            "it took too long"
        } else {
            "it was cut short"
        }
    }

    /// Does `work` to its end, also after a first signal; `None` when it was cut short.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                () = sleep_until(self.deadline) => {
                    (self.is_asked, self.is_late) = (true, true);
                    return None;
                }
            }
            if self.is_asked {
                return None;
            }
            self.is_asked = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_longer_than_the_time_is_cut_short() {
        let mut stop = Stop::after(Duration::ZERO).unwrap();
        assert_eq!(stop.beside(async { 7 }).await, Some(7));
        assert!(!stop.is_asked());
        assert_eq!(stop.beside(std::future::pending::<()>()).await, None);
        assert!(stop.is_asked());
        assert_eq!(stop.why(), "it took too long");
    }
}
