//! From the text of a token to a principal, or to the reason why not.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::cache::TokenCache;
use super::jose::{Claims, Compact, Header, is_visible_ascii};
use super::jwks::{Key, KeySet, Keys};
use super::{Config, TokenError};
use crate::clock::{Clock, UnixSeconds};
use crate::policy::{Permissions, Principal};
use crate::telemetry::Metrics;

/// Verifies tokens against the current keys.
pub struct Verifier {
    config: Config,
    /// `config.leeway` in whole seconds.
    leeway: UnixSeconds,
    keys: Arc<Keys>,
    cache: TokenCache,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    known_permissions: Mutex<HashSet<Permissions>>,
}

/// Sets of permissions that are kept once for all tokens with them.
const MAX_KNOWN_PERMISSIONS: usize = 256;

/// What became of a token.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It verifies.
    Verified(Arc<Principal>),
    /// It does not count.
    Refused(TokenError),
    /// There are no keys to verify it with: never fetched, or too old.
    NotReady,
}

impl Outcome {
    /// The label in metrics; `None` when nothing was verified.
    fn label(&self) -> Option<&'static str> {
        match self {
            Self::Verified(_) => Some("ok"),
            Self::Refused(error) => Some(error.label()),
            Self::NotReady => None,
        }
    }
}

/// A token whose signature and unchanging claims have been verified. Only this module makes one.
pub(super) struct VerifiedToken {
    principal: Arc<Principal>,
    key: Arc<Key>,
    /// The later of `nbf` and `iat`.
    valid_from: Option<UnixSeconds>,
}

impl Verifier {
    /// A verifier that takes its keys from `keys`.
    #[must_use]
    pub fn new(
        config: Config,
        keys: Arc<Keys>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let leeway = UnixSeconds::try_from(config.leeway.as_secs()).unwrap_or(UnixSeconds::MAX);
        let cache = TokenCache::new(config.cache);
        Self {
            config,
            leeway,
            keys,
            cache,
            clock,
            metrics,
            known_permissions: Mutex::default(),
        }
    }

    /// Whether there are keys to verify with.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.keys.current().is_some()
    }

    /// How long what was opened for `principal` may still last: until its token's `exp` plus the leeway.
    #[must_use]
    pub fn remaining(&self, principal: &Principal) -> Duration {
        let end = principal.expires_at.saturating_add(self.leeway);
        Duration::from_secs(
            end.saturating_sub(self.clock.unix_seconds())
                .try_into()
                .unwrap_or(0),
        )
    }

    /// Verifies `unverified_token`. Waits for the network only when it names a key that is not known yet. `last` is
    /// what the same connection sent before.
    pub async fn verify(&self, unverified_token: &str, last: &LastToken) -> Outcome {
        let Some(keys) = self.keys.current() else {
            return Outcome::NotReady;
        };
        if let Some(known) = self.remembered(unverified_token, &keys, last) {
            self.metrics.token_cache_hits.inc();
            let outcome = self.judge(&known);
            // A good one was counted when it was verified; a bad one counts at each use, as it does without the cache.
            if let Outcome::Refused(error) = outcome {
                self.metrics.token_verification(error.label());
            }
            return outcome;
        }
        // Boxed: the common way, a cached token, should not pay for the room that this one needs.
        let verified = Box::pin(self.verify_anew(unverified_token, &keys)).await;
        let outcome = match verified {
            Err(error) => Outcome::Refused(error),
            Ok(token) => {
                let token = Arc::new(token);
                let outcome = self.judge(&token);
                if matches!(outcome, Outcome::Verified(_)) {
                    self.cache.insert(unverified_token, &token);
                }
                outcome
            }
        };
        if let Some(label) = outcome.label() {
            self.metrics.token_verification(label);
        }
        outcome
    }

    /// The token as it was verified before, if its key still counts.
    fn remembered(
        &self,
        unverified_token: &str,
        keys: &KeySet,
        last: &LastToken,
    ) -> Option<Arc<VerifiedToken>> {
        if !self.cache.is_on() {
            return None;
        }
        if let Some(known) = last
            .find(unverified_token)
            .filter(|known| keys.holds(&known.key))
        {
            return Some(known);
        }
        let known = self.cache.find(unverified_token);
        match known {
            Some(known) if keys.holds(&known.key) => {
                last.remember(unverified_token, &known);
                Some(known)
            }
            gone => {
                if gone.is_some() {
                    self.cache.remove(unverified_token);
                }
                self.metrics.token_cache_misses.inc();
                None
            }
        }
    }

    /// The verdict at this moment: the same whether the token was just verified or found in the cache.
    fn judge(&self, token: &VerifiedToken) -> Outcome {
        match token.check(self.clock.unix_seconds(), self.leeway) {
            Ok(()) => Outcome::Verified(Arc::clone(&token.principal)),
            Err(error) => Outcome::Refused(error),
        }
    }

    async fn verify_anew(
        &self,
        unverified_token: &str,
        keys: &KeySet,
    ) -> Result<VerifiedToken, TokenError> {
        let token = Compact::split(unverified_token)?;
        let header = token.header_json()?;
        let header = Header::read(&header)?;
        let algorithm = self.allowed_algorithm(&header)?;
        let key = match keys.find(&header.key_id) {
            Some(key) => Arc::clone(key),
            None => self
                .keys
                .discover(&header.key_id)
                .await
                .ok_or(TokenError::UnknownKey)?,
        };
        // The key decides what it may be used for, never the token (RFC 8725, section 3.1).
        let good = key.verify(algorithm, token.signed.as_bytes(), &token.signature()?);
        if !good.ok_or(TokenError::Algorithm)? {
            return Err(TokenError::Signature);
        }
        let claims = token.claims_json()?;
        self.accept(Claims::read(&claims)?, key)
    }

    /// The copy of `permissions` that others hold already: users have roles, and roles are few.
    fn shared(&self, permissions: Permissions) -> Permissions {
        let mut known = self
            .known_permissions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&permissions) {
            return known.clone();
        }
        if known.len() >= MAX_KNOWN_PERMISSIONS {
            known.clear();
        }
        known.insert(permissions.clone());
        permissions
    }

    fn allowed_algorithm(&self, header: &Header<'_>) -> Result<Algorithm, TokenError> {
        header
            .algorithm
            .parse()
            .ok()
            .filter(|algorithm| self.config.algorithms.contains(algorithm))
            .ok_or(TokenError::Algorithm)
    }

    /// Checks the claims that time does not change.
    fn accept(&self, claims: Claims<'_>, key: Arc<Key>) -> Result<VerifiedToken, TokenError> {
        let issued_by = |issuer: &str| self.config.issuers.iter().any(|known| known == issuer);
        claims
            .issuer
            .as_ref()
            .filter(|i| issued_by(i))
            .ok_or(TokenError::Issuer)?;
        if claims.id_token {
            return Err(TokenError::IdToken);
        }
        if !claims
            .audience
            .iter()
            .any(|aud| self.config.audience.iter().any(|known| known == aud))
        {
            return Err(TokenError::Audience);
        }
        let subject = claims
            .subject
            .filter(|sub| is_visible_ascii(sub))
            .ok_or(TokenError::Subject)?;
        let expires_at = claims.expires_at.ok_or(TokenError::NoExpiry)?;
        let principal = Principal {
            subject: subject.into(),
            permissions: self.shared(Permissions::new(
                claims.permissions.iter().map(|name| &**name),
            )),
            issued_at: claims.issued_at,
            expires_at,
        };
        Ok(VerifiedToken {
            principal: Arc::new(principal),
            key,
            valid_from: claims.not_before.max(claims.issued_at),
        })
    }
}

/// The token that a connection sent last, byte for byte. Most clients send one token again and again, and comparing
/// it costs less than hashing it.
#[derive(Default)]
pub struct LastToken(Mutex<Option<(Box<str>, Arc<VerifiedToken>)>>);

impl LastToken {
    fn find(&self, unverified_token: &str) -> Option<Arc<VerifiedToken>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Both are the client's own words, so the time that comparing takes tells nobody anything.
        last.as_ref()
            .filter(|(text, _)| **text == *unverified_token)
            .map(|(_, token)| Arc::clone(token))
    }

    fn remember(&self, unverified_token: &str, token: &Arc<VerifiedToken>) {
        let entry = Some((unverified_token.into(), Arc::clone(token)));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = entry;
    }
}

impl VerifiedToken {
    fn check(&self, now: UnixSeconds, leeway: UnixSeconds) -> Result<(), TokenError> {
        // RFC 7519, section 4.1.4: the current time must be before `exp`.
        if now >= self.principal.expires_at.saturating_add(leeway) {
            return Err(TokenError::Expired);
        }
        if self
            .valid_from
            .is_some_and(|from| now.saturating_add(leeway) < from)
        {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    /// Bytes of the texts it holds.
    pub(super) fn text_bytes(&self) -> u64 {
        (self.principal.subject.len() + self.principal.permissions.as_str().len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::config;
    use super::*;
    use crate::clock::ManualClock;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    /// An issuer with one key, and verifiers with and without a cache that show one time.
    struct Stage {
        pair: Ed25519KeyPair,
        clock: Arc<ManualClock>,
        keys: Arc<Keys>,
        metrics: Arc<Metrics>,
        verifiers: [Verifier; 2],
    }

    impl Stage {
        fn new() -> Self {
            let jwks = config::Jwks {
                url: "http://127.0.0.1:9/".into(),
                refresh: Duration::from_secs(600),
                stale: Duration::from_secs(600),
                cooldown: Duration::from_secs(600),
                timeout: Duration::from_millis(1),
            };
            let metrics = Arc::new(Metrics::new().unwrap());
            let keys = Arc::new(Keys::new(jwks.clone(), Arc::clone(&metrics)).unwrap());
            let clock = Arc::new(ManualClock::default());
            let verifiers = [100, 0].map(|entries| {
                let config = Config {
                    issuers: vec!["https://issuer/".into()],
                    audience: vec!["api".into()],
                    algorithms: vec![Algorithm::EdDSA],
                    leeway: Duration::from_secs(30),
                    jwks: jwks.clone(),
                    cache: config::Cache {
                        entries,
                        bytes: 1 << 20,
                    },
                };
                let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
                Verifier::new(config, Arc::clone(&keys), clock, Arc::clone(&metrics))
            });
            let pair = Ed25519KeyPair::generate().unwrap();
            keys.publish(&json!([jwk(&pair)]));
            Self {
                pair,
                clock,
                keys,
                metrics,
                verifiers,
            }
        }

        fn token(&self, claims: &Value) -> String {
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let signed = format!(
                "{}.{}",
                part(r#"{"alg":"EdDSA","kid":"k"}"#),
                part(&claims.to_string())
            );
            let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
            format!("{signed}.{signature}")
        }

        /// What each verifier says at `seconds`: nothing is wrong, or this.
        async fn verdicts(
            &self,
            token: &str,
            last: &[LastToken; 2],
            seconds: u64,
        ) -> [Option<TokenError>; 2] {
            self.clock.set(seconds);
            let mut verdicts = [None; 2];
            for (number, verifier) in self.verifiers.iter().enumerate() {
                verdicts[number] = match verifier.verify(token, &last[number]).await {
                    Outcome::Verified(_) => None,
                    Outcome::Refused(error) => Some(error),
                    Outcome::NotReady => panic!("there are keys"),
                };
            }
            verdicts
        }
    }

    fn jwk(pair: &Ed25519KeyPair) -> Value {
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x})
    }

    fn claims() -> Value {
        json!({"iss": "https://issuer/", "aud": "api", "sub": "u", "nbf": 1_000, "iat": 1_000, "exp": 2_000})
    }

    #[tokio::test]
    async fn cached_or_not_the_verdict_is_the_same_at_every_moment() {
        let stage = Stage::new();
        let token = stage.token(&claims());
        let last = <[LastToken; 2]>::default();
        let (early, late) = (Some(TokenError::NotYetValid), Some(TokenError::Expired));
        let moments = [
            (969, early),
            (970, None),
            (1_500, None),
            (2_029, None),
            (2_030, late),
            (1_500, None),
            (969, early),
        ];
        // Twice, so that the second time everything that can be remembered is.
        for (seconds, verdict) in [moments, moments].concat() {
            assert_eq!(
                stage.verdicts(&token, &last, seconds).await,
                [verdict; 2],
                "at {seconds}"
            );
        }
    }

    #[tokio::test]
    async fn a_token_is_counted_by_what_was_said_of_it_in_the_end() {
        let stage = Stage::new();
        let token = stage.token(&claims());
        let last = <[LastToken; 2]>::default();
        for moment in [969, 1_500, 1_500, 2_030] {
            stage.verdicts(&token, &last, moment).await;
        }
        let text = stage.metrics.render(None);
        // The second good one was found in the cache of the one verifier, the bad ones count with each.
        for (result, count) in [("ok", 3), ("not_yet_valid", 2), ("expired", 2)] {
            let line =
                format!("tollgate_token_verifications_total{{result=\"{result}\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[tokio::test]
    async fn a_key_that_leaves_the_set_takes_what_it_signed_along() {
        let stage = Stage::new();
        let token = stage.token(&claims());
        let last = <[LastToken; 2]>::default();
        for _ in 0..3 {
            assert_eq!(stage.verdicts(&token, &last, 1_500).await, [None; 2]);
        }
        stage
            .keys
            .publish(&json!([jwk(&Ed25519KeyPair::generate().unwrap())]));
        assert_eq!(
            stage.verdicts(&token, &last, 1_500).await,
            [Some(TokenError::Signature); 2]
        );
    }
}
