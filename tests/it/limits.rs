//! What one client may cost.

use std::time::Duration;

use tokio::time::timeout;

use crate::gate::{World, request};
use crate::support::frame::{END_STREAM, HEADERS, PREFACE, frame, settings};
use crate::support::raw::Wire;

#[tokio::test]
async fn a_head_over_the_limit_is_a_431() {
    let world = World::with(|setup| setup.server("max_header_bytes: 8KiB")).await;
    let under = "x".repeat(6 * 1024);
    assert_eq!(
        world
            .gate
            .send("GET", "/pub/x", &[("X-Long", &under)], "")
            .await
            .status,
        200
    );
    let over = "x".repeat(12 * 1024);
    let reply = world
        .gate
        .send_raw(request("GET", "/pub/x", &[("X-Long", &over)], ""))
        .await;
    assert_eq!(reply.map(|reply| reply.status), Some(431));
    assert_eq!(world.backend.counts().requests, 1);
}

#[tokio::test]
async fn more_headers_than_the_limit_is_a_431() {
    let world = World::with(|setup| setup.server("max_headers: 20")).await;
    let many: Vec<(String, &str)> = (0..40).map(|n| (format!("X-{n}"), "1")).collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    assert_eq!(
        world
            .gate
            .send("GET", "/pub/x", &many[..10], "")
            .await
            .status,
        200
    );
    assert_eq!(
        world.gate.send("GET", "/pub/x", &many, "").await.status,
        431
    );
    assert_eq!(world.backend.counts().requests, 1);
}

#[tokio::test]
async fn a_target_over_the_limit_is_a_414_or_431() {
    let world = World::start().await;
    let long = format!("/pub/{}", "x".repeat(70 * 1024));
    let reply = world.gate.send_raw(request("GET", &long, &[], "")).await;
    assert!(matches!(reply.map(|reply| reply.status), Some(414 | 431)));
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn a_head_that_takes_too_long_ends_the_connection() {
    let world = World::with(|setup| setup.server("header_timeout: 2s")).await;
    let mut wire = world.gate.wire().await;
    wire.send("GET /pub/x HTTP/1.1\r\nHost: a\r\nX-Slow").await;
    match wire.try_reply(false).await {
        Ok(reply) => assert_eq!(reply.status, 408),
        Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::TimedOut, "still open"),
    }
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
}

#[tokio::test]
async fn a_head_over_http2_that_takes_too_long_ends_the_connection() {
    let world = World::with(|setup| {
        let strict = setup.server("header_timeout: 1s");
        strict.server("idle_timeout: 5m")
    })
    .await;
    let hello = [PREFACE, &settings(&[])].concat();
    let begun = frame(HEADERS, END_STREAM, 1, b"half");
    for bytes in [PREFACE.to_vec(), [&hello[..], &begun].concat()] {
        let mut wire = world.gate.wire().await;
        wire.send(bytes).await;
        while let Ok(1..) = wire
            .some()
            .await
            .inspect_err(is_no_silence)
            .map(|b| b.len())
        {}
    }
    let mut idle = world.gate.wire().await;
    idle.send(hello).await;
    idle.some().await.expect("a greeting");
    let ended = timeout(Duration::from_secs(3), async {
        while let Ok(1..) = idle.some().await.map(|bytes| bytes.len()) {}
    });
    assert!(ended.await.is_err(), "it has begun nothing");
}

/// The peer has ended the connection, and was not merely silent.
fn is_no_silence(error: &std::io::Error) {
    assert_ne!(error.kind(), std::io::ErrorKind::TimedOut, "still open");
}

#[tokio::test]
async fn an_idle_connection_ends_at_the_idle_timeout() {
    let world = World::with(|setup| setup.server("idle_timeout: 2s")).await;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", "/pub/x", &[], "")).await;
    assert_eq!(wire.reply().await.status, 200);
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn an_upload_that_stands_still_ends_at_the_idle_timeout() {
    let world = World::with(|setup| setup.server("idle_timeout: 2s")).await;
    let mut wire = world.gate.wire().await;
    wire.send("POST /pub/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this")
        .await;
    match wire.try_reply(false).await {
        Ok(reply) => assert_eq!(reply.status, 408),
        Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::TimedOut, "still open"),
    }
    world
        .backend
        .until("the end of it", |counts| counts.aborted >= 1)
        .await;
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let world = World::with(|setup| setup.server("max_connections: 2").server("workers: 1")).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut wire = world.gate.wire().await;
        wire.send(request("GET", "/pub/x", &[], "")).await;
        assert_eq!(wire.reply().await.status, 200);
        held.push(wire);
    }
    let mut third = world.gate.wire().await;
    third.send(request("GET", "/pub/third", &[], "")).await;
    let early = timeout(Duration::from_millis(300), third.reply()).await;
    assert!(early.is_err(), "{early:?}");
    held.pop();
    assert_eq!(third.reply().await.json()["target"], "/pub/third");
}

#[tokio::test]
async fn a_tls_handshake_that_takes_too_long_ends_the_connection() {
    let certificate = crate::gate::Certificate::new();
    let world =
        World::with(|setup| setup.tls(&certificate).server("handshake_timeout: 500ms")).await;
    let mut silent = Wire::connect(world.gate.tls.expect("TLS")).await;
    assert!(silent.is_closed().await);
}

#[tokio::test]
async fn garbage_is_answered_with_a_400_or_not_at_all() {
    let world = World::start().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\r\n\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        &[0; 64],
    ] {
        let mut wire = world.gate.wire().await;
        wire.try_send(bytes).await.expect("sent");
        wire.try_send(b"\r\n\r\n").await.ok();
        if let Ok(Ok(reply)) = timeout(Duration::from_secs(1), wire.try_reply(false)).await {
            assert!((400..600).contains(&reply.status), "{reply:?}");
        }
    }
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
}

#[tokio::test]
async fn many_requests_on_one_connection_pass() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    let batch: String = (0..50)
        .map(|n| request("GET", &format!("/pub/{n}"), &[], ""))
        .collect();
    wire.send(batch).await;
    for n in 0..50 {
        assert_eq!(wire.reply().await.json()["target"], format!("/pub/{n}"));
    }
}
