//! Key ids that nobody knows: who may ask the issuer about them, and how often.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Ids remembered at most. Beyond it all are forgotten: the cooldown still holds.
const MAX_IDS: usize = 1024;
/// For how many cooldowns an id is known to be unknown: a key may be published after its first token is seen, and should
/// not have to wait for the next refresh. Beyond it the cooldown alone bounds what an id costs the issuer.
const MEMORY: u32 = 3;
/// A longer id is no id of Auth0's and is not looked for.
const MAX_LENGTH: usize = 256;

/// Ids that were asked for and not found, and the fetch that is under way for others.
pub(super) struct UnknownIds {
    cooldown: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// With the moment each was looked for.
    not_found: HashMap<String, Instant>,
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
        let looked = state.not_found.get(key_id);
        if key_id.len() > MAX_LENGTH || looked.is_some_and(|at| self.is_recent(*at, now)) {
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
    pub(super) fn remember(&self, key_id: &str, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.not_found.len() >= MAX_IDS {
            state.not_found.clear();
        }
        state.not_found.insert(key_id.to_owned(), now);
    }

    fn is_recent(&self, at: Instant, now: Instant) -> bool {
        now.duration_since(at) < self.cooldown.saturating_mul(MEMORY)
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
        ids.remember("a", start);
        assert_eq!(ids.ask("a", start + Duration::from_secs(89), 3), Ask::No);
        assert_eq!(ids.ask("c", start + Duration::from_secs(29), 3), Ask::No);
        assert_eq!(
            ids.ask("d", start + Duration::from_secs(30), 3),
            Ask::Fetch(4)
        );
        ids.forget();
        assert_eq!(
            ids.ask("a", start + Duration::from_secs(89), 4),
            Ask::Fetch(5)
        );
    }

    #[test]
    fn an_id_that_was_not_found_may_be_asked_about_again_after_a_while() {
        let ids = UnknownIds::new(Duration::from_secs(30));
        let start = Instant::now();
        ids.remember("a", start);
        assert_eq!(ids.ask("a", start + Duration::from_secs(89), 1), Ask::No);
        let again = start + Duration::from_secs(90);
        assert_eq!(ids.ask("a", again, 1), Ask::Fetch(2));
        // Of the fetch that this caused there is one, whoever asks.
        let soon = again + Duration::from_secs(29);
        assert_eq!(ids.ask("a", soon, 3), Ask::No);
        assert_eq!(ids.ask("b", soon, 3), Ask::No);
    }

    #[test]
    fn the_memory_of_unknown_ids_is_bounded() {
        let ids = UnknownIds::new(Duration::ZERO);
        for n in 0..5_000 {
            ids.remember(&n.to_string(), Instant::now());
        }
        assert!(ids.state.lock().unwrap().not_found.len() <= MAX_IDS);
        assert_eq!(
            ids.ask(&"x".repeat(MAX_LENGTH + 1), Instant::now(), 0),
            Ask::No
        );
    }
}
