//! An HTTP/2 client on hyper, over any socket.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tokio_util::task::TaskTracker;

use super::raw::{DEADLINE, Reply, Socket};

pub(crate) type Body = BoxBody<Bytes, std::convert::Infallible>;

/// One connection.
pub(crate) struct H2 {
    pub(crate) sender: SendRequest<Body>,
    /// Ends when the connection does.
    pub(crate) connection: AbortOnDropHandle<hyper::Result<()>>,
}

impl H2 {
    /// Begins to speak over `socket`.
    pub(crate) async fn over(socket: impl Socket + 'static) -> Self {
        let builder = http2::Builder::new(TokioExecutor::new());
        let handshake = timeout(DEADLINE, builder.handshake(TokioIo::new(socket)));
        let (sender, connection) = handshake.await.expect("in time").expect("a connection");
        let connection = AbortOnDropHandle::new(TaskTracker::new().spawn(connection));
        Self { sender, connection }
    }

    /// Sends `request` and waits for the head of the answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        timeout(DEADLINE, self.sender.send_request(request))
            .await
            .expect("an answer in time")
    }

    /// GET `path` with `headers`, and the whole answer.
    pub(crate) async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let response = self.send(get(path, headers)).await.expect("a response");
        let (parts, body) = response.into_parts();
        let body = timeout(DEADLINE, body.collect())
            .await
            .expect("in time")
            .expect("a body")
            .to_bytes();
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Reply {
            version: format!("{:?}", parts.version),
            status: parts.status.as_u16(),
            headers: parts
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            body: body.to_vec(),
            ..Reply::default()
        }
    }
}

/// A GET request for `gate.test`.
pub(crate) fn get(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get(format!("http://gate.test{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Empty::new().boxed()).expect("a request")
}

/// A POST request for `gate.test`.
pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request<Body> {
    let request = Request::post(format!("http://gate.test{path}"));
    request
        .body(Full::new(body.into()).boxed())
        .expect("a request")
}
