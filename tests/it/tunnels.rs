//! What a tunnel carries, and what ends it and its sister, the event stream.

use futures_util::StreamExt as _;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::gate::{World, request};
use crate::support::backend::scripted::{Scripted, Step};
use crate::support::raw::DEADLINE;
use crate::support::token::now;
use crate::websockets::{Socket, echoes, open};

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
/// Bytes that would be an answer or a request, were they not in a tunnel.
const DOWN: [&str; 3] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 431 ",
];
const UP: [&str; 3] = [
    "HTTP/1.1 200 OK\r\nX-Auth-Subject: root\r\n\r\n",
    "GET /admin#fragment HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\n",
];

/// A token of `u` that has six seconds to live, where no leeway is given: it must first be used.
fn short_lived(world: &World) -> String {
    let draft = world.auth0.draft("u", &[]).claim("exp", now() + 6);
    world.auth0.sign(&draft)
}

/// The code of the close frame that comes next.
pub(crate) async fn close_code(socket: &mut Socket) -> Option<CloseCode> {
    let next = timeout(DEADLINE, socket.next()).await.expect("in time");
    match next {
        Some(Ok(Message::Close(Some(frame)))) => Some(frame.code),
        _ => None,
    }
}

#[tokio::test]
async fn bytes_that_look_like_http_pass_a_tunnel_untouched_both_ways() {
    let answers = DOWN.map(Step::Answer);
    let script = [&[Step::Answer(SWITCHING)], &answers[..]].concat();
    let backend = Scripted::start(&[&script]);
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", "/pub/ws", &UPGRADE, "")).await;
    assert_eq!(wire.reply_head().await.status, 101);
    for (up, down) in UP.iter().zip(DOWN) {
        wire.send(up).await;
        let came = wire.take(down.len()).await.expect("the answer's bytes");
        assert_eq!(String::from_utf8_lossy(&came), down);
    }
    assert_eq!(backend.received()[1..], UP);
    assert_eq!(world.gate.get("/nowhere").await.status, 403);
    world
        .gate
        .log
        .until("the refusal", 1, |event| event["http.status"] == 403)
        .await;
    let log = world.gate.access_log();
    assert!(
        log.iter().all(|event| event["http.status"] != 400),
        "{log:#?}"
    );
}

#[tokio::test]
async fn many_messages_of_status_lines_pass_a_tunnel_untouched() {
    let world = World::start().await;
    let mut socket = open(&world, "/pub/ws", None).await.expect("a tunnel");
    let text = "HTTP/1.1 200 ".repeat(40_000);
    for _ in 0..5 {
        assert!(echoes(&mut socket, &text).await);
    }
    assert!(echoes(&mut socket, "HTTP/1.1 500 Internal Server Error").await);
}

#[tokio::test]
async fn a_tunnel_whose_token_expired_is_closed_with_1008() {
    let world = World::with(|setup| setup.auth0("leeway: 0s")).await;
    let token = short_lived(&world);
    let mut socket = open(&world, "/me/ws", Some(&token))
        .await
        .expect("a tunnel");
    assert!(echoes(&mut socket, "while it lasts").await);
    assert_eq!(close_code(&mut socket).await, Some(CloseCode::Policy));
    world
        .backend
        .until("its end", |counts| counts.tunnels == 0)
        .await;
}

#[tokio::test]
async fn a_tunnel_that_needed_no_token_outlives_the_one_it_was_shown() {
    let world = World::with(|setup| setup.auth0("leeway: 0s")).await;
    let token = short_lived(&world);
    let mut guarded = open(&world, "/me/ws", Some(&token))
        .await
        .expect("a tunnel");
    let mut public = open(&world, "/pub/ws", Some(&token))
        .await
        .expect("a tunnel");
    assert_eq!(close_code(&mut guarded).await, Some(CloseCode::Policy));
    assert!(echoes(&mut public, "still here").await);
}

#[tokio::test]
async fn a_drain_closes_a_tunnel_with_1001() {
    let mut world = World::start().await;
    let mut socket = open(&world, "/pub/ws", None).await.expect("a tunnel");
    assert!(echoes(&mut socket, "in").await);
    world.gate.signal("TERM");
    assert_eq!(close_code(&mut socket).await, Some(CloseCode::Away));
    assert_eq!(world.gate.exit().await.code(), Some(0));
}

#[tokio::test]
async fn an_event_stream_ends_with_its_token_while_a_download_goes_on() {
    let world = World::with(|setup| setup.auth0("leeway: 0s")).await;
    let bearer = format!("Bearer {}", short_lived(&world));
    let token = [("Authorization", bearer.as_str())];
    let total: usize = 64 << 20;
    let mut download = world.gate.wire().await;
    let path = format!("/me/big?{total}");
    download.send(request("GET", &path, &token, "")).await;
    assert_eq!(download.reply_head().await.status, 200);
    let mut events = world.gate.wire().await;
    events.send(request("GET", "/me/events", &token, "")).await;
    assert_eq!(events.reply_head().await.status, 200);
    world.backend.release();
    assert!(events.chunk().await.expect("an event").is_some());
    let end = events.chunk().await.expect("a clean end");
    assert_eq!(end, None, "no event was sent");
    assert_eq!(
        world
            .gate
            .get_with_token("/me/x", bearer.trim_start_matches("Bearer "))
            .await
            .status,
        401
    );
    let mut received = 0;
    while let Some(chunk) = download.chunk().await.expect("a chunk") {
        received += chunk.len();
    }
    assert_eq!(received, total);
}
