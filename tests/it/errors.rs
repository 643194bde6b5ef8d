//! The shape of an answer that Tollgate makes itself (CONTRACT.md, "Errors").

use serde_json::Value;

use crate::gate::World;
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
