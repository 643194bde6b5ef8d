//! Names of intents: the same intent, however often it comes, has one name, and Stripe does it once.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest;
use moka::sync::Cache;

use crate::stripe::{Error, IdempotencyKey, Kind};

/// Stripe keeps a key for so long.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Intents remembered that went wrong, some 200 bytes each. One that is forgotten goes wrong once more.
const MAX_INTENTS: u64 = 10_000;

/// How often the calls of each intent ended in a failure of Stripe's own, which it would repeat under the same key for
/// a day.
pub(super) struct Tries(Cache<String, u32>);

/// One try of an intent.
pub(super) struct Try {
    pub(super) key: IdempotencyKey,
    intent: IdempotencyKey,
    failures: u32,
}

impl Tries {
    pub(super) fn new() -> Self {
        let failures = Cache::builder()
            .max_capacity(MAX_INTENTS)
            .time_to_live(KEPT);
        Self(failures.build())
    }

    /// The next try of the intent made of `parts`; the same one until it is known to have failed.
    pub(super) fn next(&self, parts: &[&str]) -> Try {
        let intent = key(parts);
        let failures = self.0.get(&intent.0).unwrap_or_default();
        let number = failures.to_string();
        let again = [parts, &["again", &number]].concat();
        Try {
            key: if failures == 0 {
                intent.clone()
            } else {
                key(&again)
            },
            intent,
            failures,
        }
    }

    /// Learns how a try ended. An answer that was lost leaves its key: what was done is not to be done twice.
    pub(super) fn ended<T>(&self, tried: &Try, result: &Result<T, Error>) {
        let known = self.0.get(&tried.intent.0).unwrap_or_default();
        let is_broken = result
            .as_ref()
            .is_err_and(|error| matches!(error.kind, Kind::Api(_)));
        // Of several who tried together, one is enough.
        if is_broken && known == tried.failures {
            let failures = known.saturating_add(1);
            self.0.insert(tried.intent.0.clone(), failures);
        }
    }
}

/// The name of an intent made of `parts`. Each part counts with its length, so that no two lists fall together.
pub(super) fn key(parts: &[&str]) -> IdempotencyKey {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut name = "tollgate-".to_owned();
    for byte in hash.finish().as_ref() {
        // Writing to a text does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    IdempotencyKey(name)
}

/// A name for something that may well be done again: only repetitions of the very same call fall together.
pub(super) fn once() -> IdempotencyKey {
    let (high, low) = (fastrand::u64(..), fastrand::u64(..));
    IdempotencyKey(format!("tollgate-{high:016x}{low:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_intent_has_one_name_and_another_has_another() {
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_ne!(key(&["a", "b"]), key(&["ab", ""]));
        assert_ne!(key(&["a", "b"]), key(&["b", "a"]));
        assert_eq!(key(&[]).0.len(), "tollgate-".len() + 64);
        assert_ne!(once(), once());
    }

    #[test]
    fn after_a_5xx_the_next_try_has_another_name_and_after_a_lost_answer_the_same() {
        let tries = Tries::new();
        let intent = ["customer", "a"];
        let ended = |tried: &Try, kind| {
            let error = Error {
                kind,
                call: "a call",
                request_id: None,
                retry_after: None,
            };
            tries.ended::<()>(tried, &Err(error));
        };
        let (first, twin) = (tries.next(&intent), tries.next(&intent));
        assert_eq!((&first.key, &first.key), (&key(&intent), &twin.key));
        ended(&first, Kind::Unreachable);
        tries.ended(&first, &Ok(()));
        assert_eq!(tries.next(&intent).key, first.key);
        ended(&first, Kind::Api(500));
        let second = tries.next(&intent);
        assert_ne!(second.key, first.key);
        ended(&twin, Kind::Api(500));
        assert_eq!(tries.next(&intent).key, second.key, "once for both");
        assert_eq!(tries.next(&["customer", "b"]).key, key(&["customer", "b"]));
        ended(&second, Kind::Api(503));
        let third = tries.next(&intent).key;
        assert!(third != second.key && third != first.key);
    }
}
