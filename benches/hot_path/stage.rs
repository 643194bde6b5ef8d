//! What the operations need: keys, tokens, a config, a running gate, and a client and a backend that cost little.

use std::future::pending;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Runtime;
use tokio_util::task::TaskTracker;
use tollgate::app::{App, Outlets};
use tollgate::auth::{Cache, Keys, Verifier};
use tollgate::clock::SystemClock;
use tollgate::config::{self, Config};
use tollgate::stop::Stop;
use tollgate::telemetry::Metrics;

use crate::support::auth0::{AUDIENCE, Auth0};
use crate::support::keys::Key;

/// What the backend answers, whatever it is asked.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
const PERMISSIONS: [&str; 6] = [
    "read:basic-content",
    "read:premium-content",
    "manage:subscription",
    "read:reports",
    "write:reports",
    "read:users",
];

/// Everything that is measured, ready to go.
pub(crate) struct Stage {
    pub(crate) config: Config,
    /// A good token.
    pub(crate) token: String,
    /// One with the good key's name and another key's signature.
    pub(crate) forged: String,
    keys: Arc<Keys>,
    metrics: Arc<Metrics>,
    gate: SocketAddr,
    /// Runs the stand-in for Auth0 and the refresh of its keys.
    _runtime: Runtime,
    _auth0: Auth0,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let _entered = runtime.enter();
        let auth0 = Auth0::start();
        let config = configured(&auth0, backend());
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let auth = config.auth.clone().expect("the auth0 section");
        let keys = Arc::new(Keys::new(auth.jwks, Arc::clone(&metrics)).expect("a client"));
        TaskTracker::new().spawn(Arc::clone(&keys).run(Stop::new().token()));
        let start = App::start(config.clone(), Outlets::default(), Stop::new());
        let app = runtime.block_on(start).expect("a free port");
        let gate = app.listening[0];
        TaskTracker::new().spawn(app.run(pending()));
        let draft = auth0.draft("auth0|0123456789abcdef01234567", &PERMISSIONS);
        let (token, forged) = (
            auth0.sign(&draft),
            draft.sign(&Key::nth(1).named(&auth0.key().kid)),
        );
        let stage = Self {
            config,
            token,
            forged,
            keys,
            metrics,
            gate,
            _runtime: runtime,
            _auth0: auth0,
        };
        stage.until_ready();
        stage
    }

    /// A verifier with the cache or without.
    pub(crate) fn verifier(&self, caching: bool) -> Verifier {
        let mut auth = self.config.auth.clone().expect("the auth0 section");
        if !caching {
            auth.cache = Cache {
                entries: 0,
                ..auth.cache
            };
        }
        Verifier::new(
            auth,
            Arc::clone(&self.keys),
            Arc::new(SystemClock),
            Arc::clone(&self.metrics),
        )
    }

    /// A client that asks the gate for `target` over and over.
    pub(crate) fn client(&self, target: &str, token: Option<&str>) -> Client {
        let bearer = token
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let head =
            "Accept: application/json\r\nAccept-Encoding: gzip, br\r\nUser-Agent: bench/1.0\r\n";
        Client::new(
            self.gate,
            format!(
                "GET {target} HTTP/1.1\r\nHost: {}\r\n{head}{bearer}\r\n",
                self.gate
            ),
        )
    }

    fn until_ready(&self) {
        let mut client = self.client("/reports/2026", Some(&self.token));
        while self.keys.health().is_none() || client.ask() == "503" {
            thread::yield_now();
        }
    }
}

fn configured(auth0: &Auth0, backend: SocketAddr) -> Config {
    let yaml = format!(
        r#"
server: {{ listen: "127.0.0.1:0", base_path: /api, workers: 1 }}
admin: {{ listen: off }}
upstream: http://{backend}
auth0: {{ url: "{auth0}", audience: "{AUDIENCE}" }}
log: {{ access: false }}
cors: {{ allowed_origins: ["https://app.example.com"] }}
rate_limits: [{{ path: "/{{*rest}}", per: client, rate: 1000000/s, burst: 1000000 }}]
routes:
  - {{ path: /, methods: [GET], access: public }}
  - {{ path: /health, methods: [GET], access: public }}
  - {{ path: /chat, methods: [POST], access: optional }}
  - {{ path: "/auth/user/{{*rest}}", access: authenticated }}
  - {{ path: /reports/mine, access: authenticated }}
  - {{ path: "/reports/{{id}}", methods: [GET], permissions: [read:reports] }}
  - {{ path: "/admin/{{*rest}}", permissions: [access:admin-panel] }}
"#,
        auth0 = auth0.url(),
    );
    config::parse(Path::new("bench.yaml"), &yaml, &|_| None).expect("a good config")
}

/// Answers on loopback; returns where.
fn backend() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Requests come whole and one at a time, so each read is one request.
fn answer(mut stream: TcpStream) {
    let mut buffer = [0; 16 << 10];
    stream.set_nodelay(true).expect("a socket");
    while stream.read(&mut buffer).is_ok_and(|length| length > 0)
        && stream.write_all(ANSWER).is_ok()
    {}
}

/// One connection that sends one request.
pub(crate) struct Client {
    address: SocketAddr,
    stream: TcpStream,
    request: String,
    buffer: Vec<u8>,
}

impl Client {
    fn new(address: SocketAddr, request: String) -> Self {
        Self {
            address,
            stream: connect(address),
            request,
            buffer: vec![0; 16 << 10],
        }
    }

    /// Sends the request, reads the whole answer, and returns its status.
    pub(crate) fn ask(&mut self) -> &str {
        if self.stream.write_all(self.request.as_bytes()).is_err() {
            self.stream = connect(self.address);
            self.stream
                .write_all(self.request.as_bytes())
                .expect("a connection");
        }
        let mut length = 0;
        while !is_whole(&self.buffer[..length]) {
            let read = self
                .stream
                .read(&mut self.buffer[length..])
                .expect("an answer");
            assert!(read > 0, "the gate broke off");
            length += read;
        }
        std::str::from_utf8(&self.buffer["HTTP/1.1 ".len()..][..3]).expect("a status")
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the gate listens");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// Whether an answer has come to its end, by its `Content-Length`.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else {
        return false;
    };
    let named = memchr::memmem::find(&answer[..end], b"content-length: ")
        .map(|at| at + "content-length: ".len());
    let digits = |at: usize| {
        answer[at..end]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
    };
    let body = named.map_or(0, |at| {
        digits(at).fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
    });
    answer.len() >= end + 4 + body
}
