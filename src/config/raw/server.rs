//! `server`, `paths` and `admin`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::read::{Form, List, OneOrMany, Positive};
use crate::config::section::{default, defaults, optional, required, section};
use crate::config::values::{BasePath, Domain, Size};
use crate::config::within::Within;
use crate::config::words::choice;
use crate::policy::Semicolons;
use crate::types::Secret;

section! {
    /// The public listeners and their limits.
    Server {
        /// Address and port, one or a list.
        listen: OneOrMany<SocketAddr> = default("0.0.0.0:8001"),
        /// Taken off the path before matching, where it is present: `/api`.
        base_path: BasePath = optional(),
        /// Serve TLS. The files are read again when they change.
        tls: Tls = optional(),
        /// Whose `X-Forwarded-*` headers are believed: addresses or networks.
        trusted_proxies: List<IpNet> = default("[]"),
        /// The largest request body.
        max_body: Positive<Size> = default("10MiB"),
        /// The largest request head; `8KiB` at least, `16MiB` at most.
        max_header_bytes: Positive<Size> = default("32KiB"),
        /// Header fields of one request, at most.
        max_headers: Within<usize, 1, 10_000> = default("100"),
        /// How long a client may take to send a request's head.
        header_timeout: Positive<Duration> = default("10s"),
        /// How long the TLS handshake may take.
        handshake_timeout: Positive<Duration> = default("10s"),
        /// How long a connection may be idle.
        idle_timeout: Positive<Duration> = default("75s"),
        /// How long requests in flight may go on after a stop was asked for.
        drain_timeout: Positive<Duration> = default("30s"),
        /// Connections open at once.
        max_connections: Within<usize, 1, 1_000_000> = default("10000"),
        /// Threads that serve connections; without it, one per processor.
        workers: Within<usize, 1, 1_024> = optional(),
        /// HTTP/2.
        http2: Http2 = defaults(),
    }
}

section! {
    /// Certificate and key, both PEM.
    Tls {
        /// The certificate chain, leaf first.
        certificate: PathBuf = required(),
        /// The private key.
        key: PathBuf = required(),
        /// One more address that speaks TLS, beside plain `server.listen`; without it `server.listen` speaks TLS.
        listen: SocketAddr = optional(),
    }
}

section! {
    /// Limits of one HTTP/2 connection.
    Http2 {
        /// Streams open at once.
        max_streams: Within<u32, 1, 10_000> = default("128"),
        /// Streams reset by the client while they still wait to be served.
        max_resets: Within<usize, 1, 10_000> = default("64"),
    }
}

section! {
    /// How paths are read.
    Paths {
        /// What becomes of a path with `;`.
        semicolons: Semicolons = default("reject"),
        /// Whether `//` is read as `/`; else it is refused.
        merge_slashes: bool = default("false"),
    }
}

section! {
    /// The second listener.
    Admin {
        /// Address and port, or `off`.
        listen: AdminListen = default("127.0.0.1:9901"),
        /// Who knows it may act in the console: replay an event, try a job again. Without it the console only shows.
        token: Secret = optional(),
        /// Names under which the console is asked for, beside `localhost` and addresses.
        hosts: OneOrMany<Domain> = optional(),
    }
}

choice!(Semicolons { "reject" => Semicolons::Reject, "allow" => Semicolons::Allow });

/// Where the second listener is, if anywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdminListen(pub(crate) Option<SocketAddr>);

impl Form for AdminListen {
    const EXPECTED: &'static str = "an address and a port, or `off`";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            _ => SocketAddr::parse(text).map(|address| Self(Some(address))),
        }
    }
}
