//! What the proxy needs to know: where the backend is and how to speak to it.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use http::uri::{Authority, Scheme};

use crate::types::Secret;

/// The upstream.
#[derive(Clone, Debug)]
pub struct Config {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and, where it was written, port.
    pub authority: Authority,
    /// DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// From the last byte of the request that was sent on to the response's head.
    pub response_timeout: Duration,
    /// How long a body, an event stream or a tunnel may be silent.
    pub idle_timeout: Duration,
    /// How long an unused connection is kept; shorter than the backend's own keep-alive.
    pub keep_alive: Duration,
    /// Connections open at once to the upstream, idle ones included.
    pub max_connections: usize,
    /// HTTP/1.1 or HTTP/2.
    pub protocol: Protocol,
    /// Which `Host` the upstream sees.
    pub host: HostPolicy,
    /// Names of headers that are forwarded although Tollgate would drop them.
    pub keep_headers: Vec<HeaderName>,
    /// PEM file with the authorities to trust, instead of the system's.
    pub ca: Option<PathBuf>,
    /// A short signed JWT for the backend.
    pub assertion: Option<Assertion>,
}

impl Config {
    /// The header of the assertion, where there is one.
    pub(super) fn assertion_header(&self) -> Option<&HeaderName> {
        self.assertion.as_ref().map(|assertion| &assertion.header)
    }
}

/// The protocol spoken to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN over TLS, by prior knowledge without.
    Http2,
}

/// Which `Host` the upstream sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    /// The one the client sent.
    Preserve,
    /// The one in the upstream's URL.
    Upstream,
}

/// A JWT that Tollgate signs for the backend (RFC 7519), so that it need not trust the network.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The header that carries it.
    pub header: HeaderName,
    /// Shared secret, HS256, 32 bytes at least.
    pub secret: Secret,
    /// Its `iss`.
    pub issuer: String,
    /// Its `aud`.
    pub audience: String,
    /// From `iat` to `exp`.
    pub ttl: Duration,
}
