//! Answers that Tollgate makes itself: one JSON shape for every error.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

/// An error answer, before it is known which request it belongs to.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// One word for programs.
    pub code: &'static str,
    /// One sentence for people.
    pub detail: String,
    /// The permissions that are missing (`scope` of RFC 6750, section 3).
    pub scope: Option<String>,
    /// The plans on sale that bring them.
    pub upgrade: Vec<String>,
    /// Further header fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// The error shape that the frontend reads: `error`, `detail` and `message` carry one sentence.
#[derive(Serialize)]
struct Envelope<'a> {
    error: &'a str,
    detail: &'a str,
    message: &'a str,
    status_code: u16,
    timestamp: String,
    path: &'a str,
    code: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    upgrade: &'a [String],
}

impl Problem {
    /// A problem with no more than a status, a word and a sentence.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            scope: None,
            upgrade: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer to the request `request_id` for `path`, at `seconds` since the Unix epoch.
    #[must_use]
    pub fn into_response(
        self,
        path: &str,
        request_id: &str,
        seconds: i64,
    ) -> Response<Full<Bytes>> {
        let mut response = json_response(self.status, self.to_json(path, request_id, seconds));
        response.headers_mut().extend(self.headers);
        response
    }

    /// The body of that answer.
    #[must_use]
    pub fn to_json(&self, path: &str, request_id: &str, seconds: i64) -> Vec<u8> {
        let envelope = Envelope {
            error: &self.detail,
            detail: &self.detail,
            message: &self.detail,
            status_code: self.status.as_u16(),
            timestamp: timestamp(seconds),
            path,
            code: self.code,
            request_id,
            scope: self.scope.as_deref(),
            upgrade: &self.upgrade,
        };
        serialise(&envelope)
    }
}

/// A JSON answer that no cache may keep.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    json_response(status, serialise(body))
}

fn serialise(body: &impl Serialize) -> Vec<u8> {
    // Our own shapes are maps with text keys, which always serialise.
    serde_json::to_vec(body).unwrap_or_default()
}

fn json_response(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// ISO 8601 in UTC, `2026-11-23T04:31:00Z`.
#[must_use]
pub fn timestamp(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[test]
    fn every_error_has_the_shape_that_the_frontend_reads() {
        let problem = Problem::new(StatusCode::NOT_FOUND, "not_found", "No such thing");
        let response = problem.into_response("/x", "id-1", 1_700_000_000);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let body = runtime
            .block_on(response.into_body().collect())
            .unwrap()
            .to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "error": "No such thing", "detail": "No such thing", "message": "No such thing", "status_code": 404,
            "timestamp": "2023-11-14T22:13:20Z", "path": "/x", "code": "not_found", "request_id": "id-1",
        });
        assert_eq!(body, expected);
    }
}
