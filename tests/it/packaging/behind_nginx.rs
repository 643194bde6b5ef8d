//! `examples/nginx/tollgate.conf` in a real nginx, before a real Tollgate.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::{program, text_of};
use crate::gate::{Setup, request};
use crate::shop::{ANN, Shop};
use crate::support::net::Reserved;
use crate::support::raw::{DEADLINE, Reply, Wire};
use crate::websockets::echoes;

/// nginx before a shop, below `/api`.
struct Site {
    shop: Shop,
    nginx: Child,
    address: SocketAddr,
    /// nginx's port, which nobody else is given before nginx listens there.
    _port: Reserved,
    _folder: tempfile::TempDir,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}

impl Site {
    /// `None` where there is no nginx.
    async fn open(test: &str, change: fn(Setup) -> Setup) -> Option<Self> {
        let binary = program("nginx", test)?;
        let setup = |setup: Setup| {
            change(
                setup
                    .server("base_path: /api")
                    .server("trusted_proxies: [127.0.0.1]"),
            )
        };
        let shop = Shop::with(setup).await;
        let folder = tempfile::tempdir().expect("a folder");
        let port = Reserved::any();
        let address = port.address();
        let site = text_of("nginx/tollgate.conf")
            .replace("listen 80;", &format!("listen {address};"))
            .replace("127.0.0.1:8001", &shop.gate.address.to_string())
            .replace("/var/www/app", &folder.path().display().to_string());
        let at = folder.path().display();
        let whole = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\nevents {{}}\nhttp {{\n\
             access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f;\n\
             uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n{site}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, whole).expect("a config");
        std::fs::write(folder.path().join("index.html"), "the frontend").expect("a page");
        let nginx = Command::new(binary)
            .arg("-c")
            .arg(&file)
            .arg("-p")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let site = Self {
            shop,
            nginx,
            address,
            _port: port,
            _folder: folder,
        };
        site.until_up().await;
        Some(site)
    }

    async fn until_up(&self) {
        let mut look = interval(Duration::from_millis(10));
        let up = timeout(DEADLINE, async {
            while TcpStream::connect(self.address).await.is_err() {
                look.tick().await;
            }
        });
        up.await.expect("nginx listens");
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut wire = Wire::connect(self.address).await;
        wire.send(request(method, path, headers, "")).await;
        wire.reply().await
    }

    async fn get(&self, path: &str, token: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        self.send("GET", path, &[("Authorization", &bearer)]).await
    }
}

/// Routes on which the backend streams and tunnels.
fn streams(setup: Setup) -> Setup {
    setup.routes(
        "default: deny\nroutes:\n  - { path: /, access: public }\n  - { path: \"/pub/{*rest}\", access: public }\n  \
         - { path: \"/premium/{*rest}\", permissions: [read:premium-content] }\n",
    )
}

#[tokio::test]
async fn behind_nginx_the_frontend_is_served_and_the_api_guarded() {
    let test = "behind_nginx_the_frontend_is_served_and_the_api_guarded";
    let Some(site) = Site::open(test, |setup| setup).await else {
        return;
    };
    assert_eq!(site.send("GET", "/", &[]).await.text(), "the frontend");
    assert_eq!(site.send("GET", "/api/", &[]).await.status, 200);
    assert_eq!(site.send("GET", "/api/premium/x", &[]).await.status, 401);
    let free = site.shop.token(ANN);
    assert_eq!(site.get("/api/premium/x", &free).await.status, 403);
    let premium = site.shop.token_at(ANN, &["read:premium-content"], 0);
    let let_in = site.get("/api/premium/x", &premium).await;
    assert_eq!(let_in.status, 200, "{}", let_in.text());
}

#[tokio::test]
async fn behind_nginx_no_spelling_of_a_guarded_path_is_let_in() {
    let test = "behind_nginx_no_spelling_of_a_guarded_path_is_let_in";
    let Some(site) = Site::open(test, streams).await else {
        return;
    };
    for path in [
        "/api/premium/x",
        "/api/Premium/x",
        "/api//premium/x",
        "/api/pub/../premium/x",
        "/api/pub/%2e%2e/premium/x",
        "/api/pub/..%2fpremium/x",
        "/api/pub/%252e%252e/premium/x",
        "/api/pub/..;/premium/x",
        "/api/%70remium/x",
        "/api/./premium/x",
        "/api/premium%2fx",
        "/api/pub/..\\premium/x",
        "/api/premium/x;a=b",
    ] {
        let reply = site.send("GET", path, &[]).await;
        assert!(
            [400, 401, 403, 404].contains(&reply.status),
            "{path}: {} {}",
            reply.status,
            reply.text()
        );
    }
    assert!(site.shop.backend.seen().is_empty());
}

#[tokio::test]
async fn behind_nginx_a_refused_upload_gets_its_answer_each_time() {
    let test = "behind_nginx_a_refused_upload_gets_its_answer_each_time";
    let Some(site) = Site::open(test, |setup| setup).await else {
        return;
    };
    for length in [70 << 10, 300 << 10] {
        let upload = request("POST", "/api/premium/x", &[], &"x".repeat(length));
        for round in 0..50 {
            let mut wire = Wire::connect(site.address).await;
            wire.send(&upload).await;
            let reply = wire.reply().await;
            assert_eq!(reply.status, 401, "{length} bytes, round {round}");
        }
    }
}

#[tokio::test]
async fn behind_nginx_the_client_is_who_nginx_says_and_nobody_else() {
    let test = "behind_nginx_the_client_is_who_nginx_says_and_nobody_else";
    let Some(site) = Site::open(test, |setup| setup).await else {
        return;
    };
    let spoofed = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("Forwarded", "for=203.0.113.9"),
        ("X-Auth-Subject", "auth0|eve"),
        ("X-Forwarded-Host", "evil.example.test"),
    ];
    assert_eq!(site.send("GET", "/api/", &spoofed).await.status, 200);
    let seen = site.shop.backend.seen();
    let headers = &seen.last().expect("a request").headers;
    for (name, value) in headers {
        assert!(!value.contains("203.0.113.9"), "{name}: {value}");
        assert!(!value.contains("eve"), "{name}: {value}");
        assert!(!value.contains("evil"), "{name}: {value}");
    }
    let is_line = |event: &serde_json::Value| event["http.route"] == "/";
    let lines = site.shop.gate.log.until("its line", 1, is_line).await;
    assert_eq!(lines[0]["client.address"], "127.0.0.1");
}

#[tokio::test]
async fn behind_nginx_webhooks_arrive_as_they_were_signed_and_give_access() {
    let test = "behind_nginx_webhooks_arrive_as_they_were_signed_and_give_access";
    let Some(site) = Site::open(test, |setup| setup).await else {
        return;
    };
    let webhook = format!("http://{}/api/stripe/webhook", site.address);
    site.shop.stripe.send_to(&webhook);
    let free = site.shop.token(ANN);
    site.shop.buy(ANN, "lifetime").await;
    let mut look = interval(Duration::from_millis(20));
    let let_in = timeout(DEADLINE, async {
        while site.get("/api/premium/x", &free).await.status != 200 {
            look.tick().await;
        }
    });
    let_in.await.expect("Ann is let in");
}

#[tokio::test]
async fn behind_nginx_event_streams_pass_without_delay_and_websockets_tunnel() {
    let test = "behind_nginx_event_streams_pass_without_delay_and_websockets_tunnel";
    let Some(site) = Site::open(test, streams).await else {
        return;
    };
    let mut wire = Wire::connect(site.address).await;
    wire.send(request("GET", "/api/pub/events", &[], "")).await;
    assert_eq!(wire.reply_head().await.status, 200);
    for _ in 0..2 {
        site.shop.backend.release();
        // The backend says no more until it is told to: what comes is not held back by anybody.
        let chunk = timeout(DEADLINE, wire.some()).await.expect("in time");
        assert!(!chunk.expect("an event").is_empty());
    }

    let request = http::Request::get("ws://gate.test/api/pub/ws")
        .header("Host", "gate.test")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .expect("a request");
    let socket = TcpStream::connect(site.address).await.expect("nginx");
    let (mut socket, _) = timeout(DEADLINE, tokio_tungstenite::client_async(request, socket))
        .await
        .expect("in time")
        .expect("a tunnel");
    assert!(echoes(&mut socket, "hello").await);
}
