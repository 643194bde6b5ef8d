//! Start, drain and stop.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::gate::{Certificate, Gate, World, request};
use crate::shop::Shop;
use crate::support::auth0::{Auth0, CLIENT_SECRET};
use crate::support::backend::Backend;
use crate::support::frame::{self, Frame};
use crate::support::h2::{H2, get};
use crate::support::raw::{DEADLINE, Wire};
use crate::support::stripe::{KEY, SECRET};

/// Who connected before the drain has a second from its beginning to ask.
const TO_ASK: Duration = Duration::from_millis(900);

/// Sends SIGTERM and, once the drain is seen, does what `ask` does; whether that was done in time. A test that was
/// held up for longer than a client may be says nothing.
pub(crate) async fn asks_in_time(gate: &Gate, ask: impl AsyncFnOnce()) -> bool {
    let start = Instant::now();
    gate.signal("TERM");
    gate.until_readyz(503).await;
    ask().await;
    start.elapsed() < TO_ASK
}

/// Tries what says whether it was in time, five times at most.
pub(crate) async fn once_in_time(attempt: impl AsyncFn() -> bool) {
    for _ in 0..5 {
        if attempt().await {
            return;
        }
    }
    unreachable!("five times it took longer than {TO_ASK:?} to ask");
}

#[tokio::test]
async fn livez_readyz_and_metrics_are_on_the_admin_listener_alone() {
    let world = World::start().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(
            world.gate.admin(path).await.map(|reply| reply.status),
            Some(200),
            "{path}"
        );
        assert_eq!(world.gate.get(path).await.status, 403, "{path}");
    }
    assert_eq!(
        world.gate.admin("/other").await.map(|reply| reply.status),
        Some(404)
    );
}

#[tokio::test]
async fn sigterm_finishes_a_request_in_flight_and_exits_with_0() {
    let mut world = World::start().await;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", "/pub/hold", &[], "")).await;
    world
        .backend
        .until("the request", |counts| counts.requests == 1)
        .await;
    world.gate.signal("TERM");
    world.gate.until_readyz(503).await;
    world.backend.release();
    let reply = wire.reply().await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply
            .header("connection")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("close")
    );
    assert!(wire.is_closed().await);
    assert_eq!(world.gate.exit().await.code(), Some(0));
}

#[tokio::test]
async fn sigint_stops_as_sigterm_does() {
    let mut world = World::start().await;
    world.gate.signal("INT");
    assert_eq!(world.gate.exit().await.code(), Some(0));
}

#[tokio::test]
async fn sigterm_stops_accepting_and_closes_idle_connections() {
    let mut world = World::start().await;
    let mut idle = world.gate.wire().await;
    idle.send(request("GET", "/pub/x", &[], "")).await;
    assert_eq!(idle.reply().await.status, 200);
    let mut held = world.gate.wire().await;
    held.send(request("GET", "/pub/hold", &[], "")).await;
    world
        .backend
        .until("the request", |counts| counts.requests == 2)
        .await;
    world.gate.signal("TERM");
    assert!(idle.is_closed().await);
    world.gate.until_readyz(503).await;
    // The listener closes a moment after: until then a connection is served, and told to close.
    let refused = timeout(DEADLINE, async {
        let late = request("GET", "/pub/late", &[], "");
        while world.gate.send_raw(&late).await.is_some() {}
    });
    assert!(refused.await.is_ok(), "connections are still accepted");
    world.backend.release();
    assert_eq!(held.reply().await.status, 200);
    assert_eq!(world.gate.exit().await.code(), Some(0));
}

#[tokio::test]
async fn sigterm_finishes_a_streaming_body() {
    let mut world = World::with(|setup| setup.server("drain_timeout: 5m")).await;
    let total = 64 << 20;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", &format!("/pub/big?{total}"), &[], ""))
        .await;
    let _head = wire.reply_head().await;
    world.gate.signal("TERM");
    world.gate.until_readyz(503).await;
    let mut received = 0;
    while let Some(chunk) = wire.chunk().await.expect("a chunk") {
        received += chunk.len();
    }
    assert_eq!(received, total);
    assert_eq!(world.gate.exit().await.code(), Some(0));
}

#[tokio::test]
async fn clients_that_had_connected_and_not_asked_when_sigterm_came_are_served() {
    once_in_time(late_askers_are_served).await;
}

async fn late_askers_are_served() -> bool {
    let certificate = Certificate::new();
    let mut world = World::with(|setup| setup.tls(&certificate).server("workers: 1")).await;
    let tls = world.gate.tls(&certificate, &["http/1.1"]).await;
    let mut used = Wire::over(tls.expect("TLS"));
    used.send(request("GET", "/pub/x", &[], "")).await;
    assert_eq!(used.reply().await.status, 200);
    let mut wires = Vec::new();
    for _ in 0..10 {
        wires.push(world.gate.wire().await);
        let tls = world.gate.tls(&certificate, &["http/1.1"]).await;
        wires.push(Wire::over(tls.expect("TLS")));
    }
    // Some have begun to ask.
    for wire in wires.iter_mut().step_by(3) {
        wire.send("G").await;
    }
    // Real time: nobody can see from outside that the gate has given their buffers back, after a tenth of a second.
    sleep(Duration::from_millis(300)).await;
    let ask = async || {
        assert!(used.is_closed().await, "it had its answer");
        let whole = request("GET", "/pub/x", &[], "");
        for (number, wire) in wires.iter_mut().enumerate() {
            let begun = number % 3 == 0;
            let _ = wire.try_send(&whole[usize::from(begun)..]).await;
        }
    };
    if !asks_in_time(&world.gate, ask).await {
        return false;
    }
    for (number, wire) in wires.iter_mut().enumerate() {
        let reply = wire.try_reply(false).await;
        assert_eq!(reply.map(|reply| reply.status).ok(), Some(200), "{number}");
        assert!(wire.is_closed().await, "{number}");
    }
    assert_eq!(world.gate.exit().await.code(), Some(0));
    true
}

#[tokio::test]
async fn clients_that_connect_and_never_ask_do_not_hold_the_drain() {
    let mut world = World::start().await;
    let mut silent = world.gate.wire().await;
    world.gate.signal("TERM");
    let stopped = timeout(Duration::from_secs(10), world.gate.exit()).await;
    assert_eq!(stopped.expect("soon").code(), Some(0));
    assert!(silent.is_closed().await);
}

/// Sends SIGTERM and waits for a good end, long before `drain_timeout`.
async fn stops_soon(mut world: World) {
    world.gate.signal("TERM");
    let stopped = timeout(Duration::from_secs(10), world.gate.exit()).await;
    assert_eq!(stopped.expect("soon").code(), Some(0));
}

/// Told of no end that is near.
async fn patient() -> World {
    World::with(|setup| setup.server("drain_timeout: 5m")).await
}

#[tokio::test]
async fn an_idle_http2_client_that_acknowledges_nothing_does_not_hold_the_drain() {
    let world = patient().await;
    let mut wire = world.gate.wire().await;
    let head = frame::fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "gate.test"),
        (":path", "/pub/x"),
    ]);
    let flags = frame::END_STREAM | frame::END_HEADERS;
    let request = frame::frame(frame::HEADERS, flags, 1, &head);
    wire.send([frame::PREFACE, &frame::settings(&[]), &request].concat())
        .await;
    loop {
        let start = wire.take(frame::HEAD).await.expect("a frame");
        let (frame, length) = Frame::begin(&start);
        wire.take(length).await.expect("its payload");
        if frame.ends_stream() {
            break;
        }
    }
    stops_soon(world).await;
}

#[tokio::test]
async fn an_http2_client_that_only_said_hello_does_not_hold_the_drain() {
    let world = patient().await;
    let mut wire = world.gate.wire().await;
    wire.send([frame::PREFACE, &frame::settings(&[])].concat())
        .await;
    // What the gate says of itself.
    wire.take(frame::HEAD).await.expect("a frame");
    stops_soon(world).await;
}

#[tokio::test]
async fn half_a_head_of_a_request_does_not_hold_the_drain() {
    for half in ["P", "GET /pub/a HT", "GET /pub/a HTTP/1.1\r\nHost: a\r\n"] {
        let world = World::with(|setup| {
            let patient = setup.server("header_timeout: 4m");
            patient.server("drain_timeout: 5m")
        })
        .await;
        let mut wire = world.gate.wire().await;
        wire.send(half).await;
        stops_soon(world).await;
    }
}

#[tokio::test]
async fn a_tls_client_that_says_nothing_does_not_hold_the_drain() {
    let certificate = Certificate::new();
    let world = World::with(|setup| {
        let patient = setup.tls(&certificate).server("handshake_timeout: 4m");
        patient.server("drain_timeout: 5m")
    })
    .await;
    let _silent = Wire::connect(world.gate.tls.expect("TLS")).await;
    stops_soon(world).await;
}

#[tokio::test]
async fn a_refused_client_that_does_not_hang_up_does_not_hold_the_drain() {
    let world = patient().await;
    let mut wire = world.gate.wire().await;
    wire.send("POST /me/x HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 3000000\r\n\r\n")
        .await;
    assert_eq!(wire.reply().await.status, 401);
    stops_soon(world).await;
}

#[tokio::test]
async fn an_http2_connection_is_told_goaway_and_its_streams_finish() {
    let mut world = World::start().await;
    let client = H2::over(
        TcpStream::connect(world.gate.address)
            .await
            .expect("a connection"),
    )
    .await;
    let mut sender = client.sender.clone();
    let held = tokio_util::task::TaskTracker::new()
        .spawn(async move { sender.send_request(get("/pub/hold", &[])).await });
    world
        .backend
        .until("the request", |counts| counts.requests == 1)
        .await;
    world.gate.signal("TERM");
    world.gate.until_readyz(503).await;
    world.backend.release();
    assert_eq!(
        held.await.expect("joined").expect("a response").status(),
        200
    );
    let ended = timeout(DEADLINE, client.connection)
        .await
        .expect("in time")
        .expect("joined");
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(world.gate.exit().await.code(), Some(0));
}

#[tokio::test]
async fn what_is_not_finished_is_cut_at_drain_timeout() {
    let mut world = World::with(|setup| setup.server("drain_timeout: 1s")).await;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", "/pub/hold", &[], "")).await;
    world
        .backend
        .until("the request", |counts| counts.requests == 1)
        .await;
    world.gate.signal("TERM");
    let stopped = timeout(Duration::from_secs(10), world.gate.exit()).await;
    assert!(stopped.is_ok());
    assert!(wire.try_reply(false).await.is_err());
}

#[tokio::test]
async fn tunnels_and_event_streams_do_not_hold_the_drain_for_ever() {
    let mut world = World::with(|setup| setup.server("drain_timeout: 2s")).await;
    let mut events = world.gate.wire().await;
    events.send(request("GET", "/pub/events", &[], "")).await;
    assert_eq!(events.reply_head().await.status, 200);
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let mut tunnel = world.gate.wire().await;
    tunnel.send(request("GET", "/pub/ws", &upgrade, "")).await;
    assert_eq!(tunnel.reply_head().await.status, 101);
    world.gate.signal("TERM");
    assert!(
        timeout(Duration::from_secs(10), world.gate.exit())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let mut world = World::with(|setup| setup.server("drain_timeout: 1h")).await;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", "/pub/hold", &[], "")).await;
    world
        .backend
        .until("the request", |counts| counts.requests == 1)
        .await;
    world.gate.signal("TERM");
    world.gate.until_readyz(503).await;
    assert!(world.gate.is_running());
    world.gate.signal("TERM");
    world.gate.exit().await;
}

#[tokio::test]
async fn a_port_in_use_is_said_so_and_the_exit_is_not_0() {
    let (auth0, backend) = (Auth0::start(), Backend::start());
    let taken = backend.address().to_string();
    let yaml = format!(
        "server: {{ listen: \"{taken}\" }}\nadmin: {{ listen: 127.0.0.1:0 }}\nupstream: http://127.0.0.1:1\n\
         auth0: {{ url: {}, audience: a }}\nroutes: [{{ path: /, access: public }}]\n",
        auth0.url()
    );
    let (status, output) = run(&yaml);
    assert!(matches!(status, Some(1 | 2)), "{status:?} {output}");
    assert!(output.contains(&taken), "{output}");
}

#[tokio::test]
async fn a_bad_config_exits_with_2_and_names_the_place() {
    let (status, output) = run("upstream: http://127.0.0.1:1\nruotes: []\n");
    assert_eq!(status, Some(2), "{output}");
    assert!(
        output.contains("tollgate.yaml:2:1") && output.contains("routes"),
        "{output}"
    );
}

#[tokio::test]
async fn with_stripe_configured_its_paths_are_answered_here_and_no_secret_is_logged() {
    let shop = Shop::open().await;
    for (path, status) in [
        ("/stripe/config", 200),
        ("/Stripe/Config/", 200),
        ("/stripe/debug", 404),
        ("/stripe", 404),
        ("/stripe/webhook", 405),
        ("/auth/premium-status", 401),
        ("/AUTH/premium-status/", 401),
    ] {
        assert_eq!(shop.gate.get(path).await.status, status, "{path}");
    }
    assert_eq!(shop.backend.counts().requests, 0);
    let log = shop.gate.log.text();
    for secret in [KEY, SECRET, CLIENT_SECRET] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_ledger_that_cannot_be_opened_ends_the_start_with_a_reason() {
    let (status, output) = run(&format!(
        "upstream: http://127.0.0.1:1\nadmin: {{ listen: 127.0.0.1:0 }}\nserver: {{ listen: 127.0.0.1:0 }}\n\
         auth0: {{ url: http://127.0.0.1:1/, audience: a, management: {{ client_id: a, client_secret: b }} }}\n\
         stripe: {{ secret_key: {KEY}, publishable_key: pk_test_a, webhook: {{ secrets: {SECRET} }}, \
         frontend_url: https://a.test }}\nplans: [{{ name: free, role: free }}]\nroles: {{ free: [] }}\n\
         store: {{ url: \"sqlite:///nowhere/at/all/ledger.db\" }}\n"
    ));
    assert_eq!(status, Some(1), "{output}");
    assert!(output.contains("/nowhere/at/all"), "{output}");
}

/// Runs `serve` with this file to its end; the exit code, and what was written.
fn run(yaml: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("tollgate.yaml");
    std::fs::write(&config, yaml).expect("a config file");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["serve", "-c"])
        .arg(&config)
        .output()
        .expect("the binary starts");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[tokio::test]
async fn a_second_server_on_a_ledger_does_not_start_and_leaves_the_first_alone() {
    let shop = Shop::open().await;
    let config = shop.gate.folder.path().join("tollgate.yaml");
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["serve", "-c"])
        .arg(&config)
        .output()
        .expect("the binary runs");
    assert_eq!(second.status.code(), Some(1));
    let output = String::from_utf8_lossy(&[second.stdout, second.stderr].concat()).into_owned();
    assert!(
        output.contains("another server uses the ledger"),
        "{output}"
    );
    shop.buy(crate::shop::ANN, "lifetime").await;
}

#[tokio::test]
async fn a_disk_that_was_full_for_a_while_costs_503s_and_nothing_else() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let session = shop.checkout(crate::shop::ANN, "lifetime").await;
    // No file may grow: what is written fails at its end, as on a full disk.
    if !shop.gate.limit_files(1) {
        println!("not run: there is no `prlimit` here");
        return;
    }
    shop.stripe.pay(&session);
    let event = shop.stripe.outbox().pop().expect("an event");
    let refused = shop.stripe.deliver(&event).await.expect("an answer");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(shop.gate.limit_files(u64::MAX));
    shop.stripe.let_events_go();
    shop.auth0
        .until_roles(crate::shop::ANN, &["premium-lifetime"])
        .await;
}
