//! A key set as it was fetched (RFC 7517, section 5): immutable, swapped whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::key::Key;

/// Keys looked at in one set; Auth0 publishes two or three.
const MAX_KEYS: usize = 64;

/// The usable keys of one fetch.
pub(in crate::auth) struct KeySet {
    keys: Vec<Arc<Key>>,
    fetched_at: Instant,
}

/// Why a body is no key set to go by.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// Not a JSON object with a list `keys`.
    #[error("the answer is no JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    /// Not one key that can be used.
    #[error("the key set has no usable key")]
    NoUsableKey,
}

/// A key set as it is published.
#[derive(Deserialize)]
pub(super) struct Document {
    /// The first [`MAX_KEYS`] of them count.
    pub(super) keys: Vec<Value>,
}

impl Document {
    pub(super) fn read(body: &[u8]) -> Result<Self, SetError> {
        let mut document: Self = serde_json::from_slice(body)?;
        document.keys.truncate(MAX_KEYS);
        Ok(document)
    }
}

impl KeySet {
    /// Reads a key set. A key that cannot be used is skipped with a warning and spoils nothing.
    pub(super) fn parse(body: &[u8], previous: Option<&KeySet>) -> Result<Self, SetError> {
        let document = Document::read(body)?;
        let mut keys: Vec<Arc<Key>> = Vec::new();
        for value in &document.keys {
            match Key::parse(value) {
                Ok(key) if keys.iter().any(|k| k.id == key.id) => {
                    tracing::warn!(key.id = %key.id, "JWKS: a second key with the same id is skipped");
                }
                Ok(key) => keys.push(
                    previous
                        .and_then(|set| set.same(&key))
                        .unwrap_or_else(|| Arc::new(key)),
                ),
                Err(error) => {
                    let id = value.get("kid").and_then(Value::as_str);
                    tracing::warn!(key.id = id, error = %error, "JWKS: a key is skipped");
                }
            }
        }
        if keys.is_empty() {
            return Err(SetError::NoUsableKey);
        }
        Ok(Self {
            keys,
            fetched_at: Instant::now(),
        })
    }

    /// The key with this id.
    pub(in crate::auth) fn find(&self, key_id: &str) -> Option<&Arc<Key>> {
        self.keys.iter().find(|key| key.id == key_id)
    }

    /// Whether this very key is still published.
    pub(in crate::auth) fn holds(&self, key: &Arc<Key>) -> bool {
        self.keys.iter().any(|k| Arc::ptr_eq(k, key))
    }

    /// Since it was fetched.
    pub(in crate::auth) fn age(&self) -> Duration {
        self.fetched_at.elapsed()
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key of this set that equals `key` in every respect.
    fn same(&self, key: &Key) -> Option<Arc<Key>> {
        self.keys.iter().find(|k| ***k == *key).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rsa(kid: &str) -> Value {
        let n = "0".repeat(340) + "Ac";
        json!({"kty": "RSA", "kid": kid, "n": format!("{}{n}", "z"), "e": "AQAB", "use": "sig", "alg": "RS256"})
    }

    fn parse(keys: &Value) -> Result<KeySet, SetError> {
        KeySet::parse(&serde_json::to_vec(&json!({ "keys": keys })).unwrap(), None)
    }

    #[test]
    fn an_unusable_key_beside_good_ones_is_skipped() {
        let set = parse(&json!([{"kty": "XYZ"}, 7, rsa("good"), {"kty": "RSA", "kid": "x", "n": "AQAB", "e": "AQAB"}])).unwrap();
        assert_eq!(set.len(), 1);
        assert!(set.find("good").is_some() && set.find("x").is_none());
    }

    #[test]
    fn a_body_without_a_usable_key_is_no_key_set() {
        assert!(matches!(parse(&json!([])), Err(SetError::NoUsableKey)));
        assert!(matches!(parse(&json!({})), Err(SetError::Json(_))));
        assert!(matches!(
            KeySet::parse(b"<html>", None),
            Err(SetError::Json(_))
        ));
    }

    #[test]
    fn a_key_that_stays_keeps_its_identity_and_one_that_changed_does_not() {
        let body = |keys: &Value| serde_json::to_vec(&json!({ "keys": keys })).unwrap();
        let first = parse(&json!([rsa("a"), rsa("b")])).unwrap();
        let (a, b) = (first.find("a").unwrap(), first.find("b").unwrap());
        let mut changed = rsa("b");
        changed["e"] = json!("Aw");
        let second = KeySet::parse(&body(&json!([rsa("a"), changed])), Some(&first)).unwrap();
        assert!(second.holds(a) && !second.holds(b));
    }
}
