//! A keep-alive connection whose client is silent gives its buffers back; the client must not notice.

use std::time::{Duration, Instant};

use tokio::time::{interval, timeout};

use super::errors::assert_error;
use crate::gate::{Certificate, Setup, World, request};
use crate::support::backend::framed::Framed;
use crate::support::raw::{Reply, Wire};

/// Longer than the tenth of a second after which a connection counts as silent, also on a busy machine.
const SILENCE: Duration = Duration::from_millis(1300);

/// A gate with both listeners.
struct Parking {
    world: World,
    certificate: Certificate,
}

impl Parking {
    async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let certificate = Certificate::new();
        let world = World::with(|setup| change(setup.tls(&certificate))).await;
        Self { world, certificate }
    }

    /// A connection without TLS, and one with it.
    async fn wires(&self) -> [(&'static str, Wire); 2] {
        let tls = self.world.gate.tls(&self.certificate, &["http/1.1"]).await;
        [
            ("plain", self.world.gate.wire().await),
            ("TLS", Wire::over(tls.expect("TLS"))),
        ]
    }

    /// The same two, each after a request and a long silence.
    async fn parked(&self) -> [(&'static str, Wire); 2] {
        let mut wires = self.wires().await;
        for (kind, wire) in &mut wires {
            assert_eq!(ask(wire, "/pub/first").await, "/pub/first", "{kind}");
        }
        let [(_, plain), (_, tls)] = &mut wires;
        tokio::join!(silent(plain), silent(tls));
        wires
    }
}

/// Says nothing for a while, in which nothing may come either.
async fn silent(wire: &mut Wire) {
    let came = timeout(SILENCE, wire.some()).await;
    assert!(came.is_err(), "{came:?}");
}

/// GET `path`: the target that the backend saw.
async fn ask(wire: &mut Wire, path: &str) -> String {
    wire.send(request("GET", path, &[], "")).await;
    echoed(wire).await
}

async fn echoed(wire: &mut Wire) -> String {
    let echo = wire.reply().await.json();
    echo["target"].as_str().unwrap_or_default().to_owned()
}

/// Sends one byte at a time, each in a packet of its own.
async fn dribble(wire: &mut Wire, bytes: &str) {
    let mut pace = interval(Duration::from_millis(2));
    for byte in bytes.bytes() {
        pace.tick().await;
        wire.send([byte]).await;
    }
}

#[tokio::test]
async fn a_connection_that_was_silent_serves_its_next_requests() {
    let parking = Parking::with(|setup| setup).await;
    for (kind, mut wire) in parking.parked().await {
        assert_eq!(ask(&mut wire, "/pub/next").await, "/pub/next", "{kind}");
        assert_eq!(ask(&mut wire, "/pub/more").await, "/pub/more", "{kind}");
        silent(&mut wire).await;
        assert_eq!(ask(&mut wire, "/pub/last").await, "/pub/last", "{kind}");
    }
}

#[tokio::test]
async fn a_request_in_single_bytes_is_served_after_a_silence() {
    let parking = Parking::with(|setup| setup).await;
    for (kind, mut wire) in parking.parked().await {
        dribble(&mut wire, &request("POST", "/pub/slow", &[], "body")).await;
        let echo = wire.reply().await.json();
        assert_eq!(echo["target"], "/pub/slow", "{kind}");
        assert_eq!(echo["body"], "body", "{kind}");
    }
}

#[tokio::test]
async fn a_first_request_that_comes_late_or_in_single_bytes_is_served() {
    let parking = Parking::with(|setup| setup).await;
    for (kind, mut wire) in parking.wires().await {
        silent(&mut wire).await;
        dribble(&mut wire, &request("GET", "/pub/late", &[], "")).await;
        assert_eq!(echoed(&mut wire).await, "/pub/late", "{kind}");
    }
}

#[tokio::test]
async fn a_silence_inside_a_request_is_no_end_of_it() {
    let parking = Parking::with(|setup| setup).await;
    for (kind, mut wire) in parking.parked().await {
        wire.send("POST /pub/x HTTP/1.1\r\nHost: gate").await;
        silent(&mut wire).await;
        wire.send(".test\r\nContent-Length: 8\r\n\r\nfirst").await;
        silent(&mut wire).await;
        wire.send("end").await;
        assert_eq!(wire.reply().await.json()["body"], "firstend", "{kind}");
    }
}

#[tokio::test]
async fn a_silence_of_the_backend_is_no_silence_of_the_client() {
    let parking = Parking::with(|setup| setup).await;
    for (kind, mut wire) in parking.parked().await {
        wire.send(request("GET", "/pub/hold", &[], "")).await;
        silent(&mut wire).await;
        parking.world.backend.release();
        assert_eq!(echoed(&mut wire).await, "/pub/hold", "{kind}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_served_in_order_after_a_silence() {
    let parking = Parking::with(|setup| setup).await;
    for (kind, mut wire) in parking.parked().await {
        let paths: Vec<String> = (0..30).map(|number| format!("/pub/{number}")).collect();
        let batch: String = paths
            .iter()
            .map(|path| request("GET", path, &[], ""))
            .collect();
        wire.send(batch).await;
        for path in &paths {
            assert_eq!(&echoed(&mut wire).await, path, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_request_that_began_behind_another_may_end_after_a_silence() {
    let parking = Parking::with(|setup| setup).await;
    for (kind, mut wire) in parking.wires().await {
        let second = request("GET", "/pub/second", &[], "");
        let (begun, rest) = second.split_at(20);
        wire.send(request("GET", "/pub/first", &[], "") + begun)
            .await;
        assert_eq!(echoed(&mut wire).await, "/pub/first", "{kind}");
        silent(&mut wire).await;
        wire.send(rest).await;
        assert_eq!(echoed(&mut wire).await, "/pub/second", "{kind}");
    }
}

/// Sends the rest of a body that was answered before its end: a request in the eyes of whoever takes it for one.
async fn goes_on_after_an_early_answer(world: &World) -> Option<Reply> {
    let mut wire = world.gate.wire().await;
    wire.send("POST /pub/early HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nfirst")
        .await;
    assert_eq!(wire.reply().await.status, 200);
    // That the connection ends here is right, too.
    let _ = timeout(SILENCE, wire.some()).await;
    let _ = wire.try_send(request("GET", "/pub/rest", &[], "")).await;
    let answer = timeout(SILENCE, wire.try_reply(false)).await;
    answer.ok().and_then(Result::ok)
}

#[tokio::test]
async fn the_rest_of_a_body_that_was_answered_early_is_no_request() {
    let world = World::start().await;
    let taken = goes_on_after_an_early_answer(&world).await;
    assert!(taken.is_none(), "{taken:?}");
    let backend = Framed::start(&[&[]]);
    let world = World::with(|setup| {
        setup
            .upstream_url(&backend.url())
            .upstream("protocol: http2")
    })
    .await;
    let taken = goes_on_after_an_early_answer(&world).await;
    assert!(taken.is_none(), "{taken:?}");
    assert_eq!(backend.received().len(), 1);
}

#[tokio::test]
async fn what_is_refused_is_refused_after_a_silence_too() {
    let parking = Parking::with(|setup| setup).await;
    for (kind, mut wire) in parking.parked().await {
        wire.send(request("GET", "/premium", &[], "")).await;
        assert_error(&wire.reply().await, 401, "missing_token");
        wire.send(request("GET", "/pub/a#b", &[], "")).await;
        assert_eq!(wire.reply().await.status, 400, "{kind}");
    }
    for (kind, mut wire) in parking.parked().await {
        wire.send("nonsense\r\n\r\n").await;
        let reply = wire.reply().await;
        assert_eq!(reply.status, 400, "{kind}");
        assert!(reply.json()["detail"].is_string(), "{kind}: {reply:?}");
    }
    assert_eq!(parking.world.backend.counts().requests, 4);
}

#[tokio::test]
async fn the_idle_timeout_ends_a_silent_connection_in_time() {
    let parking = Parking::with(|setup| setup.server("idle_timeout: 2s")).await;
    let ended = parking.wires().await.map(|(kind, mut wire)| async move {
        let start = Instant::now();
        assert_eq!(ask(&mut wire, "/pub/x").await, "/pub/x", "{kind}");
        assert!(wire.is_closed().await, "{kind}");
        start.elapsed()
    });
    for elapsed in futures_util::future::join_all(ended).await {
        assert!(
            (1500..20_000).contains(&elapsed.as_millis()),
            "after {elapsed:?}"
        );
    }
}

#[tokio::test]
async fn the_header_timeout_ends_a_first_head_that_stops() {
    let parking = Parking::with(|setup| setup.server("header_timeout: 600ms")).await;
    for (kind, mut wire) in parking.wires().await {
        wire.send("GET /pub/x HTTP/1.1\r\nHost: a\r\nX-Slow").await;
        assert_error(&wire.reply().await, 408, "request_timeout");
        assert!(wire.is_closed().await, "{kind}");
    }
}

#[tokio::test]
async fn the_header_timeout_ends_a_head_that_stops_after_a_silence() {
    let parking = Parking::with(|setup| setup.server("header_timeout: 2s")).await;
    for (kind, mut wire) in parking.parked().await {
        wire.send("GET /pub/x HTTP/1.1\r\nHost: a\r\nX-Slow").await;
        assert_error(&wire.reply().await, 408, "request_timeout");
        assert!(wire.is_closed().await, "{kind}");
    }
}

#[tokio::test]
async fn sigterm_closes_silent_connections_and_ends_with_0() {
    let mut parking = Parking::with(|setup| setup).await;
    let wires = parking.parked().await;
    parking.world.gate.signal("TERM");
    for (kind, mut wire) in wires {
        assert!(wire.is_closed().await, "{kind}");
    }
    assert_eq!(parking.world.gate.exit().await.code(), Some(0));
}
