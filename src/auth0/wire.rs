//! One request over the network: one deadline, no redirects, a bounded body, counted.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use reqwest::RequestBuilder;

use super::error::{Error, Kind};
use crate::telemetry::Metrics;

/// A page of 100 users is some 30 KiB; one user with all that was stored about them stays below this.
const MAX_BODY: usize = 1024 * 1024;
/// Connecting takes milliseconds, or fails.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the idle timeout of any load balancer, so that a connection is seldom found cut.
const IDLE: Duration = Duration::from_secs(30);

/// A client with bounds.
pub(super) struct Http {
    client: reqwest::Client,
    metrics: Arc<Metrics>,
}

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection, or one that broke: another try may find a better one.
    Broken,
    /// No answer in time: another try would only double the wait.
    TooSlow,
    /// The body is larger than any answer.
    TooLarge,
}

impl From<Failure> for Kind {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Broken | Failure::TooSlow => Self::Unreachable,
            Failure::TooLarge => Self::Unreadable,
        }
    }
}

impl Http {
    /// # Errors
    ///
    /// When no TLS can be set up.
    pub(super) fn new(timeout: Duration, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(CONNECT_TIMEOUT))
            .pool_idle_timeout(IDLE)
            // The token goes to where the config says, not to where somebody points.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                tracing::error!(error = %error, "no HTTPS client for Auth0 can be made");
                Error::new(Kind::Unreachable, "set-up")
            })?;
        Ok(Self { client, metrics })
    }

    /// Begins a request.
    pub(super) fn request(&self, method: http::Method, url: &str) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends it. `call` is a method and an endpoint with its parameters in braces, `GET /users/{id}`.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        call: &'static str,
    ) -> Result<Answer, Failure> {
        let endpoint = call.split_once(' ').map_or(call, |(_, endpoint)| endpoint);
        let answer = exchange(request).await;
        let status = answer.as_ref().map(|answer| answer.status);
        self.metrics.billing.auth0_request(
            endpoint,
            status.as_ref().map_or("error", StatusCode::as_str),
        );
        answer
    }
}

async fn exchange(request: RequestBuilder) -> Result<Answer, Failure> {
    let mut response = request.send().await.map_err(failure)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

fn failure(error: reqwest::Error) -> Failure {
    let failure = if error.is_timeout() {
        Failure::TooSlow
    } else {
        Failure::Broken
    };
    // Without its URL, which names the user.
    tracing::debug!(error = ?error.without_url(), "a request to Auth0 failed");
    failure
}
