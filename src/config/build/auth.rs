//! `auth0`.

use crate::auth::{Cache, Config, Jwks};
use crate::config::raw::Document;
use crate::config::raw::auth0::Auth0;
use crate::config::read::{At, Field, Invalid};
use crate::config::report::{Mistake, Mistakes};

/// Beyond it the cache would set aside gigabytes for its own counters alone.
const MOST_CACHE_BYTES: u64 = 64 << 30;

/// The tenant: how its tokens are verified, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    pub(super) auth: Config,
    /// `https://DOMAIN/`, with its slash at the end.
    pub(super) url: String,
}

/// The tenant, if the file names one.
pub(super) fn config(
    document: &Document,
    mistakes: &mut Mistakes,
) -> Result<Option<Tenant>, Invalid> {
    document.auth0.built(|raw| tenant(raw, mistakes))
}

fn tenant(raw: &At<Auth0>, mistakes: &mut Mistakes) -> Option<Tenant> {
    let url = url(raw, mistakes);
    let jwks = jwks(raw, url.as_deref(), mistakes);
    let issuers = raw.issuers.optional().ok()?;
    let url = url?;
    let issuers = match issuers {
        Some(list) => list.0.values().map(|issuer| issuer.text.clone()).collect(),
        None => vec![url.clone()],
    };
    let cache = raw.token_cache.get()?;
    if let Some(bytes) = cache
        .bytes
        .get()
        .filter(|bytes| bytes.value.0.0 > MOST_CACHE_BYTES)
    {
        let message = "the cache of verified tokens may have 64GiB at most";
        mistakes.add(Mistake::new(bytes.place, message).help("the default is `32MiB`"));
    }
    let auth = Config {
        issuers,
        audience: raw.audience.get()?.0.values().cloned().collect(),
        algorithms: raw
            .algorithms
            .get()?
            .0
            .values()
            .map(|algorithm| algorithm.0)
            .collect(),
        leeway: raw.leeway.value()?,
        jwks: jwks?,
        cache: Cache {
            entries: cache.entries.value()?.0,
            bytes: cache.bytes.value()?.0.0,
        },
    };
    Some(Tenant { auth, url })
}

fn url(raw: &At<Auth0>, mistakes: &mut Mistakes) -> Option<String> {
    match (&raw.domain, &raw.url) {
        (Field::Absent, Field::Absent) => mistakes.none(
            Mistake::new(raw.place, "`auth0` does not say which tenant is meant")
                .help("add `domain: tenant.eu.auth0.com`, or `url: https://…/`"),
        ),
        (Field::Given(_), Field::Given(url)) => mistakes.none(
            Mistake::new(url.place, "`domain` and `url` both name the tenant")
                .help("keep one of them"),
        ),
        (Field::Given(domain), Field::Absent) => Some(format!("https://{}/", domain.value.0)),
        (Field::Absent, Field::Given(url)) => Some(with_slash(&url.text)),
        (Field::Invalid, _) | (_, Field::Invalid) => None,
    }
}

fn jwks(raw: &Auth0, url: Option<&str>, mistakes: &mut Mistakes) -> Option<Jwks> {
    let jwks = raw.jwks.get()?;
    if let (Some(refresh), Some(stale)) = (jwks.refresh.get(), jwks.stale.get())
        && stale.value.0 < refresh.value.0
    {
        let message = "`stale` is shorter than `refresh`: the keys would expire before they are fetched again";
        mistakes.add(
            Mistake::new(stale.place, message).help("make `stale` at least as long as `refresh`"),
        );
    }
    let named = raw.jwks_url.optional().ok()?;
    Some(Jwks {
        url: match named {
            Some(named) => named.text,
            None => format!("{}.well-known/jwks.json", url?),
        },
        refresh: jwks.refresh.value()?.0,
        stale: jwks.stale.value()?.0,
        cooldown: jwks.cooldown.value()?.0,
        timeout: jwks.timeout.value()?.0,
    })
}

/// `url` with a slash at its end, since paths are put behind it.
fn with_slash(url: &str) -> String {
    if url.ends_with('/') {
        url.to_owned()
    } else {
        format!("{url}/")
    }
}
