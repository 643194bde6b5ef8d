//! What has to be set up: prices, the endpoint that events are sent to, the customer portal.

use super::call::Call;
use super::{Client, read_as};
use crate::stripe::account::{Price, WebhookEndpoint};
use crate::stripe::error::Error;
use crate::stripe::form::Params;
use crate::stripe::object::read;
use crate::stripe::{API_VERSION, IdempotencyKey};
use crate::types::Secret;

pub(super) const PRICE: &str = "/v1/prices/{id}";
pub(super) const WEBHOOK_ENDPOINTS: &str = "/v1/webhook_endpoints";
pub(super) const WEBHOOK_ENDPOINT: &str = "/v1/webhook_endpoints/{id}";
const CONFIGURATIONS: &str = "/v1/billing_portal/configurations";

impl Client {
    /// What the dashboard says of an endpoint that was made here.
    pub const ENDPOINT_DESCRIPTION: &str =
        "Tollgate: keeps Auth0 roles in line with what is paid for";

    /// The price `id`; `None` when there is none, or it is of the other mode.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn price(&self, id: &str) -> Result<Option<Price>, Error> {
        let found = self.find(PRICE, id, Params::none()).await?;
        found
            .map(|found| read_as(PRICE, read::price(&found)))
            .transpose()
    }

    /// All endpoints that the account sends events to.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses, or the list is not to be had whole.
    pub async fn webhook_endpoints(&self) -> Result<Vec<WebhookEndpoint>, Error> {
        let call = Call::get(WEBHOOK_ENDPOINTS, Params::none());
        self.sender.list(call, read::webhook_endpoint).await
    }

    /// Makes an endpoint that is sent these events in the version that is read here, and tells the secret that signs
    /// them: Stripe shows it this once, and again under the same key.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn create_webhook_endpoint(
        &self,
        url: &str,
        events: &[&str],
        key: &IdempotencyKey,
    ) -> Result<(WebhookEndpoint, Secret), Error> {
        let params = Params::none()
            .with(&["url"], url)
            .with(&["api_version"], API_VERSION)
            .with(&["description"], Self::ENDPOINT_DESCRIPTION);
        let params = enabled_events(params, events.iter().copied());
        let call = Call::post(WEBHOOK_ENDPOINTS, params, key);
        let made = self.sender.send(&call).await?;
        let endpoint = read::webhook_endpoint(&made).zip(read::signing_secret(&made));
        read_as(WEBHOOK_ENDPOINTS, endpoint)
    }

    /// Changes the endpoint `id`: which events it is sent, all of them, where some are given; and it is switched on again
    /// where `enable` says so. Its version cannot be changed.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses; [`crate::stripe::Kind::Missing`] when there is none.
    pub async fn update_webhook_endpoint(
        &self,
        id: &str,
        events: Option<&[String]>,
        enable: bool,
        key: &IdempotencyKey,
    ) -> Result<WebhookEndpoint, Error> {
        let events = events.unwrap_or_default().iter().map(String::as_str);
        let mut params = enabled_events(Params::none(), events);
        if enable {
            params = params.with(&["disabled"], "false");
        }
        let call = Call::post(WEBHOOK_ENDPOINT, params, key).about(id)?;
        let changed = self.sender.send(&call).await?;
        read_as(WEBHOOK_ENDPOINT, read::webhook_endpoint(&changed))
    }

    /// Whether the customer portal is set up: whether there is a configuration that is active, and that sessions are
    /// opened with where they name none.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn has_portal(&self) -> Result<bool, Error> {
        let call = |params| Call::get(CONFIGURATIONS, params);
        let usual = call(Params::none().with(&["is_default"], "true"));
        let found = match self.sender.list(usual, read::is_usual_portal).await {
            Err(error) if error.is_invalid() => {
                let all = call(Params::none());
                self.sender.list(all, read::is_usual_portal).await?
            }
            found => found?,
        };
        Ok(found.contains(&true))
    }
}

fn enabled_events<'a>(params: Params, events: impl Iterator<Item = &'a str>) -> Params {
    let add = |params: Params, (place, event): (usize, &str)| {
        params.with(&["enabled_events", &place.to_string()], event)
    };
    events.enumerate().fold(params, add)
}
