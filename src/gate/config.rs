//! What the gate needs to know. One value of it is one snapshot: a reload builds a new one and swaps it.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::entitlement::Catalog;
use crate::policy::{PathRules, Pattern, Table};
use crate::types::Rate;

/// The rules in force.
#[derive(Clone, Debug)]
pub struct Config {
    /// How a path is normalised, base path included.
    pub paths: PathRules,
    /// Whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Bytes of a request's body, at most.
    pub max_body: u64,
    /// Cross-origin rules; without them preflights are the backend's.
    pub cors: Option<Cors>,
    /// The route table, its default included.
    pub table: Arc<Table>,
    /// Rate limits; every one that fits a request counts it.
    pub rate_limits: Vec<RateLimit>,
    /// What is sold, and which permissions it brings.
    pub catalog: Arc<Catalog>,
    /// Whether the Stripe paths are Tollgate's (the file has a `stripe` section).
    pub billing: bool,
}

/// Cross-Origin Resource Sharing (the Fetch standard, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Origins that may read answers.
    pub origins: Origins,
    /// Whether cookies and `Authorization` may be sent along.
    pub allow_credentials: bool,
    /// Request headers allowed.
    pub headers: AllowedHeaders,
    /// Value of `Access-Control-Allow-Methods`.
    pub methods: HeaderValue,
    /// Value of `Access-Control-Expose-Headers`.
    pub exposed: Option<HeaderValue>,
    /// Value of `Access-Control-Max-Age`, seconds.
    pub max_age: HeaderValue,
}

/// Origins that may read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every one (`*`).
    Any,
    /// These, compared exactly.
    List(Vec<HeaderValue>),
}

/// Request headers that a page may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHeaders {
    /// Whatever the preflight asks for.
    Mirror,
    /// These.
    List(Vec<HeaderName>),
}

/// One rate limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Paths it counts.
    pub path: Pattern,
    /// Paths it does not count, although `path` fits.
    pub except: Vec<Pattern>,
    /// What has a bucket of its own.
    pub per: Per,
    /// Refill.
    pub rate: Rate,
    /// Size of the bucket.
    pub burst: std::num::NonZeroU32,
}

/// What has a bucket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// The client's address; an IPv6 client is its /64.
    Client,
    /// The token's `sub`; without a token, the client's address.
    Subject,
}
