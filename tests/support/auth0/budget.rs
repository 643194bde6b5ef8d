//! The rate limit of the Management API: a bucket that fills by real time, where a test asks for one.

use std::time::{Duration, Instant};

use crate::support::token::now;

/// What the headers say where nothing is limited.
const PLENTY: u32 = 1000;

/// How much may still be asked.
#[derive(Default)]
pub(super) struct Budget(Option<Bucket>);

struct Bucket {
    size: u32,
    /// Time in which one request is earned.
    interval: Duration,
    /// When it will be full.
    full_at: Instant,
}

/// What an answer says about the limit.
pub(super) struct Account {
    pub(super) allowed: bool,
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Seconds since 1970.
    pub(super) reset: i64,
}

impl Budget {
    /// `burst` requests at once, and so many a second.
    pub(super) fn limited(burst: u32, per_second: f64) -> Self {
        Self(Some(Bucket {
            size: burst,
            interval: Duration::from_secs_f64(1.0 / per_second),
            full_at: Instant::now(),
        }))
    }

    /// One request more.
    pub(super) fn take(&mut self) -> Account {
        let Some(bucket) = &mut self.0 else {
            return Account {
                allowed: true,
                limit: PLENTY,
                remaining: PLENTY,
                reset: now() + 1,
            };
        };
        let at = Instant::now();
        let full_at = bucket.full_at.max(at) + bucket.interval;
        let allowed = full_at - at <= bucket.interval * bucket.size;
        if allowed {
            bucket.full_at = full_at;
        }
        let (mut missing, mut remaining) = (bucket.full_at.saturating_duration_since(at), 0);
        while remaining < bucket.size && missing + bucket.interval <= bucket.interval * bucket.size
        {
            remaining += 1;
            missing += bucket.interval;
        }
        // When the next one is earned, in whole seconds, rounded up.
        let wait = (bucket.full_at + bucket.interval)
            .saturating_duration_since(at + bucket.interval * bucket.size);
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let earned_at = jiff::Timestamp::now().as_millisecond() + wait;
        Account {
            allowed,
            limit: bucket.size,
            remaining,
            reset: earned_at / 1000 + 1,
        }
    }
}
