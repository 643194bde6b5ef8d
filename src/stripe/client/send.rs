//! Sending a call: bounded in number, time and size, and tried again as far as that can help.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::call::Call;
use super::refusal;
use super::retry::{self, Patience};
use crate::cause::cause;
use crate::stripe::error::{Error, Kind};
use crate::stripe::{API_VERSION, Config, json};
use crate::telemetry::Metrics;

/// Calls on their way at once. Stripe takes 25 a second of a sandbox and answers in a few hundred milliseconds.
const MAX_CALLS: usize = 16;

/// A page of a hundred objects has a few hundred KiB.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Connections that are idle for longer are closed by us, before Stripe does it while a call is on its way.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// The way to Stripe.
pub(super) struct Sender {
    client: reqwest::Client,
    url: String,
    timeout: Duration,
    pub(super) patience: Patience,
    slots: Semaphore,
    metrics: Arc<Metrics>,
}

/// An attempt that failed.
struct Failure {
    kind: Kind,
    /// What lies at the bottom of it, where the network failed: a refused connection, an unknown name, a certificate.
    cause: Option<String>,
    /// Whether another attempt may help.
    again: bool,
    /// 403: the key is known, and lacks the right. With 401 it is not known.
    forbidden: bool,
    request_id: Option<String>,
    retry_after: Option<Duration>,
}

impl Sender {
    pub(super) fn new(config: Config, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .default_headers(headers(&config)?)
            .timeout(config.timeout)
            .connect_timeout(config.timeout)
            // The key goes to Stripe, not to where somebody points to.
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(POOL_IDLE)
            .build()
            .map_err(|_| Error::of("setup", Kind::Unreachable))?;
        Ok(Self {
            client,
            url: config.url,
            timeout: config.timeout,
            patience: Patience {
                retries: config.retries,
                base: retry::BASE,
            },
            slots: Semaphore::new(MAX_CALLS),
            metrics,
        })
    }

    /// Sends `call` until it is answered, or trying again does not help.
    pub(super) async fn send(&self, call: &Call) -> Result<Value, Error> {
        let sent = self.persist(call).await;
        sent.map_err(|failure| failure.into_error(call.template))
    }

    /// Sends `call` like [`Sender::send`]; `None` when the key lacks the right to it.
    pub(super) async fn send_if_allowed(&self, call: &Call) -> Result<Option<Value>, Error> {
        match self.persist(call).await {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) if failure.forbidden => Ok(None),
            Err(failure) => Err(failure.into_error(call.template)),
        }
    }

    async fn persist(&self, call: &Call) -> Result<Value, Failure> {
        let mut tried = 0;
        loop {
            let failure = match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let wait = self
                .patience
                .wait(tried, failure.retry_after, fastrand::f64())
                .filter(|_| failure.again);
            log_failure(call, &failure, wait);
            let Some(wait) = wait else {
                return Err(failure);
            };
            tokio::time::sleep(wait).await;
            tried += 1;
        }
    }

    /// One attempt, counted.
    async fn attempt(&self, call: &Call) -> Result<Value, Failure> {
        // A slot is held for one attempt at most, never over a wait between two.
        let slot = timeout(self.timeout, self.slots.acquire()).await;
        let Ok(Ok(_slot)) = slot else {
            return Err(Failure::unreachable());
        };
        let answer = self.request(call).send().await;
        let billing = &self.metrics.billing;
        match answer {
            Ok(answer) => {
                billing.stripe_request(call.template, answer.status().as_str());
                read(call, answer).await
            }
            Err(error) => {
                billing.stripe_request(call.template, "error");
                Err(Failure {
                    // A request that cannot be built will not be built next time.
                    again: !error.is_builder(),
                    cause: Some(cause(&error.without_url())),
                    ..Failure::unreachable()
                })
            }
        }
    }

    fn request(&self, call: &Call) -> reqwest::RequestBuilder {
        let mut url = format!("{}{}", self.url, call.path);
        let is_post = call.method == http::Method::POST;
        if !is_post && !call.params.is_empty() {
            url.push('?');
            url.push_str(&call.params.encode());
        }
        let mut request = self.client.request(call.method.clone(), url);
        if is_post {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            request = request
                .header(CONTENT_TYPE, form)
                .body(call.params.encode());
        }
        if let Some(key) = &call.key {
            request = request.header("idempotency-key", key.clone());
        }
        request
    }
}

fn headers(config: &Config) -> Result<HeaderMap, Error> {
    let key = format!("Bearer {}", config.secret_key.expose());
    let mut key = HeaderValue::try_from(key).map_err(|_| {
        let code = Some("malformed_key".to_owned());
        Error::of("setup", Kind::Auth { known: false, code })
    })?;
    key.set_sensitive(true);
    let agent = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
    Ok(HeaderMap::from_iter([
        (AUTHORIZATION, key),
        (USER_AGENT, HeaderValue::from_static(agent)),
        (
            http::HeaderName::from_static("stripe-version"),
            HeaderValue::from_static(API_VERSION),
        ),
    ]))
}

/// Reads an answer to its end.
async fn read(call: &Call, mut answer: reqwest::Response) -> Result<Value, Failure> {
    let status = answer.status();
    let request_id = request_id(answer.headers());
    let again = retry::invited(status, answer.headers());
    let retry_after = retry::asked(answer.headers());
    let failed = |kind, again| Failure {
        kind,
        cause: None,
        again,
        forbidden: status == StatusCode::FORBIDDEN,
        request_id: request_id.clone(),
        retry_after,
    };
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY => {
                return Err(failed(Kind::Unreadable, false));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => {
                return Err(Failure {
                    cause: Some(cause(&error.without_url())),
                    ..failed(Kind::Unreachable, true)
                });
            }
        }
    }
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    if !status.is_success() {
        let kind = refusal::kind(status, call.template, body.as_ref());
        return Err(failed(kind, again));
    }
    tracing::debug!(
        stripe.call = call.template,
        stripe.status = status.as_u16(),
        stripe.request_id = request_id.as_deref(),
        "Stripe answered"
    );
    body.filter(Value::is_object)
        .ok_or_else(|| failed(Kind::Unreadable, false))
}

/// Stripe's name of the request, to find it in its dashboard.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("request-id")?.to_str().ok()?;
    json::is_id(id).then(|| id.to_owned())
}

fn log_failure(call: &Call, failure: &Failure, wait: Option<Duration>) {
    tracing::debug!(
        stripe.call = call.template,
        stripe.request_id = failure.request_id.as_deref(),
        retry.in_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        error = %failure.kind,
        cause = failure.cause.as_deref(),
        "a request to Stripe failed"
    );
}

impl Failure {
    fn unreachable() -> Self {
        Self {
            kind: Kind::Unreachable,
            cause: None,
            again: true,
            forbidden: false,
            request_id: None,
            retry_after: None,
        }
    }

    fn into_error(self, call: &'static str) -> Error {
        Error {
            kind: self.kind,
            call,
            request_id: self.request_id,
            retry_after: self.retry_after,
        }
    }
}
