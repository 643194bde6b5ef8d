//! Sockets: accept, TLS, HTTP/1.1 and HTTP/2, limits, drain. Knows nothing of what a request means.
//!
//! One task accepts and deals connections out to worker threads. Each worker has a runtime of its own and
//! serves its connections from the first byte to the last, so a request never changes threads.

mod accept;
mod body;
mod config;
mod connection;
mod farewell;
mod frames;
mod remains;
mod supervise;
mod tls;
mod watch;
mod wire;
mod worker;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;

pub use accept::{BindError, Listener, bind};
pub use body::{BodyError, RequestBody};
pub use config::{Config, Limits, Listen, TlsFiles};
pub use remains::Remains;
pub use tls::{Certificates, TlsError};
pub use worker::{Server, StartError, serve_on};

use crate::stop::Stop;

/// What answers requests: the gate, or the admin pages.
pub trait Handler: Send + Sync + 'static {
    /// The body of its answers.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Unpin
        + Send
        + 'static;

    /// What it remembers about one connection while the client is talking.
    type Memory: Default + Send + Sync + 'static;

    /// Answers one request.
    fn handle(
        self: Arc<Self>,
        peer: Arc<Peer>,
        memory: Arc<Self::Memory>,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static;

    /// Answers bytes that are no request: a whole HTTP/1.1 response, after which the connection closes.
    fn malformed(&self, peer: &Peer, status: StatusCode, remains: &Remains) -> Bytes;
}

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it speaks TLS to us.
    pub tls: bool,
    /// Its address as text, once for all its requests.
    text: String,
    /// The connection's place among those that may be open at once; tunnels keep it.
    _place: Option<OwnedSemaphorePermit>,
}

impl Peer {
    /// A client at `address`.
    #[must_use]
    pub fn new(address: SocketAddr, tls: bool, place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            address,
            tls,
            text: address.ip().to_canonical().to_string(),
            _place: place,
        }
    }

    /// Its IP address as text; an IPv4 address that came in over IPv6 is written as IPv4.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What the parser lets pass and the gate must refuse; an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The target had a fragment, which the parser has cut off.
    Fragment,
    /// More header fields than allowed, or more bytes of them in HTTP/2.
    TooManyHeaders,
}

/// What a handler needs of the worker it runs in.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Where tasks are spawned, so that the drain waits for them.
    pub tasks: TaskTracker,
    /// When to end them.
    pub stop: Stop,
}
