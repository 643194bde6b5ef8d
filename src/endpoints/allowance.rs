//! How often each user may cause something: a few times at once, then at an even pace.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;

/// Users remembered at a time, some 200 bytes each. Who is forgotten has a full allowance again.
const MAX_USERS: u64 = 50_000;

/// The allowances of all users.
pub(super) struct Allowance {
    period: Duration,
    /// How far a user may run ahead of the pace.
    ahead: Duration,
    /// When each user's next turn is due at an even pace (the "theoretical arrival time" of GCRA).
    due: Cache<String, Arc<Mutex<Instant>>>,
}

impl Allowance {
    /// `burst` times at once, and once in each `period`.
    pub(super) fn new(burst: u32, period: Duration) -> Self {
        Self {
            period,
            ahead: period * burst.saturating_sub(1),
            due: Cache::builder()
                .max_capacity(MAX_USERS)
                .time_to_idle(period * burst.saturating_add(1))
                .build(),
        }
    }

    /// Takes a turn, or says how long the next is away.
    pub(super) fn take(&self, user: &str, now: Instant) -> Result<(), Duration> {
        let entry = self.due.get_with_by_ref(user, || Arc::new(Mutex::new(now)));
        let mut due = entry.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = due
            .saturating_duration_since(now)
            .saturating_sub(self.ahead);
        if !wait.is_zero() {
            return Err(wait);
        }
        *due = (*due).max(now) + self.period;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_at_once_then_at_an_even_pace_each_user_for_itself() {
        let allowance = Allowance::new(3, Duration::from_secs(2));
        let now = Instant::now();
        let take = |user: &str, seconds: u64| {
            let wait = allowance.take(user, now + Duration::from_secs(seconds));
            wait.err().map_or(0, |wait| wait.as_secs())
        };
        assert_eq!([take("a", 0), take("a", 0), take("a", 0)], [0, 0, 0]);
        assert_eq!([take("a", 0), take("a", 1), take("b", 0)], [2, 1, 0]);
        assert_eq!([take("a", 2), take("a", 2)], [0, 2]);
        assert_eq!(take("a", 100), 0);
    }
}
