//! Uploads that are refused before they are sent: the answer reaches clients that look for it only afterwards.

use std::time::Duration;

use tokio::time::{interval, timeout};

use crate::gate::{Certificate, World};
use crate::support::raw::{DEADLINE, Wire};

/// More than the kernel's buffers hold on the way.
const UPLOAD: usize = 3 << 20;
const BLOCK: &[u8] = &[b'x'; 16 << 10];
const GUARDED: &str = "POST /me/x HTTP/1.1\r\nHost: gate.test\r\n";

/// Sends the whole request, then reads the answer: its status.
async fn upload(mut wire: Wire, head: &str) -> u16 {
    wire.send(format!("{head}Content-Length: {UPLOAD}\r\n\r\n"))
        .await;
    for _ in 0..UPLOAD / BLOCK.len() {
        wire.send(BLOCK).await;
    }
    let reply = wire.reply().await;
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(wire.is_closed().await);
    reply.status
}

#[tokio::test]
async fn an_upload_that_is_refused_early_gets_its_answer_each_time() {
    let world = World::with(|setup| setup.server("max_body: 1MiB")).await;
    for round in 0..20 {
        let status = upload(world.gate.wire().await, GUARDED).await;
        assert_eq!(status, 401, "round {round}");
        let open = GUARDED.replace("/me/", "/pub/");
        let status = upload(world.gate.wire().await, &open).await;
        assert_eq!(status, 413, "round {round}");
    }
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn an_upload_that_is_refused_early_gets_its_answer_over_tls_too() {
    let certificate = Certificate::new();
    let world = World::with(|setup| setup.tls(&certificate)).await;
    for round in 0..5 {
        let socket = world.gate.tls(&certificate, &["http/1.1"]).await;
        let status = upload(Wire::over(socket.expect("TLS")), GUARDED).await;
        assert_eq!(status, 401, "round {round}");
    }
}

#[tokio::test]
async fn a_head_that_is_refused_in_its_middle_gets_its_answer_each_time() {
    let world = World::start().await;
    let long = "x".repeat(UPLOAD);
    for round in 0..20 {
        let mut wire = world.gate.wire().await;
        wire.send(format!(
            "GET /pub/x HTTP/1.1\r\nHost: gate.test\r\nX-Long: {long}\r\n\r\n"
        ))
        .await;
        assert_eq!(wire.reply().await.status, 431, "round {round}");
    }
}

#[tokio::test]
async fn a_client_that_never_stops_sending_is_cut_off() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    wire.send(format!("{GUARDED}Content-Length: {}\r\n\r\n", u32::MAX))
        .await;
    assert_eq!(wire.reply().await.status, 401);
    let flood = timeout(DEADLINE, async {
        while wire.try_send(BLOCK).await.is_ok() {}
    });
    flood.await.expect("it is cut off");
}

#[tokio::test]
async fn a_client_that_sends_a_little_for_ever_is_cut_off() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    wire.send(format!("{GUARDED}Content-Length: {}\r\n\r\n", u32::MAX))
        .await;
    assert_eq!(wire.reply().await.status, 401);
    let mut pace = interval(Duration::from_millis(50));
    let trickle = timeout(DEADLINE, async {
        while wire.try_send("x").await.is_ok() {
            pace.tick().await;
        }
    });
    trickle.await.expect("it is cut off");
}
