//! What `stripe`, `plans`, `roles`, `store`, `sync` and `auth0.management` say together: each module's own config.

use std::time::Duration;

use crate::entitlement::Terms;
use crate::types::Secret;
use crate::{auth0, endpoints, stripe, sync};

/// Everything that payments need.
#[derive(Clone, Debug)]
pub struct Billing {
    /// Stripe's API.
    pub stripe: stripe::Config,
    /// Auth0's Management API.
    pub auth0: auth0::Config,
    /// The intercepted endpoints.
    pub endpoints: endpoints::Config,
    /// What is sold, and what counts while a renewal is not paid.
    pub terms: Terms,
    /// The ledger.
    pub store: Store,
    /// The workers.
    pub sync: sync::Config,
    /// The look at all users now and then, if there is one.
    pub reconcile: Option<sync::Reconcile>,
    /// Where Stripe sends events.
    pub webhook_url: String,
    /// The file does not say where: it is made of `frontend_url` and `base_path`.
    pub webhook_url_is_guessed: bool,
    /// Signing secrets that the file names and that are not there, each as it stands between `${` and `}`; always none after
    /// [`crate::config::load`], which takes no file that lacks one.
    pub unset_secrets: Vec<String>,
    /// The longest time for which the tenant issues an access token.
    pub max_token_age: Duration,
    /// Clock difference that is forgiven.
    pub leeway: Duration,
}

/// When a cancelled subscription ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// When what was paid for is over.
    AtPeriodEnd,
    /// At once.
    Immediately,
}

/// Where the ledger is. The URL may hold a password.
#[derive(Clone, Debug)]
pub enum Store {
    /// One file.
    Sqlite(Secret),
    /// A server.
    Postgres(Secret),
}
