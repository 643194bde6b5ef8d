//! One request target, one meaning (DESIGN.md, "Routes").

use super::errors::assert_error;
use crate::gate::{Gate, World};
use crate::support::raw::Reply;

/// Sends a GET with this target, byte for byte.
async fn target(gate: &Gate, target: &[u8]) -> Option<Reply> {
    let head = [b"GET ", target, b" HTTP/1.1\r\nHost: gate.test\r\n\r\n"].concat();
    gate.send_raw(head).await
}

/// Paths that two readers could read in two ways.
const BAD: &[&[u8]] = &[
    b"/pub/a%2fb",
    b"/pub/a%2Fb",
    b"/pub/a%5cb",
    b"/pub/a%5Cb",
    b"/pub/a\\b",
    b"/pub/%00",
    b"/pub/a%00b",
    b"/pub/%01",
    b"/pub/%0a",
    b"/pub/%0d%0aX: y",
    b"/pub/%7f",
    b"/pub/\xff",
    b"/pub/\xc3\xa9",
    b"/pub/%ff",
    b"/pub/%c3",
    b"/pub/%c0%ae",
    b"/pub/%c0%af",
    b"/pub/%ed%a0%80",
    b"/..",
    b"/../admin",
    b"/pub/../../admin",
    b"/pub/%2e%2e/admin",
    b"/pub/%2e/x",
    b"/pub/.%2e/admin",
    b"/pub/%2e./admin",
    b"/%2e%2e/",
    b"/pub/%252e%252e/admin",
    b"/pub/%252f",
    b"/pub/%252F",
    b"/pub/%255c",
    b"/pub/%2500",
    b"/pub/%25%32%66",
    b"/pub/%25%32%65",
    b"/pub/%25252f",
    b"/pub/x;y",
    b"/pub;/x",
    b"/pub/..;/admin",
    b"/pub/%3bx",
    b"//pub/x",
    b"/pub//x",
    b"/pub/x//",
    b"//",
    b"/pub/%",
    b"/pub/%2",
    b"/pub/%zz",
    b"/pub/x#frag",
    b"/pub/x#",
    b"pub/x",
];

#[tokio::test]
async fn every_path_with_two_meanings_is_a_400() {
    let world = World::start().await;
    for path in BAD {
        let shown = String::from_utf8_lossy(path);
        let reply = target(&world.gate, path).await;
        assert_eq!(reply.map(|reply| reply.status), Some(400), "{shown}");
    }
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn a_bad_path_is_said_so_with_the_usual_envelope() {
    let world = World::start().await;
    let reply = target(&world.gate, b"/pub/a%2fb").await.expect("an answer");
    assert_error(&reply, 400, "invalid_path");
}

#[tokio::test]
async fn a_bad_path_comes_before_anything_else() {
    let world = World::start().await;
    let reply = world.gate.get("/admin/a%2fb").await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn what_is_matched_is_what_is_forwarded() {
    let world = World::start().await;
    for (sent, forwarded) in [
        ("/pub/%78", "/pub/x"),
        ("/%70ub/x", "/pub/x"),
        ("/pub/./x", "/pub/x"),
        ("/pub/a/../x", "/pub/x"),
        ("/pub/a%20b", "/pub/a%20b"),
        ("/pub/%C3%A9", "/pub/%C3%A9"),
        ("/pub/%c3%a9", "/pub/%C3%A9"),
        ("/pub/~%7E-._", "/pub/~~-._"),
        ("/pub/x?q=%2f", "/pub/x?q=%2f"),
        ("/pub/x?", "/pub/x?"),
        ("/pub/x/", "/pub/x/"),
    ] {
        let reply = world.gate.get(sent).await;
        assert_eq!(reply.status, 200, "{sent}");
        let got = reply.json()["target"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(
            got.trim_end_matches('?'),
            forwarded.trim_end_matches('?'),
            "{sent}"
        );
    }
}

#[tokio::test]
async fn an_encoded_letter_does_not_hide_a_path() {
    let world = World::start().await;
    for path in [
        "/%61dmin",
        "/%61%64%6d%69%6e",
        "/adm%69n/command",
        "/pub/../admin",
        "/pub/%73ecret",
        "/pub/./secret",
        "/./admin",
    ] {
        assert_eq!(world.gate.get(path).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn letter_case_and_a_trailing_slash_never_make_a_path_less_guarded() {
    let world = World::start().await;
    for path in [
        "/Admin",
        "/ADMIN/command",
        "/admin/",
        "/Admin/command/",
        "/pub/Secret",
        "/pub/secret/",
        "/pub/SECRET/",
        "/PUB/secret",
        "/Pub/Secret/",
        "/premium/",
        "/Premium",
        "/%50remium",
    ] {
        let status = world.gate.get(path).await.status;
        assert!(matches!(status, 401 | 403), "{path}: {status}");
    }
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn the_base_path_is_taken_off_once_and_as_a_whole_segment() {
    let world = World::with(|setup| setup.server("base_path: /api")).await;
    for (sent, forwarded) in [
        ("/api/pub/x", "/pub/x"),
        ("/pub/x", "/pub/x"),
        ("/api", "/"),
        ("/api/", "/"),
        ("/%61pi/pub/x", "/pub/x"),
    ] {
        let reply = world.gate.get(sent).await;
        assert_eq!(
            (reply.status, reply.json()["target"].as_str()),
            (200, Some(forwarded)),
            "{sent}"
        );
    }
    for path in ["/apipub/x", "/api/api/pub/x", "/apis/pub/x"] {
        assert_eq!(world.gate.get(path).await.status, 403, "{path}");
    }
    for path in [
        "/api/admin",
        "/api/pub/secret",
        "/api/./admin",
        "/x/../api/admin",
    ] {
        assert_eq!(world.gate.get(path).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn semicolons_and_double_slashes_are_allowed_where_the_file_says_so() {
    let world =
        World::with(|setup| setup.section("paths: { semicolons: allow, merge_slashes: true }"))
            .await;
    assert_eq!(world.gate.get("/pub/x;v=1").await.status, 200);
    let merged = world.gate.get("//pub///x").await;
    assert_eq!(
        (merged.status, merged.json()["target"].as_str()),
        (200, Some("/pub/x"))
    );
    assert_eq!(world.gate.get("//admin").await.status, 401);
    // A backend that strips `;…` must not find a guarded path beneath.
    for path in [
        "/pub/secret;x",
        "/admin;x",
        "/pub/..;/admin",
        "/pub/;/../admin",
        "/admin;/command",
    ] {
        let status = world.gate.get(path).await.status;
        assert!(matches!(status, 400 | 401 | 403), "{path}: {status}");
    }
}

#[tokio::test]
async fn an_absolute_target_counts_by_its_path_and_must_name_the_host() {
    let world = World::start().await;
    let send = async |target: &str, host: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        world.gate.send_raw(head).await.map(|reply| reply.status)
    };
    assert_eq!(send("http://gate.test/pub/x", "gate.test").await, Some(200));
    assert_eq!(world.backend.last().target, "/pub/x");
    assert_eq!(send("http://gate.test/admin", "gate.test").await, Some(401));
    assert_eq!(send("http://GATE.test/admin", "gate.test").await, Some(401));
    assert_eq!(
        send("http://other.test/pub/x", "gate.test").await,
        Some(400)
    );
    assert_eq!(
        send("http://gate.test:81/pub/x", "gate.test").await,
        Some(400)
    );
    assert_eq!(
        send("http://user@gate.test/pub/x", "gate.test").await,
        Some(400)
    );
    assert_eq!(
        send("http://gate.test/../admin", "gate.test").await,
        Some(400)
    );
}

#[tokio::test]
async fn a_missing_repeated_or_malformed_host_is_a_400() {
    let world = World::start().await;
    let heads = [
        "GET /pub/x HTTP/1.1\r\n\r\n",
        "GET /pub/x HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
        "GET /pub/x HTTP/1.1\r\nHost: a.test\r\nhost: b.test\r\n\r\n",
        "GET /pub/x HTTP/1.1\r\nHost: a.test/x\r\n\r\n",
        "GET /pub/x HTTP/1.1\r\nHost: user@a.test\r\n\r\n",
        "GET /pub/x HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n",
        "GET /pub/x HTTP/1.1\r\nHost: a test\r\n\r\n",
        "GET /pub/x HTTP/1.1\r\nHost: a.test:99999\r\n\r\n",
        "GET /pub/x HTTP/1.1\r\nHost:\r\n\r\n",
    ];
    for head in heads {
        let reply = world.gate.send_raw(head).await.expect("an answer");
        assert_error(&reply, 400, "invalid_host");
    }
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn an_asterisk_is_for_options_alone() {
    let world = World::with(|setup| {
        setup.routes("default: public\nroutes:\n  - { path: /x, access: public }\n")
    })
    .await;
    assert_eq!(
        target(&world.gate, b"*").await.map(|reply| reply.status),
        Some(400)
    );
    let options = world
        .gate
        .send_raw("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("an answer");
    assert_ne!(options.status, 400, "{options:?}");
}

#[tokio::test]
async fn connect_is_a_405() {
    let world = World::start().await;
    for head in [
        "CONNECT gate.test:443 HTTP/1.1\r\nHost: gate.test:443\r\n\r\n",
        "CONNECT /pub/x HTTP/1.1\r\nHost: gate.test\r\n\r\n",
    ] {
        let reply = world.gate.send_raw(head).await.expect("an answer");
        assert!(matches!(reply.status, 405 | 400), "{head}: {reply:?}");
    }
    let plain = world
        .gate
        .send_raw("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n")
        .await;
    assert_error(&plain.expect("an answer"), 405, "method_not_allowed");
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn smuggled_framing_is_refused() {
    let world = World::start().await;
    let heads = [
        "POST /pub/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /pub/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /pub/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /pub/x HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        "POST /pub/x HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /pub/x HTTP/1.1\r\nHost: a\r\n X-Folded: b\r\n\r\n",
    ];
    for head in heads {
        let reply = world.gate.send_raw(head).await;
        let status = reply.map(|reply| reply.status);
        assert!(
            matches!(status, Some(400 | 501) | None),
            "{head}: {status:?}"
        );
    }
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn a_segment_of_parameters_alone_does_not_hide_a_path() {
    // A servlet container strips `;…` and collapses what is left: `/;x/admin` is `/admin` to it.
    let routes = "default: public\nroutes:\n  - { path: /admin, access: authenticated }\n  - { path: /pub/secret, access: authenticated }\n";
    for rules in [
        "semicolons: allow",
        "semicolons: allow, merge_slashes: true",
    ] {
        let world = World::with(|setup| {
            setup
                .section(&format!("paths: {{ {rules} }}"))
                .routes(routes)
        })
        .await;
        for path in [
            "/;/admin",
            "/;x/admin",
            "/%3bx/admin",
            "/admin/;x",
            "/admin/;",
            "/pub/;x/secret",
            "/pub/;x/;y/secret",
            "/;/pub/secret;v=1",
        ] {
            let status = world.gate.get(path).await.status;
            assert!(matches!(status, 400 | 401), "{rules}: {path}: {status}");
        }
        assert_eq!(world.backend.counts().requests, 0, "{rules}");
    }
}
