//! Where the browser comes back to after a payment: a page instead of your frontend.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::support::net::{Listening, Reserved};

/// The frontend.
pub(crate) struct Frontend(Listening);

impl Frontend {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self(Listening::start(Reserved::any().listen(), serve))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }
}

async fn serve(stream: TcpStream) {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request)));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    let told = if query.contains("payment=success") {
        "Thank you. Ask for the premium route again, with the token you have."
    } else {
        "Nothing was paid."
    };
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Frontend</title>\
         <body style=\"font-family: sans-serif; max-width: 30em; margin: 3em auto\">\
         <h1>Back at the frontend</h1><p>{told}</p></body></html>"
    );
    let mut response = Response::new(Full::from(html));
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
