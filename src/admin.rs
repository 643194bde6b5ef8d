//! The admin listener: `/livez`, `/readyz`, `/metrics`, and the console. Never public.

mod console;
mod trick;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

pub use console::{
    Answer, Console, Explain, Payments, Question, Reload, RouteLine, Sources, Upstream,
};

pub(crate) use trick::is_trick;

use crate::auth::Keys;
use crate::clock::Clock;
use crate::reply::{self, Problem};
use crate::server::{Handler, Peer, Remains, RequestBody};
use crate::stop::Stop;
use crate::telemetry::Metrics;
use crate::telemetry::log::LogGuard;
use crate::types::Secret;

/// Where it listens, and who may act there.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address.
    pub address: SocketAddr,
    /// Who knows it may act in the console; `None`: nobody may.
    pub token: Option<Secret>,
    /// Names under which the console is asked for, beside `localhost` and addresses; in small letters.
    pub hosts: Vec<String>,
}

/// Answers probes, scrapes and operators.
pub struct Admin {
    /// Tokens' keys, where any route needs them.
    pub keys: Option<Arc<Keys>>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The public server's stop: while it drains, the process is not ready.
    pub stop: Stop,
    /// The clock, for error answers.
    pub clock: Arc<dyn Clock>,
    /// The log, where this process writes one.
    pub log: Option<Arc<LogGuard>>,
    /// Names under which the console is asked for, beside `localhost` and addresses.
    pub hosts: Vec<String>,
    /// Everything else.
    pub console: Console,
}

/// What `/readyz` says.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    keys: &'static str,
    draining: bool,
}

/// Whether this is a page for programs, which shows nothing of any customer.
fn is_for_programs(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

impl Admin {
    /// Whether the request names us as an operator would. A page in the browser of somebody who can reach the listener
    /// could otherwise read it under a name of its own (DNS rebinding). Programs that come over the network find it by
    /// whatever name they like, and those that name no host at all, as HTTP/1.0 allows, are no browsers.
    fn may_ask(&self, peer: &Peer, request: &Request<RequestBody>) -> bool {
        let is_remote = !peer.address.ip().to_canonical().is_loopback();
        let host = host(request).to_ascii_lowercase();
        if (is_remote || host.is_empty()) && is_for_programs(request.uri().path()) {
            return true;
        }
        host == "localhost"
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || self.hosts.contains(&host)
    }

    /// Why the request is not answered, if it is not.
    fn objection(&self, peer: &Peer, request: &Request<RequestBody>) -> Option<Problem> {
        // With two names nobody can say which one was asked for (RFC 9112, section 3.2).
        if request.headers().get_all(HOST).iter().nth(1).is_some() {
            return Some(Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_host",
                "The request has more than one Host header",
            ));
        }
        (!self.may_ask(peer, request)).then(|| {
            Problem::new(
                StatusCode::FORBIDDEN,
                "denied",
                "Ask by address, as localhost, or under a name in admin.hosts",
            )
        })
    }

    async fn answer(&self, peer: &Peer, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !is_for_programs(path) {
            return self.console.answer(peer, request).await;
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let problem = Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Only GET is allowed here",
            );
            let allow = HeaderValue::from_static("GET, HEAD");
            return self.refuse(problem.header(ALLOW, allow), path);
        }
        match path {
            "/livez" => reply::json(StatusCode::OK, &serde_json::json!({ "live": true })),
            "/readyz" => self.readiness(),
            _ => self.metrics(),
        }
    }

    fn refuse(&self, problem: Problem, path: &str) -> Response<Full<Bytes>> {
        problem.into_response(path, "", self.clock.unix_seconds())
    }

    fn readiness(&self) -> Response<Full<Bytes>> {
        let keys = match &self.keys {
            None => "not needed",
            Some(keys) if keys.health().is_some() => "good",
            Some(_) => "missing",
        };
        let draining = self.stop.is_draining();
        let ready = keys != "missing" && !draining;
        let status = if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        reply::json(
            status,
            &Readiness {
                ready,
                keys,
                draining,
            },
        )
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        if let Some(log) = &self.log {
            self.metrics.log_lines_dropped(log.dropped());
        }
        let age = self
            .keys
            .as_ref()
            .and_then(|keys| keys.health())
            .map(|health| health.age);
        let mut response = Response::new(Full::new(self.metrics.render(age).into()));
        let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        response
    }
}

impl Handler for Admin {
    type Body = Full<Bytes>;
    type Memory = ();

    async fn handle(
        self: Arc<Self>,
        peer: Arc<Peer>,
        _: Arc<()>,
        request: Request<RequestBody>,
    ) -> Response<Full<Bytes>> {
        match self.objection(&peer, &request) {
            None => self.answer(&peer, request).await,
            Some(problem) => self.refuse(problem, request.uri().path()),
        }
    }

    fn malformed(&self, _: &Peer, status: StatusCode, _: &Remains) -> Bytes {
        let reason = status.canonical_reason().unwrap_or("Error");
        format!(
            "HTTP/1.1 {} {reason}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            status.as_u16()
        )
        .into()
    }
}

/// The host that the request is for, without its port; empty where none is named.
fn host(request: &Request<RequestBody>) -> &str {
    let named = request.headers().get(HOST);
    let named = named.and_then(|host| host.to_str().ok());
    let named = named
        .or_else(|| request.uri().authority().map(http::uri::Authority::as_str))
        .unwrap_or_default();
    named
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(named, |(name, _)| name)
}
