//! A small backend: it echoes what it received, streams, tunnels, and notices clients that go away.
//!
//! Paths that end in `/hold`, `/upload` or `/events` go on only when a test says so ([`Backend::release`]).

pub(crate) mod framed;
mod handlers;
pub(crate) mod scripted;
mod websocket;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Version;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::net::{Listening, Reserved};
use super::raw::DEADLINE;

pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// The backend.
pub(crate) struct Backend {
    listening: Listening,
    shared: Arc<Shared>,
}

/// What the handlers share.
pub(crate) struct Shared {
    counts: watch::Sender<Counts>,
    seen: Mutex<Vec<Seen>>,
    permits: Semaphore,
    tasks: TaskTracker,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Connections accepted.
    pub(crate) connections: usize,
    /// Connections that have ended.
    pub(crate) closed: usize,
    /// Requests whose head was read.
    pub(crate) requests: usize,
    /// Requests and answers that their client broke off.
    pub(crate) aborted: usize,
    /// Bytes of answers to `/big` that were taken from us.
    pub(crate) produced: usize,
    /// Bytes of request bodies that we have read.
    pub(crate) consumed: usize,
    /// Tunnels open now.
    pub(crate) tunnels: usize,
}

/// A request as the backend received it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// The target, as it stood in the request line.
    pub(crate) target: String,
    pub(crate) version: Version,
    pub(crate) headers: Vec<(String, String)>,
}

/// The protocol that a backend speaks.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http1,
    Http2,
}

impl Backend {
    /// Starts a backend that speaks HTTP/1.1.
    pub(crate) fn start() -> Self {
        Self::on(Reserved::any(), Protocol::Http1)
    }

    /// Starts a backend that speaks HTTP/2 without TLS.
    pub(crate) fn start_h2() -> Self {
        Self::on(Reserved::any(), Protocol::Http2)
    }

    fn on(reserved: Reserved, protocol: Protocol) -> Self {
        let shared = Arc::new(Shared {
            counts: watch::Sender::default(),
            seen: Mutex::default(),
            permits: Semaphore::new(0),
            tasks: TaskTracker::new(),
        });
        let own = Arc::clone(&shared);
        let serve = move |stream| serve(Arc::clone(&own), protocol, stream);
        Self {
            listening: Listening::start(reserved.listen(), serve),
            shared,
        }
    }

    /// The address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// The URL, for `upstream.url`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Lets one handler that waits take one more step.
    pub(crate) fn release(&self) {
        self.shared.permits.add_permits(1);
    }

    /// What happened so far.
    pub(crate) fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until `condition` holds.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Counts) -> bool) -> Counts {
        let mut counts = self.shared.counts.subscribe();
        let reached = timeout(DEADLINE, counts.wait_for(condition)).await;
        match reached {
            Ok(Ok(counts)) => *counts,
            Ok(Err(_)) | Err(_) => {
                unreachable!("the backend never saw {what}: {:?}", self.counts())
            }
        }
    }

    /// The requests received, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The request received last.
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("a request")
    }
}

impl Shared {
    /// Changes the counts.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }

    /// Waits for the test to say so.
    async fn step(&self) {
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
    }

    fn note(&self, seen: Seen) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seen);
        self.count(|counts| counts.requests += 1);
    }
}

impl Seen {
    /// The value of `name`; `None` also when it came twice, which no test expects.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        match self.header_all(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Every value of `name`.
    pub(crate) fn header_all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// The headers of an echo answer, which is JSON, that are called `name`.
pub(crate) fn echoed<'a>(echo: &'a Value, part: &str, name: &str) -> Vec<&'a str> {
    let fields = echo[part].as_array().map(Vec::as_slice).unwrap_or_default();
    fields
        .iter()
        .filter(|field| field[0] == name)
        .filter_map(|field| field[1].as_str())
        .collect()
}

async fn serve(shared: Arc<Shared>, protocol: Protocol, stream: TcpStream) {
    shared.count(|counts| counts.connections += 1);
    let own = Arc::clone(&shared);
    let service = service_fn(move |request| handlers::answer(Arc::clone(&own), request));
    let io = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let builder = hyper::server::conn::http1::Builder::new();
            let _ = builder.serve_connection(io, service).with_upgrades().await;
        }
        Protocol::Http2 => {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(io, service).await;
        }
    }
    shared.count(|counts| counts.closed += 1);
}
