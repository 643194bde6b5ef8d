//! Names of intents: the same intent, however often it comes, has one name, and Stripe does it once.

use std::fmt::Write as _;

use aws_lc_rs::digest;

use crate::stripe::IdempotencyKey;

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
}
