//! What the server needs to know: where to listen and what to bear.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Sockets, limits and the drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The public listeners, one at least.
    pub listeners: Vec<Listen>,
    /// Certificate and key, when any listener speaks TLS.
    pub tls: Option<TlsFiles>,
    /// What one client may ask for.
    pub limits: Limits,
    /// How long requests in flight may go on after a stop was asked for.
    pub drain_timeout: Duration,
    /// Threads that serve connections, each with a runtime of its own.
    pub workers: usize,
}

/// One public listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Whether it speaks TLS; if not, HTTP/1.1 and HTTP/2 with prior knowledge.
    pub tls: bool,
}

/// Where the certificate chain and its private key are, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// Bounds on what a client may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head: request line and header fields.
    pub max_header_bytes: usize,
    /// Header fields of one request.
    pub max_headers: usize,
    /// From the first byte of a request to the end of its head.
    pub header_timeout: Duration,
    /// From the connection's start to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a connection may be idle between requests, and a body between two reads.
    pub idle_timeout: Duration,
    /// Connections open at once; further ones wait in the listen queue.
    pub max_connections: usize,
    /// HTTP/2 streams open at once on a connection.
    pub max_streams: u32,
    /// Streams that a client may have reset while they still wait to be served (CVE-2023-44487).
    pub max_resets: usize,
}
