//! Events from Stripe: the signature over the bytes as they came, then the ledger, then the answer. No more is done
//! here; what an event means is found out later, from Stripe itself.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::Endpoints;
use super::failure::Failure;
use super::intent::{Ours, new_event};
use crate::reply::json;
use crate::store::{Intent, NewEvent, Received};
use crate::stripe::{Envelope, SignatureError, matters, verify};

const SIGNATURE: &str = "stripe-signature";

#[derive(Serialize)]
struct Answer<'a> {
    received: bool,
    result: Outcome<'a>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    status: &'static str,
    event_type: &'a str,
    event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// The one signature header.
fn signature(headers: &HeaderMap) -> Result<&[u8], Failure> {
    let mut values = headers.get_all(SIGNATURE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes()),
        (None, _) | (Some(_), Some(_)) => Err(Failure::NoSignature),
    }
}

/// Refuses a signature header that never counts, before the body is read. Whether it fits is found out with the body,
/// and nothing is said of its time before it fits.
pub(super) fn check_form(headers: &HeaderMap) -> Result<(), Failure> {
    // Without a secret nothing fits: what is left is whether the header is malformed.
    match verify(signature(headers)?, &[], &[], Duration::ZERO, 0) {
        Err(SignatureError::Malformed) => Err(Failure::Signature(SignatureError::Malformed)),
        Err(SignatureError::Mismatch | SignatureError::Outside) | Ok(()) => Ok(()),
    }
}

impl Endpoints {
    /// `POST /stripe/webhook`.
    pub(super) async fn webhook(
        &self,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let event = self.verified(headers, body).await?;
        let (id, event_type) = (event.id.clone(), event.event_type.clone());
        let (reason, user) = match &event.intent {
            Intent::Ignore(reason) => (Some(reason.clone()), None),
            Intent::Sync(concern) => (None, concern.user.clone()),
        };
        let received = self.parts.inbox.receive(event).await?;
        let status = match received {
            Received::Queued => "queued",
            Received::Ignored => "ignored",
            Received::Duplicate => "duplicate",
        };
        self.count(&event_type, status);
        match received {
            // Operators look for this line word for word.
            Received::Queued => {
                if let Some((user, _)) = user {
                    self.heard.news(&user);
                }
                tracing::info!(event.id = %id, "Webhook processed successfully: {event_type}");
            }
            Received::Ignored | Received::Duplicate => {
                tracing::debug!(event.id = %id, event.kind = %event_type, event.result = status, "event answered");
            }
        }
        let answer = Answer {
            received: true,
            result: Outcome {
                status,
                event_type: &event_type,
                event_id: &id,
                reason: reason.as_deref().filter(|_| received == Received::Ignored),
            },
            error: None,
        };
        Ok(json(StatusCode::OK, &answer))
    }

    /// The event, if Stripe has signed it. Nothing of the body is read before that is known.
    async fn verified(&self, headers: &HeaderMap, body: Bytes) -> Result<NewEvent, Failure> {
        let config = &self.config;
        let now = self.parts.clock.unix_seconds();
        verify(
            signature(headers)?,
            &body,
            &config.webhook_secrets,
            config.webhook_tolerance,
            now,
        )
        .map_err(Failure::Signature)?;
        let envelope = Envelope::parse(&body).map_err(Failure::Event)?;
        let account = match &envelope.account {
            Some(_) => self.account.id().await,
            None => None,
        };
        let ours = Ours {
            live: config.live,
            account,
        };
        Ok(new_event(&envelope, body, self.now_millis(), ours))
    }

    /// Types are the sender's to choose: only those that count get a label of their own.
    fn count(&self, event_type: &str, result: &str) {
        let label = if matters(event_type) {
            event_type
        } else {
            "other"
        };
        self.parts.metrics.billing.webhook_event(label, result);
    }
}
