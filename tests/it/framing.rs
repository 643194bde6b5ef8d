//! Where a message begins and ends, when what frames it is unusual, doubled, or stands still.

use futures_util::stream;
use http::Request;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio::net::TcpStream;

use super::errors::assert_error;
use crate::gate::{Gate, Setup, World};
use crate::support::backend::Backend;
use crate::support::backend::scripted::{Scripted, Step};
use crate::support::h2::H2;
use crate::support::raw::Reply;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Both ways to speak to the backend: the changes to the config, and the backend.
fn upstreams() -> [(&'static str, Backend); 2] {
    [
        ("protocol: http1", Backend::start()),
        ("protocol: http2", Backend::start_h2()),
    ]
}

fn before(setup: Setup, protocol: &str, backend: &Backend) -> Setup {
    setup.upstream_url(&backend.url()).upstream(protocol)
}

async fn client(gate: &Gate) -> H2 {
    let socket = TcpStream::connect(gate.address)
        .await
        .expect("a connection");
    H2::over(socket).await
}

#[tokio::test]
async fn the_body_of_a_chunked_get_reaches_the_backend() {
    for (protocol, backend) in upstreams() {
        let world = World::with(|setup| before(setup, protocol, &backend)).await;
        for method in ["GET", "DELETE", "OPTIONS"] {
            let head = format!(
                "{method} /pub/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            let sent = world
                .gate
                .send_raw(format!("{head}5\r\nquery\r\n0\r\n\r\n"))
                .await;
            let echo = sent.expect("an answer").json();
            assert_eq!(echo["body"], "query", "{protocol} {method}: {echo}");
            assert_eq!(echo["method"], method, "{protocol}");
        }
    }
}

#[tokio::test]
async fn the_body_of_a_get_over_http2_reaches_the_backend() {
    for (protocol, backend) in upstreams() {
        let world = World::with(|setup| before(setup, protocol, &backend)).await;
        // Of a stream nobody knows the length.
        let pieces = ["que", "ry"].map(|text| Ok(Frame::data(text.into())));
        let request = Request::get("http://gate.test/pub/x")
            .body(StreamBody::new(stream::iter(pieces)).boxed())
            .expect("a request");
        let answer = client(&world.gate).await.send(request).await;
        let body = answer.expect("an answer").into_body().collect().await;
        let echo: serde_json::Value =
            serde_json::from_slice(&body.expect("a body").to_bytes()).expect("JSON");
        assert_eq!(echo["body"], "query", "{protocol}: {echo}");
    }
}

#[tokio::test]
async fn a_get_without_a_body_gets_none_on_the_way() {
    for (protocol, backend) in upstreams() {
        let world = World::with(|setup| before(setup, protocol, &backend)).await;
        assert_eq!(world.gate.get("/pub/x").await.json()["length"], 0);
        let seen = backend.last();
        assert_eq!(seen.header_all("transfer-encoding").len(), 0, "{protocol}");
        assert_eq!(seen.header_all("content-length").len(), 0, "{protocol}");
    }
}

#[tokio::test]
async fn an_answer_that_is_chunked_and_has_a_length_passes_whole_without_the_length() {
    for length in ["3", "5", "500"] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\n"
        );
        let backend = Scripted::answering(answer.leak());
        let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
        let reply = world.gate.get("/pub/x").await;
        assert_eq!(reply.text(), "hello", "{length}");
        assert_eq!(reply.header("content-length"), None, "{length}");
        let reply = client(&world.gate).await.get("/pub/x", &[]).await;
        assert_eq!(reply.text(), "hello", "{length} over HTTP/2");
        assert_eq!(reply.header("content-length"), None, "{length} over HTTP/2");
    }
}

#[tokio::test]
async fn two_equal_lengths_over_http2_go_out_as_one() {
    let backend = Scripted::start(&[&[Step::Answer(OK)]]);
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    let request = Request::post("http://gate.test/pub/x")
        .header("content-length", "5")
        .header("content-length", "5")
        .body(Full::from("hello").boxed())
        .expect("a request");
    let answer = client(&world.gate).await.send(request).await;
    assert_eq!(answer.expect("an answer").status(), 200);
    let head = backend.received().concat().to_ascii_lowercase();
    assert_eq!(head.matches("content-length:").count(), 1, "{head}");
}

#[tokio::test]
async fn every_line_of_connection_names_headers_to_drop() {
    let world = World::start().await;
    let lines = [
        ("Connection", "keep-alive"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("X-Stay", "1"),
    ];
    world.gate.send("GET", "/pub/x", &lines, "").await;
    let seen = world.backend.last();
    assert_eq!(seen.header("x-hop"), None);
    assert_eq!(seen.header("x-stay"), Some("1"));
    let backend = Scripted::answering(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Stay: 1\r\n\
         Content-Length: 2\r\n\r\nok",
    );
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    let reply = world.gate.get("/pub/x").await;
    assert_eq!(reply.header("x-hop"), None);
    assert_eq!(reply.header("x-stay"), Some("1"));
}

/// The answer to an upload that stops in the middle.
async fn stalled(gate: &Gate, framing: &str, part: &str) -> Reply {
    let mut wire = gate.wire().await;
    wire.send(format!(
        "POST /pub/x HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{part}"
    ))
    .await;
    wire.reply().await
}

#[tokio::test]
async fn a_client_that_stalls_its_upload_is_told_408_and_the_upstream_is_not_blamed() {
    for (protocol, backend) in upstreams() {
        let world = World::with(|setup| {
            before(setup, protocol, &backend)
                .server("idle_timeout: 1500ms")
                .upstream("response_timeout: 300ms")
        })
        .await;
        for (framing, part) in [
            ("Content-Length: 10", "first"),
            ("Content-Length: 10", ""),
            ("Transfer-Encoding: chunked", "5\r\nfirst\r\n"),
        ] {
            let reply = stalled(&world.gate, framing, part).await;
            assert_error(&reply, 408, "request_timeout");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_has_the_whole_upload_and_is_silent_is_a_504() {
    for (protocol, backend) in upstreams() {
        let world = World::with(|setup| {
            before(setup, protocol, &backend)
                .server("idle_timeout: 20s")
                .upstream("response_timeout: 300ms")
        })
        .await;
        let reply = world.gate.send("POST", "/pub/hold", &[], "all of it").await;
        assert_error(&reply, 504, "upstream_timeout");
    }
}

/// What frames a message by more than `chunked`: who decodes the other coding is told of it, or nobody can.
const CODED: [&str; 4] = [
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: identity, chunked",
];

#[tokio::test]
async fn a_transfer_coding_other_than_chunked_is_a_501_and_the_end_of_the_connection() {
    for (protocol, backend) in upstreams() {
        let world = World::with(|setup| before(setup, protocol, &backend)).await;
        for coding in CODED {
            let mut wire = world.gate.wire().await;
            let head = format!("POST /pub/x HTTP/1.1\r\nHost: a\r\n{coding}\r\n\r\n");
            wire.send(format!("{head}5\r\nhello\r\n0\r\n\r\n")).await;
            let reply = wire.reply().await;
            assert_error(&reply, 501, "unknown_coding");
            assert_eq!(reply.header("connection"), Some("close"), "{coding}");
            assert!(wire.is_closed().await, "{coding}");
        }
        assert_eq!(backend.counts().requests, 0, "{protocol}");
        let head = "POST /pub/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n";
        let sent = world
            .gate
            .send_raw(format!("{head}5\r\nhello\r\n0\r\n\r\n"));
        assert_eq!(sent.await.expect("an answer").json()["body"], "hello");
    }
}

#[tokio::test]
async fn an_answer_in_a_transfer_coding_other_than_chunked_is_a_502() {
    for coding in CODED.into_iter().chain(["Transfer-Encoding: gzip"]) {
        let answer = format!("HTTP/1.1 200 OK\r\n{coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        let backend = Scripted::answering(answer.leak());
        let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
        let reply = world.gate.get("/pub/x").await;
        assert_error(&reply, 502, "upstream_broken");
    }
}

#[tokio::test]
async fn an_absolute_target_does_not_stand_in_for_a_missing_host() {
    let world = World::start().await;
    for line in [
        "GET http://evil.test/pub/x HTTP/1.1",
        "GET http://evil.test/pub/x HTTP/1.0",
        "GET /pub/x HTTP/1.0",
    ] {
        let reply = world.gate.send_raw(format!("{line}\r\n\r\n")).await;
        assert_error(&reply.expect("an answer"), 400, "invalid_host");
    }
    assert_eq!(world.backend.counts().requests, 0);
}
