//! What token verification needs to know.

use std::time::Duration;

use jsonwebtoken::Algorithm;

/// Whom to trust, and how far.
#[derive(Clone, Debug)]
pub struct Config {
    /// Accepted `iss` values, compared exactly.
    pub issuers: Vec<String>,
    /// Accepted `aud` values; one match is enough.
    pub audience: Vec<String>,
    /// Accepted signature algorithms, asymmetric ones only.
    pub algorithms: Vec<Algorithm>,
    /// Clock difference that is forgiven, for `exp`, `nbf` and `iat`.
    pub leeway: Duration,
    /// The key set.
    pub jwks: Jwks,
    /// The verified-token cache.
    pub cache: Cache,
}

/// Where the keys are and how long they are good for.
#[derive(Clone, Debug)]
pub struct Jwks {
    /// Where the JSON Web Key Set is (RFC 7517, section 5).
    pub url: String,
    /// Age at which it is fetched again, in the background.
    pub refresh: Duration,
    /// Age up to which the last good keys serve while the issuer is away.
    pub stale: Duration,
    /// The least time between two fetches that unknown key ids cause.
    pub cooldown: Duration,
    /// Deadline of one fetch.
    pub timeout: Duration,
}

/// Bounds of the verified-token cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Tokens, at most; 0 switches the cache off.
    pub entries: u64,
    /// Bytes, at most.
    pub bytes: u64,
}
