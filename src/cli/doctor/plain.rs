//! Requests apart from the clients of Auth0 and Stripe: the discovery document, the time, the webhook's address.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::patience::CALL;
use crate::cause::cause;
use crate::stripe::API_VERSION;
use crate::types::Secret;

/// A discovery document is some 2 KiB.
const MAX_BODY: usize = 256 * 1024;

/// A client that follows nobody.
pub(super) struct Plain(reqwest::Client);

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Plain {
    pub(super) fn new() -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(CALL)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }

    /// GET.
    ///
    /// # Errors
    ///
    /// Half a sentence that says what went wrong.
    pub(super) async fn get(&self, url: &str) -> Result<Answer, String> {
        answer(self.0.get(url)).await
    }

    /// GET from Stripe with its key.
    ///
    /// # Errors
    ///
    /// As [`Plain::get`].
    pub(super) async fn get_with(&self, url: &str, key: &Secret) -> Result<Answer, String> {
        let request = self.0.get(url).bearer_auth(key.expose());
        answer(request.header("stripe-version", API_VERSION)).await
    }

    /// POST of nothing.
    ///
    /// # Errors
    ///
    /// As [`Plain::get`].
    pub(super) async fn post_nothing(&self, url: &str, within: Duration) -> Result<Answer, String> {
        let request = self.0.post(url).header("content-type", "application/json");
        answer(request.body("").timeout(within)).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, String> {
    let mut response = request.send().await.map_err(|error| reason(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err("its answer is too large".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "it does not answer in time".to_owned()
    } else {
        cause(error)
    }
}
