//! The intercepted endpoints of the HTTP contract. The gate has verified the token and decided; here is what each does.

mod account;
mod allowance;
mod body;
mod checkout;
mod customers;
mod failure;
mod heard;
pub mod intent;
mod keys;
mod look;
mod portal;
mod premium;
mod refuse;
mod room;
mod settings;
mod settle;
mod subscriptions;
#[cfg(test)]
mod testing;
mod users;
mod verify;
mod webhook;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;

use crate::clock::Clock;
use crate::entitlement::Terms;
use crate::policy::Permissions;
use crate::reply::Problem;
use crate::store::{Inbox, Store, UnixMillis};
use crate::telemetry::Metrics;
use crate::types::Secret;
use crate::{auth0, stripe};
use account::Account;
use allowance::Allowance;
use checkout::Turns;
use failure::Failure;
use heard::Heard;
use keys::Tries;
use look::Looks;
use portal::Origin;
use premium::RoleReadings;
use room::Room;
use subscriptions::Subscriptions;
use users::Listings;
use verify::Verifications;

/// The longest that anything here takes: browsers, and what stands between, give up soon after. Each step has a shorter
/// deadline of its own; what Stripe was asked for meanwhile is asked for under the same name again.
const LONGEST: Duration = Duration::from_secs(30);

/// An endpoint of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// GET /stripe/config
    Config,
    /// POST /stripe/create-checkout-session
    CreateCheckoutSession,
    /// GET /stripe/verify-session/{id}
    VerifySession,
    /// GET /stripe/subscriptions
    Subscriptions,
    /// POST /stripe/cancel-subscription
    CancelSubscription,
    /// POST /stripe/customer-portal
    CustomerPortal,
    /// POST /stripe/webhook
    Webhook,
    /// GET /auth/premium-status
    PremiumStatus,
    /// GET /admin/premium-users
    PremiumUsers,
}

/// What the endpoints need to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// `pk_…`.
    pub publishable_key: String,
    /// Whether the keys are those of live mode.
    pub live: bool,
    /// The own account's id; without it, it is learned when an event names an account.
    pub account: Option<String>,
    /// Signing secrets of the webhook.
    pub webhook_secrets: Vec<Secret>,
    /// How old, or new, a signature may be.
    pub webhook_tolerance: Duration,
    /// Where users come back to, without a slash at its end.
    pub frontend_url: String,
    /// Whether a cancelled subscription ends at once rather than with its period.
    pub cancel_now: bool,
    /// The longest time for which the tenant issues an access token.
    pub max_token_age: Duration,
}

/// What the endpoints work with.
#[derive(Clone)]
pub struct Parts {
    /// Payments.
    pub stripe: Arc<stripe::Client>,
    /// Users and roles.
    pub auth0: Arc<auth0::Client>,
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// The ledger's way in for events.
    pub inbox: Inbox,
    /// What is sold; a reload swaps it.
    pub terms: Arc<ArcSwap<Terms>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// A request for an endpoint, decided on.
pub struct Call<B> {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The user who asks; the empty text where the endpoint needs none.
    pub user: String,
    /// What the user may do now.
    pub permissions: Permissions,
    /// The last path segment as it was normalised, for endpoints with a parameter.
    pub parameter: String,
    /// The query, without its `?`.
    pub query: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, limited to [`Endpoint::max_body`] bytes.
    pub body: B,
}

/// The endpoints.
pub struct Endpoints {
    parts: Parts,
    config: Config,
    /// Where users may be sent back to.
    frontend: Option<Origin>,
    account: Arc<Account>,
    room: Room,
    heard: Heard,
    looks: Looks,
    verifications: Verifications,
    roles: RoleReadings,
    subscribed: Subscriptions,
    listings: Listings,
    tries: Tries,
    checkouts: Allowance,
    turns: Turns,
    portals: Allowance,
}

impl Endpoint {
    /// Bytes of a body, at most: 1 MiB for the webhook, 64 KiB for the others.
    #[must_use]
    pub fn max_body(self) -> u64 {
        match self {
            Self::Webhook => 1 << 20,
            Self::Config
            | Self::CreateCheckoutSession
            | Self::VerifySession
            | Self::Subscriptions
            | Self::CancelSubscription
            | Self::CustomerPortal
            | Self::PremiumStatus
            | Self::PremiumUsers => 64 << 10,
        }
    }

    /// Its name in the log.
    fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::CreateCheckoutSession => "create-checkout-session",
            Self::VerifySession => "verify-session",
            Self::Subscriptions => "subscriptions",
            Self::CancelSubscription => "cancel-subscription",
            Self::CustomerPortal => "customer-portal",
            Self::Webhook => "webhook",
            Self::PremiumStatus => "premium-status",
            Self::PremiumUsers => "premium-users",
        }
    }

    /// Looks at the head before the body is read; whether it is to be read at all.
    fn admit(self, headers: &HeaderMap) -> Result<bool, Failure> {
        match self {
            Self::Config
            | Self::VerifySession
            | Self::Subscriptions
            | Self::PremiumStatus
            | Self::PremiumUsers => return Ok(false),
            Self::CreateCheckoutSession | Self::CancelSubscription | Self::CustomerPortal => {
                body::check_type(headers)?;
            }
            Self::Webhook => {
                webhook::check_form(headers)?;
            }
        }
        body::check_encoding(headers)?;
        Ok(true)
    }
}

impl Endpoints {
    /// The endpoints.
    #[must_use]
    pub fn new(parts: Parts, config: Config) -> Self {
        Self {
            frontend: Origin::of(&config.frontend_url),
            account: Arc::new(Account::new(config.account.clone())),
            room: Room::new(),
            heard: Heard::new(),
            looks: Looks::new(),
            verifications: Verifications::new(),
            roles: RoleReadings::new(),
            subscribed: Subscriptions::new(),
            listings: Listings::new(),
            tries: Tries::new(),
            checkouts: checkout::allowance(),
            turns: Turns::new(),
            portals: portal::allowance(),
            parts,
            config,
        }
    }

    /// Answers a request. A body that is too large, late or broken is refused with what `body_problem` makes of its error.
    ///
    /// # Errors
    ///
    /// A [`Problem`]: what the contract says for each way to fail.
    pub async fn handle<B, E>(
        &self,
        call: Call<B>,
        body_problem: impl Fn(&E) -> Problem + Send,
    ) -> Result<Response<Full<Bytes>>, Problem>
    where
        B: http_body::Body<Data = Bytes, Error = E> + Send + Unpin,
        E: Send,
    {
        let Call {
            endpoint,
            user,
            permissions,
            parameter,
            query,
            headers,
            body,
        } = call;
        // Held until the answer is there.
        let mut held = self.room.nothing();
        let body = match endpoint.admit(&headers) {
            Ok(true) => {
                let limit = endpoint.max_body();
                body::read(&headers, body, limit, &mut held, body_problem).await
            }
            Ok(false) => Ok(Bytes::new()),
            Err(failure) => Err(failure),
        };
        let answer = match body {
            Ok(body) => {
                let request = Request {
                    user,
                    permissions,
                    parameter,
                    query,
                    headers,
                    body,
                };
                // Boxed: the gate keeps room for this in every request's future, endpoint or not.
                let answer = Box::pin(self.answer(endpoint, request));
                let answer = tokio::time::timeout(LONGEST, answer).await;
                answer.unwrap_or(Err(Failure::Slow))
            }
            Err(failure) => Err(failure),
        };
        answer.map_err(|failure| self.refuse(endpoint, failure))
    }

    async fn answer(
        &self,
        endpoint: Endpoint,
        request: Request,
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let Request {
            user,
            permissions,
            parameter,
            query,
            headers,
            body,
        } = request;
        match endpoint {
            Endpoint::Config => Ok(self.settings()),
            Endpoint::CreateCheckoutSession => {
                self.create_checkout_session(&user, &headers, &body).await
            }
            Endpoint::VerifySession => self.verify_session(&user, &parameter).await,
            Endpoint::Subscriptions => self.subscriptions(&user).await,
            Endpoint::CancelSubscription => self.cancel_subscription(&user, &body).await,
            Endpoint::CustomerPortal => self.customer_portal(&user, &body).await,
            Endpoint::Webhook => self.webhook(&headers, body).await,
            Endpoint::PremiumStatus => self.premium_status(&user, &permissions).await,
            Endpoint::PremiumUsers => self.premium_users(&query).await,
        }
    }

    fn now_millis(&self) -> UnixMillis {
        self.parts.clock.unix_millis()
    }
}

/// A request whose body was read.
struct Request {
    user: String,
    permissions: Permissions,
    parameter: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A call to Stripe, or several, that may take so long, retries included.
async fn in_time<T>(
    limit: Duration,
    call: &'static str,
    asking: impl Future<Output = Result<T, stripe::Error>>,
) -> Result<T, stripe::Error> {
    let asked = tokio::time::timeout(limit, asking).await;
    asked.unwrap_or_else(|_| Err(unreachable(call)))
}

/// Stripe has not answered.
fn unreachable(call: &'static str) -> stripe::Error {
    stripe::Error {
        kind: stripe::Kind::Unreachable,
        call,
        request_id: None,
        retry_after: None,
    }
}
