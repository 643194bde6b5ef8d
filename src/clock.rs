//! Time: that of the day, as a parameter, and the silence of a connection.

mod idle;

pub use idle::IdleTimer;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z, the unit of `exp`, `nbf` and `iat` (RFC 7519, section 2, `NumericDate`).
pub type UnixSeconds = i64;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type UnixMillis = i64;

/// Whole milliseconds; the largest number for what is longer.
#[must_use]
pub fn millis(duration: Duration) -> UnixMillis {
    UnixMillis::try_from(duration.as_millis()).unwrap_or(UnixMillis::MAX)
}

/// Where the time of day comes from. Durations are measured with [`std::time::Instant`] instead.
pub trait Clock: Send + Sync + 'static {
    /// The time since the Unix epoch.
    fn since_epoch(&self) -> Duration;

    /// Whole seconds since the Unix epoch, rounded down.
    fn unix_seconds(&self) -> UnixSeconds {
        UnixSeconds::try_from(self.since_epoch().as_secs()).unwrap_or(UnixSeconds::MAX)
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    fn unix_millis(&self) -> UnixMillis {
        millis(self.since_epoch())
    }
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's clock"
    )]
    fn since_epoch(&self) -> Duration {
        // A clock before 1970 is taken for 1970: every token is then refused as not yet valid.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }
}

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub struct ManualClock(std::sync::atomic::AtomicU64);

impl ManualClock {
    /// A clock that shows `seconds` since the Unix epoch.
    #[must_use]
    pub fn at(seconds: u64) -> Self {
        Self(seconds.into())
    }

    /// Sets it to `seconds` since the Unix epoch.
    pub fn set(&self, seconds: u64) {
        self.0.store(seconds, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn since_epoch(&self) -> Duration {
        Duration::from_secs(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}
