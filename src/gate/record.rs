//! What is written down about a request: one line in the access log, its metrics, its span.

mod malformed;
mod recorded;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;

pub(super) use malformed::malformed;
pub(super) use recorded::Recorded;

use super::client::Client;
use super::{Config, Cors, Endpoint, Shared, cors, header_value, target};
use crate::policy::{Fallback, Found, Principal, Table};
use crate::proxy::Addressing;
use crate::reply::Problem;
use crate::server::Peer;
use crate::telemetry::log::ACCESS;
use crate::telemetry::trace::RequestSpan;
use crate::telemetry::{Metrics, RequestLabels};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a status is called when the client left before there was one (nginx's number).
const CLIENT_LEFT: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};
/// Route labels for requests that no route names.
const NO_ROUTE: &str = "-";

/// The story of one request. It is told when the answer has been sent, or given up.
pub(super) struct Record {
    metrics: Arc<Metrics>,
    peer: Arc<Peer>,
    client: Client,
    request_id: HeaderValue,
    origin: Option<HeaderValue>,
    host: HeaderValue,
    method: Method,
    raw_path: String,
    path: Option<String>,
    route: Option<(Arc<Table>, usize)>,
    endpoint: Option<&'static Endpoint>,
    started: Instant,
    upstream: Option<Duration>,
    principal: Option<Arc<Principal>>,
    permitted: bool,
    reason: &'static str,
    status: StatusCode,
    span: Option<Box<RequestSpan>>,
}

impl Record {
    pub(super) fn start<B>(
        shared: &Shared,
        config: &Config,
        peer: Arc<Peer>,
        request: &Request<B>,
    ) -> Box<Self> {
        let headers = request.headers();
        let client = Client::identify(peer.address.ip(), headers, &config.trusted_proxies);
        Box::new(Self {
            metrics: Arc::clone(&shared.metrics),
            request_id: request_id(headers, client.trusted),
            client,
            peer,
            origin: headers.get(ORIGIN).cloned(),
            host: target::host(request),
            method: request.method().clone(),
            raw_path: request.uri().path().to_owned(),
            path: None,
            route: None,
            endpoint: None,
            started: Instant::now(),
            upstream: None,
            principal: None,
            permitted: false,
            reason: "own",
            status: CLIENT_LEFT,
            span: shared
                .tracer
                .as_ref()
                .map(|tracer| Box::new(tracer.start(headers))),
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn origin(&self) -> Option<&HeaderValue> {
        self.origin.as_ref()
    }

    pub(super) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// The path as the client wrote it.
    pub(super) fn raw_path(&self) -> &str {
        &self.raw_path
    }

    pub(super) fn subject(&self) -> Option<&str> {
        self.principal.as_ref().map(|principal| &*principal.subject)
    }

    /// The connection, for a tunnel that outlives the request.
    pub(super) fn keep(&self) -> Arc<dyn Send + Sync> {
        Arc::<Peer>::clone(&self.peer)
    }

    pub(super) fn path(&mut self, path: &str) {
        if path != self.raw_path {
            self.path = Some(path.to_owned());
        }
    }

    pub(super) fn found(&mut self, found: &Found<'_>, table: &Arc<Table>) {
        self.route = match found {
            Found::Route { index, .. } | Found::MethodNotAllowed { index, .. } => {
                Some((Arc::clone(table), *index))
            }
            Found::Fallback(Fallback::Deny | Fallback::Apply(_)) => None,
        };
    }

    /// One of our own endpoints answers.
    pub(super) fn endpoint(&mut self, endpoint: &'static Endpoint) {
        self.endpoint = Some(endpoint);
    }

    /// Whether rate limits count this request.
    pub(super) fn is_limited(&self) -> bool {
        self.endpoint.is_none_or(Endpoint::is_limited)
    }

    /// An endpoint of our own was allowed to answer.
    pub(super) fn served(&mut self) {
        self.permitted = true;
        self.reason = "endpoint";
    }

    /// A question about what may be asked was answered here.
    pub(super) fn answered(&mut self) {
        self.permitted = true;
    }

    pub(super) fn principal(&mut self, principal: &Arc<Principal>) {
        self.principal = Some(Arc::clone(principal));
    }

    pub(super) fn permitted(&mut self) {
        self.permitted = true;
        self.reason = "permitted";
    }

    pub(super) fn refused(&mut self, problem: &Problem) {
        self.reason = problem.code;
    }

    pub(super) fn upstream(&mut self, duration: Duration) {
        self.upstream = Some(duration);
    }

    /// What the upstream is told about where the request came from.
    pub(super) fn addressing(&self, headers: &HeaderMap) -> Addressing {
        let client = &self.client;
        let peer = &self.peer;
        let proto = client.proto(headers, peer.tls);
        let host = client.host(headers, &self.host);
        Addressing {
            request_id: self.request_id.clone(),
            forwarded_for: client.forwarded_for(headers, peer),
            forwarded: client.forwarded(headers, peer, &proto, &host),
            proto,
            host,
            requested_host: self.host.clone(),
            trusted: client.trusted,
            traceparent: self.span.as_ref().and_then(|span| span.traceparent()),
        }
    }

    /// Finishes an answer of our own.
    pub(super) fn own_answer<B>(
        mut self: Box<Self>,
        cors: Option<&Cors>,
        mut response: Response<Full<Bytes>>,
    ) -> Response<Recorded<B>> {
        cors::decorate(cors, self.origin.as_ref(), response.headers_mut());
        if self.method == Method::HEAD {
            leave_head(&mut response);
        }
        self.finish_head(&mut response);
        response.map(|body| Recorded::own(body, self))
    }

    /// Finishes an answer of the upstream.
    pub(super) fn upstream_answer<B>(
        mut self: Box<Self>,
        mut response: Response<B>,
    ) -> Response<Recorded<B>> {
        self.finish_head(&mut response);
        response.map(|body| Recorded::upstream(body, self))
    }

    fn finish_head<B>(&mut self, response: &mut Response<B>) {
        self.status = response.status();
        response
            .headers_mut()
            .insert(REQUEST_ID, self.request_id.clone());
    }

    fn route_label(&self) -> &str {
        match &self.route {
            Some((table, index)) => table.routes()[*index].pattern.as_str(),
            None => self
                .endpoint
                .map_or(NO_ROUTE, |endpoint| endpoint.path.as_str()),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let decision = if self.permitted { "permit" } else { "refuse" };
        let route = self.route_label();
        let labels = RequestLabels {
            route,
            method: &self.method,
            status: self.status,
            decision,
        };
        self.metrics.request(labels, duration);
        if let Some(upstream) = self.upstream {
            self.metrics
                .upstream_seconds
                .observe(upstream.as_secs_f64());
        }
        tracing::info!(
            target: ACCESS,
            {
                request.id = self.request_id(),
                client.address = &*self.client.text(&self.peer),
                http.method = self.method.as_str(),
                http.route = route,
                http.path = self.path.as_deref().unwrap_or(&self.raw_path),
                http.status = self.status.as_u16(),
                duration_us = microseconds(duration),
                upstream_us = self.upstream.map(microseconds),
                decision,
                reason = self.reason,
                sub = self.subject()
            },
            "request"
        );
        if let Some(span) = self.span.take() {
            span.finish(
                self.method.as_str(),
                self.route_label(),
                self.status.as_u16(),
            );
        }
    }
}

/// Takes the body off an answer to HEAD, and says how long it is (RFC 9110, section 9.3.2). HTTP/2 would send it.
fn leave_head(response: &mut Response<Full<Bytes>>) {
    let body = std::mem::take(response.body_mut());
    if let Some(length @ 1..) = body.size_hint().exact() {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A trusted proxy's request id, where it is well formed; else a new one.
fn request_id(headers: &HeaderMap, trusted: bool) -> HeaderValue {
    let formed = |id: &&HeaderValue| {
        (1..=128).contains(&id.len())
            && id
                .as_bytes()
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
    };
    let given = headers.get(REQUEST_ID).filter(|_| trusted).filter(formed);
    given
        .cloned()
        .unwrap_or_else(|| header_value(new_request_id()))
}

/// 128 random bits in hexadecimal. Unique, not secret.
fn new_request_id() -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = fastrand::u128(..).to_ne_bytes();
    let digits = bytes
        .iter()
        .flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}
