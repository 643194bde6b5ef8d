//! Making a webhook endpoint, once.

use std::fmt::Write as _;

use aws_lc_rs::digest;

use crate::cli::wanted::same_url;
use crate::stripe::{API_VERSION, Client, Error, IdempotencyKey, Kind, WebhookEndpoint};
use crate::types::Secret;

/// Tries under different keys. Each but the last one was answered with something that is no more, or not at all.
const TRIES: u32 = 3;

/// Makes an endpoint and tells its secret. Two runs at once, or one that was cut off and the next one, make one.
///
/// Stripe answers a key that it knows with what it answered the first time, for a day: also when the endpoint was
/// deleted since, or when it had answered with an error of its own. Then another key is taken.
pub(super) async fn make(
    client: &Client,
    there: &[WebhookEndpoint],
    url: &str,
    events: &[String],
) -> Result<(WebhookEndpoint, Secret), Error> {
    let types: Vec<&str> = events.iter().map(String::as_str).collect();
    let mut tried = 1;
    loop {
        let made = client
            .create_webhook_endpoint(url, &types, &key(there, url, events, tried))
            .await;
        let is_over = tried >= TRIES
            || match &made {
                Ok((endpoint, _)) => is_there(client, endpoint).await,
                Err(error) => !matches!(error.kind, Kind::Api(_)) || leads_here(client, url).await,
            };
        if is_over {
            return made;
        }
        tried += 1;
    }
}

/// Whether the endpoint is there; also when that cannot be told. Another one with the same address has another secret.
async fn is_there(client: &Client, made: &WebhookEndpoint) -> bool {
    let same = |endpoint: &WebhookEndpoint| endpoint.id == made.id;
    match client.webhook_endpoints().await {
        Ok(endpoints) => endpoints.iter().any(same),
        Err(_) => true,
    }
}

/// Whether an endpoint with this address is there; also when that cannot be told.
async fn leads_here(client: &Client, url: &str) -> bool {
    match client.webhook_endpoints().await {
        Ok(endpoints) => endpoints
            .iter()
            .any(|endpoint| same_url(&endpoint.url, url)),
        Err(_) => true,
    }
}

/// The same as long as nothing has changed: everything that is sent, and what was there before. Stripe refuses a key that
/// comes back with anything else.
fn key(there: &[WebhookEndpoint], url: &str, events: &[String], tried: u32) -> IdempotencyKey {
    let mut ids: Vec<&str> = there.iter().map(|endpoint| endpoint.id.as_str()).collect();
    ids.sort_unstable();
    let tried = tried.to_string();
    let parts = [url, API_VERSION, Client::ENDPOINT_DESCRIPTION, &tried];
    let events = events.iter().map(String::as_str);
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts.into_iter().chain(events).chain(ids) {
        // With its length, so that no two lists fall together.
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut name = "tollgate-bootstrap-".to_owned();
    for byte in hash.finish().as_ref() {
        // Writing to a text does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    IdempotencyKey(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(id: &str) -> WebhookEndpoint {
        WebhookEndpoint {
            id: id.to_owned(),
            url: "https://other.test/".to_owned(),
            events: Vec::new(),
            api_version: None,
            enabled: true,
            live: None,
        }
    }

    #[test]
    fn a_key_stands_for_what_is_asked_and_what_was_there() {
        let (a, b) = (endpoint("we_a"), endpoint("we_b"));
        let events = ["x".to_owned()];
        let both = [a.clone(), b.clone()];
        let first = key(&both, "u", &events, 1);
        assert_eq!(first, key(&[b, a.clone()], "u", &events, 1), "in any order");
        for other in [
            key(&[a], "u", &events, 1),
            key(&both, "v", &events, 1),
            key(&both, "u", &[], 1),
            key(&both, "u", &events, 2),
        ] {
            assert_ne!(first, other);
        }
    }
}
