//! `upstream`.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::config::read::{List, Positive, Read};
use crate::config::report::Mistakes;
use crate::config::section::{default, optional, required, section};
use crate::config::tree::{Entry, Node, Value};
use crate::config::values::UpstreamUrl;
use crate::config::within::Within;
use crate::config::words::choice;
use crate::proxy::{HostPolicy, Protocol};
use crate::types::Secret;

section! {
    /// The backend.
    Upstream {
        /// `http` or `https`, host and port, without a path.
        url: UpstreamUrl = required(),
        /// How long connecting may take.
        connect_timeout: Positive<Duration> = default("5s"),
        /// How long the backend may take until its response's head; bodies may stream for longer.
        response_timeout: Positive<Duration> = default("60s"),
        /// How long a body, an event stream or a WebSocket may be silent.
        idle_timeout: Positive<Duration> = default("5m"),
        // Node and uvicorn close idle connections after 5 s: below it, few requests meet one that is just closing.
        /// How long an unused connection is kept; shorter than the backend's own keep-alive.
        keep_alive: Positive<Duration> = default("4s"),
        /// Connections open at once.
        max_connections: Within<usize, 1, 1_000_000> = default("1024"),
        /// The protocol spoken to the backend.
        protocol: Protocol = default("http1"),
        /// Which `Host` the backend sees: the client's, or the one in `url`.
        host: HostPolicy = default("preserve"),
        /// Headers that are forwarded although they can override path or method: `X-HTTP-Method-Override`.
        keep_headers: List<HeaderName> = default("[]"),
        /// PEM file with the authorities to trust, instead of the system's.
        ca: PathBuf = optional(),
        /// A short signed JWT for the backend.
        assertion: Assertion = optional(),
    }
}

section! {
    /// A JWT that proves to the backend that a request came through Tollgate.
    Assertion {
        /// The header that carries it.
        header: HeaderName = default("X-Tollgate-Assertion"),
        /// Shared secret (HS256), 32 bytes at least.
        secret: Secret = required(),
        /// Its `iss`.
        issuer: String = default("tollgate"),
        /// Its `aud`.
        audience: String = required(),
        /// How long it is valid.
        ttl: Positive<Duration> = default("60s"),
    }
}

choice!(Protocol { "http1" => Protocol::Http1, "http2" => Protocol::Http2 });
choice!(HostPolicy { "preserve" => HostPolicy::Preserve, "upstream" => HostPolicy::Upstream });

/// A section, or its `url` alone.
#[derive(Clone, Debug)]
pub(crate) struct OrUrl<T>(pub(crate) T);

impl<T: Read> Read for OrUrl<T> {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        if let Value::Text(_) = &node.value {
            let url = Entry {
                key: "url".to_owned(),
                key_place: node.place,
                node: node.clone(),
            };
            let section = Node {
                place: node.place,
                value: Value::Map(vec![url]),
            };
            return T::read(&section, mistakes).map(Self);
        }
        T::read(node, mistakes).map(Self)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [UpstreamUrl::schema(generator), T::schema(generator)] })
    }
}
