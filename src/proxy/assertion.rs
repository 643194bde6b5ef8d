//! A short JWT by which the backend can verify who the request speaks for (RFC 7519).

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use super::Assertion;
use crate::clock::Clock;
use crate::policy::Principal;

pub(super) struct Signer {
    config: Assertion,
    key: EncodingKey,
    clock: Arc<dyn Clock>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    permissions: Vec<&'a str>,
    iat: i64,
    exp: i64,
}

impl Signer {
    pub(super) fn new(config: Assertion, clock: Arc<dyn Clock>) -> Self {
        let key = EncodingKey::from_secret(config.secret.expose().as_bytes());
        Self { config, key, clock }
    }

    /// Sets the header, unless the request is anonymous. What the client called so is gone already.
    pub(super) fn sign(&self, headers: &mut HeaderMap, principal: Option<&Principal>) {
        let Some(principal) = principal else { return };
        let now = self.clock.unix_seconds();
        let claims = Claims {
            iss: &self.config.issuer,
            aud: &self.config.audience,
            sub: &principal.subject,
            permissions: principal.permissions.iter().collect(),
            iat: now,
            exp: now.saturating_add(i64::try_from(self.config.ttl.as_secs()).unwrap_or(i64::MAX)),
        };
        // A text key and plain claims always sign; without the header the backend refuses, which is safe.
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.key).ok();
        if let Some(value) = token.and_then(|token| HeaderValue::try_from(token).ok()) {
            headers.insert(self.config.header.clone(), value);
        }
    }
}
