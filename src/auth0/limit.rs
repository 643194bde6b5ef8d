//! Whose turn it is: our own rate, in the order of asking, and what the tenant's headers say.
//!
//! Each call takes the next free moment at once and sleeps until then, so nobody overtakes and no lock is held while
//! waiting. A call that would have to wait too long is told how long, and comes again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};

use crate::clock::Clock;
use crate::types::Rate;

/// The longest wait for a turn: somebody may sit before a browser.
const PATIENCE: Duration = Duration::from_secs(5);
/// Calls at once after a pause, at most. The smallest bucket of a paid tenant holds ten.
const MAX_BURST: u32 = 10;
/// Auth0's buckets fill within a minute; a later reset is a clock that is wrong.
const MAX_RESET: Duration = Duration::from_secs(60);
/// A longer `Retry-After` is cut to this: asking once in ten minutes hurts nobody.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);
/// When a 429 does not say: the time in which the smallest tenant's bucket fills.
const DEFAULT_HOLD: Duration = Duration::from_secs(1);

/// The pace of all calls.
pub(super) struct Limit {
    interval: Duration,
    /// How far calls may run ahead of the pace.
    tolerance: Duration,
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Copy)]
struct State {
    /// When the next call would be due at an even pace (the "theoretical arrival time" of GCRA).
    due: Instant,
    /// Nobody calls before.
    closed_until: Instant,
}

impl Limit {
    pub(super) fn new(rate: Rate, clock: Arc<dyn Clock>) -> Self {
        let interval = rate.period / rate.count.get();
        let now = Instant::now();
        Self {
            interval,
            tolerance: interval * (rate.count.get().min(MAX_BURST) - 1),
            state: Mutex::new(State {
                due: now,
                closed_until: now,
            }),
            clock,
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// How long it would take, when that is too long; then no turn is taken.
    pub(super) async fn turn(&self) -> Result<(), Duration> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Instant::now();
            let turn = self.reserve(now, deadline)?;
            if turn > now {
                tokio::time::sleep_until(turn.into()).await;
            }
            // Somebody else's answer may have closed the door meanwhile.
            if self.state().closed_until <= turn {
                return Ok(());
            }
        }
    }

    /// Obeys an answer. The hold it asked for, if any.
    pub(super) fn learn(&self, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
        let now = self.clock.since_epoch();
        let hold = if status == StatusCode::TOO_MANY_REQUESTS {
            let asked = retry_after(headers, now).or_else(|| until_reset(headers, now));
            Some(asked.unwrap_or(DEFAULT_HOLD))
        } else if number(headers, "x-ratelimit-remaining") == Some(0) {
            until_reset(headers, now)
        } else {
            None
        };
        if let Some(hold) = hold {
            self.close(Instant::now() + hold);
        }
        hold
    }

    /// What an answer that is not about the rate asks to wait, a 503 say.
    pub(super) fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        retry_after(headers, self.clock.since_epoch())
    }

    /// Takes the next free moment.
    fn reserve(&self, now: Instant, deadline: Instant) -> Result<Instant, Duration> {
        let mut state = self.state();
        let paced = state.due.checked_sub(self.tolerance).unwrap_or(now);
        let turn = now.max(paced).max(state.closed_until);
        if turn > deadline {
            return Err(turn - now);
        }
        state.due = state.due.max(turn) + self.interval;
        Ok(turn)
    }

    fn close(&self, until: Instant) {
        let mut state = self.state();
        state.closed_until = state.closed_until.max(until);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let wait = match text.parse().ok() {
        Some(seconds) => Duration::from_secs(seconds),
        None => date(text)?.saturating_sub(server_time(headers, now)),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// `x-ratelimit-reset` is in seconds since 1970.
fn until_reset(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    let reset = Duration::from_secs(number(headers, "x-ratelimit-reset")?);
    Some(
        reset
            .saturating_sub(server_time(headers, now))
            .min(MAX_RESET),
    )
}

/// The server's own clock, if it tells it: ours may be wrong, and then every wait would be.
fn server_time(headers: &HeaderMap, now: Duration) -> Duration {
    let told = headers
        .get(http::header::DATE)
        .and_then(|value| value.to_str().ok());
    told.and_then(date).unwrap_or(now)
}

fn date(text: &str) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    date.duration_since(std::time::UNIX_EPOCH).ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const NOW: u64 = 1_700_000_000;

    fn limit(rate: &str) -> Limit {
        Limit::new(rate.parse().unwrap(), Arc::new(ManualClock::at(NOW)))
    }

    fn headers(list: &[(&'static str, String)]) -> HeaderMap {
        let pairs = list
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect::<HeaderMap>()
    }

    /// When each of `count` calls at `now` gets its turn, in milliseconds.
    fn turns(limit: &Limit, now: Instant, count: usize) -> Vec<Result<u128, u128>> {
        let deadline = now + PATIENCE;
        let turn = |_| match limit.reserve(now, deadline) {
            Ok(turn) => Ok((turn - now).as_millis()),
            Err(wait) => Err(wait.as_millis()),
        };
        (0..count).map(turn).collect()
    }

    #[test]
    fn calls_have_their_turn_in_the_order_of_asking_at_the_configured_rate() {
        let limit = limit("2/s");
        let now = Instant::now() + Duration::from_secs(1);
        assert_eq!(
            turns(&limit, now, 5),
            [Ok(0), Ok(0), Ok(500), Ok(1000), Ok(1500)]
        );
        // The two that are due later are still ahead.
        assert_eq!(turns(&limit, now + Duration::from_secs(1), 1), [Ok(1000)]);
    }

    #[test]
    fn a_burst_is_at_most_what_the_smallest_bucket_of_a_paid_tenant_holds() {
        let now = Instant::now() + Duration::from_secs(60);
        let turns = turns(&limit("150/m"), now, 11);
        assert!(turns[..10].iter().all(|turn| *turn == Ok(0)));
        assert_eq!(turns[10], Ok(400));
    }

    #[test]
    fn who_would_wait_too_long_is_told_how_long_and_takes_no_turn() {
        let limit = limit("1/s");
        let now = Instant::now() + Duration::from_secs(1);
        let asked = turns(&limit, now, 8);
        assert_eq!(asked[5], Ok(5000));
        assert_eq!(asked[6..], [Err(6000), Err(6000)]);
    }

    #[test]
    fn nobody_calls_before_the_reset_when_nothing_remains() {
        let limit = limit("10/s");
        let answer = headers(&[
            ("x-ratelimit-remaining", "0".into()),
            ("x-ratelimit-reset", (NOW + 3).to_string()),
        ]);
        assert_eq!(
            limit.learn(StatusCode::OK, &answer),
            Some(Duration::from_secs(3))
        );
        let now = Instant::now();
        let turn = limit.reserve(now, now + PATIENCE).unwrap();
        assert!(turn > now + Duration::from_millis(2900), "{:?}", turn - now);
        let some_left = headers(&[
            ("x-ratelimit-remaining", "1".into()),
            ("x-ratelimit-reset", (NOW + 3).to_string()),
        ]);
        assert_eq!(limit.learn(StatusCode::OK, &some_left), None);
    }

    #[test]
    fn a_429_holds_for_retry_after_else_until_the_reset_else_for_a_second() {
        let reset = ("x-ratelimit-reset", (NOW + 7).to_string());
        for (list, seconds) in [
            (vec![("retry-after", "2".into()), reset.clone()], 2),
            (vec![reset], 7),
            (vec![("retry-after", "soon".into())], 1),
            (vec![], 1),
            (vec![("retry-after", "86400".into())], 600),
            (vec![("x-ratelimit-reset", (NOW * 1000).to_string())], 60),
            (vec![("x-ratelimit-reset", (NOW - 9).to_string())], 0),
        ] {
            let hold = limit("10/s").learn(StatusCode::TOO_MANY_REQUESTS, &headers(&list));
            assert_eq!(hold, Some(Duration::from_secs(seconds)), "{list:?}");
        }
    }

    #[test]
    fn the_reset_is_measured_by_the_clock_that_set_it() {
        let theirs = NOW - 1000;
        let date = std::time::UNIX_EPOCH + Duration::from_secs(theirs);
        let answer = headers(&[
            ("date", httpdate::fmt_http_date(date)),
            ("x-ratelimit-reset", (theirs + 4).to_string()),
        ]);
        let hold = limit("10/s").learn(StatusCode::TOO_MANY_REQUESTS, &answer);
        assert_eq!(hold, Some(Duration::from_secs(4)));
    }
}
