//! Ways in which an answer can go wrong.

use std::convert::Infallible;
use std::future::pending;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use super::Body;

/// A fault, in force until it is mended.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The connection ends without an answer.
    Cut,
    /// This status, with an HTML page.
    Status(u16),
    /// No answer ever comes.
    Hang,
    /// A head, the beginning of a body, and no more.
    Stall,
    /// This body, status 200.
    Body(String),
    /// A body that never ends.
    Endless,
}

impl Fault {
    /// The answer; `None` cuts the connection.
    pub(super) async fn answer(self) -> Option<Response<Body>> {
        match self {
            Self::Cut => None,
            Self::Status(status) => {
                let mut response = Response::new(full("<html><h1>Oops</h1></html>"));
                *response.status_mut() = StatusCode::from_u16(status).expect("a status");
                Some(response)
            }
            Self::Hang => pending().await,
            Self::Stall => {
                let start =
                    stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("{\"keys\":[")))]);
                Some(Response::new(BodyExt::boxed(StreamBody::new(
                    start.chain(stream::pending()),
                ))))
            }
            Self::Body(text) => Some(Response::new(full(text))),
            Self::Endless => {
                let chunk = Bytes::from(vec![b' '; 64 * 1024]);
                let chunks =
                    stream::repeat_with(move || Ok::<_, Infallible>(Frame::data(chunk.clone())));
                Some(Response::new(BodyExt::boxed(StreamBody::new(chunks))))
            }
        }
    }
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}
