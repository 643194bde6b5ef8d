//! A backend that is away, slow or broken.

use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::net::TcpStream;

use super::errors::assert_error;
use crate::gate::{Certificate, World, request, tls_before};
use crate::support::backend::Backend;
use crate::support::backend::scripted::{Scripted, Step};
use crate::support::h2::{H2, get};
use crate::support::net::Reserved;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn an_unreachable_upstream_is_a_502() {
    let nobody = Reserved::any();
    let url = format!("http://{}", nobody.address());
    let world = World::with(|setup| setup.upstream_url(&url)).await;
    assert_error(&world.gate.get("/pub/x").await, 502, "upstream_unreachable");
    assert_eq!(
        world.gate.get("/premium").await.status,
        401,
        "its own answers go on"
    );
}

#[tokio::test]
async fn a_broken_upstream_is_a_502() {
    for answer in [
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-",
    ] {
        let backend = Scripted::answering(answer);
        let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
        let reply = world.gate.send("POST", "/pub/x", &[], "body").await;
        assert_eq!(reply.status, 502, "{answer:?}");
        assert!(reply.json()["detail"].is_string(), "{answer:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_too_slow_is_a_504() {
    let world = World::with(|setup| setup.upstream("response_timeout: 300ms")).await;
    assert_error(&world.gate.get("/pub/hold").await, 504, "upstream_timeout");
    world
        .backend
        .until("the end of it", |counts| counts.aborted >= 1)
        .await;
}

#[tokio::test]
async fn connections_are_pooled() {
    let world = World::start().await;
    for _ in 0..5 {
        assert_eq!(world.gate.get("/pub/x").await.status, 200);
    }
    // One for each thread at most.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    assert!(
        world.backend.counts().connections <= threads,
        "{:?}",
        world.backend.counts()
    );
}

#[tokio::test]
async fn a_connection_that_the_backend_ends_is_not_used_again() {
    let world = World::start().await;
    for _ in 0..3 {
        assert_eq!(world.gate.get("/pub/close").await.text(), "bye");
    }
    assert_eq!(world.backend.counts().connections, 3);
}

/// The first connection answers once and then hangs up on the next request; the second one answers.
fn hangs_up() -> Scripted {
    Scripted::start(&[
        &[Step::Answer(OK), Step::Last("")],
        &[Step::Answer(OK), Step::Answer(OK)],
    ])
}

#[tokio::test]
async fn a_get_on_a_dead_pooled_connection_is_retried_once() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        let backend = hangs_up();
        let world =
            World::with(|setup| setup.upstream_url(&backend.url()).server("workers: 1")).await;
        assert_eq!(world.gate.get("/pub/x").await.status, 200);
        assert_eq!(
            world.gate.send(method, "/pub/x", &[], "").await.status,
            200,
            "{method}"
        );
        assert_eq!(backend.received().len(), 3, "{method}");
    }
}

#[tokio::test]
async fn a_post_on_a_dead_pooled_connection_is_never_retried() {
    for method in ["POST", "PATCH"] {
        let backend = hangs_up();
        let world =
            World::with(|setup| setup.upstream_url(&backend.url()).server("workers: 1")).await;
        assert_eq!(world.gate.get("/pub/x").await.status, 200);
        assert_eq!(
            world.gate.send(method, "/pub/x", &[], "body").await.status,
            502,
            "{method}"
        );
        let posts = backend
            .received()
            .iter()
            .filter(|head| head.starts_with(method))
            .count();
        assert_eq!(posts, 1, "{method}");
    }
}

#[tokio::test]
async fn a_retry_happens_once_and_then_it_is_a_502() {
    let backend = Scripted::start(&[&[Step::Answer(OK), Step::Last("")], &[Step::Last("")]]);
    let world = World::with(|setup| setup.upstream_url(&backend.url()).server("workers: 1")).await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    assert_eq!(world.gate.get("/pub/x").await.status, 502);
    assert_eq!(backend.received().len(), 3);
}

#[tokio::test]
async fn idle_connections_are_dropped_before_the_backend_does_it() {
    let world = World::with(|setup| setup.upstream("keep_alive: 1s")).await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    world
        .backend
        .until("the idle connection closed", |counts| counts.closed >= 1)
        .await;
}

#[tokio::test]
async fn a_silent_body_ends_at_the_idle_timeout() {
    let world = World::with(|setup| setup.upstream("idle_timeout: 500ms")).await;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", "/pub/events", &[], "")).await;
    assert_eq!(wire.reply_head().await.status, 200);
    assert!(wire.is_closed().await, "broken off, not ended well");
    world
        .backend
        .until("the end", |counts| counts.aborted >= 1)
        .await;
}

/// Answers that break off before their end, and what there is of their bodies.
const BROKEN_OFF: [(&str, &str); 3] = [
    ("Content-Length: 30\r\n\r\nABCD", "ABCD"),
    ("Transfer-Encoding: chunked\r\n\r\n4\r\nABCD\r\n", "ABCD"),
    (
        "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
        "data: 1\n\n",
    ),
];

/// Whether a breaking answer arrives whole is a matter of timing.
const TRIES: usize = 40;

async fn breaking(rest: &str) -> (Scripted, World) {
    let answer: &'static str = format!("HTTP/1.1 200 OK\r\n{rest}").leak();
    let backend = Scripted::answering(answer);
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    (backend, world)
}

#[tokio::test]
async fn of_an_answer_that_breaks_off_the_client_gets_what_came_before() {
    for (rest, body) in BROKEN_OFF {
        let (_backend, world) = breaking(rest).await;
        for number in 0..TRIES {
            let mut wire = world.gate.wire().await;
            wire.send(request("GET", "/pub/x", &[], "")).await;
            let mut got = Vec::new();
            while let Ok(more) = wire.some().await
                && !more.is_empty()
            {
                got.extend(more);
            }
            let got = String::from_utf8_lossy(&got);
            assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{number}: {got:?}");
            assert!(got.contains(body), "{number}: {got:?}");
            assert!(!got.contains("\r\n0\r\n"), "no good end: {got:?}");
        }
    }
}

#[tokio::test]
async fn of_an_answer_that_breaks_off_an_http2_client_gets_what_came_before() {
    for (rest, body) in BROKEN_OFF {
        let (_backend, world) = breaking(rest).await;
        let socket = TcpStream::connect(world.gate.address).await;
        let mut client = H2::over(socket.expect("a connection")).await;
        for number in 0..TRIES {
            let answer = client.send(get("/pub/x", &[])).await;
            let answer = answer.unwrap_or_else(|error| unreachable!("{number}: {error}"));
            assert_eq!(answer.status(), 200, "{number}");
            let (mut frames, mut got) = (answer.into_body(), Vec::new());
            let broke = loop {
                match frames.frame().await {
                    Some(Ok(frame)) => got.extend(frame.into_data().expect("data")),
                    end => break end.is_some(),
                }
            };
            assert_eq!(String::from_utf8_lossy(&got), body, "{number}");
            assert!(broke, "{number}: no good end");
        }
    }
}

#[tokio::test]
async fn an_http2_upstream_is_spoken_to_by_prior_knowledge() {
    let backend = Backend::start_h2();
    let world = World::with(|setup| {
        setup
            .upstream_url(&backend.url())
            .upstream("protocol: http2")
    })
    .await;
    let reply = world
        .gate
        .send("POST", "/pub/x?q=1", &[("Connection", "close")], "hello")
        .await;
    let echo = reply.json();
    assert_eq!(echo["version"], "HTTP/2.0");
    assert_eq!(echo["body"], "hello");
    assert!(
        echo["target"]
            .as_str()
            .is_some_and(|target| target.ends_with("/pub/x?q=1")),
        "{echo}"
    );
    let streams: Vec<u16> =
        futures_util::future::join_all((0..20).map(|_| world.gate.get("/pub/x")))
            .await
            .iter()
            .map(|reply| reply.status)
            .collect();
    assert_eq!(streams, [200; 20]);
}

#[tokio::test]
async fn a_slow_request_does_not_hold_others_up() {
    let world = World::with(|setup| setup.server("workers: 1")).await;
    let mut slow = world.gate.wire().await;
    slow.send(request("GET", "/pub/hold", &[], "")).await;
    world
        .backend
        .until("it", |counts| counts.requests == 1)
        .await;
    let quick = tokio::time::timeout(Duration::from_secs(5), world.gate.get("/pub/x")).await;
    assert_eq!(quick.map(|reply| reply.status), Ok(200));
    world.backend.release();
    assert_eq!(slow.reply().await.status, 200);
}

#[tokio::test]
async fn an_https_upstream_is_verified() {
    let (certificate, backend) = (Certificate::new(), Backend::start());
    let front = tls_before(&certificate, backend.address());
    let url = format!("https://{}", front.address);
    let trusting = World::with(|setup| {
        setup
            .upstream_url(&url)
            .file("ca.pem", &certificate.chain)
            .upstream("ca: DIR/ca.pem")
    });
    assert_eq!(trusting.await.gate.get("/pub/x").await.status, 200);
    let other = Certificate::new();
    let strict = World::with(|setup| {
        setup
            .upstream_url(&url)
            .file("ca.pem", &other.chain)
            .upstream("ca: DIR/ca.pem")
    });
    assert_error(
        &strict.await.gate.get("/pub/x").await,
        502,
        "upstream_unreachable",
    );
    assert_eq!(backend.counts().requests, 1);
}
