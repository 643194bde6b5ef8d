//! What `stripe`, `plans`, `roles`, `store` and `auth0.management` say together, checked and typed.

use std::time::Duration;

use crate::entitlement::Mode;
use crate::types::Secret;

/// Everything that payments need.
#[derive(Clone, Debug)]
pub struct Billing {
    /// Stripe's API, without a slash at its end.
    pub api_url: String,
    /// A secret or restricted key.
    pub secret_key: Secret,
    /// The publishable key of the same mode.
    pub publishable_key: String,
    /// Whether the keys are those of live mode.
    pub live: bool,
    /// The webhook endpoint.
    pub webhook: Webhook,
    /// Where users come back to, without a slash at its end.
    pub frontend_url: String,
    /// When a cancelled subscription ends.
    pub cancel: Cancel,
    /// What holds while a renewal is not paid.
    pub past_due: PastDue,
    /// The plans, lowest first.
    pub plans: Vec<Plan>,
    /// What each role may do, in the order of the file.
    pub roles: Vec<Role>,
    /// The ledger.
    pub store: Store,
    /// Auth0's Management API.
    pub management: Management,
    /// The longest time for which the tenant issues an access token.
    pub max_token_age: Duration,
    /// Clock difference that is forgiven.
    pub leeway: Duration,
}

/// How webhook requests are verified.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Signing secrets, one at least; each may have signed.
    pub secrets: Vec<Secret>,
    /// How old a signature may be.
    pub tolerance: Duration,
}

/// When a cancelled subscription ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// When what was paid for is over.
    AtPeriodEnd,
    /// At once.
    Immediately,
}

/// What holds while a renewal is not paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastDue {
    /// Access goes on.
    Keep,
    /// Access ends.
    Revoke,
    /// Access goes on for so long.
    Grace(Duration),
}

/// One plan as the file writes it; what it brings stands in the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// The Auth0 role it gives.
    pub role: String,
    /// How it is sold; `None` is not for sale.
    pub sale: Option<Sale>,
    /// Lower plans whose subscriptions end once this one is bought.
    pub replaces: Vec<String>,
}

/// How a plan is sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Again and again, or once.
    pub mode: Mode,
    /// Its prices, the one to sell first.
    pub prices: Vec<String>,
}

/// One Auth0 role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<String>,
}

/// Where the ledger is. The URL may hold a password.
#[derive(Clone, Debug)]
pub enum Store {
    /// One file.
    Sqlite(Secret),
    /// A server.
    Postgres(Secret),
}

/// Auth0's Management API.
#[derive(Clone, Debug)]
pub struct Management {
    /// The tenant's URL, with its slash at the end.
    pub url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Secret,
    /// The API's identifier.
    pub audience: String,
}
