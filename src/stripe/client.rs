//! The calls.

mod account;
mod call;
mod lack;
mod lists;
mod page;
mod purchase;
mod refusal;
mod retry;
mod send;
mod setup;
mod whose;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use self::call::Call;
use self::lack::Lacks;
use self::send::Sender;
use super::error::{Error, Kind};
use super::event::Envelope;
use super::form::Params;
use super::json::USER;
use super::object::read::{self, Part};
use super::object::{CheckoutSession, Customer, PortalSession, SessionMode, Subscription};
use super::{Config, IdempotencyKey, NewCheckout};
use crate::entitlement::SubscriptionStatus;
use crate::telemetry::Metrics;

const CUSTOMERS: &str = "/v1/customers";
const CUSTOMER: &str = "/v1/customers/{id}";
const SUBSCRIPTIONS: &str = "/v1/subscriptions";
const SUBSCRIPTION: &str = "/v1/subscriptions/{id}";
const SUBSCRIPTION_ITEMS: &str = "/v1/subscription_items";
const SESSIONS: &str = "/v1/checkout/sessions";
const SESSION: &str = "/v1/checkout/sessions/{id}";
const PAYMENT_INTENT: &str = "/v1/payment_intents/{id}";
const CHARGE: &str = "/v1/charges/{id}";
const EVENT: &str = "/v1/events/{id}";
const PORTAL: &str = "/v1/billing_portal/sessions";

/// Longest `client_reference_id` that Stripe takes.
const MAX_REFERENCE: usize = 200;

/// A client of Stripe's API.
pub struct Client {
    sender: Sender,
    lacks: Lacks,
}

impl Client {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// When no TLS can be set up, or the key holds what no header may hold.
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Result<Self, Error> {
        Ok(Self {
            sender: Sender::new(config, metrics)?,
            lacks: Lacks::default(),
        })
    }

    /// The same client with another first wait between attempts, for tests, which need not wait; half a second is what
    /// Stripe's own libraries take.
    #[must_use]
    pub fn with_backoff(mut self, base: Duration) -> Self {
        self.sender.patience.base = base;
        self
    }

    /// The customer `id`, deleted or not; `None` when there never was one. Where customers are not to be seen, one of
    /// whom nothing is known.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn customer(&self, id: &str) -> Result<Option<Customer>, Error> {
        let found = self.find(CUSTOMER, id, Params::none()).await;
        let therefore = "customers are not to be seen: whom their metadata names stays unknown";
        match self.unless_lacking(found, therefore)? {
            Some(Some(found)) => read_as(CUSTOMER, read::customer(&found)).map(Some),
            Some(None) => Ok(None),
            None => Ok(Some(Customer {
                id: id.to_owned(),
                user: None,
                email: None,
                deleted: false,
                is_withheld: true,
            })),
        }
    }

    /// Makes a customer for `user` (metadata `auth0_user_id`), with an e-mail that is known to be verified.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn create_customer(
        &self,
        user: &str,
        email: Option<&str>,
        key: &IdempotencyKey,
    ) -> Result<Customer, Error> {
        let mut params = Params::none().with(&["metadata", USER], user);
        if let Some(email) = email {
            params = params.with(&["email"], email);
        }
        let made = self
            .sender
            .send(&Call::post(CUSTOMERS, params, key))
            .await?;
        read_as(CUSTOMERS, read::customer(&made))
    }

    /// All subscriptions of the customer, whichever their status; none when the customer is gone.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses, or the list is not to be had whole.
    pub async fn subscriptions(&self, customer: &str) -> Result<Vec<Subscription>, Error> {
        let Some(params) = of_customer(customer) else {
            return Ok(Vec::new());
        };
        // Without `status` the canceled ones are left out.
        let call = Call::get(SUBSCRIPTIONS, params.with(&["status"], "all"));
        let parts = self.sender.list(call, read::subscription).await;
        let mut subscriptions = Vec::new();
        for part in none_when_missing(parts)?.unwrap_or_default() {
            subscriptions.push(self.with_items(part).await?);
        }
        Ok(subscriptions)
    }

    /// The subscription `id`.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn subscription(&self, id: &str) -> Result<Option<Subscription>, Error> {
        match self.find(SUBSCRIPTION, id, Params::none()).await? {
            Some(found) => self.whole(&found).await.map(Some),
            None => Ok(None),
        }
    }

    /// Sets the subscription to end with its period.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses; [`Kind::Missing`] when there is none.
    pub async fn cancel_at_period_end(
        &self,
        id: &str,
        key: &IdempotencyKey,
    ) -> Result<Subscription, Error> {
        let params = Params::none().with(&["cancel_at_period_end"], "true");
        let call = Call::post(SUBSCRIPTION, params, key).about(id)?;
        let changed = self.sender.send(&call).await?;
        self.whole(&changed).await
    }

    /// Ends the subscription now.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses; [`Kind::Missing`] when there is none.
    pub async fn cancel_now(&self, id: &str) -> Result<Subscription, Error> {
        let call = Call::delete(SUBSCRIPTION).about(id)?;
        match self.sender.send(&call).await {
            Ok(ended) => self.whole(&ended).await,
            // An attempt whose answer was lost may have ended it: to the next one it is not there to be ended.
            Err(missing) if matches!(missing.kind, Kind::Missing { .. }) => {
                match self.subscription(id).await? {
                    Some(ended) if ended.status == SubscriptionStatus::Canceled => Ok(ended),
                    Some(_) | None => Err(missing),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The completed Checkout Sessions of the customer, with their prices and what became of the money; none when the
    /// customer is gone, or when sessions are not to be listed. Where the list cannot be told to leave the others out,
    /// they are in it: a customer may have thousands that came to nothing. Of those of a mode other than `payment`, or not
    /// complete, the money is not looked at, and the prices are what came along. Where prices are not to be had there are
    /// none.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses, or the list is not to be had whole.
    pub async fn checkout_sessions(&self, customer: &str) -> Result<Vec<CheckoutSession>, Error> {
        let Some(params) = of_customer(customer) else {
            return Ok(Vec::new());
        };
        let all = params.expand("data.line_items");
        let complete = Call::get(SESSIONS, all.clone().with(&["status"], "complete"));
        let parts = match self.sender.list(complete, read::session).await {
            Err(error) if error.is_invalid() => {
                self.sender
                    .list(Call::get(SESSIONS, all), read::session)
                    .await
            }
            parts => parts,
        };
        let parts = none_when_missing(parts);
        let therefore = "checkouts are not to be listed: only those that the ledger knows count";
        let parts = self.unless_lacking(parts, therefore)?.flatten();
        let mut sessions = Vec::new();
        for part in parts.unwrap_or_default() {
            sessions.push(self.completed(part).await?);
        }
        Ok(sessions)
    }

    /// The Checkout Session `id`, like those of [`Client::checkout_sessions`].
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn checkout_session(&self, id: &str) -> Result<Option<CheckoutSession>, Error> {
        let expanded = Params::none().expand("line_items");
        let Some(found) = self.find(SESSION, id, expanded).await? else {
            return Ok(None);
        };
        let part = read_as(SESSION, read::session(&found))?;
        self.completed(part).await.map(Some)
    }

    /// Begins a checkout.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses; [`Kind::Missing`] names the parameter that leads nowhere.
    pub async fn create_checkout_session(
        &self,
        checkout: &NewCheckout,
        key: &IdempotencyKey,
    ) -> Result<CheckoutSession, Error> {
        let call = Call::post(SESSIONS, checkout_params(checkout), key);
        let made = self.sender.send(&call).await?;
        let mut session = read_as(SESSIONS, read::session(&made))?.object.session;
        // Line items are not in the answer.
        session.prices = vec![checkout.price.clone()];
        Ok(session)
    }

    /// Opens the customer portal.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses: [`Kind::Missing`] when there is no such customer,
    /// [`Kind::Invalid`] with `portal` when the portal has no configuration.
    pub async fn create_portal_session(
        &self,
        customer: &str,
        return_url: &str,
    ) -> Result<PortalSession, Error> {
        let params = Params::none()
            .with(&["customer"], customer)
            .with(&["return_url"], return_url);
        let call = Call::post(PORTAL, params, &call::random_key());
        let made = self.sender.send(&call).await?;
        read_as(PORTAL, read::portal(&made))
    }

    /// The event `id`, as far as it is believed; Stripe keeps them for 30 days.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn event(&self, id: &str) -> Result<Option<Envelope>, Error> {
        let found = self.find(EVENT, id, Params::none()).await?;
        found
            .map(|event| read_as(EVENT, Envelope::read(&event).ok()))
            .transpose()
    }

    /// What is at `template` with this id; `None` when there is nothing.
    async fn find(
        &self,
        template: &'static str,
        id: &str,
        params: Params,
    ) -> Result<Option<Value>, Error> {
        let found = match Call::get(template, params).about(id) {
            Ok(call) => self.sender.send(&call).await,
            Err(error) => Err(error),
        };
        none_when_missing(found)
    }

    async fn whole(&self, subscription: &Value) -> Result<Subscription, Error> {
        let part = read_as(SUBSCRIPTION, read::subscription(subscription))?;
        self.with_items(part).await
    }

    /// The subscription with all its items, of which ten or twenty come along.
    async fn with_items(&self, part: Part<Subscription>) -> Result<Subscription, Error> {
        let mut subscription = part.object;
        if !part.whole {
            let params = Params::none().with(&["subscription"], &subscription.id);
            let call = Call::get(SUBSCRIPTION_ITEMS, params);
            let items = self.sender.list(call, read::item).await?;
            read::set_items(&mut subscription, items);
        }
        Ok(subscription)
    }
}

/// The parameters that list what this customer has. An empty one would list what everybody has.
fn of_customer(customer: &str) -> Option<Params> {
    super::json::is_id(customer).then(|| Params::none().with(&["customer"], customer))
}

/// No `payment_method_types`, which newer accounts refuse, and no `ui_mode`, whose words changed.
fn checkout_params(checkout: &NewCheckout) -> Params {
    let (mode, data) = match &checkout.mode {
        SessionMode::Payment => ("payment", Some("payment_intent_data")),
        SessionMode::Subscription => ("subscription", Some("subscription_data")),
        SessionMode::Other(mode) => (mode.as_str(), None),
    };
    let mut params = Params::none()
        .with(&["mode"], mode)
        .with(&["customer"], &checkout.customer)
        .with(&["line_items", "0", "price"], &checkout.price)
        .with(&["line_items", "0", "quantity"], "1")
        .with(&["success_url"], &checkout.success_url)
        .with(&["cancel_url"], &checkout.cancel_url)
        .with(&["metadata", USER], &checkout.user)
        .with(&["metadata", "plan_type"], &checkout.plan);
    if let Some(data) = data {
        params = params
            .with(&[data, "metadata", USER], &checkout.user)
            .with(&[data, "metadata", "plan_type"], &checkout.plan);
    }
    // The metadata names the user too, so a longer one is not lost.
    if checkout.user.len() <= MAX_REFERENCE {
        params = params.with(&["client_reference_id"], &checkout.user);
    }
    params
}

fn none_when_missing<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error {
            kind: Kind::Missing { .. },
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_as<T>(template: &'static str, read: Option<T>) -> Result<T, Error> {
    read.ok_or_else(|| unreadable(template))
}

fn unreadable(template: &'static str) -> Error {
    Error::of(template, Kind::Unreadable)
}
