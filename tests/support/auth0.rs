//! A stand-in for one Auth0 tenant: discovery, key set, token endpoint, users and roles behind the Management API; with
//! faults to order.
//!
//! It counts the requests for each path, so that a test can say how many there may be.

mod apis;
mod budget;
mod directory;
mod faults;
mod machines;
mod management;
mod settings;
mod steering;
mod token_endpoint;
mod troubles;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::keys::Key;
use super::net::{Listening, Reserved};
use super::token::Token;

use apis::Apis;
use budget::Budget;
use directory::Directory;
use machines::Machines;
use troubles::{Order, Troubles};

pub(crate) use faults::Fault;
pub(crate) use steering::Seen;
pub(crate) use troubles::Trouble;

/// Where the key set is.
pub(crate) const JWKS: &str = "/.well-known/jwks.json";
/// Where the discovery document is.
pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";
/// Where tokens are bought.
pub(crate) const TOKEN: &str = "/oauth/token";

/// The API that the tests' tokens are for.
pub(crate) const AUDIENCE: &str = "https://api.example.test";

/// The client that may use the Management API.
pub(crate) const CLIENT_ID: &str = "management-client";
/// Its secret.
pub(crate) const CLIENT_SECRET: &str = "management-secret";

/// What holds requests back, in [`Trouble::Held`].
pub(crate) type Door = troubles::Door;

pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// The tenant.
pub(crate) struct Auth0 {
    tenant: Arc<Tenant>,
    listening: Option<Listening>,
    reserved: Option<Reserved>,
    address: SocketAddr,
}

/// What the handlers share.
struct Tenant {
    url: String,
    state: Mutex<State>,
    hits: watch::Sender<HashMap<String, usize>>,
    /// Sent after every request that was seen and every change of users and roles.
    changed: watch::Sender<()>,
}

struct State {
    /// The private keys, the signing one last.
    keys: Vec<Key>,
    /// Members of the key set that are no keys of ours: broken ones, say.
    extra_jwks: Vec<Value>,
    faults: HashMap<String, Fault>,
    troubles: Troubles,
    directory: Directory,
    apis: Apis,
    machines: Machines,
    budget: Budget,
    /// Requests for the Management API, in the order of arrival.
    seen: Vec<Seen>,
}

impl Auth0 {
    /// Starts a tenant with one key.
    pub(crate) fn start() -> Self {
        let mut auth0 = Self::start_down();
        auth0.come_up();
        auth0
    }

    /// Starts a tenant as it comes: an API without permissions whose tokens list none, and no roles.
    pub(crate) fn start_empty() -> Self {
        let mut auth0 = Self::new(false);
        auth0.come_up();
        auth0
    }

    /// Makes a tenant whose port refuses connections until [`Auth0::come_up`].
    pub(crate) fn start_down() -> Self {
        Self::new(true)
    }

    fn new(ready: bool) -> Self {
        let reserved = Reserved::any();
        let address = reserved.address();
        let url = format!("http://{address}/");
        let state = State {
            keys: vec![Key::nth(0)],
            extra_jwks: Vec::new(),
            faults: HashMap::new(),
            troubles: Troubles::default(),
            directory: Directory::default(),
            apis: Apis::new(&format!("{url}api/v2/"), ready),
            machines: Machines::default(),
            budget: Budget::default(),
            seen: Vec::new(),
        };
        let tenant = Arc::new(Tenant {
            url,
            state: Mutex::new(state),
            hits: watch::Sender::default(),
            changed: watch::Sender::default(),
        });
        Self {
            tenant,
            listening: None,
            reserved: Some(reserved),
            address,
        }
    }

    /// Begins to accept connections.
    pub(crate) fn come_up(&mut self) {
        if let Some(reserved) = self.reserved.take() {
            let tenant = Arc::clone(&self.tenant);
            self.listening = Some(Listening::start(reserved.listen(), move |stream| {
                serve(Arc::clone(&tenant), stream)
            }));
        }
    }

    /// Cuts every connection; new ones are refused.
    pub(crate) async fn go_down(&mut self) {
        if let Some(listening) = self.listening.take() {
            self.reserved = Some(listening.stop().await);
        }
    }

    /// The tenant's URL, with its trailing slash: the `iss` of its tokens.
    pub(crate) fn url(&self) -> &str {
        &self.tenant.url
    }

    /// The address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A good token of `subject`, not yet signed.
    pub(crate) fn draft(&self, subject: &str, permissions: &[&str]) -> Token {
        Token::new(self.url(), AUDIENCE, subject, permissions)
    }

    /// A good token of `subject`.
    pub(crate) fn token(&self, subject: &str, permissions: &[&str]) -> String {
        self.sign(&self.draft(subject, permissions))
    }

    /// Signs with the tenant's current key.
    pub(crate) fn sign(&self, token: &Token) -> String {
        token.sign(&self.key())
    }

    /// The key that signs.
    pub(crate) fn key(&self) -> Key {
        self.tenant
            .state()
            .keys
            .last()
            .expect("at least one key")
            .clone()
    }

    /// Publishes `key` and signs with it from now on; the older keys stay in the set.
    pub(crate) fn rotate_to(&self, key: Key) {
        self.tenant.state().keys.push(key);
    }

    /// Takes the key named `kid` out of the set.
    pub(crate) fn revoke(&self, kid: &str) {
        self.tenant.state().keys.retain(|key| key.kid != kid);
    }

    /// Publishes a member of the key set that is no key of ours, before the real ones.
    pub(crate) fn publish(&self, jwk: Value) {
        self.tenant.state().extra_jwks.push(jwk);
    }

    /// Makes requests for `path` fail.
    pub(crate) fn fault(&self, path: &str, fault: Fault) {
        self.tenant.state().faults.insert(path.to_owned(), fault);
    }

    /// Takes the fault of `path` back.
    pub(crate) fn mend(&self, path: &str) {
        self.tenant.state().faults.remove(path);
    }

    /// Orders trouble for requests with this method whose path begins with `pattern` (`*` is any one segment, an id is
    /// not encoded), until [`Auth0::mend_all`].
    pub(crate) fn trouble(&self, method: Method, pattern: &str, trouble: Trouble) {
        self.order(method, pattern, None, trouble);
    }

    /// The same for the next `times` of them.
    pub(crate) fn trouble_times(
        &self,
        times: usize,
        method: Method,
        pattern: &str,
        trouble: Trouble,
    ) {
        if times > 0 {
            self.order(method, pattern, Some(times), trouble);
        }
    }

    /// Takes back all faults and troubles.
    pub(crate) fn mend_all(&self) {
        let mut state = self.tenant.state();
        state.troubles.clear();
        state.faults.clear();
    }

    fn order(&self, method: Method, pattern: &str, times: Option<usize>, trouble: Trouble) {
        let pattern = pattern.to_owned();
        self.tenant.state().troubles.add(Order {
            method,
            pattern,
            times,
            trouble,
        });
    }

    /// How many requests came for `path`.
    pub(crate) fn hits(&self, path: &str) -> usize {
        self.tenant
            .hits
            .borrow()
            .get(path)
            .copied()
            .unwrap_or_default()
    }

    /// Waits until `count` requests came for `path`.
    pub(crate) async fn until_hits(&self, path: &str, count: usize) {
        let mut hits = self.tenant.hits.subscribe();
        let enough = |hits: &HashMap<String, usize>| hits.get(path).is_some_and(|n| *n >= count);
        hits.wait_for(enough).await.expect("the tenant lives");
    }
}

impl Tenant {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer; `None` cuts the connection.
    async fn answer(&self, request: Request<Incoming>) -> Option<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(Collected::to_bytes).ok()?;
        let path = parts.uri.path();
        let (fault, trouble) = {
            let mut state = self.state();
            if path.starts_with(management::ROOT) {
                state.seen.push(Seen::new(&parts, &body));
            }
            let fault = state.faults.get(path).cloned();
            (fault, state.troubles.next(&parts.method, path))
        };
        self.hits
            .send_modify(|hits| *hits.entry(path.to_owned()).or_default() += 1);
        self.changed.send_replace(());
        match (fault, trouble) {
            (Some(fault), _) => fault.answer().await,
            (None, Some(trouble)) => trouble.answer(|| self.handle(&parts, &body)).await,
            (None, None) => Some(self.handle(&parts, &body)),
        }
    }

    /// What is answered when nothing goes wrong.
    fn handle(&self, parts: &Parts, body: &[u8]) -> Response<Body> {
        let response = match (&parts.method, parts.uri.path()) {
            (&Method::GET, DISCOVERY) => json_response(StatusCode::OK, &self.discovery()),
            (&Method::GET, JWKS) => json_response(StatusCode::OK, &self.key_set()),
            (&Method::POST, TOKEN) => token_endpoint::answer(self, body),
            (_, path) if path.starts_with(management::ROOT) => {
                management::answer(self, parts, body)
            }
            _ => json_response(StatusCode::NOT_FOUND, &json!({ "error": "Not Found" })),
        };
        self.changed.send_replace(());
        response
    }

    fn discovery(&self) -> Value {
        let at = |path: &str| format!("{}{}", self.url, path.trim_start_matches('/'));
        json!({
            "issuer": self.url,
            "jwks_uri": at(JWKS),
            "token_endpoint": at(TOKEN),
            "authorization_endpoint": at("/authorize"),
            "userinfo_endpoint": at("/userinfo"),
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    fn key_set(&self) -> Value {
        let state = self.state();
        let own = state.keys.iter().map(Key::jwk);
        json!({ "keys": state.extra_jwks.iter().cloned().chain(own).collect::<Vec<_>>() })
    }
}

async fn serve(tenant: Arc<Tenant>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let tenant = Arc::clone(&tenant);
        async move { tenant.answer(request).await.ok_or("cut") }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Full::from(value.to_string()).boxed());
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json; charset=utf-8");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    response
}
