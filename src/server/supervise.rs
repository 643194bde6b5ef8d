//! What ends a connection: its client, its limits, silence, or the drain.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::Limits;
use super::connection::{Context, LAST_WORDS};
use super::watch::{Phase, Watch};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself.
    Closed,
    /// Not at all: the client has nothing to say for now.
    Quiet,
    /// This phase took too long.
    Expired(Phase),
    /// Not by itself, though it was told of the drain; but nothing was in flight.
    Drained,
}

/// How long a client that was answered may take for the last pieces, which wait for it out of sight: in the system, or
/// for an HTTP/2 window.
const LAST_PIECES: Duration = Duration::from_secs(5);

/// A connection that was told of the drain.
struct Told {
    at: Instant,
    /// Since when nothing was seen to happen, and what [`Watch::stirs`] said then.
    seen: (Instant, u64),
}

impl Told {
    /// It was told now; `timer` is set to when it is to be looked at.
    fn now(watch: &Watch, timer: Pin<&mut Sleep>) -> Self {
        let now = Instant::now();
        timer.reset(now + LAST_WORDS);
        Self {
            at: now,
            seen: (now, watch.stirs()),
        }
    }

    /// Whether nothing is in flight and nothing came for a while: an HTTP/2 client that does not acknowledge that it
    /// was told would hold the drain to its end.
    fn is_over(&mut self, watch: &Watch) -> bool {
        let (since, stirs) = self.seen;
        if stirs != watch.stirs() || !watch.is_idle() {
            self.seen = (Instant::now(), watch.stirs());
            return false;
        }
        let enough = if watch.is_fresh() {
            LAST_WORDS
        } else {
            LAST_PIECES
        };
        since.elapsed() >= enough
    }

    /// How long this phase may still go on: half a head is no request yet, and is not waited for as long as usual.
    fn remaining(&self, watch: &Watch, limits: &Limits) -> Option<Duration> {
        let left = watch.remaining(limits);
        if watch.phase() != Phase::Head {
            return left;
        }
        let short = Limits {
            header_timeout: LAST_WORDS,
            ..*limits
        };
        let grace = LAST_WORDS.saturating_sub(self.at.elapsed());
        left.min(watch.remaining(&short).max(Some(grace)))
    }
}

impl Context {
    /// Drives a connection until it ends, a phase of it takes too long, or it is silent for `quiet`; tells it when the
    /// drain begins.
    pub(super) async fn supervise<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        shutdown: fn(Pin<&mut C>),
        watch: &Watch,
        quiet: Option<Duration>,
    ) -> End {
        let mut draining = pin!(self.stop.draining());
        let mut timer = pin!(tokio::time::sleep(self.interval(quiet)));
        let (mut listening, mut grace, mut told) = (false, None, None::<Told>);
        poll_fn(|cx| {
            // Before the answer that may have woken it too, so that its head says `close`.
            if told.is_none() && self.stop.is_draining() && watch.phase() == Phase::Busy {
                shutdown(connection.as_mut());
                told = Some(Told::now(watch, timer.as_mut()));
            }
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
            // Polled once to be woken by it; after that the flag is cheaper to ask.
            if !listening {
                listening = true;
                let _ = draining.as_mut().poll(cx);
            }
            if told.is_none() && self.stop.is_draining() {
                // Told before its first request, a connection closes at once, and a request on its way is lost.
                let until = *grace.get_or_insert_with(|| Instant::now() + LAST_WORDS);
                if watch.is_fresh() && watch.phase() == Phase::Idle && Instant::now() < until {
                    timer.as_mut().reset(until);
                    let _ = timer.as_mut().poll(cx);
                    return Poll::Pending;
                }
                shutdown(connection.as_mut());
                told = Some(Told::now(watch, timer.as_mut()));
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(End::Closed);
                }
            }
            while timer.as_mut().poll(cx).is_ready() {
                match self.look(watch, quiet, told.as_mut()) {
                    Ok(pause) => timer.as_mut().reset(Instant::now() + pause),
                    Err(end) => return Poll::Ready(end),
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Looks whether the connection has to end; if not, how long until it has to be looked at again.
    fn look(
        &self,
        watch: &Watch,
        quiet: Option<Duration>,
        told: Option<&mut Told>,
    ) -> Result<Duration, End> {
        let silence = watch.silence();
        if quiet.is_some_and(|quiet| silence.is_some_and(|silence| silence >= quiet)) {
            return Err(End::Quiet);
        }
        let mut interval = self.interval(quiet);
        let left = match told {
            Some(told) => {
                if told.is_over(watch) {
                    return Err(End::Drained);
                }
                interval = interval.min(LAST_WORDS);
                told.remaining(watch, &self.limits)
            }
            None => watch.remaining(&self.limits),
        };
        match left {
            Some(Duration::ZERO) => Err(End::Expired(watch.phase())),
            Some(left) => Ok(left.min(interval)),
            None => Ok(interval),
        }
    }

    /// How often a connection is looked at.
    fn interval(&self, quiet: Option<Duration>) -> Duration {
        let limits = &self.limits;
        let shortest = limits.header_timeout.min(limits.idle_timeout);
        shortest.min(quiet.unwrap_or(Duration::MAX))
    }
}
