//! Verifies a token against the issuer's live key set, for `explain`.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::auth::{Config as AuthConfig, Keys, LastToken, Outcome, Verifier};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::policy::Credential;
use crate::telemetry::Metrics;

/// How often it is looked whether the keys are there.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The credential that `unverified_token` is, and what to say about it.
///
/// # Errors
///
/// One sentence, when the token cannot be verified for want of keys.
pub(crate) fn verify(
    config: &Config,
    unverified_token: &str,
) -> Result<(Credential<String>, String), String> {
    let Some(auth) = config.auth.clone() else {
        return Err("the config has no `auth0` section, so no token can be verified".to_owned());
    };
    let token = unverified_token.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    match runtime.block_on(outcome(auth, token))? {
        Outcome::Verified(principal) => {
            let held: Vec<&str> = principal.permissions.iter().collect();
            let text = format!(
                "verified, speaks for {}, holds [{}]",
                principal.subject,
                held.join(", ")
            );
            Ok((Credential::Valid(principal), text))
        }
        Outcome::Refused(error) => Ok((
            Credential::Invalid(error.to_string()),
            format!("does not verify: {error}"),
        )),
        Outcome::NotReady => Err(format!(
            "no keys from {}: is it the right tenant, and is it up?",
            jwks_url(config)
        )),
    }
}

fn jwks_url(config: &Config) -> &str {
    config.auth.as_ref().map_or("", |auth| &auth.jwks.url)
}

/// Fetches the keys, as a running Tollgate does, and verifies the token with them.
async fn outcome(config: AuthConfig, token: &str) -> Result<Outcome, String> {
    let metrics = Metrics::new().map_err(|error| error.to_string())?;
    let metrics = Arc::new(metrics);
    let patience = config.jwks.timeout * 2;
    let keys =
        Keys::new(config.jwks.clone(), Arc::clone(&metrics)).map_err(|error| error.to_string())?;
    let keys = Arc::new(keys);
    let verifier = Verifier::new(config, Arc::clone(&keys), Arc::new(SystemClock), metrics);
    let stop = CancellationToken::new();
    let answer = async {
        let ready = async {
            while !verifier.is_ready() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        // Without keys the outcome below says so.
        let _ = tokio::time::timeout(patience, ready).await;
        verifier.verify(token, &LastToken::default()).await
    };
    tokio::select! {
        () = keys.run(stop.clone()) => Ok(Outcome::NotReady),
        outcome = answer => Ok(outcome),
    }
}
