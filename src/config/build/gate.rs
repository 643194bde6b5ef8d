//! `paths`, `cors` and `rate_limits`.

use std::num::NonZeroU32;

use http::{HeaderValue, Method};

use crate::config::raw::Document;
use crate::config::raw::routes;
use crate::config::read::{At, Field};
use crate::config::report::{Mistake, Mistakes};
use crate::config::values::{AllowedHeader, Origin};
use crate::gate::{AllowedHeaders, Cors, Origins, Per, RateLimit};
use crate::policy::PathRules;

pub(super) fn paths(document: &Document) -> Option<PathRules> {
    let paths = document.paths.get()?;
    Some(PathRules {
        base_path: document.server.get()?.base_path.optional()?.map(|base| base.0),
        semicolons: paths.semicolons.value()?,
        merge_slashes: paths.merge_slashes.value()?,
    })
}

pub(super) fn cors(document: &Document, mistakes: &mut Mistakes) -> Option<Option<Cors>> {
    match &document.cors {
        Field::Given(raw) => checked_cors(raw, mistakes).map(Some),
        Field::Absent => Some(None),
        Field::Invalid => None,
    }
}

fn checked_cors(raw: &routes::Cors, mistakes: &mut Mistakes) -> Option<Cors> {
    let allow_credentials = raw.allow_credentials.value();
    if let Some(any) = raw.allowed_origins.get().and_then(|list| list.0.items.iter().find(|o| o.value == Origin::Any))
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
            if exposed.items.is_empty() { None } else { joined(exposed.values().map(http::HeaderName::as_str)) }
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

pub(super) fn rate_limits(document: &Document, mistakes: &mut Mistakes) -> Option<Vec<RateLimit>> {
    let raw = document.rate_limits.get()?;
    let without_auth0 = document.auth0.is_absent();
    let limits: Vec<_> = raw.items.iter().map(|limit| rate_limit(limit, without_auth0, mistakes)).collect();
    limits.into_iter().collect()
}

fn rate_limit(raw: &At<routes::RateLimit>, without_auth0: bool, mistakes: &mut Mistakes) -> Option<RateLimit> {
    if let Some(per) = raw.per.get().filter(|per| per.value == Per::Subject && without_auth0) {
        let message = "`per: subject` counts by token, and the file has no `auth0` section";
        mistakes.add(Mistake::new(per.place, message).help("write `per: client`, or add `auth0`"));
    }
    let rate = raw.rate.value();
    let burst = match &raw.burst {
        Field::Given(burst) => match NonZeroU32::new(burst.value) {
            Some(burst) => Some(burst),
            None => mistakes.none(
                Mistake::new(burst.place, "with a burst of 0 nothing would pass").help("write 1 or more, or take it away"),
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
