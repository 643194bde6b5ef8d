//! One handler for each last segment of a path; every other one is echoed.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};

use super::{Body, Seen, Shared, websocket};

type Incomer = Request<Incoming>;

/// Counts a request that its client broke off: it is armed until the handler is done.
struct Abort<'a>(Option<&'a Shared>);

impl Drop for Abort<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.count(|counts| counts.aborted += 1);
        }
    }
}

/// Counts an answer whose reader went away: it is armed until the answer's end.
struct Reader(Option<Arc<Shared>>);

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.count(|counts| counts.aborted += 1);
        }
    }
}

pub(super) async fn answer(
    shared: Arc<Shared>,
    request: Incomer,
) -> Result<Response<Body>, Infallible> {
    shared.note(seen(&request));
    let mut abort = Abort(Some(&shared));
    let response = route(&shared, request).await;
    abort.0 = None;
    drop(abort);
    Ok(response)
}

async fn route(shared: &Arc<Shared>, request: Incomer) -> Response<Body> {
    let (path, query) = (request.uri().path().to_owned(), query(&request));
    match path.rsplit('/').next().unwrap_or_default() {
        "hold" | "upload" => {
            shared.step().await;
            echo(shared, request).await
        }
        "events" => events(shared),
        "big" => big(shared, query),
        "trailers" => trailers(),
        "early" => plain(StatusCode::OK, "not read"),
        "status" => status(query),
        "headers" => response_headers(&request),
        "ws" => websocket::accept(shared, request),
        "close" => {
            let mut response = plain(StatusCode::OK, "bye");
            let close = HeaderValue::from_static("close");
            response
                .headers_mut()
                .insert(http::header::CONNECTION, close);
            response
        }
        _ => echo(shared, request).await,
    }
}

/// What the client sent, as JSON.
async fn echo(shared: &Shared, request: Incomer) -> Response<Body> {
    let seen = seen(&request);
    let mut body = request.into_body();
    let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(chunk)) => {
                shared.count(|counts| counts.consumed += chunk.len());
                data.extend(chunk);
            }
            Ok(Err(frame)) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            Err(_) => {
                shared.count(|counts| counts.aborted += 1);
                break;
            }
        }
    }
    let text = if data.len() < 4096 {
        String::from_utf8_lossy(&data).into_owned()
    } else {
        String::new()
    };
    json_response(&json!({
        "method": seen.method, "target": seen.target, "version": format!("{:?}", seen.version),
        "headers": seen.headers, "length": data.len(), "body": text, "trailers": fields(&trailers),
    }))
}

/// A server-sent event for each step that the test allows.
fn events(shared: &Arc<Shared>) -> Response<Body> {
    let (own, reader) = (Arc::clone(shared), Reader(Some(Arc::clone(shared))));
    let events = stream::unfold((reader, own, 1_u32), |(reader, own, number)| async move {
        own.step().await;
        let event = Bytes::from(format!("data: {number}\n\n"));
        Some((Ok(Frame::data(event)), (reader, own, number + 1)))
    });
    let mut response = Response::new(StreamBody::new(events).boxed_unsync());
    let kind = HeaderValue::from_static("text/event-stream");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    response
}

/// `query` bytes, in pieces of 16 KiB, counted as they are taken.
fn big(shared: &Arc<Shared>, query: usize) -> Response<Body> {
    let (own, reader) = (Arc::clone(shared), Reader(Some(Arc::clone(shared))));
    let pieces = stream::unfold((reader, own, query), |(mut reader, own, left)| async move {
        if left == 0 {
            reader.0.take();
            return None;
        }
        let piece = left.min(16 * 1024);
        own.count(|counts| counts.produced += piece);
        Some((
            Ok(Frame::data(Bytes::from(vec![b'x'; piece]))),
            (reader, own, left - piece),
        ))
    });
    Response::new(StreamBody::new(pieces).boxed_unsync())
}

/// Two chunks and a trailer.
fn trailers() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("abc"));
    let frames = [
        Ok(Frame::data(Bytes::from("one "))),
        Ok(Frame::data(Bytes::from("two"))),
        Ok(Frame::trailers(trailers)),
    ];
    let mut response = Response::new(StreamBody::new(stream::iter(frames).fuse()).boxed_unsync());
    let announced = HeaderValue::from_static("x-checksum");
    response
        .headers_mut()
        .insert(http::header::TRAILER, announced);
    response
}

/// The status that the query names, with a body where one may be.
fn status(query: usize) -> Response<Body> {
    let code = u16::try_from(query)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    let code = code.unwrap_or(StatusCode::BAD_REQUEST);
    if matches!(code, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        let mut response = Response::new(Empty::new().map_err(io::Error::other).boxed_unsync());
        *response.status_mut() = code;
        return response;
    }
    plain(code, "from the backend")
}

/// Answers with the headers that the client asked for in `X-Answer: name=value`.
fn response_headers(request: &Incomer) -> Response<Body> {
    let mut response = plain(StatusCode::OK, "with headers");
    for wanted in request.headers().get_all("x-answer") {
        let pair = wanted.to_str().ok().and_then(|text| text.split_once('='));
        if let Some((name, value)) = pair {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            let value = HeaderValue::from_str(value).expect("a header value");
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn seen(request: &Incomer) -> Seen {
    Seen {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        version: request.version(),
        headers: fields(request.headers()),
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

/// The query, which is a number.
fn query(request: &Incomer) -> usize {
    request
        .uri()
        .query()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response
}

fn json_response(value: &Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    let json = HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    response
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into())
        .map_err(io::Error::other)
        .boxed_unsync()
}
