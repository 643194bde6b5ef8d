//! `/ws`: a WebSocket that sends back what it gets (RFC 6455).

use std::io;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Body, Shared};

pub(super) fn accept(shared: &Arc<Shared>, mut request: Request<Incoming>) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(io::Error::other).boxed_unsync());
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        return response;
    };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64");
    let upgrade = hyper::upgrade::on(&mut request);
    let own = Arc::clone(shared);
    shared.tasks.spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            own.count(|counts| counts.tunnels += 1);
            let io = TokioIo::new(upgraded);
            echo(WebSocketStream::from_raw_socket(io, Role::Server, None).await).await;
            own.count(|counts| counts.tunnels -= 1);
        }
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

async fn echo<S>(mut socket: WebSocketStream<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = socket.next().await {
        let echoes = message.is_text() || message.is_binary();
        if echoes && socket.send(message).await.is_err() {
            return;
        }
    }
}
