//! Cross-origin requests: preflights answered here, headers on every own answer, none doubled.

use tokio::net::TcpStream;

use super::errors::assert_error;
use crate::gate::{Setup, World};
use crate::support::auth0::{Auth0, Fault, JWKS};
use crate::support::backend::Backend;
use crate::support::h2::H2;
use crate::support::raw::Reply;

const ORIGIN: &str = "https://app.test";

fn cors(setup: Setup) -> Setup {
    setup.section("cors: { allowed_origins: [\"https://app.test\"], allow_credentials: true }")
}

fn assert_open(reply: &Reply) {
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some(ORIGIN),
        "{reply:?}"
    );
    assert_eq!(
        reply.header("access-control-allow-credentials"),
        Some("true"),
        "{reply:?}"
    );
    let vary = reply.header_all("vary").join(", ").to_ascii_lowercase();
    assert!(vary.contains("origin"), "{reply:?}");
}

fn assert_shut(reply: &Reply) {
    assert_eq!(
        reply.header("access-control-allow-origin"),
        None,
        "{reply:?}"
    );
}

async fn preflight(world: &World, path: &str, origin: &str) -> Reply {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "authorization, content-type, idempotency-key, cache-control, pragma",
        ),
    ];
    world.gate.send("OPTIONS", path, &headers, "").await
}

#[tokio::test]
async fn a_preflight_is_answered_here_whatever_the_route_asks_for() {
    let world = World::with(cors).await;
    for path in ["/pub/x", "/admin", "/premium", "/elsewhere"] {
        let reply = preflight(&world, path, ORIGIN).await;
        assert!(matches!(reply.status, 200 | 204), "{path}: {reply:?}");
        assert_open(&reply);
        let headers = reply
            .header("access-control-allow-headers")
            .unwrap_or_default()
            .to_ascii_lowercase();
        for name in [
            "authorization",
            "content-type",
            "idempotency-key",
            "cache-control",
            "pragma",
        ] {
            assert!(headers.contains(name), "{name}: {headers}");
        }
        let methods = reply
            .header("access-control-allow-methods")
            .unwrap_or_default();
        for name in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(methods.contains(name), "{name}: {methods}");
        }
        assert!(reply.header("access-control-max-age").is_some());
    }
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn a_preflight_from_another_origin_is_told_nothing() {
    let world = World::with(cors).await;
    for origin in [
        "https://evil.test",
        "null",
        "https://app.test.evil.test",
        "http://app.test",
        "https://app.test:444",
    ] {
        assert_shut(&preflight(&world, "/pub/x", origin).await);
    }
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn an_options_request_that_is_no_preflight_goes_the_usual_way() {
    let world = World::with(cors).await;
    assert_eq!(
        world.gate.send("OPTIONS", "/pub/x", &[], "").await.json()["method"],
        "OPTIONS"
    );
    assert_eq!(
        world.gate.send("OPTIONS", "/both", &[], "").await.status,
        401
    );
    assert_eq!(
        world
            .gate
            .send("OPTIONS", "/both", &[("Origin", ORIGIN)], "")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn without_cors_a_preflight_is_forwarded_without_a_token() {
    let world = World::start().await;
    let reply = preflight(&world, "/both", ORIGIN).await;
    assert_eq!(
        (reply.status, reply.json()["method"].as_str()),
        (200, Some("OPTIONS")),
        "{reply:?}"
    );
}

#[tokio::test]
async fn every_own_answer_carries_the_headers() {
    let world = World::with(|setup| {
        cors(setup)
            .server("max_body: 1KiB")
            .section("rate_limits:\n  - { path: /pub/limited, per: client, rate: 1/h, burst: 1 }")
    })
    .await;
    let origin = [("Origin", ORIGIN)];
    let bearer = format!("Bearer {}", world.auth0.token("u", &[]));
    let with_token = [("Origin", ORIGIN), ("Authorization", bearer.as_str())];
    let long = "x".repeat(2048);
    let gate = &world.gate;
    gate.send("GET", "/pub/limited", &origin, "").await;
    let replies = [
        (400, gate.send("GET", "/pub/a%2fb", &origin, "").await),
        (401, gate.send("GET", "/premium", &origin, "").await),
        (403, gate.send("GET", "/premium", &with_token, "").await),
        (403, gate.send("GET", "/elsewhere", &origin, "").await),
        (405, gate.send("POST", "/premium", &origin, "").await),
        (413, gate.send("POST", "/pub/x", &origin, &long).await),
        (429, gate.send("GET", "/pub/limited", &origin, "").await),
    ];
    for (status, reply) in replies {
        assert_eq!(reply.status, status, "{reply:?}");
        assert_open(&reply);
    }
}

#[tokio::test]
async fn a_gate_without_keys_and_a_slow_backend_are_told_to_the_page_too() {
    let (auth0, backend) = (Auth0::start(), Backend::start());
    auth0.fault(JWKS, Fault::Status(503));
    let gate = cors(Setup::new(&auth0, &backend.url()))
        .upstream("response_timeout: 500ms")
        .start_unready()
        .await;
    let bearer = format!("Bearer {}", auth0.token("u", &[]));
    let headers = [("Origin", ORIGIN), ("Authorization", bearer.as_str())];
    let reply = gate.send("GET", "/premium", &headers, "").await;
    assert_error(&reply, 503, "not_ready");
    assert_open(&reply);
    let reply = gate.send("GET", "/pub/hold", &headers, "").await;
    assert_error(&reply, 504, "upstream_timeout");
    assert_open(&reply);
}

#[tokio::test]
async fn an_unreachable_backend_is_told_to_the_page_too() {
    let world = World::with(|setup| cors(setup).upstream_url("http://127.0.0.1:1")).await;
    let reply = world
        .gate
        .send("GET", "/pub/x", &[("Origin", ORIGIN)], "")
        .await;
    assert_eq!(reply.status, 502);
    assert_open(&reply);
}

#[tokio::test]
async fn on_a_backends_answer_nothing_is_doubled() {
    let world = World::with(cors).await;
    let plain = world
        .gate
        .send("GET", "/pub/x", &[("Origin", ORIGIN)], "")
        .await;
    assert_open(&plain);
    let own = [
        ("Origin", ORIGIN),
        ("X-Answer", "Access-Control-Allow-Origin=https://app.test"),
        ("X-Answer", "Access-Control-Allow-Credentials=true"),
        ("X-Answer", "Vary=Accept-Encoding"),
    ];
    let both = world.gate.send("GET", "/pub/headers", &own, "").await;
    // It speaks for itself, `Vary` included.
    assert_eq!(
        both.header("access-control-allow-origin"),
        Some(ORIGIN),
        "{both:?}"
    );
    assert_eq!(
        both.header("access-control-allow-credentials"),
        Some("true"),
        "{both:?}"
    );
    assert!(
        both.header_all("vary")
            .join(", ")
            .contains("Accept-Encoding"),
        "{both:?}"
    );
}

#[tokio::test]
async fn a_backends_answer_to_a_stranger_is_not_opened() {
    let world = World::with(cors).await;
    let wide = [("Origin", "https://evil.test")];
    assert_shut(&world.gate.send("GET", "/pub/x", &wide, "").await);
}

#[tokio::test]
async fn a_request_without_origin_gets_no_origin_back() {
    let world = World::with(cors).await;
    assert_shut(&world.gate.get("/premium").await);
    assert_shut(&world.gate.get("/pub/x").await);
}

#[tokio::test]
async fn caches_are_told_that_the_origin_matters_also_without_one() {
    let world = World::with(cors).await;
    for path in ["/premium", "/pub/x"] {
        let reply = world.gate.get(path).await;
        let vary = reply.header_all("vary").join(", ").to_ascii_lowercase();
        assert!(vary.contains("origin"), "{path}: {reply:?}");
    }
}

/// Sends these bytes: the status of the answer, which a page of `ORIGIN` must be able to read, and its `path`.
async fn told(world: &World, bytes: &[u8]) -> (u16, String) {
    let mut wire = world.gate.wire().await;
    wire.send(bytes).await;
    let reply = wire.reply().await;
    assert_open(&reply);
    let path = reply.json()["path"].as_str().map(str::to_owned);
    (reply.status, path.expect("a path"))
}

#[tokio::test]
async fn what_is_no_request_is_told_to_the_page_too() {
    let world = World::with(|setup| cors(setup).server("header_timeout: 1s")).await;
    let long = format!("X-Long: {}\r\n", "x".repeat(100 << 10));
    let many = "X-Many: 1\r\n".repeat(150);
    let (line, origin) = ("GET /pub/x HTTP/1.1\r\n", "Origin: https://app.test\r\n");
    let wrong = "Content-Length: x\r\n";
    let half = format!("{line}{origin}X-Half");
    assert_eq!(
        told(&world, half.as_bytes()).await,
        (408, "/pub/x".to_owned())
    );
    for (status, path, line, fields) in [
        (431, "/pub/x", line, format!("{origin}{long}")),
        // Its origin comes too late to be read: it can only be the one that there is.
        (431, "/pub/x", line, format!("{long}{origin}")),
        (431, "/pub/x", line, format!("{origin}{many}")),
        (400, "/pub/x", line, format!("{origin}{wrong}")),
        (400, "/pub/x", line, format!("{wrong}{origin}")),
        (400, "", "nonsense\r\n", origin.to_owned()),
    ] {
        let bytes = format!("{line}Host: gate.test\r\n{fields}\r\n");
        let what = &bytes[..bytes.len().min(80)];
        assert_eq!(
            told(&world, bytes.as_bytes()).await,
            (status, path.to_owned()),
            "{what}"
        );
    }
    let mut raw = b"GET /pub/\xff?q HTTP/1.1\r\nHost: gate.test\r\n".to_vec();
    raw.extend(format!("{origin}\r\n").into_bytes());
    assert_eq!(told(&world, &raw).await, (400, "/pub/\u{fffd}".to_owned()));
}

#[tokio::test]
async fn what_is_no_request_is_not_told_to_a_stranger_nor_to_one_of_several() {
    let two = "cors: { allowed_origins: [\"https://app.test\", \"https://b.test\"] }";
    let (one, two) = (
        World::with(cors).await,
        World::with(|setup| setup.section(two)).await,
    );
    for (world, origin) in [(one, "Origin: https://evil.test\r\n"), (two, "")] {
        let head = "GET /pub/x HTTP/1.1\r\nHost: gate.test\r\nContent-Length: x\r\n";
        let sent = world.gate.send_raw(format!("{head}{origin}\r\n")).await;
        let reply = sent.expect("an answer");
        assert_eq!(reply.status, 400);
        assert_shut(&reply);
        assert_eq!(reply.header("vary"), Some("origin"));
    }
}

#[tokio::test]
async fn a_head_over_the_limit_is_told_to_the_page_over_http2_too() {
    let world = World::with(|setup| cors(setup).server("max_header_bytes: 16KiB")).await;
    let socket = TcpStream::connect(world.gate.address).await;
    let mut client = H2::over(socket.expect("a connection")).await;
    let long = "x".repeat(40 << 10);
    let reply = client
        .get("/pub/x", &[("origin", ORIGIN), ("x-long", &long)])
        .await;
    assert_eq!(reply.status, 431);
    assert_open(&reply);
}
