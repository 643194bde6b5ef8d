//! Who was heard of lately: what was read of somebody before an event of theirs came counts no longer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;

/// Longer than anything counts that was read before.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Users remembered at a time, some 200 bytes each.
const MAX_USERS: u64 = 50_000;

/// The number of the last news of each user.
pub(super) struct Heard {
    last: Cache<String, u64>,
    count: AtomicU64,
}

impl Heard {
    pub(super) fn new() -> Self {
        Self {
            last: Cache::builder()
                .max_capacity(MAX_USERS)
                .time_to_live(REMEMBERED)
                .build(),
            count: AtomicU64::new(0),
        }
    }

    /// There is news of the user.
    pub(super) fn news(&self, user: &str) {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        self.last.insert(user.to_owned(), number);
    }

    /// The number of the last news: what was read under another one is too old.
    pub(super) fn of(&self, user: &str) -> u64 {
        self.last.get(user).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_of_a_user_makes_what_was_read_of_that_user_too_old() {
        let heard = Heard::new();
        let before = (heard.of("a"), heard.of("b"));
        heard.news("a");
        assert_ne!(heard.of("a"), before.0);
        assert_eq!(heard.of("b"), before.1);
        let first = heard.of("a");
        heard.news("a");
        assert_ne!(heard.of("a"), first);
    }
}
