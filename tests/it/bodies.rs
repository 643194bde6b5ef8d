//! Bodies: streamed, bounded, framed right; and what becomes of them when one side goes away.

mod refused;

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::errors::assert_error;
use crate::gate::{World, request};
use crate::support::backend::echoed;
use crate::support::backend::scripted::Scripted;
use crate::support::raw::Wire;

#[tokio::test]
async fn a_body_with_a_length_passes() {
    let world = World::start().await;
    let reply = world
        .gate
        .send("POST", "/pub/x", &[("Content-Type", "text/plain")], "hello")
        .await;
    assert_eq!(
        (
            reply.json()["body"].as_str(),
            reply.json()["method"].as_str()
        ),
        (Some("hello"), Some("POST"))
    );
    assert_eq!(echoed(&reply.json(), "headers", "content-length"), ["5"]);
}

#[tokio::test]
async fn a_chunked_body_and_its_trailers_pass() {
    let world = World::start().await;
    let head = "POST /pub/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nTE: trailers\r\n\r\n";
    let reply = world
        .gate
        .send_raw(format!(
            "{head}2\r\nab\r\n3;ext=1\r\ncde\r\n0\r\nX-Sum: 5\r\n\r\n"
        ))
        .await;
    let echo = reply.expect("an answer").json();
    assert_eq!(echo["body"], "abcde");
    assert_eq!(echoed(&echo, "trailers", "x-sum"), ["5"]);
}

#[tokio::test]
async fn an_empty_chunked_body_and_length_zero_pass() {
    let world = World::start().await;
    let chunked = "POST /pub/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(
        world
            .gate
            .send_raw(chunked)
            .await
            .expect("an answer")
            .json()["length"],
        0
    );
    let zero = "POST /pub/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        world.gate.send_raw(zero).await.expect("an answer").json()["length"],
        0
    );
    assert_eq!(world.backend.last().header("content-length"), Some("0"));
}

#[tokio::test]
async fn trailers_of_an_answer_pass() {
    let world = World::start().await;
    let reply = world
        .gate
        .send("GET", "/pub/trailers", &[("TE", "trailers")], "")
        .await;
    assert_eq!(reply.text(), "one two");
    assert_eq!(
        reply.trailers,
        [("x-checksum".to_owned(), "abc".to_owned())]
    );
}

#[tokio::test]
async fn head_204_and_304_have_no_body_and_the_connection_goes_on() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    for (path, status) in [("/pub/status?204", 204), ("/pub/status?304", 304)] {
        wire.send(request("GET", path, &[], "")).await;
        let reply = wire.reply().await;
        assert_eq!((reply.status, reply.body.len()), (status, 0));
    }
    wire.send(request("HEAD", "/pub/x", &[], "")).await;
    let head = wire.reply_to_head().await;
    assert_eq!(head.status, 200);
    wire.send(request("GET", "/pub/x", &[], "")).await;
    assert_eq!(wire.reply().await.status, 200);
}

#[tokio::test]
async fn the_length_of_a_head_answer_is_the_backends() {
    let backend = Scripted::answering("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    let reply = world.gate.send("HEAD", "/pub/x", &[], "").await;
    assert_eq!(reply.header("content-length"), Some("1234"));
}

#[tokio::test]
async fn a_request_body_streams_while_it_is_sent() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    wire.send("POST /pub/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
        .await;
    world
        .backend
        .until("the first part", |counts| counts.consumed == 4)
        .await;
    wire.send("3\r\nend\r\n0\r\n\r\n").await;
    assert_eq!(wire.reply().await.json()["body"], "partend");
}

#[tokio::test]
async fn an_answer_may_come_before_the_body_is_sent() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    wire.send("POST /pub/early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nfirst")
        .await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "not read"));
}

/// What kernel and proxy buffers may hold on the way, generously.
const BUFFERS: usize = 16 << 20;

#[tokio::test]
async fn a_slow_reader_holds_the_backend_back() {
    let world = World::start().await;
    let total: usize = 256 << 20;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", &format!("/pub/big?{total}"), &[], ""))
        .await;
    assert_eq!(wire.reply_head().await.status, 200);
    // It has come to rest when nothing more was taken for a while.
    let mut last = 0;
    loop {
        let moved = world.backend.until("more", |counts| counts.produced > last);
        match timeout(Duration::from_millis(500), moved).await {
            Ok(counts) => last = counts.produced,
            Err(_) => break,
        }
        assert!(last < BUFFERS, "{last} bytes were buffered");
    }
    let mut received = 0;
    while received < 32 << 20 {
        received += wire.some().await.expect("more").len();
    }
    drop(wire);
    world
        .backend
        .until("the reader gone", |counts| counts.aborted >= 1)
        .await;
}

#[tokio::test]
async fn a_slow_backend_holds_the_client_back() {
    let world = World::with(|setup| setup.server("max_body: 1GiB")).await;
    let mut wire = world.gate.wire().await;
    let total: usize = 64 << 20;
    wire.send(format!(
        "POST /pub/upload HTTP/1.1\r\nHost: a\r\nContent-Length: {total}\r\n\r\n"
    ))
    .await;
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while let Ok(result) = timeout(Duration::from_millis(500), wire.try_send(&piece)).await {
        result.expect("the connection lives");
        sent += piece.len();
        assert!(sent < BUFFERS * 2, "{sent} bytes were taken");
    }
    // Part of the last piece may have gone; the count of what is left is no matter, for the client leaves.
    world.backend.release();
    world
        .backend
        .until("the beginning", |counts| counts.consumed > 0)
        .await;
    drop(wire);
    world
        .backend
        .until("the client gone", |counts| counts.aborted >= 1)
        .await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_by_its_length() {
    let world = World::with(|setup| setup.server("max_body: 1KiB")).await;
    let fits = "x".repeat(1024);
    assert_eq!(
        world.gate.send("POST", "/pub/x", &[], &fits).await.status,
        200
    );
    let over = "POST /pub/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n";
    let reply = world
        .gate
        .send_raw(over)
        .await
        .expect("an answer without waiting for the body");
    assert_error(&reply, 413, "payload_too_large");
    assert_eq!(world.backend.counts().requests, 1);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_by_its_chunks() {
    let world = World::with(|setup| setup.server("max_body: 1KiB")).await;
    let mut wire = world.gate.wire().await;
    wire.send("POST /pub/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    wire.send(&chunk).await;
    wire.send(&chunk).await;
    wire.send(&chunk).await;
    assert_error(&wire.reply().await, 413, "payload_too_large");
    world
        .backend
        .until("the end of the upload", |counts| counts.aborted >= 1)
        .await;
}

#[tokio::test]
async fn expect_100_continue_is_answered_when_the_body_is_wanted() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    wire.send(
        "POST /pub/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    )
    .await;
    assert_eq!(wire.reply_head().await.status, 100);
    wire.send("hello").await;
    let reply = wire.reply().await;
    assert_eq!(
        (reply.status, reply.json()["body"].as_str()),
        (200, Some("hello"))
    );
}

#[tokio::test]
async fn a_refused_request_gets_no_100_continue() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    wire.send(
        "POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    )
    .await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.interim.len()), (401, 0));
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_the_upstream_request() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", "/pub/hold", &[], "")).await;
    world
        .backend
        .until("the request", |counts| counts.requests == 1)
        .await;
    drop(wire);
    world
        .backend
        .until("the end", |counts| counts.aborted >= 1)
        .await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_no_whole_request_for_the_backend() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    wire.send("POST /pub/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this")
        .await;
    world
        .backend
        .until("the part", |counts| counts.consumed > 0)
        .await;
    drop(wire);
    world
        .backend
        .until("the end", |counts| counts.aborted >= 1)
        .await;
}

#[tokio::test]
async fn server_sent_events_pass_without_delay() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    wire.send(request(
        "GET",
        "/pub/events",
        &[("Accept", "text/event-stream")],
        "",
    ))
    .await;
    let head = wire.reply_head().await;
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    for number in 1..=3 {
        world.backend.release();
        let chunk = wire.chunk().await.expect("a chunk").expect("no end");
        assert_eq!(
            String::from_utf8_lossy(&chunk),
            format!("data: {number}\n\n")
        );
    }
    drop(wire);
    world
        .backend
        .until("the reader gone", |counts| counts.aborted >= 1)
        .await;
}

#[tokio::test]
async fn an_event_stream_outlives_the_response_timeout() {
    let world = World::with(|setup| setup.upstream("response_timeout: 1s")).await;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", "/pub/events", &[], "")).await;
    assert_eq!(wire.reply_head().await.status, 200);
    let silence = timeout(Duration::from_secs(2), wire.some()).await;
    assert!(silence.is_err(), "{silence:?}");
    world.backend.release();
    assert!(wire.chunk().await.expect("a chunk").is_some());
}

#[tokio::test]
async fn a_103_of_the_upstream_does_not_disturb_the_answer() {
    let backend = Scripted::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    let reply = world.gate.get("/pub/x").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok"));
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_passes_whole() {
    let backend = Scripted::answering("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    assert_eq!(world.gate.get("/pub/x").await.text(), "until the end");
}

#[tokio::test]
async fn a_truncated_answer_is_not_made_whole() {
    let backend = Scripted::answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", "/pub/x", &[], "")).await;
    assert!(
        wire.try_reply(false).await.is_err(),
        "the client must see that it is broken"
    );
}

#[tokio::test]
async fn a_compressed_answer_is_not_touched() {
    let backend = Scripted::answering(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nzzzz",
    );
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    let reply = world
        .gate
        .send("GET", "/pub/x", &[("Accept-Encoding", "gzip")], "")
        .await;
    assert_eq!(
        (reply.header("content-encoding"), reply.text().as_str()),
        (Some("gzip"), "zzzz")
    );
}

const REFUSED: &str = "POST /me/x HTTP/1.1\r\nHost: gate.test\r\n";

/// A new connection to which both were sent, one after the other, before the gate can have tired of waiting for the
/// second: it does after a second.
async fn sent_in_time(world: &World, head: &str, body: &str) -> Wire {
    for _ in 0..5 {
        let mut wire = world.gate.wire().await;
        let begun = Instant::now();
        wire.send(head).await;
        wire.send(body).await;
        if begun.elapsed() < Duration::from_millis(900) {
            return wire;
        }
    }
    unreachable!("this machine is too slow to send two packets within a second");
}

#[tokio::test]
async fn a_refused_request_whose_small_body_comes_late_keeps_the_connection() {
    let world = World::start().await;
    for (length, body) in [
        ("Content-Length: 5\r\n\r\n", "hello"),
        (
            "Transfer-Encoding: chunked\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
    ] {
        let head = format!("{REFUSED}{length}");
        let mut wire = sent_in_time(&world, &head, body).await;
        let reply = wire.reply().await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("connection"), None);
        wire.send(request("GET", "/pub/x", &[], "")).await;
        assert_eq!(wire.reply().await.status, 200);
    }
}

#[tokio::test]
async fn a_refused_request_whose_body_is_not_waited_for_is_told_that_the_connection_closes() {
    let world = World::start().await;
    for rest in [
        "Content-Length: 10000000\r\n\r\n",
        "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    ] {
        let mut wire = world.gate.wire().await;
        wire.send(format!("{REFUSED}{rest}")).await;
        let reply = wire.reply().await;
        assert_eq!((reply.status, reply.interim.len()), (401, 0));
        assert_eq!(reply.header("connection"), Some("close"), "{rest}");
        assert!(wire.is_closed().await);
    }
}
