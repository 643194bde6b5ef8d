//! `auth0`.

use std::time::Duration;

use crate::config::read::{OneOrMany, Positive};
use crate::config::section::{default, defaults, optional, required, section};
use crate::config::values::{Domain, HttpUrl, SignedWith, Size};
use crate::config::within::Within;
use crate::types::{Rate, Secret};

section! {
    /// Whose access tokens are accepted.
    Auth0 {
        /// The tenant's domain: `tenant.eu.auth0.com`.
        domain: Domain = optional(),
        /// A URL in place of `https://DOMAIN/`.
        url: HttpUrl = optional(),
        /// Accepted `iss` values, compared exactly; without it the URL above.
        issuers: OneOrMany<HttpUrl> = optional(),
        /// Where the signing keys are; without it `.well-known/jwks.json` below the URL above.
        jwks_url: HttpUrl = optional(),
        /// Accepted `aud` values, one or a list; one match is enough.
        audience: OneOrMany<String> = required(),
        /// Accepted signature algorithms.
        algorithms: OneOrMany<SignedWith> = default("[RS256]"),
        /// Clock difference that is forgiven.
        leeway: Duration = default("30s"),
        /// The longest time for which the tenant issues an access token.
        max_token_age: Positive<Duration> = default("24h"),
        /// The signing keys.
        jwks: Jwks = defaults(),
        /// Tokens that were verified already.
        token_cache: TokenCache = defaults(),
        /// The client that may read and assign roles.
        management: Management = optional(),
    }
    one of domain | url
}

section! {
    /// How long the signing keys are good for.
    Jwks {
        /// Age at which they are fetched again, in the background.
        refresh: Positive<Duration> = default("10m"),
        /// Age up to which the last good keys serve while Auth0 is away.
        stale: Positive<Duration> = default("24h"),
        /// The least time between two fetches that unknown key ids cause.
        cooldown: Positive<Duration> = default("30s"),
        /// How long one fetch may take.
        timeout: Positive<Duration> = default("5s"),
    }
}

section! {
    /// Bounds of the verified-token cache.
    TokenCache {
        /// Tokens, at most; 0 switches the cache off.
        entries: Within<u64, 0, 10_000_000> = default("20000"),
        /// Memory, at most; `64GiB` at most.
        bytes: Positive<Size> = default("32MiB"),
    }
}

section! {
    /// A machine-to-machine application with access to the Management API.
    Management {
        /// Its client id.
        client_id: String = required(),
        /// Its client secret.
        client_secret: Secret = required(),
        /// The API's identifier; without it `api/v2/` below the tenant's URL.
        audience: HttpUrl = optional(),
        /// Calls, at most. What the tenant's own headers say is obeyed beside it.
        rate: Rate = default("10/s"),
        /// How long one call may take.
        timeout: Positive<Duration> = default("5s"),
    }
}
