//! What ends a connection: its client, its limits, silence, or the drain.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

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
        let limits = &self.limits;
        let interval = limits
            .header_timeout
            .min(limits.idle_timeout)
            .min(quiet.unwrap_or(Duration::MAX));
        let mut draining = pin!(self.stop.draining());
        let mut timer = pin!(tokio::time::sleep(interval));
        let mut grace = None;
        let (mut listening, mut told) = (false, false);
        poll_fn(|cx| {
            // Before the answer that may have woken it too, so that its head says `close`.
            if !told && self.stop.is_draining() && watch.phase() == Phase::Busy {
                told = true;
                shutdown(connection.as_mut());
            }
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
            // Polled once to be woken by it; after that the flag is cheaper to ask.
            if !listening {
                listening = true;
                let _ = draining.as_mut().poll(cx);
            }
            if !told && self.stop.is_draining() {
                // Told before its first request, a connection closes at once, and a request on its way is lost.
                let until = *grace.get_or_insert_with(|| Instant::now() + LAST_WORDS);
                if watch.is_fresh() && watch.phase() == Phase::Idle && Instant::now() < until {
                    timer.as_mut().reset(until);
                    let _ = timer.as_mut().poll(cx);
                    return Poll::Pending;
                }
                told = true;
                shutdown(connection.as_mut());
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(End::Closed);
                }
            }
            while timer.as_mut().poll(cx).is_ready() {
                let silence = watch.silence();
                if quiet.is_some_and(|quiet| silence.is_some_and(|silence| silence >= quiet)) {
                    return Poll::Ready(End::Quiet);
                }
                match watch.remaining(limits) {
                    Some(Duration::ZERO) => return Poll::Ready(End::Expired(watch.phase())),
                    left => timer
                        .as_mut()
                        .reset(Instant::now() + left.unwrap_or(interval).min(interval)),
                }
            }
            Poll::Pending
        })
        .await
    }
}
