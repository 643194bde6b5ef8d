//! `upstream`.

use std::net::{IpAddr, SocketAddr};

use http::uri::Scheme;

use super::server::addresses;
use crate::config::raw::Document;
use crate::config::raw::upstream::{self, Upstream};
use crate::config::read::At;
use crate::config::report::{Mistake, Mistakes};
use crate::config::values::HttpUrl;
use crate::proxy::{Assertion, Config};

/// HS256 wants a secret as long as its hash (RFC 7518, section 3.2).
const LEAST_SECRET_BYTES: usize = 32;

/// What a backend may take for another path or method than the one decided on.
const OVERRIDES: [&str; 5] = [
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Set by Tollgate or by the connection itself, so they cannot carry an assertion.
const TAKEN: [&str; 19] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

pub(super) fn config(raw: &Upstream, mistakes: &mut Mistakes) -> Option<Config> {
    let assertion = raw.assertion.built(|raw| assertion(raw, mistakes));
    check_kept(raw, mistakes);
    let url = raw.url.get()?.value.0.clone();
    Some(Config {
        scheme: url.scheme,
        authority: url.authority,
        connect_timeout: raw.connect_timeout.value()?.0,
        response_timeout: raw.response_timeout.value()?.0,
        idle_timeout: raw.idle_timeout.value()?.0,
        keep_alive: raw.keep_alive.value()?.0,
        max_connections: raw.max_connections.value()?.0,
        protocol: raw.protocol.value()?,
        host: raw.host.value()?,
        keep_headers: raw.keep_headers.get()?.values().cloned().collect(),
        ca: raw.ca.optional().ok()?,
        assertion: assertion.ok()?,
    })
}

/// Reports an upstream that is Tollgate's own listener: requests would go round for ever.
pub(super) fn not_ourselves(document: &Document, mistakes: &mut Mistakes) {
    let (Some(server), Some(upstream)) = (document.server.get(), document.upstream.get()) else {
        return;
    };
    let Some(url) = upstream.value.0.url.get() else {
        return;
    };
    if let Some(own) = addresses(server)
        .iter()
        .find(|own| names(&url.value.0, own.value))
    {
        let message = format!(
            "the upstream is `{}`, where Tollgate itself listens (line {})",
            own.value, own.place.line
        );
        mistakes.add(Mistake::new(url.place, message).help("name the address of the backend"));
    }
}

/// Whether `url` leads to the listener `own`, as far as its text says so.
fn names(url: &HttpUrl, own: SocketAddr) -> bool {
    let default = if url.scheme == Scheme::HTTPS { 443 } else { 80 };
    let port = url.authority.port_u16().unwrap_or(default);
    let host = url
        .authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let same_host = match host.parse::<IpAddr>() {
        Ok(ip) => {
            ip == own.ip()
                || (own.ip().is_unspecified() && (ip.is_loopback() || ip.is_unspecified()))
        }
        Err(_) => {
            host.eq_ignore_ascii_case("localhost")
                && (own.ip().is_loopback() || own.ip().is_unspecified())
        }
    };
    port == own.port() && same_host
}

fn check_kept(raw: &Upstream, mistakes: &mut Mistakes) {
    let kept = raw
        .keep_headers
        .get()
        .map(|list| list.items.as_slice())
        .unwrap_or_default();
    for name in kept
        .iter()
        .filter(|name| !OVERRIDES.contains(&name.as_str()))
    {
        let message = format!("`{}` cannot be kept", name.value);
        let help = format!(
            "what is dropped unless it is named here: {}",
            OVERRIDES.join(", ")
        );
        mistakes.add(Mistake::new(name.place, message).help(help));
    }
}

fn assertion(raw: &At<upstream::Assertion>, mistakes: &mut Mistakes) -> Option<Assertion> {
    if let Some(header) = raw.header.get() {
        let name = header.as_str();
        // A backend may fold `_` to `-`, so any name that could end up among the identity headers is refused.
        let folded: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let identity = ["x-auth-", "x-forwarded-"]
            .iter()
            .any(|prefix| folded.starts_with(prefix));
        if identity || TAKEN.contains(&folded.as_str()) || OVERRIDES.contains(&folded.as_str()) {
            let message = format!("`{name}` is in use already and cannot carry the assertion");
            mistakes.add(
                Mistake::new(header.place, message).help("the default is `X-Tollgate-Assertion`"),
            );
        }
    }
    if let Some(secret) = raw
        .secret
        .get()
        .filter(|secret| secret.expose().len() < LEAST_SECRET_BYTES)
    {
        let message = "this secret is too short to sign with";
        let help = "use 32 random bytes or more: `openssl rand -base64 48`";
        mistakes.add(Mistake::new(secret.place, message).help(help));
    }
    Some(Assertion {
        header: raw.header.value()?,
        secret: raw.secret.value()?,
        issuer: raw.issuer.value()?,
        audience: raw.audience.value()?,
        ttl: raw.ttl.value()?.0,
    })
}
