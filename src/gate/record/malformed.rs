//! Answers to bytes that are no request.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::super::{Cors, Origins, Shared, cors, header_value};
use super::{NO_ROUTE, REQUEST_ID, new_request_id};
use crate::reply::Problem;
use crate::server::{Peer, Remains};
use crate::telemetry::RequestLabels;
use crate::telemetry::log::ACCESS;

/// A whole HTTP/1.1 answer to bytes that are no request; it is logged and counted like any other.
pub(in crate::gate) fn malformed(
    shared: &Shared,
    peer: &Peer,
    status: StatusCode,
    remains: &Remains,
) -> Bytes {
    let problem = problem(status);
    let path = remains.unverified_path.as_str();
    let request_id = new_request_id();
    let labels = RequestLabels {
        route: NO_ROUTE,
        method: &Method::GET,
        status,
        decision: "refuse",
    };
    shared.metrics.request(labels, Duration::ZERO);
    tracing::info!(
        target: ACCESS,
        {
            request.id = request_id,
            client.address = peer.text(),
            http.path = Some(path).filter(|path| !path.is_empty()),
            http.status = status.as_u16(),
            decision = "refuse",
            reason = problem.code
        },
        "request"
    );
    let body = problem.to_json(path, &request_id, shared.clock.unix_seconds());
    let now = std::time::UNIX_EPOCH + shared.clock.since_epoch();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REQUEST_ID, header_value(request_id));
    headers.insert(CONTENT_LENGTH, body.len().into());
    headers.insert(DATE, header_value(httpdate::fmt_http_date(now)));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let rules = shared.rules.load();
    let cors = rules.config.cors.as_ref();
    let origin = remains.unverified_origin.as_ref();
    cors::decorate(cors, origin.or_else(|| only_origin(cors?)), &mut headers);
    [head(status, &headers), body].concat().into()
}

fn problem(status: StatusCode) -> Problem {
    let (code, text) = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("headers_too_large", "The request's header is too large")
        }
        StatusCode::URI_TOO_LONG => ("uri_too_long", "The request's target is too long"),
        StatusCode::REQUEST_TIMEOUT => ("request_timeout", "The request did not arrive in time"),
        _ => ("bad_request", "This is not a well-formed HTTP request"),
    };
    Problem::new(status, code, text)
}

/// Whose page it must be, if any, where the request's own origin was not read.
fn only_origin(cors: &Cors) -> Option<&HeaderValue> {
    match &cors.origins {
        Origins::List(list) if list.len() == 1 => list.first(),
        Origins::List(_) | Origins::Any => None,
    }
}

fn head(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}
