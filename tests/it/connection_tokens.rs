//! Many requests on one connection: each is judged by its own token, whatever the one before it held.

use serde_json::Value;

use crate::gate::{World, request};
use crate::support::backend::echoed;
use crate::support::h2::H2;
use crate::support::keys::Key;
use crate::support::raw::Wire;
use crate::support::token::now;

/// GET `path` with `token` on this connection: the status, and whom the backend was told of.
async fn ask(wire: &mut Wire, path: &str, token: &str) -> (u16, String) {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let headers = if token.is_empty() { &[] } else { &headers[..] };
    wire.send(request("GET", path, headers, "")).await;
    let reply = wire.reply().await;
    (reply.status, subject(&reply.json()))
}

fn subject(echo: &Value) -> String {
    echoed(echo, "headers", "x-auth-subject").join(",")
}

fn answer(status: u16, subject: &str) -> (u16, String) {
    (status, subject.to_owned())
}

#[tokio::test]
async fn each_request_on_a_connection_is_judged_by_its_own_token() {
    let world = World::start().await;
    let (good, poor) = (
        world.auth0.token("good", &["read:premium"]),
        world.auth0.token("poor", &[]),
    );
    // The signature of one under the claims of the other, and one with its last letter changed.
    let mixed = format!(
        "{}.{}",
        poor.rsplit_once('.').expect("dots").0,
        good.rsplit_once('.').expect("dots").1
    );
    let cut = &good[..good.len() - 1];
    let mut wire = world.gate.wire().await;
    for _ in 0..3 {
        let premium = "/premium";
        assert_eq!(ask(&mut wire, premium, &good).await, answer(200, "good"));
        assert_eq!(ask(&mut wire, premium, &poor).await, answer(403, ""));
        assert_eq!(ask(&mut wire, premium, &good).await, answer(200, "good"));
        assert_eq!(ask(&mut wire, premium, "").await, answer(401, ""));
        assert_eq!(ask(&mut wire, premium, &mixed).await, answer(401, ""));
        assert_eq!(ask(&mut wire, premium, cut).await, answer(401, ""));
        assert_eq!(ask(&mut wire, "/me/x", &poor).await, answer(200, "poor"));
        assert_eq!(ask(&mut wire, "/opt/x", "").await, answer(200, ""));
    }
}

#[tokio::test]
async fn a_token_that_expires_on_a_connection_is_refused_on_it() {
    let world = World::with(|setup| setup.auth0("leeway: 0s")).await;
    // Time for a slow machine to be served once before it.
    let end = now() + 6;
    let token = world
        .auth0
        .sign(&world.auth0.draft("u", &[]).claim("exp", end));
    let mut wire = world.gate.wire().await;
    let mut served = 0;
    let last = loop {
        match ask(&mut wire, "/me/x", &token).await {
            (200, _) => served += 1,
            (status, _) => break status,
        }
    };
    assert!(served > 0 && now() >= end, "{served} served");
    assert_eq!(last, 401);
}

#[tokio::test]
async fn a_token_whose_key_is_withdrawn_is_refused_on_the_connection_that_used_it() {
    let world = World::with(|setup| setup.auth0("jwks: { refresh: 1s }")).await;
    let old = world.auth0.key();
    let token = world.auth0.token("u", &[]);
    let mut wire = world.gate.wire().await;
    assert_eq!(ask(&mut wire, "/me/x", &token).await, answer(200, "u"));
    world.auth0.rotate_to(Key::nth(1));
    world.auth0.revoke(&old.kid);
    let start = std::time::Instant::now();
    while ask(&mut wire, "/me/x", &token).await.0 == 200 {
        assert!(start.elapsed().as_secs() < 20, "still accepted");
    }
    assert_eq!(ask(&mut wire, "/me/x", &token).await, answer(401, ""));
}

#[tokio::test]
async fn streams_of_one_connection_are_judged_by_their_own_tokens() {
    let world = World::start().await;
    let socket = tokio::net::TcpStream::connect(world.gate.address).await;
    let mut client = H2::over(socket.expect("a connection")).await;
    for number in 0..20 {
        let name = format!("user-{}", number % 3);
        let bearer = format!("Bearer {}", world.auth0.token(&name, &["read:premium"]));
        let headers = [("authorization", bearer.as_str())];
        let reply = client.get("/premium", &headers).await;
        assert_eq!(subject(&reply.json()), name);
        assert_eq!(client.get("/premium", &[]).await.status, 401);
    }
}
