//! Whose turn it is: our own rate, jobs before browsers and else in the order of asking, and what the tenant's headers
//! say.
//!
//! Who waits stands in a queue and takes a turn only when it has come, so whoever goes away leaves the turn to the next.
//! No lock is held while waiting. A call that would have to wait too long is told how long, and comes again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::types::Rate;

/// The longest wait of a job for its turn: longer ones are better spent on other jobs.
const PATIENCE: Duration = Duration::from_secs(5);
/// Calls at once after a pause, at most. The smallest bucket of a paid tenant holds ten.
const MAX_BURST: u32 = 10;
/// Auth0's buckets fill within a minute; a later reset is a clock that is wrong.
const MAX_RESET: Duration = Duration::from_secs(60);
/// A longer `Retry-After` is cut to this: asking once in ten minutes hurts nobody.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);
/// When a 429 does not say, at first: the time in which the smallest tenant's bucket fills.
pub(super) const DEFAULT_HOLD: Duration = Duration::from_secs(1);
/// What that doubles to, at most: asking six times a minute hurts nobody.
const MAX_HOLD: Duration = Duration::from_secs(10);

/// Who asks for a turn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// A job: somebody has paid. It goes first.
    Job,
    /// A browser, which has another answer when it would have to wait for longer than this.
    Browser(Duration),
}

impl Caller {
    fn patience(self) -> Duration {
        match self {
            Self::Job => PATIENCE,
            Self::Browser(patience) => patience,
        }
    }

    /// Lower ones go first.
    fn rank(self) -> u8 {
        match self {
            Self::Job => 0,
            Self::Browser(_) => 1,
        }
    }
}

/// The pace of all calls.
pub(super) struct Limit {
    interval: Duration,
    /// How far calls may run ahead of the pace.
    tolerance: Duration,
    state: Mutex<State>,
    /// Somebody left the queue without a turn, or the door was closed: those who wait look again.
    moved: Notify,
    clock: Arc<dyn Clock>,
}

struct State {
    /// When the next call would be due at an even pace (the "theoretical arrival time" of GCRA).
    due: Instant,
    /// Nobody calls before.
    closed_until: Instant,
    /// How long the next 429 that does not say holds.
    hold: Duration,
    /// Those who wait: rank and number.
    queue: BTreeSet<(u8, u64)>,
    /// The number of who comes next.
    next: u64,
}

/// A place in the queue; left when it is dropped.
struct Place<'a> {
    limit: &'a Limit,
    ticket: (u8, u64),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.limit.state().queue.remove(&self.ticket) {
            self.limit.moved.notify_waiters();
        }
    }
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
                hold: DEFAULT_HOLD,
                queue: BTreeSet::new(),
                next: 0,
            }),
            moved: Notify::new(),
            clock,
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// How long it would take, when that is too long; then no turn is taken.
    pub(super) async fn turn(&self, caller: Caller) -> Result<(), Duration> {
        let deadline = Instant::now() + caller.patience();
        let place = self.join(caller);
        loop {
            // Before looking, so that nothing is missed in between.
            let moved = self.moved.notified();
            match self.look(&place, Instant::now(), deadline)? {
                None => return Ok(()),
                Some(turn) => {
                    let _ = tokio::time::timeout_at(turn.into(), moved).await;
                }
            }
        }
    }

    /// Obeys an answer. The hold it asked for, if any.
    pub(super) fn learn(&self, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
        let now = self.clock.since_epoch();
        let hold = if status == StatusCode::TOO_MANY_REQUESTS {
            let asked = retry_after(headers, now).or_else(|| until_reset(headers, now));
            if asked.is_none() {
                return Some(self.back_off(Instant::now()));
            }
            asked
        } else if number(headers, "x-ratelimit-remaining") == Some(0) {
            until_reset(headers, now)
        } else {
            None
        };
        if status.is_success() {
            self.recover(Instant::now());
        }
        if let Some(hold) = hold {
            self.close(Instant::now() + hold);
        }
        hold
    }

    /// Holds everybody after a 429 that does not say for how long, longer each time. How long that is.
    fn back_off(&self, now: Instant) -> Duration {
        let mut state = self.state();
        // While the door is closed it is the answer to a call from before, and says nothing new.
        if state.closed_until <= now {
            let open = now + state.hold;
            state.closed_until = open;
            // The bucket was found empty: at first one by one, no burst.
            state.due = state.due.max(open + self.tolerance);
            state.hold = (state.hold * 2).min(MAX_HOLD);
            self.moved.notify_waiters();
        }
        state.closed_until - now
    }

    /// Forgets how long it held: a call came through. Not one from before the door was closed.
    fn recover(&self, now: Instant) {
        let mut state = self.state();
        if state.closed_until <= now {
            state.hold = DEFAULT_HOLD;
        }
    }

    /// What an answer that is not about the rate asks to wait, a 503 say.
    pub(super) fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        retry_after(headers, self.clock.since_epoch())
    }

    /// Stands in the queue.
    fn join(&self, caller: Caller) -> Place<'_> {
        let mut state = self.state();
        let ticket = (caller.rank(), state.next);
        state.next += 1;
        state.queue.insert(ticket);
        Place {
            limit: self,
            ticket,
        }
    }

    /// Takes the turn if it has come; else when it will, as far as is known now.
    fn look(
        &self,
        place: &Place<'_>,
        now: Instant,
        deadline: Instant,
    ) -> Result<Option<Instant>, Duration> {
        let mut state = self.state();
        let ahead = state.queue.range(..place.ticket).count();
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        let open = now.max(state.closed_until);
        let due = state.due.max(open) + self.interval.saturating_mul(ahead);
        let turn = due
            .checked_sub(self.tolerance)
            .map_or(open, |paced| open.max(paced));
        if turn > deadline.max(now) {
            return Err(turn - now);
        }
        if turn > now {
            return Ok(Some(turn));
        }
        state.queue.remove(&place.ticket);
        state.due = state.due.max(now) + self.interval;
        Ok(None)
    }

    fn close(&self, until: Instant) {
        let mut state = self.state();
        state.closed_until = state.closed_until.max(until);
        drop(state);
        self.moved.notify_waiters();
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

    /// What a caller who stands in the queue learns at `now`, in milliseconds; 0 is a turn.
    fn ask(
        limit: &Limit,
        place: &Place<'_>,
        now: Instant,
        patience: Duration,
    ) -> Result<u128, u128> {
        match limit.look(place, now, now + patience) {
            Ok(turn) => Ok(turn.map_or(0, |turn| (turn - now).as_millis())),
            Err(wait) => Err(wait.as_millis()),
        }
    }

    /// `count` jobs that come at `now`, and what each of them learns. Who is refused goes away.
    fn jobs(
        limit: &Limit,
        now: Instant,
        count: usize,
    ) -> (Vec<Place<'_>>, Vec<Result<u128, u128>>) {
        let (mut places, mut turns) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let place = limit.join(Caller::Job);
            let turn = ask(limit, &place, now, PATIENCE);
            places.extend(turn.is_ok().then_some(place));
            turns.push(turn);
        }
        (places, turns)
    }

    #[test]
    fn calls_have_their_turn_in_the_order_of_asking_at_the_configured_rate() {
        let limit = limit("2/s");
        let now = Instant::now() + Duration::from_secs(1);
        let (places, turns) = jobs(&limit, now, 5);
        assert_eq!(turns, [Ok(0), Ok(0), Ok(500), Ok(1000), Ok(1500)]);
        let later = now + Duration::from_secs(1);
        assert_eq!(ask(&limit, &places[2], later, PATIENCE), Ok(0));
        // The two that are due by then and later are still ahead.
        assert_eq!(jobs(&limit, later, 1).1, [Ok(1000)]);
    }

    #[test]
    fn a_burst_is_at_most_what_the_smallest_bucket_of_a_paid_tenant_holds() {
        let limit = limit("150/m");
        let now = Instant::now() + Duration::from_secs(60);
        let (_places, turns) = jobs(&limit, now, 11);
        assert!(turns[..10].iter().all(|turn| *turn == Ok(0)));
        assert_eq!(turns[10], Ok(400));
    }

    #[test]
    fn who_would_wait_too_long_is_told_how_long_and_takes_no_turn() {
        let limit = limit("1/s");
        let now = Instant::now() + Duration::from_secs(1);
        let (_places, asked) = jobs(&limit, now, 8);
        assert_eq!(asked[5], Ok(5000));
        assert_eq!(asked[6..], [Err(6000), Err(6000)]);
    }

    #[test]
    fn who_goes_away_leaves_the_turn_to_the_next() {
        let limit = limit("1/s");
        let now = Instant::now() + Duration::from_secs(1);
        let (mut places, _) = jobs(&limit, now, 4);
        let last = places.remove(3);
        assert_eq!(ask(&limit, &last, now, PATIENCE), Ok(3000));
        places.clear();
        assert_eq!(ask(&limit, &last, now, PATIENCE), Ok(1000));
        let next = now + Duration::from_secs(1);
        assert_eq!(ask(&limit, &last, next, PATIENCE), Ok(0));
        assert_eq!(jobs(&limit, next, 1).1, [Ok(1000)], "its turn is used up");
    }

    #[test]
    fn a_job_goes_before_browsers_that_wait_and_they_wait_as_long_as_they_say() {
        let limit = limit("2/s");
        let now = Instant::now() + Duration::from_secs(1);
        assert_eq!(jobs(&limit, now, 2).1, [Ok(0), Ok(0)]);
        let second = Duration::from_secs(1);
        let browser = |patience| limit.join(Caller::Browser(patience));
        let (first, then, third) = (browser(second), browser(second), browser(second));
        assert_eq!(ask(&limit, &first, now, second), Ok(500));
        assert_eq!(ask(&limit, &then, now, second), Ok(1000));
        assert_eq!(ask(&limit, &third, now, second), Err(1500));
        drop(third);
        let (_job, turns) = jobs(&limit, now, 1);
        assert_eq!(turns, [Ok(500)]);
        assert_eq!(ask(&limit, &first, now, second), Ok(1000));
        assert_eq!(
            ask(&limit, &then, now, second),
            Err(1500),
            "it is overtaken"
        );
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_while_it_waits_uses_no_turn() {
        let limit = limit("1/s");
        limit.turn(Caller::Job).await.unwrap();
        for _ in 0..20 {
            let waiting = limit.turn(Caller::Job);
            let given_up = tokio::time::timeout(Duration::ZERO, waiting).await;
            assert!(given_up.is_err());
        }
        let begun = Instant::now();
        limit.turn(Caller::Job).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2));
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
        let (_place, turns) = jobs(&limit, Instant::now(), 1);
        assert!(turns[0].is_ok_and(|wait| wait > 2900), "{turns:?}");
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
    fn a_429_that_does_not_say_holds_twice_as_long_each_time_until_a_call_comes_through() {
        let limit = limit("10/s");
        let (mut now, half) = (Instant::now(), Duration::from_millis(500));
        for halves in [2, 4, 8, 16, 20, 20] {
            assert_eq!(limit.back_off(now), half * halves);
            // Answers to calls from before the door was closed.
            now += half;
            assert_eq!(limit.back_off(now), half * (halves - 1));
            limit.recover(now);
            now += half * (halves - 1);
        }
        limit.recover(now);
        assert_eq!(limit.back_off(now), half * 2);
        let (_places, turns) = jobs(&limit, now, 4);
        assert_eq!(turns, [Ok(1000), Ok(1100), Ok(1200), Ok(1300)], "no burst");
    }

    #[test]
    fn only_a_success_shortens_the_hold_again() {
        let limit = limit("10/s");
        let too_many = || limit.learn(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
        assert!(too_many().is_some());
        for (status, hold) in [(StatusCode::BAD_GATEWAY, 2), (StatusCode::OK, 1)] {
            limit.state().closed_until = Instant::now();
            limit.learn(status, &HeaderMap::new());
            let hold = Duration::from_secs(hold);
            assert!(too_many().is_some_and(|held| held == hold), "{status}");
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
