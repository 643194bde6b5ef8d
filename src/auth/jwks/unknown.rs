//! Key ids that nobody knows: who may ask the issuer about them, and how often.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Ids remembered at most. Beyond it all are forgotten: the cooldown still holds.
const MAX_IDS: usize = 1024;
/// A longer id is no id of Auth0's and is not looked for.
const MAX_LENGTH: usize = 256;

/// Ids that were asked for and not found, and the fetch that is under way for others.
pub(super) struct UnknownIds {
    cooldown: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    not_found: HashSet<String>,
    last: Option<(Instant, u64)>,
}

/// What somebody with an unknown id may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Nothing: the id is known to be unknown, or it is too early for another fetch.
    No,
    /// Wait for the fetch of this number, which somebody else caused.
    Join(u64),
    /// Cause the fetch of this number and wait for it.
    Fetch(u64),
}

impl UnknownIds {
    pub(super) fn new(cooldown: Duration) -> Self {
        Self {
            cooldown,
            state: Mutex::default(),
        }
    }

    /// What to do about `key_id`, when `started` fetches have started so far.
    pub(super) fn ask(&self, key_id: &str, now: Instant, started: u64) -> Ask {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if key_id.len() > MAX_LENGTH || state.not_found.contains(key_id) {
            return Ask::No;
        }
        match state.last {
            Some((_, target)) if started < target => Ask::Join(target),
            Some((at, target)) if now.duration_since(at) < self.cooldown => {
                // It may have started without having finished: waiting for it costs the issuer nothing.
                if started == target {
                    Ask::Join(target)
                } else {
                    Ask::No
                }
            }
            Some(_) | None => {
                let target = started + 1;
                state.last = Some((now, target));
                Ask::Fetch(target)
            }
        }
    }

    /// Remembers that `key_id` was looked for and is not there.
    pub(super) fn remember(&self, key_id: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.not_found.len() >= MAX_IDS {
            state.not_found.clear();
        }
        state.not_found.insert(key_id.to_owned());
    }

    /// Forgets the ids; a key may have been published since.
    pub(super) fn forget(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .not_found
            .clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_made_up_ids_costs_one_fetch_per_cooldown() {
        let ids = UnknownIds::new(Duration::from_secs(30));
        let start = Instant::now();
        assert_eq!(ids.ask("a", start, 1), Ask::Fetch(2));
        assert_eq!(ids.ask("b", start, 1), Ask::Join(2));
        ids.remember("a");
        assert_eq!(ids.ask("a", start + Duration::from_secs(99), 3), Ask::No);
        assert_eq!(ids.ask("c", start + Duration::from_secs(29), 3), Ask::No);
        assert_eq!(
            ids.ask("d", start + Duration::from_secs(30), 3),
            Ask::Fetch(4)
        );
        ids.forget();
        assert_eq!(
            ids.ask("a", start + Duration::from_secs(99), 4),
            Ask::Fetch(5)
        );
    }

    #[test]
    fn the_memory_of_unknown_ids_is_bounded() {
        let ids = UnknownIds::new(Duration::ZERO);
        for n in 0..5_000 {
            ids.remember(&n.to_string());
        }
        assert!(ids.state.lock().unwrap().not_found.len() <= MAX_IDS);
        assert_eq!(
            ids.ask(&"x".repeat(MAX_LENGTH + 1), Instant::now(), 0),
            Ask::No
        );
    }
}
