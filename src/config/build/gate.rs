//! What the gate needs: `paths`, `cors`, `rate_limits`, and parts of `server`.

use std::num::NonZeroU32;
use std::sync::Arc;

use http::{HeaderValue, Method};
use ipnet::IpNet;

use crate::config::raw::Document;
use crate::config::raw::routes;
use crate::config::read::{At, Field, Invalid};
use crate::config::report::{Mistake, Mistakes};
use crate::config::values::{AllowedHeader, Origin};
use crate::entitlement::Catalog;
use crate::gate::{AllowedHeaders, Config, Cors, Origins, Per, RateLimit};
use crate::policy::{PathRules, Table};

/// Everything that the gate needs but the route table and the catalog.
pub(super) struct Rules {
    paths: PathRules,
    trusted_proxies: Vec<IpNet>,
    max_body: u64,
    cors: Option<Cors>,
    rate_limits: Vec<RateLimit>,
    billing: bool,
}

impl Rules {
    /// The gate's config, with the table and the catalog.
    pub(super) fn with(self, table: Table, catalog: Catalog) -> Config {
        Config {
            paths: self.paths,
            trusted_proxies: self.trusted_proxies,
            max_body: self.max_body,
            cors: self.cors,
            table: Arc::new(table),
            rate_limits: self.rate_limits,
            catalog: Arc::new(catalog),
            billing: self.billing,
        }
    }
}

pub(super) fn config(document: &Document, mistakes: &mut Mistakes) -> Option<Rules> {
    let cors = cors(document, mistakes);
    let rate_limits = rate_limits(document, mistakes);
    let server = document.server.get()?;
    let trusted_proxies = server.trusted_proxies.get()?;
    Some(Rules {
        paths: paths(document)?,
        trusted_proxies: trusted_proxies.values().copied().collect(),
        max_body: server.max_body.value()?.0.0,
        cors: cors.ok()?,
        rate_limits: rate_limits?,
        billing: !document.stripe.is_absent(),
    })
}

fn paths(document: &Document) -> Option<PathRules> {
    let paths = document.paths.get()?;
    Some(PathRules {
        base_path: document
            .server
            .get()?
            .base_path
            .optional()
            .ok()?
            .map(|base| base.0),
        semicolons: paths.semicolons.value()?,
        merge_slashes: paths.merge_slashes.value()?,
    })
}

fn cors(document: &Document, mistakes: &mut Mistakes) -> Result<Option<Cors>, Invalid> {
    document.cors.built(|raw| checked_cors(raw, mistakes))
}

fn checked_cors(raw: &routes::Cors, mistakes: &mut Mistakes) -> Option<Cors> {
    let allow_credentials = raw.allow_credentials.value();
    if let Some(any) = raw
        .allowed_origins
        .get()
        .and_then(|list| list.0.items.iter().find(|o| o.value == Origin::Any))
        && allow_credentials == Some(true)
    {
        let message = "every origin is allowed, with credentials: any page could act as the user who visits it";
        let help = "name the origins, or take `allow_credentials` away";
        mistakes.add(Mistake::new(any.place, message).help(help));
    }
    Some(Cors {
        origins: origins(raw)?,
        allow_credentials: allow_credentials?,
        headers: allowed_headers(raw)?,
        methods: joined(raw.allowed_methods.get()?.0.values().map(Method::as_str))?,
        exposed: {
            let exposed = raw.exposed_headers.get()?;
            if exposed.items.is_empty() {
                None
            } else {
                joined(exposed.values().map(http::HeaderName::as_str))
            }
        },
        max_age: raw.max_age.value()?.as_secs().into(),
    })
}

fn origins(raw: &routes::Cors) -> Option<Origins> {
    let mut list = Vec::new();
    for origin in raw.allowed_origins.get()?.0.values() {
        match origin {
            Origin::Any => return Some(Origins::Any),
            Origin::One(origin) => list.push(HeaderValue::from_str(origin).ok()?),
        }
    }
    Some(Origins::List(list))
}

fn allowed_headers(raw: &routes::Cors) -> Option<AllowedHeaders> {
    let mut list = Vec::new();
    for header in raw.allowed_headers.get()?.0.values() {
        match header {
            AllowedHeader::Any => return Some(AllowedHeaders::Mirror),
            AllowedHeader::One(name) => list.push(name.clone()),
        }
    }
    Some(AllowedHeaders::List(list))
}

/// A list as one header value.
fn joined<'a>(words: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    HeaderValue::from_str(&words.collect::<Vec<_>>().join(", ")).ok()
}

fn rate_limits(document: &Document, mistakes: &mut Mistakes) -> Option<Vec<RateLimit>> {
    let raw = document.rate_limits.get()?;
    let without_auth0 = document.auth0.is_absent();
    let limits: Vec<_> = raw
        .items
        .iter()
        .map(|limit| rate_limit(limit, without_auth0, mistakes))
        .collect();
    limits.into_iter().collect()
}

fn rate_limit(
    raw: &At<routes::RateLimit>,
    without_auth0: bool,
    mistakes: &mut Mistakes,
) -> Option<RateLimit> {
    if let Some(per) = raw
        .per
        .get()
        .filter(|per| per.value == Per::Subject && without_auth0)
    {
        let message = "`per: subject` counts by token, and the file has no `auth0` section";
        mistakes.add(Mistake::new(per.place, message).help("write `per: client`, or add `auth0`"));
    }
    let rate = raw.rate.value();
    let burst = match &raw.burst {
        Field::Given(burst) => match NonZeroU32::new(burst.value.0) {
            Some(burst) => Some(burst),
            None => mistakes.none(
                Mistake::new(burst.place, "with a burst of 0 nothing would pass")
                    .help("write 1 or more, or take it away"),
            ),
        },
        Field::Absent => rate.map(|rate| rate.count),
        Field::Invalid => None,
    };
    Some(RateLimit {
        path: raw.path.value()?,
        except: raw.except.get()?.values().cloned().collect(),
        per: raw.per.value()?,
        rate: rate?,
        burst: burst?,
    })
}
