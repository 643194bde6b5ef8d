//! What every token is checked against: the key set, and whom the tenant says its tokens are from.

use serde_json::Value;

use super::patience::{CALL, Patience};
use super::plain::Plain;
use super::report::Check;
use crate::auth::{Config, PublishedKey};
use crate::cause::cause;

const KEYS: &str = "keys";
const ISSUER: &str = "issuer";

/// The path of the discovery document (`OpenID` Connect Discovery 1.0, section 4).
const DISCOVERY: &str = ".well-known/openid-configuration";

/// The key set.
pub(super) async fn key_set(config: &Config, patience: Patience) -> Vec<Check> {
    let url = &config.jwks.url;
    let reach = "Check `auth0.domain` (or `auth0.url`, `auth0.jwks_url`), and that this machine gets there.";
    let fetched = patience.wait(CALL, PublishedKey::fetch_all(&config.jwks));
    match fetched.await {
        Some(Ok(keys)) => judge(config, &keys),
        Some(Err(error)) => {
            let found = format!("nothing usable at {url}: {}", cause(&error));
            vec![Check::fail(KEYS, found, reach)]
        }
        None => {
            let found = format!("{url} does not answer in time");
            vec![Check::fail(KEYS, found, reach)]
        }
    }
}

fn judge(config: &Config, keys: &[PublishedKey]) -> Vec<Check> {
    let url = &config.jwks.url;
    let allowed: Vec<String> = config.algorithms.iter().map(|a| format!("{a:?}")).collect();
    let allowed = allowed.join(", ");
    let serves = |key: &&PublishedKey| {
        let algorithms = key.algorithms.as_deref().unwrap_or_default();
        algorithms.iter().any(|a| config.algorithms.contains(a))
    };
    let usable = keys.iter().filter(serves).count();
    let mut checks = vec![if usable == 0 {
        let found = format!(
            "none of the {} at {url} can be used for {allowed}",
            keys.len()
        );
        let mend = "Write the algorithm that the API signs its tokens with as `auth0.algorithms`, or check `auth0.jwks_url`.";
        Check::fail(KEYS, found, mend)
    } else {
        let keys = if usable == 1 { "key" } else { "keys" };
        Check::pass(
            KEYS,
            format!("{usable} usable {keys} for {allowed} at {url}"),
        )
    }];
    let skipped = |key: &PublishedKey| {
        let why = key.algorithms.as_ref().err()?;
        let id = key.id.as_deref().unwrap_or("without an id");
        Some(format!("{id} ({why})"))
    };
    let skipped: Vec<String> = keys.iter().filter_map(skipped).collect();
    if usable > 0 && !skipped.is_empty() {
        let found = format!("skipped: {}", skipped.join("; "));
        let mend = "Tokens signed with them are refused; rotate them out in Auth0 if any are.";
        checks.push(Check::warn("unusable keys", found, mend));
    }
    checks
}

/// Whom the tenant at `tenant`, its URL with a slash at the end, says its tokens are from, and where its keys are.
pub(super) async fn issuer(config: &Config, tenant: &str, plain: &Plain) -> Check {
    let document = match discovery(plain, tenant).await {
        Ok(document) => document,
        Err(reason) => {
            let found = format!("{tenant}{DISCOVERY}: {reason}");
            return Check::warn(ISSUER, found, "Check `auth0.domain`, or `auth0.url`.");
        }
    };
    let Some(issuer) = document["issuer"].as_str() else {
        let found = format!("{tenant}{DISCOVERY} names no issuer");
        return Check::warn(ISSUER, found, "Check `auth0.domain`, or `auth0.url`.");
    };
    if !config.issuers.iter().any(|accepted| accepted == issuer) {
        return elsewhere(config, tenant, issuer, plain).await;
    }
    match document["jwks_uri"].as_str() {
        Some(uri) if uri != config.jwks.url => {
            let found = format!(
                "{issuer}, whose keys are at {uri}; the config takes {}",
                config.jwks.url
            );
            Check::warn(
                ISSUER,
                found,
                format!("Write `jwks_url: {uri}` below `auth0`, or leave it out."),
            )
        }
        Some(_) | None => Check::pass(ISSUER, issuer),
    }
}

/// The tenant's own name is not accepted: right where all tokens come from a custom domain, which then says so itself.
async fn elsewhere(config: &Config, tenant: &str, issuer: &str, plain: &Plain) -> Check {
    let others = config.issuers.iter().filter(|other| *other != tenant);
    for other in others.take(3) {
        let document = discovery(plain, other).await;
        if document.is_ok_and(|document| document["issuer"].as_str() == Some(other)) {
            return Check::pass(ISSUER, format!("{other}, a domain beside the tenant's own"));
        }
    }
    let found = format!(
        "the tenant's tokens are from {issuer}; accepted: {}",
        config.issuers.join(", ")
    );
    Check::fail(
        ISSUER,
        found,
        format!("Write `issuers: [\"{issuer}\"]` below `auth0`."),
    )
}

async fn discovery(plain: &Plain, base: &str) -> Result<Value, String> {
    let slash = if base.ends_with('/') { "" } else { "/" };
    let answer = plain.get(&format!("{base}{slash}{DISCOVERY}")).await?;
    if !answer.status.is_success() {
        return Err(format!("answered {}", answer.status.as_u16()));
    }
    serde_json::from_slice(&answer.body).map_err(|_| "it is no JSON".to_owned())
}

/// The tenant's URL where no section names it: its keys are below it, else its tokens name it.
pub(super) fn tenant_of(config: &Config) -> Option<&str> {
    let by_keys = config.jwks.url.strip_suffix(".well-known/jwks.json");
    by_keys.or(config.issuers.first().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jsonwebtoken::Algorithm;

    use super::super::report::Status;
    use super::*;
    use crate::auth::{Cache, Jwks};

    fn config() -> Config {
        Config {
            issuers: vec!["https://login.example.test/".into()],
            audience: vec!["a".into()],
            algorithms: vec![Algorithm::RS256],
            leeway: Duration::ZERO,
            jwks: Jwks {
                url: "https://t.example.test/.well-known/jwks.json".into(),
                refresh: Duration::from_secs(1),
                stale: Duration::from_secs(1),
                cooldown: Duration::from_secs(1),
                timeout: Duration::from_secs(1),
            },
            cache: Cache {
                entries: 0,
                bytes: 0,
            },
        }
    }

    fn key(id: &str, algorithms: Result<Vec<Algorithm>, String>) -> PublishedKey {
        PublishedKey {
            id: Some(id.to_owned()),
            algorithms,
        }
    }

    #[test]
    fn a_key_that_the_config_allows_is_needed_and_those_that_are_skipped_are_named() {
        let good = key("good", Ok(vec![Algorithm::RS256, Algorithm::RS512]));
        let other = key("other", Ok(vec![Algorithm::EdDSA]));
        let bad = key(
            "bad",
            Err("an RSA key must have 2048 to 8192 bits".to_owned()),
        );
        let statuses = |keys: &[PublishedKey]| -> Vec<Status> {
            judge(&config(), keys)
                .iter()
                .map(|check| check.status)
                .collect()
        };
        assert_eq!(statuses(&[good.clone(), other.clone()]), [Status::Pass]);
        assert_eq!(statuses(&[other, bad.clone()]), [Status::Fail]);
        assert_eq!(statuses(&[]), [Status::Fail]);
        let checks = judge(&config(), &[good, bad]);
        assert_eq!(checks[1].status, Status::Warn);
        assert!(checks[1].found.contains("bad (an RSA key"), "{checks:?}");
    }

    #[test]
    fn the_tenant_is_where_its_keys_are_else_who_its_tokens_are_from() {
        let mut config = config();
        assert_eq!(tenant_of(&config), Some("https://t.example.test/"));
        config.jwks.url = "https://keys.example.test/all".into();
        assert_eq!(tenant_of(&config), Some("https://login.example.test/"));
    }
}
