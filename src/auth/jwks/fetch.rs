//! Getting the key set over the network: one request, one deadline, a bounded body.

use std::time::Duration;

use super::Jwks;
use super::set::{KeySet, SetError};
use crate::cause::cause;

/// Auth0's key set is 3 KiB; a hundred times that is no key set.
const MAX_BODY: usize = 256 * 1024;

/// Asks for the key set.
pub(super) struct Fetcher {
    client: reqwest::Client,
    url: String,
}

/// Why there is no new key set.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, a broken one, or no answer in time.
    #[error("the key set cannot be fetched: {}", cause(.0))]
    Request(#[source] reqwest::Error),
    /// An answer that is not 200.
    #[error("the key set's URL answered {0}")]
    Status(reqwest::StatusCode),
    /// A body over 256 KiB.
    #[error("the key set is larger than 256 KiB")]
    TooLarge,
    /// A body that is no key set, or has no key that can be used.
    #[error(transparent)]
    Set(#[from] SetError),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error)
    }
}

impl Fetcher {
    pub(super) fn new(config: &Jwks) -> Result<Self, FetchError> {
        let client = reqwest::Client::builder()
            .timeout(config.timeout)
            .connect_timeout(config.timeout)
            // Keys come from where the config says, not from where somebody points to.
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(Duration::from_secs(1))
            .build()?;
        Ok(Self {
            client,
            url: config.url.clone(),
        })
    }

    /// Fetches the set; keys that `previous` has too keep their identity.
    pub(super) async fn fetch(&self, previous: Option<&KeySet>) -> Result<KeySet, FetchError> {
        Ok(KeySet::parse(&self.body().await?, previous)?)
    }

    /// Fetches what is there.
    pub(super) async fn body(&self) -> Result<Vec<u8>, FetchError> {
        let mut response = self.client.get(&self.url).send().await?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}
