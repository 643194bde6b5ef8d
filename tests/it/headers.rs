//! What the backend may believe: identity, forwarding and hop-by-hop headers (DESIGN.md, "Routes").

use serde_json::Value;

use crate::gate::{World, request};
use crate::support::backend::echoed;
use crate::support::backend::scripted::{Scripted, Step};

async fn echo(world: &World, path: &str, headers: &[(&str, &str)]) -> Value {
    let reply = world.gate.send("GET", path, headers, "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Names of the echoed headers that a backend could read as one of ours.
fn identity(echo: &Value, part: &str) -> Vec<String> {
    let fields = echo[part].as_array().cloned().unwrap_or_default();
    let names = fields
        .iter()
        .filter_map(|field| field[0].as_str().map(str::to_ascii_lowercase));
    let folded = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    names
        .filter(|name| folded(name).starts_with("x-auth-"))
        .collect()
}

const SPELLINGS: [&str; 10] = [
    "X-Auth-Subject",
    "x-auth-subject",
    "X_Auth_Subject",
    "X-Auth_Permissions",
    "x.auth.plan",
    "X-AUTH-ANYTHING",
    "X~Auth~Subject",
    "x!auth!subject",
    "X-Auth-",
    "X_AUTH-subject",
];

#[tokio::test]
async fn identity_headers_of_the_client_are_dropped_in_every_spelling() {
    let world = World::start().await;
    for spelling in SPELLINGS {
        for path in ["/pub/x", "/opt/x", "/"] {
            let echo = echo(&world, path, &[(spelling, "auth0|admin")]).await;
            assert_eq!(
                identity(&echo, "headers"),
                Vec::<String>::new(),
                "{spelling} on {path}"
            );
        }
    }
}

#[tokio::test]
async fn identity_headers_in_trailers_are_dropped() {
    let world = World::start().await;
    for spelling in SPELLINGS {
        let head =
            "POST /pub/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n";
        let body = format!("1\r\na\r\n0\r\n{spelling}: auth0|admin\r\nX-Sum: 1\r\n\r\n");
        let reply = world
            .gate
            .send_raw(format!("{head}Trailer: {spelling}, X-Sum\r\n\r\n{body}"))
            .await;
        let reply = reply.expect("an answer");
        if reply.status == 200 {
            assert_eq!(
                identity(&reply.json(), "trailers"),
                Vec::<String>::new(),
                "{spelling}"
            );
        }
    }
}

#[tokio::test]
async fn identity_headers_are_set_from_the_token_alone() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.auth0.token("auth0|7", &["a:b", "c:d"]));
    let forged = [
        ("Authorization", bearer.as_str()),
        ("X-Auth-Subject", "auth0|admin"),
        ("X_Auth_Permissions", "all"),
    ];
    let echo = echo(&world, "/me/x", &forged).await;
    assert_eq!(echoed(&echo, "headers", "x-auth-subject"), ["auth0|7"]);
    assert_eq!(echoed(&echo, "headers", "x-auth-permissions"), ["a:b c:d"]);
}

#[tokio::test]
async fn connection_cannot_remove_a_header_that_tollgate_sets() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.auth0.token("auth0|7", &["a:b"]));
    let connection = "close, X-Auth-Subject, X-Auth-Permissions, X-Request-Id, X-Forwarded-For, X-Forwarded-Proto, \
                      X-Forwarded-Host, Forwarded, Host";
    let echo = echo(
        &world,
        "/me/x",
        &[("Authorization", &bearer), ("Connection", connection)],
    )
    .await;
    for name in [
        "x-auth-subject",
        "x-auth-permissions",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
        "host",
    ] {
        assert_eq!(echoed(&echo, "headers", name).len(), 1, "{name}: {echo}");
    }
}

#[tokio::test]
async fn hop_by_hop_headers_and_those_that_connection_names_are_dropped() {
    let backend = Scripted::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, X-Inner\r\n\
        X-Inner: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nX-Kept: 1\r\n\r\nok",
    );
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    let sent = [
        ("Connection", "keep-alive, X-Drop-Me"),
        ("X-Drop-Me", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("Proxy", "http://evil.test:3128"),
        ("TE", "gzip"),
        ("Upgrade-Insecure-Requests", "1"),
        ("X-Keep-Me", "1"),
    ];
    let reply = world.gate.send("GET", "/pub/x", &sent, "").await;
    let head = backend.received().concat().to_ascii_lowercase();
    for name in [
        "x-drop-me",
        "keep-alive:",
        "proxy-connection",
        "proxy-authorization",
        "proxy: ",
        "te: gzip",
    ] {
        assert!(!head.contains(name), "{name} in {head}");
    }
    assert!(
        head.contains("x-keep-me: 1") && head.contains("upgrade-insecure-requests: 1"),
        "{head}"
    );
    assert_eq!((reply.status, reply.header("x-kept")), (200, Some("1")));
    for name in ["x-inner", "keep-alive", "proxy-authenticate"] {
        assert_eq!(reply.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn override_headers_are_not_forwarded_unless_kept() {
    let headers = [
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-HTTP-Method", "DELETE"),
        ("X-Method-Override", "DELETE"),
        ("X_Original_URL", "/admin"),
    ];
    let world = World::start().await;
    let plain = echo(&world, "/pub/x", &headers).await;
    for name in [
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ] {
        assert!(echoed(&plain, "headers", name).is_empty(), "{name}");
    }
    let world = World::with(|setup| setup.upstream("keep_headers: [X-HTTP-Method-Override]")).await;
    let kept = echo(&world, "/pub/x", &headers).await;
    assert_eq!(
        echoed(&kept, "headers", "x-http-method-override"),
        ["DELETE"]
    );
    assert!(echoed(&kept, "headers", "x-original-url").is_empty());
}

const FORWARDED: [(&str, &str); 5] = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "shop.test"),
    ("Forwarded", "for=203.0.113.9;proto=https"),
    ("X-Real-IP", "203.0.113.9"),
];

#[tokio::test]
async fn forwarding_headers_of_a_stranger_are_not_believed() {
    let world = World::start().await;
    let echo = echo(&world, "/pub/x", &FORWARDED).await;
    assert_eq!(echoed(&echo, "headers", "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(echoed(&echo, "headers", "x-forwarded-proto"), ["http"]);
    assert_eq!(echoed(&echo, "headers", "x-forwarded-host"), ["gate.test"]);
    let forwarded = echoed(&echo, "headers", "forwarded").concat();
    assert!(
        forwarded.contains("127.0.0.1") && !forwarded.contains("203.0.113.9"),
        "{forwarded}"
    );
}

#[tokio::test]
async fn forwarding_headers_of_a_trusted_proxy_are_believed_and_extended() {
    let world = World::with(|setup| setup.server("trusted_proxies: [127.0.0.0/8]")).await;
    let echo = echo(&world, "/pub/x", &FORWARDED).await;
    let addresses = echoed(&echo, "headers", "x-forwarded-for").join(", ");
    assert!(addresses.starts_with("203.0.113.9"), "{addresses}");
    assert!(addresses.ends_with("127.0.0.1"), "{addresses}");
    assert_eq!(echoed(&echo, "headers", "x-forwarded-proto"), ["https"]);
    assert_eq!(echoed(&echo, "headers", "x-forwarded-host"), ["shop.test"]);
}

#[tokio::test]
async fn the_host_is_preserved_unless_the_file_says_upstream() {
    let world = World::start().await;
    let kept = echo(&world, "/pub/x", &[]).await;
    assert_eq!(echoed(&kept, "headers", "host"), ["gate.test"]);
    let world = World::with(|setup| setup.upstream("host: upstream")).await;
    let changed = echo(&world, "/pub/x", &[]).await;
    assert_eq!(
        echoed(&changed, "headers", "host"),
        [world.backend.address().to_string()]
    );
    assert_eq!(
        echoed(&changed, "headers", "x-forwarded-host"),
        ["gate.test"]
    );
}

#[tokio::test]
async fn headers_of_both_sides_pass_otherwise_unchanged() {
    let world = World::start().await;
    let sent = [
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
        ("Accept-Language", "de"),
        ("X-Custom", ""),
        ("Range", "bytes=0-1"),
        ("X-Answer", "Set-Cookie=a=1; HttpOnly"),
        ("X-Answer", "Set-Cookie=b=2"),
        ("X-Answer", "Server=echo"),
        ("X-Answer", "ETag=\"1\""),
    ];
    let reply = world.gate.send("GET", "/pub/headers", &sent, "").await;
    assert_eq!(reply.header_all("set-cookie"), ["a=1; HttpOnly", "b=2"]);
    assert_eq!(reply.header_all("server"), ["echo"]);
    assert_eq!(reply.header("etag"), Some("\"1\""));
    let seen = world.backend.last();
    assert_eq!(seen.header_all("cookie"), ["a=1", "b=2"]);
    assert_eq!(seen.header("x-custom"), Some(""));
    assert_eq!(seen.header("range"), Some("bytes=0-1"));
    assert_eq!(
        seen.header("transfer-encoding"),
        None,
        "a GET without a body stays one"
    );
    assert_eq!(seen.header("content-length"), None);
}

#[tokio::test]
async fn a_client_cannot_choose_the_request_id_unless_trusted() {
    let world = World::start().await;
    let echo = echo(&world, "/pub/x", &[("X-Request-Id", "evil-id")]).await;
    let ids = echoed(&echo, "headers", "x-request-id").join(",");
    assert!(!ids.contains("evil"), "{ids}");
}

#[tokio::test]
async fn the_assertion_is_a_jwt_that_the_backend_can_verify() {
    let secret = "0123456789abcdef0123456789abcdef";
    let assertion = format!(
        "assertion: {{ header: X-Tollgate-Assertion, secret: {secret}, audience: backend, ttl: 60s }}"
    );
    let world = World::with(|setup| setup.upstream(&assertion)).await;
    let bearer = format!("Bearer {}", world.auth0.token("auth0|7", &["a:b"]));
    let echo = echo(
        &world,
        "/me/x",
        &[
            ("Authorization", &bearer),
            ("X-Tollgate-Assertion", "forged"),
        ],
    )
    .await;
    let tokens = echoed(&echo, "headers", "x-tollgate-assertion");
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    let mut checks = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    checks.set_audience(&["backend"]);
    let key = jsonwebtoken::DecodingKey::from_secret(secret.as_bytes());
    let claims = jsonwebtoken::decode::<Value>(tokens[0], &key, &checks)
        .expect("a good JWT")
        .claims;
    assert_eq!(claims["sub"], "auth0|7");
}

/// An assertion under a name of the file's own.
const ASSERTION: &str = "assertion: { header: X-Tollgate-Assertion, \
                         secret: 0123456789abcdef0123456789abcdef, audience: backend, ttl: 60s }";

#[tokio::test]
async fn no_spelling_of_the_assertion_is_the_clients() {
    let world = World::with(|setup| setup.upstream(ASSERTION)).await;
    let bearer = format!("Bearer {}", world.auth0.token("auth0|7", &[]));
    for spelling in [
        "X-Tollgate-Assertion",
        "x_tollgate_assertion",
        "X-Tollgate_Assertion",
        "x.tollgate.assertion",
        "X~Tollgate~ASSERTION",
    ] {
        for path in ["/pub/x", "/opt/x", "/me/x"] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {bearer}\r\nTE: trailers\r\n\
                 {spelling}: evil\r\nTrailer: {spelling}, X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            let body = format!("1\r\na\r\n0\r\n{spelling}: evil\r\nX-Sum: 1\r\n\r\n");
            let echo = world.gate.send_raw(format!("{head}{body}")).await;
            let echo = echo.expect("an answer").json();
            assert_eq!(echoed(&echo, "trailers", "x-sum"), ["1"], "{echo}");
            for part in ["headers", "trailers"] {
                let fields = echo[part].as_array().cloned().unwrap_or_default();
                let evil = fields.iter().any(|field| field[1] == "evil");
                assert!(!evil, "{spelling} in {part} on {path}: {echo}");
            }
        }
    }
}

#[tokio::test]
async fn the_protocol_that_a_trusted_proxy_names_is_the_first_in_any_case() {
    let world = World::with(|setup| setup.server("trusted_proxies: [127.0.0.0/8]")).await;
    for (said, told) in [
        ("https", "https"),
        ("HTTPS", "https"),
        ("https, http", "https"),
        (" Https ,http", "https"),
        ("http, https", "http"),
        ("wss, https", "http"),
        ("", "http"),
    ] {
        let echo = echo(&world, "/pub/x", &[("X-Forwarded-Proto", said)]).await;
        let got = echoed(&echo, "headers", "x-forwarded-proto");
        assert_eq!(got, [told], "{said:?}");
    }
}

#[tokio::test]
async fn no_answer_is_ever_split_by_what_a_client_sends() {
    let backend = Scripted::start(&[&[Step::Answer(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )]]);
    let world = World::with(|setup| setup.upstream_url(&backend.url())).await;
    let text = request(
        "GET",
        "/pub/x?a=%0d%0aX-Auth-Subject:%20b",
        &[("X-Odd", "a\tb")],
        "",
    );
    assert_eq!(
        world.gate.send_raw(text).await.map(|reply| reply.status),
        Some(200)
    );
    let head = backend.received().concat().to_ascii_lowercase();
    assert!(!head.contains("\r\nx-auth-subject"), "{head}");
}
