//! A Stripe that says what a test tells it to, on a real socket, and keeps what it was asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tollgate::stripe::{Client, Config};
use tollgate::telemetry::Metrics;
use tollgate::types::Secret;

use crate::support::net::{Listening, Reserved};

/// The key that must show up nowhere but in the header.
pub(super) const KEY: &str = "sk_test_51hidden";

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    /// The query, or, of a POST, the body.
    pub(super) form: String,
    /// What a POST has no business to have, or a GET.
    pub(super) other: String,
    pub(super) headers: HeaderMap,
}

/// What to say.
#[derive(Clone, Debug)]
pub(super) enum Say {
    /// This status, these headers, this body.
    Json(u16, Vec<(&'static str, &'static str)>, Value),
    /// A body that is no JSON.
    Text(u16, String),
    /// Nothing, ever.
    Hang,
    /// Nothing: the connection closes.
    Cut,
    /// The head and half of the body, then the connection closes.
    CutBody,
    /// Five MiB of white space before the object.
    Giant,
}

/// The server.
pub(super) struct Stripe {
    listening: Listening,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stripe {
    /// Answers each request by `answer`, which is told how many came before.
    pub(super) fn start(answer: impl Fn(&Asked, usize) -> Say + Send + Sync + 'static) -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        let serve = move |stream| serve(stream, Arc::clone(&log), Arc::clone(&answer));
        Self {
            listening: Listening::start(Reserved::any().listen(), serve),
            asked,
        }
    }

    /// Says these one after the other, the last again and again.
    pub(super) fn saying(script: Vec<Say>) -> Self {
        Self::start(move |_, count| script[count.min(script.len() - 1)].clone())
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.listening.address)
    }

    /// What was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }

    /// A client of it that tries `retries` more times and hardly waits in between.
    pub(super) fn client(&self, retries: u32) -> Client {
        self.patient(retries, Duration::from_secs(5)).0
    }

    /// A client of it, with its deadline, and its metrics.
    pub(super) fn patient(&self, retries: u32, timeout: Duration) -> (Client, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let config = Config {
            url: self.url(),
            secret_key: Secret::new(KEY.to_owned()),
            timeout,
            retries,
        };
        let client = Client::new(config, Arc::clone(&metrics)).expect("a client");
        (client.with_backoff(Duration::from_millis(1)), metrics)
    }
}

/// 200 with this object.
pub(super) fn ok(object: Value) -> Say {
    Say::Json(200, vec![("request-id", "req_good")], object)
}

/// An error as Stripe writes them.
pub(super) fn refused(status: u16, error: Value) -> Say {
    let headers = vec![("request-id", "req_bad")];
    let body = [("error".to_owned(), error)];
    Say::Json(status, headers, Value::from_iter(body))
}

/// An error with these headers.
pub(super) fn refused_with(status: u16, headers: &[(&'static str, &'static str)]) -> Say {
    let error =
        json!({ "error": { "type": "api_error", "message": format!("not for eyes: {KEY}") } });
    Say::Json(status, headers.to_vec(), error)
}

/// No such object.
pub(super) fn missing() -> Say {
    let error = json!({
        "type": "invalid_request_error", "code": "resource_missing", "param": "id", "message": "No such thing"
    });
    refused(404, error)
}

/// A page of a list.
pub(super) fn page(data: &[Value], has_more: bool) -> Say {
    ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": "/v1/x" }))
}

impl Asked {
    /// The value of the header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

async fn serve<A>(stream: TcpStream, log: Arc<Mutex<Vec<Asked>>>, answer: Arc<A>)
where
    A: Fn(&Asked, usize) -> Say,
{
    let service = service_fn(|request| respond(request, &log, &*answer));
    let builder = hyper::server::conn::http1::Builder::new();
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    request: Request<Incoming>,
    log: &Mutex<Vec<Asked>>,
    answer: &impl Fn(&Asked, usize) -> Say,
) -> Result<Response<Body>, std::io::Error> {
    let asked = read(request).await;
    let count = {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(asked.clone());
        log.len() - 1
    };
    match answer(&asked, count) {
        Say::Json(status, headers, body) => {
            let mut response = Response::new(full(body.to_string()));
            *response.status_mut() = status.try_into().expect("a status");
            for (name, value) in headers {
                let value = http::HeaderValue::from_static(value);
                response.headers_mut().insert(name, value);
            }
            Ok(response)
        }
        Say::Text(status, body) => {
            let mut response = Response::new(full(body));
            *response.status_mut() = status.try_into().expect("a status");
            Ok(response)
        }
        Say::Hang => std::future::pending().await,
        Say::Cut => Err(std::io::Error::other("cut")),
        Say::CutBody => {
            let half = Ok(Frame::data(Bytes::from_static(b"{\"id\":\"cus_1\",")));
            let frames = stream::iter([half, Err(std::io::Error::other("cut"))]);
            Ok(Response::new(StreamBody::new(frames).boxed_unsync()))
        }
        Say::Giant => {
            let body = format!("{}{}", " ".repeat(5 << 20), json!({ "id": "cus_1" }));
            Ok(Response::new(full(body)))
        }
    }
}

async fn read(request: Request<Incoming>) -> Asked {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole request").to_bytes();
    let body = String::from_utf8(body.to_vec()).expect("text");
    let query = head.uri.query().unwrap_or_default().to_owned();
    let is_post = head.method == http::Method::POST;
    let (form, other) = if is_post {
        (body, query)
    } else {
        (query, body)
    };
    Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        form,
        other,
        headers: head.headers,
    }
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text))
        .map_err(|never| match never {})
        .boxed_unsync()
}
