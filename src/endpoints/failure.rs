//! Every way an endpoint can fail, and the one place that turns each into a status and a sentence.

mod fixed;

use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::reply::Problem;
use crate::store::StoreError;
use crate::stripe::{EventError, SignatureError};
use crate::{auth0, stripe};
use fixed::{
    BODY_TIMEOUT, CHECKOUT_RACE, CONTENT_ENCODING, CONTENT_TYPE, CROWDED, CURSOR, Fixed,
    IDEMPOTENCY_CONFLICT, IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_USED, LEDGER, NO_CUSTOMER, NO_SIGNATURE,
    NO_SUBSCRIPTION, NOT_JSON, PAYMENTS_AWAY, PAYMENTS_BUSY, PAYMENTS_REFUSED, PORTAL, RETURN_URL,
    SLOW, STRANGE_CUSTOMER, SUBSCRIPTION_ENDED, TOO_LARGE, TOO_LONG, TOO_MANY_QUESTIONS,
    UNFIT_USER, USERS_AWAY, USERS_REFUSED,
};

/// Seconds after which it is worth asking again when nobody says.
const SOON: Duration = Duration::from_secs(5);
/// The longest wait that a browser is told of.
const LATE: Duration = Duration::from_secs(600);

/// A request that an endpoint does not serve.
#[derive(Debug)]
pub(super) enum Failure {
    /// The body broke off, or was refused while it came.
    Body(Box<Problem>),
    /// The body is larger than allowed.
    TooLarge,
    /// Too much is held for others at the moment.
    Crowded,
    /// The body does not end.
    BodyTimeout,
    /// The body is not of a type that is read here.
    ContentType,
    /// The body is compressed.
    ContentEncoding,
    /// The body is no JSON.
    NotJson,
    /// A field, or a parameter of the query, is not what it should be.
    Field {
        name: &'static str,
        expected: String,
    },
    /// A cursor that was not made here.
    Cursor,
    /// A plan that is not sold.
    PlanType(String),
    /// The user has this plan, or a higher one.
    Owned { held: String, wanted: String },
    /// Nobody whom an event could name.
    UnfitUser,
    /// The client's idempotency key is none.
    IdempotencyKey,
    /// The client's idempotency key has had its checkout.
    IdempotencyKeyUsed,
    /// Another checkout of this user began or ended meanwhile.
    CheckoutRace,
    /// The subscription is not the user's, or there is none.
    NoSubscription,
    /// The subscription is over.
    SubscriptionEnded,
    /// The user never paid.
    NoCustomer,
    /// Stripe does not know the user's customer, deleted or not: the key is of another account or mode.
    StrangeCustomer,
    /// A way back that leads somewhere else.
    ReturnUrl,
    /// The portal is not configured in Stripe.
    Portal,
    /// An event without a signature.
    NoSignature,
    /// A signature that does not count.
    Signature(SignatureError),
    /// A body that is no event.
    Event(EventError),
    /// The user asks for too much of what Stripe is asked for.
    TooManyQuestions { retry_after: Duration },
    /// The list is too long to be put together in time.
    TooLong,
    /// Stripe refuses, or is away.
    Stripe(stripe::Error),
    /// Auth0 refuses, or is away.
    Auth0(auth0::Error),
    /// The ledger cannot be used.
    Ledger(StoreError),
    /// All of it together took too long.
    Slow,
}

impl Failure {
    /// The answer.
    pub(super) fn into_problem(self) -> Problem {
        match self {
            Self::Body(problem) => *problem,
            Self::TooLarge => TOO_LARGE.problem(),
            Self::Crowded => later(CROWDED, None),
            Self::BodyTimeout => BODY_TIMEOUT.problem(),
            Self::ContentType => CONTENT_TYPE.problem(),
            Self::ContentEncoding => CONTENT_ENCODING.problem(),
            Self::NotJson => NOT_JSON.problem(),
            Self::Field { name, expected } => field(name, &expected),
            Self::Cursor => CURSOR.problem(),
            Self::PlanType(name) => bad("invalid_plan_type", format!("Invalid plan type: {name}")),
            Self::Owned { held, wanted } => owned(&held, &wanted),
            Self::UnfitUser => UNFIT_USER.problem(),
            Self::IdempotencyKey => IDEMPOTENCY_KEY.problem(),
            Self::IdempotencyKeyUsed => IDEMPOTENCY_KEY_USED.problem(),
            Self::CheckoutRace => CHECKOUT_RACE.problem(),
            Self::NoSubscription => NO_SUBSCRIPTION.problem(),
            Self::SubscriptionEnded => SUBSCRIPTION_ENDED.problem(),
            Self::NoCustomer => NO_CUSTOMER.problem(),
            Self::StrangeCustomer => STRANGE_CUSTOMER.problem(),
            Self::ReturnUrl => RETURN_URL.problem(),
            Self::Portal => PORTAL.problem(),
            Self::NoSignature => NO_SIGNATURE.problem(),
            Self::Signature(error) => signature(error),
            Self::Event(error) => bad("invalid_event", error.to_string()),
            Self::TooManyQuestions { retry_after } => later(TOO_MANY_QUESTIONS, Some(retry_after)),
            Self::TooLong => later(TOO_LONG, None),
            Self::Stripe(error) => payment(&error),
            Self::Auth0(error) => directory(&error),
            Self::Ledger(_) => later(LEDGER, None),
            Self::Slow => later(SLOW, None),
        }
    }

    /// What a webhook request that fails is counted as.
    pub(super) fn webhook_result(&self) -> &'static str {
        match self {
            Self::Signature(SignatureError::Mismatch | SignatureError::Outside) => "unverified",
            Self::Ledger(_) | Self::Slow | Self::Crowded => "unavailable",
            Self::Body(_)
            | Self::TooLarge
            | Self::BodyTimeout
            | Self::ContentType
            | Self::ContentEncoding
            | Self::NotJson
            | Self::Field { .. }
            | Self::Cursor
            | Self::PlanType(_)
            | Self::Owned { .. }
            | Self::UnfitUser
            | Self::IdempotencyKey
            | Self::IdempotencyKeyUsed
            | Self::CheckoutRace
            | Self::NoSubscription
            | Self::SubscriptionEnded
            | Self::NoCustomer
            | Self::StrangeCustomer
            | Self::ReturnUrl
            | Self::Portal
            | Self::NoSignature
            | Self::Signature(SignatureError::Malformed)
            | Self::Event(_)
            | Self::TooManyQuestions { .. }
            | Self::TooLong
            | Self::Stripe(_)
            | Self::Auth0(_) => "invalid",
        }
    }
}

impl From<stripe::Error> for Failure {
    fn from(error: stripe::Error) -> Self {
        Self::Stripe(error)
    }
}

/// An error that several wait for is told to each.
impl From<Arc<stripe::Error>> for Failure {
    fn from(error: Arc<stripe::Error>) -> Self {
        Self::Stripe(stripe::Error {
            kind: error.kind.clone(),
            call: error.call,
            request_id: error.request_id.clone(),
            retry_after: error.retry_after,
        })
    }
}

impl From<auth0::Error> for Failure {
    fn from(error: auth0::Error) -> Self {
        Self::Auth0(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error)
    }
}

fn field(name: &str, expected: &str) -> Problem {
    let detail = format!("`{name}` must be {expected}");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail)
}

/// What to do instead of buying.
fn owned(held: &str, wanted: &str) -> Problem {
    let detail = if held == wanted {
        format!("You already have the {held} plan, manage it in the customer portal")
    } else {
        format!(
            "You already have the {held} plan, which includes the {wanted} plan: there is no need to buy it, \
             manage your plan in the customer portal"
        )
    };
    Problem::new(StatusCode::CONFLICT, "already_owned", detail)
}

fn signature(error: SignatureError) -> Problem {
    match error {
        SignatureError::Malformed => bad("invalid_signature_header", error.to_string()),
        SignatureError::Mismatch | SignatureError::Outside => {
            let detail = error.to_string();
            Problem::new(StatusCode::UNAUTHORIZED, "invalid_signature", detail)
        }
    }
}

/// What Stripe's error means to who wanted to pay. None of Stripe's own words are passed on.
fn payment(error: &stripe::Error) -> Problem {
    match &error.kind {
        stripe::Kind::RateLimited => later(PAYMENTS_BUSY, error.retry_after),
        stripe::Kind::Unreachable | stripe::Kind::Api(_) => later(PAYMENTS_AWAY, error.retry_after),
        stripe::Kind::Idempotency => IDEMPOTENCY_CONFLICT.problem(),
        stripe::Kind::Auth { .. }
        | stripe::Kind::Card { .. }
        | stripe::Kind::Missing { .. }
        | stripe::Kind::Invalid { .. }
        | stripe::Kind::Unreadable => PAYMENTS_REFUSED.problem(),
    }
}

fn directory(error: &auth0::Error) -> Problem {
    match &error.kind {
        auth0::Kind::Unreachable
        | auth0::Kind::Api(_)
        | auth0::Kind::RateLimited
        | auth0::Kind::Unreadable => later(USERS_AWAY, error.retry_after),
        auth0::Kind::Client
        | auth0::Kind::Scope(_)
        | auth0::Kind::NoUser
        | auth0::Kind::NoRole(_)
        | auth0::Kind::Invalid(_) => USERS_REFUSED.problem(),
    }
}

fn bad(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}

/// With `Retry-After` in whole seconds, rounded up: a client that comes back in time is served.
fn later(fixed: Fixed, wait: Option<Duration>) -> Problem {
    let wait = wait.unwrap_or(SOON).min(LATE);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let seconds = HeaderValue::from(seconds.max(1));
    fixed.problem().header(RETRY_AFTER, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripe(kind: stripe::Kind, retry_after: Option<u64>) -> Failure {
        Failure::Stripe(stripe::Error {
            kind,
            call: "a call",
            request_id: Some("req_1".into()),
            retry_after: retry_after.map(Duration::from_millis),
        })
    }

    #[test]
    fn what_stripe_refuses_is_429_502_or_503_and_says_when_to_come_again() {
        for (failure, status, wait) in [
            (
                stripe(stripe::Kind::RateLimited, Some(1500)),
                429,
                Some("2"),
            ),
            (stripe(stripe::Kind::Unreachable, None), 503, Some("5")),
            (stripe(stripe::Kind::Api(500), Some(0)), 503, Some("1")),
            (
                stripe(stripe::Kind::Api(500), Some(9_000_000)),
                503,
                Some("600"),
            ),
            (
                stripe(
                    stripe::Kind::Auth {
                        known: true,
                        code: None,
                    },
                    None,
                ),
                502,
                None,
            ),
            (stripe(stripe::Kind::Card { code: None }, None), 502, None),
            (
                stripe(stripe::Kind::Missing { param: None }, None),
                502,
                None,
            ),
            (stripe(stripe::Kind::Unreadable, None), 502, None),
            (stripe(stripe::Kind::Idempotency, None), 409, None),
        ] {
            let problem = failure.into_problem();
            let header = problem
                .headers
                .first()
                .map(|(_, value)| value.to_str().unwrap());
            assert_eq!(
                (problem.status.as_u16(), header),
                (status, wait),
                "{}",
                problem.code
            );
        }
    }

    #[test]
    fn nothing_of_stripes_own_words_is_passed_on() {
        let problem = stripe(
            stripe::Kind::Invalid {
                status: 400,
                code: Some("sk_test_leak".into()),
                param: Some("sk_test_leak".into()),
                portal: false,
            },
            None,
        )
        .into_problem();
        assert!(!problem.detail.contains("leak"), "{}", problem.detail);
    }

    #[test]
    fn a_conflict_says_what_to_do_instead() {
        let conflict = |held: &str, wanted: &str| {
            let (held, wanted) = (held.to_owned(), wanted.to_owned());
            Failure::Owned { held, wanted }.into_problem().detail
        };
        assert!(conflict("monthly", "monthly").contains("customer portal"));
        assert!(conflict("lifetime", "monthly").contains("includes the monthly plan"));
    }
}
