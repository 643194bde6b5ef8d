//! Stripe: the calls we need, the events it sends, and the signature on them.
//!
//! Objects are reduced to what counts here, read the same from older and newer API versions. What they mean for a
//! user is not decided here.

mod account;
mod client;
mod error;
mod event;
mod form;
mod json;
mod object;
mod signature;

use std::time::Duration;

pub use account::{Account, Page, Price, Right, WebhookEndpoint};
pub use client::Client;
pub use error::{Error, Kind};
pub use event::{EVENT_TYPES, Envelope, EventError, Form, NEEDED_EVENT_TYPES, matters};
pub use object::{
    CheckoutSession, Customer, Owner, PortalSession, SessionMode, SessionStatus, Subscription,
    Whose,
};
pub use signature::{SignatureError, verify};

use crate::types::Secret;

/// The API version that our requests ask for, whatever the account's default is.
pub const API_VERSION: &str = "2026-05-27.dahlia";

/// How to reach Stripe.
#[derive(Clone, Debug)]
pub struct Config {
    /// The API, without a slash at its end.
    pub url: String,
    /// A secret or restricted key.
    pub secret_key: Secret,
    /// Deadline of one attempt.
    pub timeout: Duration,
    /// Attempts after the first, at most.
    pub retries: u32,
}

/// The name of an intent: the same request under the same key is done once (Stripe's API, "Idempotent requests").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub String);

/// A checkout to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCheckout {
    /// How the plan is bought.
    pub mode: SessionMode,
    /// The price.
    pub price: String,
    /// `cus_…`.
    pub customer: String,
    /// The Auth0 user: `client_reference_id`, and metadata `auth0_user_id`.
    pub user: String,
    /// The plan's name: metadata `plan_type`.
    pub plan: String,
    /// Where the user comes back to after paying; holds `{CHECKOUT_SESSION_ID}`.
    pub success_url: String,
    /// Where the user comes back to without paying.
    pub cancel_url: String,
}
