//! A verifier with keys in force, for the targets that read tokens.

#[expect(dead_code, reason = "the integration tests use the rest")]
#[path = "../../tests/support/support.rs"]
mod support;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use support::auth0::Auth0;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tollgate::auth::{Cache, Config, Jwks, Keys, LastToken, Outcome, Verifier};
use tollgate::clock::ManualClock;
use tollgate::telemetry::Metrics;

/// The `aud` that counts.
pub const AUDIENCE: &str = support::auth0::AUDIENCE;

/// The `iss` that counts at the desk: the stand-in's own has a port that differs each time.
pub const ISSUER: &str = "https://issuer.test/";

/// The time of day at the desk, seconds since 1970.
pub const NOW: u64 = 1_800_000_000;

const HOUR: Duration = Duration::from_secs(3600);

/// A verifier, and the stand-in Auth0 that it trusts.
pub struct Desk {
    runtime: Runtime,
    auth0: Auth0,
    verifier: Verifier,
}

impl Desk {
    /// The one of this process.
    pub fn get() -> &'static Self {
        static DESK: OnceLock<Desk> = OnceLock::new();
        DESK.get_or_init(Self::open)
    }

    fn open() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (auth0, verifier) = runtime.block_on(async {
            let auth0 = Auth0::start();
            let config = config(&auth0);
            let metrics = Arc::new(Metrics::new().expect("metrics"));
            let keys = Keys::new(config.jwks.clone(), Arc::clone(&metrics)).expect("a client");
            let keys = Arc::new(keys);
            tokio::task::spawn(Arc::clone(&keys).run(CancellationToken::new()));
            while keys.health().is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let clock = Arc::new(ManualClock::at(NOW));
            (auth0, Verifier::new(config, keys, clock, metrics))
        });
        Self {
            runtime,
            auth0,
            verifier,
        }
    }

    /// What becomes of a token on a connection that sent `last` before.
    pub fn verify(&self, token: &str, last: &LastToken) -> Outcome {
        self.runtime.block_on(self.verifier.verify(token, last))
    }

    /// A token with these claims, signed as the issuer does.
    pub fn sign(&self, claims: &str) -> String {
        let draft = self.auth0.draft("", &[]).payload(claims);
        self.auth0.sign(&draft)
    }
}

/// A compact JWS of these parts.
pub fn compact(header: &[u8], claims: &[u8], signature: &[u8]) -> String {
    let [header, claims, signature] =
        [header, claims, signature].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.{signature}")
}

fn config(auth0: &Auth0) -> Config {
    Config {
        issuers: vec![ISSUER.to_owned()],
        audience: vec![AUDIENCE.to_owned()],
        algorithms: vec![Algorithm::RS256],
        leeway: Duration::ZERO,
        jwks: Jwks {
            url: format!("{}.well-known/jwks.json", auth0.url()),
            refresh: 24 * HOUR,
            stale: 48 * HOUR,
            // Made-up key ids are what most inputs have: one fetch for all of them.
            cooldown: 24 * HOUR,
            timeout: Duration::from_secs(5),
        },
        cache: Cache {
            entries: 64,
            bytes: 1 << 20,
        },
    }
}
