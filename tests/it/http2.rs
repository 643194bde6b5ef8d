//! HTTP/2 from clients: by prior knowledge, and by ALPN over TLS.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Empty};
use tokio::net::TcpStream;

use super::errors::assert_error;
use crate::frames;
use crate::gate::{Certificate, World, request};
use crate::support::backend::echoed;
use crate::support::h2::{H2, get, post};
use crate::support::raw::Wire;

async fn plain(world: &World) -> H2 {
    H2::over(
        TcpStream::connect(world.gate.address)
            .await
            .expect("a connection"),
    )
    .await
}

#[tokio::test]
async fn prior_knowledge_works_without_tls() {
    let world = World::start().await;
    let mut client = plain(&world).await;
    let reply = client.get("/pub/x?q=1", &[("x-custom", "1")]).await;
    assert_eq!((reply.status, reply.version.as_str()), (200, "HTTP/2.0"));
    let echo = reply.json();
    assert_eq!(echo["target"], "/pub/x?q=1");
    assert_eq!(echo["version"], "HTTP/1.1");
    assert_eq!(echoed(&echo, "headers", "host"), ["gate.test"]);
    assert_eq!(echoed(&echo, "headers", "x-forwarded-proto"), ["http"]);
    let sent = client
        .send(post("/pub/x", "hello"))
        .await
        .expect("a response");
    let body = sent.into_body().collect().await.expect("a body").to_bytes();
    let echo: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(echo["body"], "hello");
}

#[tokio::test]
async fn decisions_are_the_same_over_http2() {
    let world = World::start().await;
    let mut client = plain(&world).await;
    assert_error(&client.get("/premium", &[]).await, 401, "missing_token");
    assert_error(&client.get("/%61dmin", &[]).await, 401, "missing_token");
    assert_error(&client.get("/pub/a%2fb", &[]).await, 400, "invalid_path");
    let bearer = format!("Bearer {}", world.auth0.token("auth0|1", &["read:premium"]));
    let reply = client
        .get(
            "/premium",
            &[("authorization", &bearer), ("x-auth-subject", "root")],
        )
        .await;
    assert_eq!(
        echoed(&reply.json(), "headers", "x-auth-subject"),
        ["auth0|1"]
    );
}

#[tokio::test]
async fn cookies_that_http2_splits_are_joined_again() {
    let world = World::start().await;
    let reply = plain(&world)
        .await
        .get("/pub/x", &[("cookie", "a=1"), ("cookie", "b=2")])
        .await;
    assert_eq!(echoed(&reply.json(), "headers", "cookie"), ["a=1; b=2"]);
}

#[tokio::test]
async fn an_authority_and_a_host_that_differ_are_a_400() {
    let world = World::start().await;
    let mut client = plain(&world).await;
    let reply = client.get("/pub/x", &[("host", "other.test")]).await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn streams_run_side_by_side() {
    let world = World::start().await;
    let mut client = plain(&world).await;
    let mut slow = client.sender.clone();
    let held = tokio_util::task::TaskTracker::new()
        .spawn(async move { slow.send_request(get("/pub/hold", &[])).await });
    world
        .backend
        .until("it", |counts| counts.requests == 1)
        .await;
    assert_eq!(client.get("/pub/x", &[]).await.status, 200);
    world.backend.release();
    assert_eq!(
        held.await.expect("joined").expect("a response").status(),
        200
    );
}

#[tokio::test]
async fn a_stream_that_is_reset_cancels_its_upstream_request() {
    let world = World::start().await;
    let client = plain(&world).await;
    let mut sender = client.sender.clone();
    let asked = tokio_util::task::TaskTracker::new()
        .spawn(async move { sender.send_request(get("/pub/hold", &[])).await });
    world
        .backend
        .until("it", |counts| counts.requests == 1)
        .await;
    asked.abort();
    world
        .backend
        .until("its end", |counts| counts.aborted >= 1)
        .await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_over_http2() {
    let world = World::with(|setup| setup.server("max_body: 1KiB")).await;
    let mut client = plain(&world).await;
    let response = client
        .send(post("/pub/x", vec![b'x'; 4096]))
        .await
        .expect("a response");
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn trailers_pass_over_http2() {
    let world = World::start().await;
    let mut client = plain(&world).await;
    let response = client
        .send(get("/pub/trailers", &[("te", "trailers")]))
        .await
        .expect("a response");
    let body = response.into_body().collect().await.expect("a body");
    assert_eq!(
        body.trailers()
            .and_then(|trailers| trailers.get("x-checksum"))
            .map(http::HeaderValue::as_bytes),
        Some(&b"abc"[..])
    );
    assert_eq!(body.to_bytes(), Bytes::from("one two"));
}

#[tokio::test]
async fn connect_is_a_405_over_http2() {
    let world = World::start().await;
    let mut client = plain(&world).await;
    let connect = Request::connect("gate.test:443")
        .version(Version::HTTP_2)
        .body(Empty::new().boxed())
        .expect("a request");
    let response = client.send(connect).await.expect("a response");
    assert_eq!(response.status(), 405);
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn tls_agrees_on_http2_or_http1_by_alpn() {
    let certificate = Certificate::new();
    let world = World::with(|setup| setup.tls(&certificate)).await;
    let socket = world
        .gate
        .tls(&certificate, &["h2", "http/1.1"])
        .await
        .expect("TLS");
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let reply = H2::over(socket).await.get("/pub/x", &[]).await;
    assert_eq!(
        echoed(&reply.json(), "headers", "x-forwarded-proto"),
        ["https"]
    );
    for alpn in [&["http/1.1"][..], &[]] {
        let socket = world.gate.tls(&certificate, alpn).await.expect("TLS");
        let mut wire = Wire::over(socket);
        wire.send(request("GET", "/pub/x", &[], "")).await;
        let reply = wire.reply().await;
        assert_eq!(
            (reply.status, reply.version.as_str()),
            (200, "HTTP/1.1"),
            "{alpn:?}"
        );
    }
}

#[tokio::test]
async fn more_streams_than_the_limit_wait() {
    let world = World::with(|setup| setup.server("http2: { max_streams: 2 }")).await;
    let mut client = plain(&world).await;
    assert_eq!(client.get("/pub/x", &[]).await.status, 200);
    let replies = futures_util::future::join_all((0..6).map(|_| {
        let mut sender = client.sender.clone();
        async move {
            sender
                .send_request(get("/pub/x", &[]))
                .await
                .map(|response| response.status().as_u16())
                .ok()
        }
    }));
    assert_eq!(replies.await, [Some(200); 6]);
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let world = World::with(|setup| setup.server("http2: { max_resets: 10 }")).await;
    assert!(frames::is_cut_off_after_resets(&world.gate, "/pub/hold", 2000).await);
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused_over_http2() {
    let world = World::start().await;
    let long = "x".repeat(40 * 1024);
    let mut client = plain(&world).await;
    let response = client.send(get("/pub/x", &[("x-long", &long)])).await;
    assert_eq!(response.expect("a response").status(), 431);
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn more_headers_than_the_limit_is_a_431_over_http2() {
    let world = World::with(|setup| setup.server("max_headers: 20")).await;
    let names: Vec<String> = (0..40).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let mut client = plain(&world).await;
    assert_eq!(client.get("/pub/x", &many[..10]).await.status, 200);
    let refused = client.get("/pub/x", &many).await;
    assert_error(&refused, 431, "headers_too_large");
    assert_eq!(world.backend.counts().requests, 1);
    assert_eq!(client.get("/pub/x", &[]).await.status, 200);
}

#[tokio::test]
async fn a_client_without_a_window_is_ended_and_its_upstream_connections_are_free_again() {
    let world = World::with(|setup| {
        setup
            .server("idle_timeout: 4s")
            .upstream("max_connections: 4")
            .upstream("connect_timeout: 1s")
    })
    .await;
    let mut greedy = frames::Greedy::ask(&world.gate, "/pub/big?16777216", 4).await;
    assert_error(&world.gate.get("/pub/x").await, 503, "upstream_busy");
    assert!(greedy.is_ended().await);
    world
        .backend
        .until("the end of all four", |counts| counts.aborted >= 4)
        .await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
}

#[tokio::test]
async fn a_client_without_a_window_is_ended_however_small_the_answer() {
    let world = World::with(|setup| setup.server("idle_timeout: 1s")).await;
    for path in ["/pub/x", "/nowhere"] {
        let mut greedy = frames::Greedy::ask(&world.gate, path, 1).await;
        assert!(greedy.is_ended().await, "{path}");
    }
}

#[tokio::test]
async fn a_silent_event_stream_over_http2_is_no_client_that_takes_nothing() {
    let world = World::with(|setup| setup.server("idle_timeout: 2s")).await;
    let mut client = plain(&world).await;
    let answer = client.send(get("/pub/events", &[])).await;
    let mut events = answer.expect("an answer").into_body();
    for number in 1..=2 {
        let silence = tokio::time::timeout(Duration::from_secs(3), events.frame()).await;
        assert!(silence.is_err(), "{silence:?}");
        world.backend.release();
        let event = events.frame().await.expect("more").expect("an event");
        let data = event.into_data().expect("data");
        assert_eq!(data, format!("data: {number}\n\n"));
    }
}
