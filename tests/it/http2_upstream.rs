//! HTTP/2 to the upstream: connections that go away, the drain, and what is spoken beside it.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::errors::assert_error;
use crate::gate::{Certificate, Setup, World, request, tls_before_both};
use crate::lifecycle::{asks_in_time, once_in_time};
use crate::support::backend::Backend;
use crate::support::backend::framed::{Framed, Turn};
use crate::support::net::Listening;
use crate::support::raw::Wire;
use crate::websockets::{echoes, open};

/// An end of the process that waits for nothing takes less; `drain_timeout` is longer by far.
const PROMPTLY: Duration = Duration::from_secs(5);

fn over_http2(setup: Setup, url: &str) -> Setup {
    setup.upstream_url(url).upstream("protocol: http2")
}

/// A gate with one worker, so with one connection, before a backend with these scripts.
async fn scripted(scripts: &[&[Turn]]) -> (World, Framed) {
    let backend = Framed::start(scripts);
    let world = World::with(|setup| over_http2(setup, &backend.url()).server("workers: 1")).await;
    (world, backend)
}

#[tokio::test]
async fn a_get_on_a_connection_that_gets_goaway_is_sent_again_on_another() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        let (world, backend) = scripted(&[&[Turn::Answer, Turn::GoAway], &[]]).await;
        assert_eq!(world.gate.get("/pub/x").await.status, 200);
        let reply = world.gate.send(method, "/pub/x", &[], "").await;
        assert_eq!(reply.status, 200, "{method}");
        assert_eq!(backend.received(), [0, 0, 1], "{method}");
    }
}

#[tokio::test]
async fn a_get_on_a_connection_that_is_cut_is_sent_again_on_another() {
    let (world, backend) = scripted(&[&[Turn::Answer, Turn::HangUp], &[]]).await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    assert_eq!(backend.received(), [0, 0, 1]);
}

#[tokio::test]
async fn a_connection_that_got_goaway_while_idle_is_not_used_again() {
    let (world, backend) = scripted(&[&[Turn::AnswerAndGoAway], &[]]).await;
    for _ in 0..3 {
        assert_eq!(world.gate.get("/pub/x").await.status, 200);
    }
    assert_eq!(backend.received(), [0, 1, 1]);
}

#[tokio::test]
async fn a_post_on_a_connection_that_is_cut_is_never_sent_again() {
    let (world, backend) = scripted(&[&[Turn::Answer, Turn::HangUp], &[]]).await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    let reply = world.gate.send("POST", "/pub/x", &[], "body").await;
    assert_eq!(reply.status, 502);
    assert_eq!(backend.received(), [0, 0]);
}

#[tokio::test]
async fn a_get_is_sent_again_once_and_then_it_is_a_502() {
    let (world, backend) = scripted(&[&[Turn::Answer, Turn::HangUp], &[Turn::HangUp]]).await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    assert_eq!(world.gate.get("/pub/x").await.status, 502);
    assert_eq!(backend.received(), [0, 0, 1]);
}

#[tokio::test]
async fn sigterm_with_an_idle_http2_connection_ends_promptly_with_0() {
    let backend = Backend::start_h2();
    let mut world = World::with(|setup| over_http2(setup, &backend.url())).await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    world.gate.signal("TERM");
    let ended = timeout(PROMPTLY, world.gate.exit()).await;
    assert_eq!(ended.expect("promptly").code(), Some(0));
}

#[tokio::test]
async fn a_request_during_the_drain_does_not_keep_the_process() {
    once_in_time(late_request_does_not_keep_the_process).await;
}

async fn late_request_does_not_keep_the_process() -> bool {
    let backend = Backend::start_h2();
    let mut world = World::with(|setup| over_http2(setup, &backend.url())).await;
    let mut held = world.gate.wire().await;
    held.send(request("GET", "/pub/hold", &[], "")).await;
    backend.until("it", |counts| counts.requests == 1).await;
    let mut late = world.gate.wire().await;
    // Connected in time, and so still served, over a connection that is opened in the drain.
    let ask = async || {
        let _ = late.try_send(request("GET", "/pub/late", &[], "")).await;
    };
    if !asks_in_time(&world.gate, ask).await {
        return false;
    }
    assert_eq!(late.reply().await.status, 200);
    backend.release();
    assert_eq!(held.reply().await.status, 200);
    let ended = timeout(PROMPTLY, world.gate.exit()).await;
    assert_eq!(ended.expect("promptly").code(), Some(0));
    true
}

/// One https upstream that speaks both protocols.
struct Both {
    certificate: Certificate,
    http1: Backend,
    http2: Backend,
    front: Listening,
}

impl Both {
    fn start() -> Self {
        let certificate = Certificate::new();
        let (http1, http2) = (Backend::start(), Backend::start_h2());
        let front = tls_before_both(&certificate, http1.address(), http2.address());
        Self {
            certificate,
            http1,
            http2,
            front,
        }
    }

    fn before(&self, setup: Setup) -> Setup {
        over_http2(setup, &format!("https://{}", self.front.address))
            .file("ca.pem", &self.certificate.chain)
            .upstream("ca: DIR/ca.pem")
    }
}

#[tokio::test]
async fn a_websocket_passes_to_an_https_upstream_that_is_spoken_to_over_http2() {
    let both = Both::start();
    let world = World::with(|setup| both.before(setup)).await;
    let echo = world.gate.get("/pub/x").await.json();
    assert_eq!(echo["version"], "HTTP/2.0", "{echo}");
    let mut socket = open(&world, "/pub/ws", None).await.expect("a tunnel");
    assert!(echoes(&mut socket, "over HTTP/1.1").await);
    assert_eq!(both.http1.counts().tunnels, 1);
    assert_eq!(both.http2.counts().requests, 1);
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
}

#[tokio::test]
async fn a_websocket_gets_a_place_that_an_idle_http2_connection_holds() {
    let both = Both::start();
    let world = World::with(|setup| {
        both.before(setup)
            .server("workers: 1")
            .upstream("max_connections: 1")
    })
    .await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    let mut socket = open(&world, "/pub/ws", None).await.expect("a tunnel");
    assert!(echoes(&mut socket, "in").await);
}

#[tokio::test]
async fn few_places_serve_many_workers_over_http2() {
    for places in [1, 2] {
        let backend = Backend::start_h2();
        let world = World::with(|setup| {
            over_http2(setup, &backend.url())
                .server("workers: 4")
                .upstream(&format!("max_connections: {places}"))
        })
        .await;
        // Held open, so that they are dealt out among the workers.
        let mut wires = join_all((0..8).map(|_| world.gate.wire())).await;
        for wire in &mut wires {
            assert_eq!(status(wire).await, 200, "{places} places, one by one");
        }
        for _ in 0..5 {
            let statuses = join_all(wires.iter_mut().map(status)).await;
            assert_eq!(statuses, [200; 8], "{places} places, all at once");
        }
    }
}

#[tokio::test]
async fn each_worker_keeps_its_connection_while_there_is_room_for_all() {
    let backend = Backend::start_h2();
    let world = World::with(|setup| over_http2(setup, &backend.url()).server("workers: 4")).await;
    let mut wires = join_all((0..8).map(|_| world.gate.wire())).await;
    for _ in 0..5 {
        for wire in &mut wires {
            assert_eq!(status(wire).await, 200);
        }
    }
    assert_eq!(backend.counts().connections, 4);
}

async fn status(wire: &mut Wire) -> u16 {
    wire.send(request("GET", "/pub/x", &[], "")).await;
    wire.reply().await.status
}

#[tokio::test]
async fn an_https_upstream_that_does_not_speak_http2_is_a_502_that_is_explained() {
    let certificate = Certificate::new();
    let backend = Backend::start();
    let front = crate::gate::tls_before(&certificate, backend.address());
    let world = World::with(|setup| {
        over_http2(setup, &format!("https://{}", front.address))
            .file("ca.pem", &certificate.chain)
            .upstream("ca: DIR/ca.pem")
    })
    .await;
    assert_error(&world.gate.get("/pub/x").await, 502, "upstream_unreachable");
    world
        .gate
        .log
        .until("what to set instead", 1, |event| {
            event.to_string().contains("protocol: http1")
        })
        .await;
    assert_eq!(backend.counts().requests, 0);
}
