//! Hostile spellings against a real Starlette and a real Express backend: under each of three configs,
//! none reaches a protected handler. The backends are installed by `tests/backends/install.sh`.

mod disguises;
mod spellings;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::timeout;

use crate::frames;
use crate::gate::{Gate, Setup, World};
use crate::shop::Shop;
use crate::support::auth0::Auth0;

/// What every protected handler's answer begins with, and no public one's.
const MARKER: &str = "PROTECTED-";

/// The protected paths, under every config the same.
const GUARDED: &str = r"
  - { path: /pub/secret, permissions: [read:secret] }
  - { path: /admin, permissions: [access:admin-panel] }
  - { path: /admin/command, permissions: [access:admin-panel] }
";

/// The three configs: what is not guarded is shut, for whoever is signed in, or open to all.
const CONFIGS: [(&str, &str); 3] = [
    (
        "default: deny",
        r#"default: deny
routes:
  - { path: /, access: public }
  - { path: "/pub/{*rest}", access: public }
"#,
    ),
    (
        "default: authenticated",
        "default: authenticated\nroutes:\n  - { path: /, access: public }\n",
    ),
    ("default: public", "default: public\nroutes:\n"),
];

/// Settings that let more spellings through, and must not let these.
const LENIENT: &str = "paths: { semicolons: allow, merge_slashes: true }";

/// How long a connection may be silent before its answers count as complete.
const PATIENCE: Duration = Duration::from_secs(2);

/// A real backend, ended with the test.
struct Real {
    child: Child,
    url: String,
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Real {
    /// Starts `command` and waits for its `PORT n`.
    fn start(command: &mut Command) -> Option<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take()?)
            .read_line(&mut line)
            .ok()?;
        let port = line.trim().strip_prefix("PORT ").map(str::to_owned);
        let real = Self {
            child,
            url: format!("http://127.0.0.1:{}", port.clone().unwrap_or_default()),
        };
        port.map(|_| real)
    }

    fn starlette() -> Option<Self> {
        let python = installed("venv/bin/python")?;
        Self::start(Command::new(python).arg(sources().join("starlette/app.py")))
    }

    fn express() -> Option<Self> {
        let modules = installed("node_modules")?;
        Self::start(
            Command::new("node")
                .arg(sources().join("express/app.js"))
                .env("NODE_PATH", modules),
        )
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends")
}

fn installed(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/backends")
        .join(name);
    path.exists().then_some(path)
}

/// The backend, or a word on standard error that the test could not run.
macro_rules! backend_or_skip {
    ($start:expr, $what:literal) => {
        match $start {
            Some(backend) => backend,
            None => {
                eprintln!(
                    "not run: {} is not installed; see tests/backends/install.sh",
                    $what
                );
                return;
            }
        }
    };
}

#[tokio::test]
async fn no_spelling_reaches_a_protected_handler_of_starlette() {
    let backend = backend_or_skip!(Real::starlette(), "Starlette");
    assault(&backend.url).await;
}

#[tokio::test]
async fn no_spelling_reaches_a_protected_handler_of_express() {
    let backend = backend_or_skip!(Real::express(), "Express");
    assault(&backend.url).await;
}

#[tokio::test]
async fn the_handlers_are_there_for_who_may_reach_them() {
    let real = backend_or_skip!(Real::starlette(), "Starlette");
    let world =
        World::with(|setup| setup.upstream_url(&real.url).routes(&config(CONFIGS[0].1))).await;
    let all = ["access:admin-panel", "read:secret"];
    assert_eq!(
        world.get_as("/admin/command", "u", &all).await.text(),
        "PROTECTED-COMMAND"
    );
    assert_eq!(
        world.get_as("/pub/secret", "u", &all).await.text(),
        "PROTECTED-SECRET"
    );
    assert_eq!(world.gate.get("/pub/x").await.text(), "PUBLIC-X");
}

#[tokio::test]
async fn no_spelling_of_an_endpoints_path_reaches_the_backend_that_is_open_to_all() {
    let open =
        "default: public\nroutes:\n  - { path: /premium, permissions: [read:premium-content] }\n";
    let shop = Shop::with(|setup| setup.routes(open)).await;
    assert_eq!(shop.gate.get("/elsewhere").await.status, 200);
    // Letters that a backend may fold into those of the path: ſ and the Kelvin sign.
    for path in [
        "/stripe/webhook",
        "/%C5%BFtripe/webhook",
        "/%c5%bfTRIPE/webhoo%E2%84%AA/",
        "/%73tripe/%77ebhook",
        "/x/../%C5%BFtripe/./webhook",
    ] {
        let reply = shop.gate.send("POST", path, &[], "{}").await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "gate.test"),
            (":path", path),
        ];
        let fields = fields.map(|(name, value)| (name, value.as_bytes().to_vec()));
        let body = frames::body_of(&shop.gate, &fields).await;
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("method_not_allowed"), "{path}: {body}");
    }
    for path in ["/%C5%BFtripe/debug", "/%C5%BFTRIPE", "/stripe/%C5%BF"] {
        assert_eq!(shop.gate.get(path).await.status, 404, "{path}");
    }
    assert_eq!(shop.backend.counts().requests, 1);
}

/// The config with the guarded paths after its own.
fn config(text: &str) -> String {
    format!("{text}{GUARDED}")
}

async fn assault(url: &str) {
    let auth0 = Auth0::start();
    let mut found = Vec::new();
    for (name, text) in CONFIGS {
        for extra in ["", LENIENT] {
            let setup = Setup::new(&auth0, url).routes(&config(text)).section(extra);
            let gate = setup.start().await;
            let token = auth0.token("auth0|nobody", &["read:nothing"]);
            for bearer in [None, Some(token.as_str())] {
                let who = if bearer.is_some() {
                    "signed in without the permission"
                } else {
                    "anonymous"
                };
                for request in reached(&gate, bearer).await {
                    found.push(format!("{name} {extra} ({who}): {request}"));
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "{} requests reached a protected handler:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// The requests that got a protected handler's answer.
async fn reached(gate: &Gate, bearer: Option<&str>) -> Vec<String> {
    let over_http1 = stream::iter(spellings::requests(bearer)).map(|bytes| async move {
        let answers = all_answers(gate, &bytes).await;
        (
            String::from_utf8_lossy(&bytes)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
            answers,
        )
    });
    let over_http2 = stream::iter(spellings::streams(bearer)).map(|fields| async move {
        (
            spellings::shown(&fields),
            frames::body_of(gate, &fields).await,
        )
    });
    let found = |(request, answers): (String, Vec<u8>)| {
        let marked = answers
            .windows(MARKER.len())
            .any(|bytes| bytes == MARKER.as_bytes());
        std::future::ready(marked.then_some(request))
    };
    let mut all: Vec<String> = over_http1
        .buffer_unordered(16)
        .filter_map(found)
        .collect()
        .await;
    all.extend(
        over_http2
            .buffer_unordered(16)
            .filter_map(found)
            .collect::<Vec<_>>()
            .await,
    );
    all
}

/// Everything that comes back for `bytes` and for a harmless request behind them, which would show the answer
/// to a request that was smuggled in.
async fn all_answers(gate: &Gate, bytes: &[u8]) -> Vec<u8> {
    let mut wire = gate.wire().await;
    let mut answers = Vec::new();
    if wire.try_send(bytes).await.is_err() {
        return answers;
    }
    let _ = wire
        .try_send("GET /pub/x HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n")
        .await;
    // Where the last request is taken for part of a body, the gate waits for more: so do we, but not for long.
    while let Ok(Ok(more)) = timeout(PATIENCE, wire.some()).await {
        if more.is_empty() {
            break;
        }
        answers.extend(more);
    }
    answers
}
