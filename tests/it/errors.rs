//! The shape of an answer that Tollgate makes itself (CONTRACT.md, "Errors").

use http::Request;
use http_body_util::{BodyExt as _, Empty};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::gate::{Gate, World};
use crate::shop::Shop;
use crate::support::h2::H2;
use crate::support::raw::Reply;

/// Checks everything that every error has, and gives its text.
pub(crate) fn assert_error(reply: &Reply, status: u16, code: &str) -> String {
    assert_eq!(reply.status, status, "{reply:?} {}", reply.text());
    let body = reply.json();
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body["status_code"], status, "{body}");
    assert_eq!(body["error"], body["detail"], "{body}");
    assert_eq!(body["error"], body["message"], "{body}");
    let text = body["detail"].as_str().unwrap_or_default();
    assert!(!text.is_empty(), "{body}");
    let timestamp = body["timestamp"].as_str().unwrap_or_default();
    assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{body}");
    assert!(body["path"].is_string(), "{body}");
    assert!(
        body["request_id"].as_str().is_some_and(|id| !id.is_empty()),
        "{body}"
    );
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/json"), "{kind}");
    text.to_owned()
}

#[tokio::test]
async fn an_error_has_every_key_of_the_contract() {
    let world = World::start().await;
    let reply = world.gate.get("/premium?x=1").await;
    assert_error(&reply, 401, "missing_token");
    assert_eq!(reply.json()["path"], "/premium");
}

#[tokio::test]
async fn a_request_id_is_made_and_told_to_the_backend() {
    let world = World::start().await;
    let first = world.gate.get("/premium").await.json()["request_id"].clone();
    let second = world.gate.get("/premium").await.json()["request_id"].clone();
    assert_ne!(first, second);
    world.gate.get("/pub/x").await;
    assert!(
        world
            .backend
            .last()
            .header("x-request-id")
            .is_some_and(|id| !id.is_empty())
    );
}

#[tokio::test]
async fn a_head_request_that_is_refused_gets_no_body() {
    let world = World::start().await;
    let reply = world.gate.send("HEAD", "/premium", &[], "").await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.body, b"");
    // Its length may be told, and the connection goes on: the next answer starts where it should.
    let mut wire = world.gate.wire().await;
    wire.send("HEAD /premium HTTP/1.1\r\nHost: a\r\n\r\nGET /pub/x HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(wire.reply_to_head().await.status, 401);
    assert_eq!(wire.reply().await.status, 200);
}

async fn over_http2(gate: &Gate) -> H2 {
    let socket = TcpStream::connect(gate.address).await;
    H2::over(socket.expect("a connection")).await
}

/// The fields of an answer, but those that differ from one request to the next.
fn lasting(fields: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| name != "date" && name != "x-request-id")
        .collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn a_head_request_gets_the_head_of_the_answer_to_a_get_over_both_protocols() {
    let shop = Shop::open().await;
    for (path, status) in [
        ("/stripe/config", 200),
        ("/me/x", 401),
        ("/elsewhere", 403),
        ("/pub/a%2fb", 400),
    ] {
        let get = shop.gate.get(path).await;
        let head = shop.gate.send("HEAD", path, &[], "").await;
        assert_eq!((head.status, head.body.len()), (status, 0), "{path}");
        assert_eq!(lasting(head.headers), lasting(get.headers), "{path}");
        let mut client = over_http2(&shop.gate).await;
        let get = client.get(path, &[]).await;
        let asked = Request::head(format!("http://gate.test{path}")).body(Empty::new().boxed());
        let head = client.send(asked.expect("a request")).await;
        let (head, body) = head.expect("an answer").into_parts();
        assert_eq!(head.status, status, "{path}");
        let body = body.collect().await.expect("an end, and no fault");
        assert_eq!(body.to_bytes().len(), 0, "{path}");
        let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
        let fields = head.headers.iter();
        let fields = fields.map(|(name, value)| (name.to_string(), text(value)));
        assert_eq!(lasting(fields), lasting(get.headers), "{path}");
    }
}

#[tokio::test]
async fn a_head_over_the_limit_gets_an_answer_of_ours_and_is_counted_over_http2() {
    let world = World::with(|setup| setup.server("max_header_bytes: 16KiB")).await;
    let mut client = over_http2(&world.gate).await;
    for length in [17 << 10, 40 << 10] {
        let refused = client
            .get("/pub/x", &[("x-long", &"x".repeat(length))])
            .await;
        assert_error(&refused, 431, "headers_too_large");
    }
    // A field counts for 32 bytes more than its text (RFC 9113, section 6.5.2).
    let names: Vec<String> = (0..90).map(|number| format!("x-{number:0158}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let refused = client.get("/pub/x", &many).await;
    assert_error(&refused, 431, "headers_too_large");
    assert_eq!(client.get("/pub/x", &many[..60]).await.status, 200);
    let counted = [("status", "431"), ("decision", "refuse")];
    let name = "tollgate_requests_total";
    world.gate.until_metric(name, &counted, 3.0).await;
    assert_eq!(world.backend.counts().requests, 1);
}

#[tokio::test]
async fn what_is_answered_here_with_consent_counts_as_permitted() {
    let cors = "cors: { allowed_origins: [\"https://app.test\"] }";
    let world = World::with(|setup| setup.section(cors)).await;
    let ask = async |origin: &str| {
        let headers = [("Origin", origin), ("Access-Control-Request-Method", "GET")];
        let reply = world.gate.send("OPTIONS", "/me/x", &headers, "").await;
        reply.status
    };
    assert_eq!(ask("https://app.test").await, 204);
    assert_eq!(ask("https://other.test").await, 403);
    assert_eq!(world.gate.send("OPTIONS", "*", &[], "").await.status, 204);
    let decided = async |status, decision, least| {
        let labels = [
            ("method", "OPTIONS"),
            ("status", status),
            ("decision", decision),
        ];
        let name = "tollgate_requests_total";
        world.gate.until_metric(name, &labels, least).await;
    };
    decided("204", "permit", 2.0).await;
    decided("403", "refuse", 1.0).await;
}

#[tokio::test]
async fn a_request_over_a_rate_limit_is_logged_and_counted_with_its_route() {
    let limit = "rate_limits: [{ path: \"/{*rest}\", per: client, rate: 1/h, burst: 1 }]";
    let shop = Shop::with(|setup| setup.section(limit)).await;
    assert_eq!(shop.gate.get("/stripe/config").await.status, 200);
    for (path, route) in [
        ("/me/x", "/me/{*rest}"),
        ("/stripe/config", "/stripe/config"),
        ("/elsewhere", "-"),
    ] {
        assert_error(&shop.gate.get(path).await, 429, "rate_limited");
        let limited = |event: &Value| {
            event["http.status"] == 429
                && event["http.path"] == path
                && event["http.route"] == route
        };
        shop.gate.log.until(route, 1, limited).await;
    }
}

#[tokio::test]
async fn a_refused_request_with_a_body_does_not_break_the_next_one() {
    let world = World::start().await;
    let mut wire = world.gate.wire().await;
    let next = "GET /pub/next HTTP/1.1\r\nHost: a\r\n\r\n";
    let body = next.len();
    wire.send(format!(
        "POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: {body}\r\n\r\n{next}"
    ))
    .await;
    let refused = wire.reply().await;
    assert_eq!(refused.status, 401);
    // Either the body was read away, or the connection ends; never is a body taken for a request.
    let mut sent = wire
        .try_send("GET /pub/real HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    if sent.is_ok() {
        match wire.try_reply(false).await {
            Ok(reply) => assert_eq!(reply.json()["target"], "/pub/real"),
            Err(error) => sent = Err(error),
        }
    }
    let targets: Vec<String> = world
        .backend
        .seen()
        .into_iter()
        .map(|seen| seen.target)
        .collect();
    assert!(
        !targets.contains(&"/pub/next".to_owned()),
        "{targets:?} {sent:?}"
    );
}

#[tokio::test]
async fn errors_of_the_backend_pass_untouched() {
    let world = World::start().await;
    let reply = world.gate.get("/pub/status?500").await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (500, "from the backend")
    );
    assert_eq!(reply.json(), Value::Null);
    assert_eq!(
        world
            .gate
            .get("/pub/status?401")
            .await
            .header("www-authenticate"),
        None
    );
}
