//! Upgrades: a tunnel only after the backend has answered 101.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::gate::{Gate, World};
use crate::support::backend::scripted::Scripted;
use crate::support::raw::DEADLINE;

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Asks for a WebSocket at `path`.
pub(crate) async fn open(world: &World, path: &str, token: Option<&str>) -> Result<Socket, Error> {
    open_on(&world.gate, path, token).await
}

/// Asks `gate` for a WebSocket at `path`.
pub(crate) async fn open_on(gate: &Gate, path: &str, token: Option<&str>) -> Result<Socket, Error> {
    let mut request = http::Request::get(format!("ws://gate.test{path}"))
        .header("Host", "gate.test")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let socket = TcpStream::connect(gate.address).await.map_err(Error::Io)?;
    let request = request.body(()).expect("a request");
    timeout(DEADLINE, client_async(request, socket))
        .await
        .expect("in time")
        .map(|(socket, _)| socket)
}

/// Whether `text` comes back through the tunnel.
pub(crate) async fn echoes(socket: &mut Socket, text: &str) -> bool {
    socket.send(Message::text(text)).await.is_ok()
        && matches!(timeout(DEADLINE, socket.next()).await, Ok(Some(Ok(Message::Text(got)))) if got == text)
}

/// The status of the answer to [`open`].
pub(crate) fn status(refused: Result<Socket, Error>) -> u16 {
    match refused {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => unreachable!("{other}"),
        Ok(_) => 101,
    }
}

#[tokio::test]
async fn a_websocket_tunnels_both_ways() {
    let world = World::start().await;
    let mut socket = open(&world, "/pub/ws", None).await.expect("a tunnel");
    assert!(echoes(&mut socket, "hello").await);
    let large = Message::binary(vec![7; 1 << 20]);
    socket.send(large.clone()).await.expect("sent");
    assert_eq!(
        timeout(DEADLINE, socket.next())
            .await
            .expect("in time")
            .expect("more")
            .expect("a message"),
        large
    );
}

#[tokio::test]
async fn a_websocket_is_refused_before_the_upgrade() {
    let world = World::start().await;
    assert_eq!(status(open(&world, "/me/ws", None).await), 401);
    assert_eq!(
        status(open(&world, "/admin/ws", Some(&world.auth0.token("u", &[]))).await),
        403
    );
    assert_eq!(world.backend.counts().requests, 0);
    let token = world.auth0.token("auth0|1", &["access:admin-panel"]);
    let mut socket = open(&world, "/admin/ws", Some(&token))
        .await
        .expect("a tunnel");
    assert!(echoes(&mut socket, "in").await);
    assert_eq!(
        world.backend.last().header("x-auth-subject"),
        Some("auth0|1")
    );
}

#[tokio::test]
async fn either_side_that_closes_ends_the_tunnel() {
    let world = World::start().await;
    let socket = open(&world, "/pub/ws", None).await.expect("a tunnel");
    world
        .backend
        .until("the tunnel", |counts| counts.tunnels == 1)
        .await;
    drop(socket);
    world
        .backend
        .until("its end", |counts| counts.tunnels == 0)
        .await;
}

#[tokio::test]
async fn there_is_no_tunnel_when_the_backend_answers_200() {
    let backend =
        Scripted::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    assert_eq!(status(open(&world, "/pub/ws", None).await), 200);
    // What follows on the connection is a request like any other, and is judged.
    let mut wire = world.gate.wire().await;
    let upgrade = "GET /pub/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    wire.send(format!("{upgrade}GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"))
        .await;
    assert_eq!(wire.reply().await.status, 200);
    if let Ok(second) = wire.try_reply(false).await {
        assert_eq!(second.status, 401);
    }
    assert!(
        backend
            .received()
            .iter()
            .all(|head| !head.contains("/admin"))
    );
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_a_bad_gateway() {
    let backend = Scripted::answering(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    );
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    assert_eq!(world.gate.get("/pub/x").await.status, 502);
}

#[tokio::test]
async fn a_websocket_outlives_the_response_timeout_and_ends_at_the_idle_timeout() {
    let world = World::with(|setup| {
        setup
            .upstream("response_timeout: 1s")
            .upstream("idle_timeout: 4s")
    })
    .await;
    let mut socket = open(&world, "/pub/ws", None).await.expect("a tunnel");
    let silence = timeout(Duration::from_millis(1500), socket.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert!(echoes(&mut socket, "still here").await);
    let end = timeout(DEADLINE, socket.next())
        .await
        .expect("the idle timeout");
    assert!(
        !matches!(end, Some(Ok(Message::Text(_) | Message::Binary(_)))),
        "{end:?}"
    );
    world
        .backend
        .until("its end", |counts| counts.tunnels == 0)
        .await;
}

#[tokio::test]
async fn a_tunnel_ends_soon_after_its_token() {
    let world = World::with(|setup| setup.auth0("leeway: 0s")).await;
    let draft = world
        .auth0
        .draft("u", &[])
        .claim("exp", crate::support::token::now() + 6);
    let mut socket = open(&world, "/me/ws", Some(&world.auth0.sign(&draft)))
        .await
        .expect("a tunnel");
    assert!(echoes(&mut socket, "while it lasts").await);
    let end = timeout(DEADLINE, socket.next())
        .await
        .expect("the token has expired");
    assert!(
        !matches!(end, Some(Ok(Message::Text(_) | Message::Binary(_)))),
        "{end:?}"
    );
}

#[tokio::test]
async fn h2c_by_upgrade_is_not_tunnelled() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    let upgrade = "GET /pub/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    wire.send(upgrade).await;
    assert_eq!(wire.reply().await.status, 200);
    assert_eq!(world.backend.last().header("http2-settings"), None);
}
