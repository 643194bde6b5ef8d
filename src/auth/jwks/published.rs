//! The key set as people want to see it: each key, and why it cannot be used where it cannot.

use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::Jwks;
use super::fetch::{FetchError, Fetcher};
use super::key::Key;
use super::set::Document;

/// One member of the key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// `kid`.
    pub id: Option<String>,
    /// The algorithms that it may be used with, or why it is skipped.
    pub algorithms: Result<Vec<Algorithm>, String>,
}

impl PublishedKey {
    /// Fetches the key set once and looks at every member.
    ///
    /// # Errors
    ///
    /// When it cannot be fetched, or is no key set.
    pub async fn fetch_all(config: &Jwks) -> Result<Vec<Self>, FetchError> {
        let body = Fetcher::new(config)?.body().await?;
        Ok(Self::read_all(&Document::read(&body)?.keys))
    }

    fn read_all(members: &[Value]) -> Vec<Self> {
        let mut keys: Vec<Self> = Vec::new();
        for member in members {
            let id = member.get("kid").and_then(Value::as_str);
            let is_second = id.is_some() && keys.iter().any(|key| key.id.as_deref() == id);
            let algorithms = match Key::parse(member) {
                Ok(_) if is_second => Err("an earlier key has the same id".to_owned()),
                Ok(key) => Ok(key.algorithms().collect()),
                Err(error) => Err(error.to_string()),
            };
            keys.push(Self {
                id: id.map(str::to_owned),
                algorithms,
            });
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_member_is_told_of_and_why_it_is_skipped() {
        let okp =
            |kid: &str| json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "A".repeat(43) });
        let keys = PublishedKey::read_all(&[
            okp("a"),
            okp("a"),
            json!({ "kty": "oct", "kid": "s", "k": "AA" }),
            json!(7),
        ]);
        let shown: Vec<_> = keys
            .iter()
            .map(|key| (key.id.as_deref(), key.algorithms.is_ok()))
            .collect();
        assert_eq!(
            shown,
            [
                (Some("a"), true),
                (Some("a"), false),
                (Some("s"), false),
                (None, false)
            ]
        );
        assert_eq!(keys[0].algorithms, Ok(vec![Algorithm::EdDSA]));
    }
}
