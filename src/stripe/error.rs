//! What goes wrong with Stripe.

use std::time::Duration;

/// What Stripe, or the way to it, refused. Holds nothing of Stripe's own message: it may name what is secret.
#[derive(Debug, thiserror::Error)]
#[error("Stripe: {kind} ({call}{})", request_id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default())]
pub struct Error {
    /// What a caller does differently.
    pub kind: Kind,
    /// Which call.
    pub call: &'static str,
    /// Stripe's `Request-Id`, to look up in its dashboard.
    pub request_id: Option<String>,
    /// How long Stripe asks to wait.
    pub retry_after: Option<Duration>,
}

/// What a caller does differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Kind {
    /// No connection, a broken one, or no answer in time.
    #[error("it cannot be reached")]
    Unreachable,
    /// Stripe answered 5xx.
    #[error("it answered {0}")]
    Api(u16),
    /// 429.
    #[error("too many requests")]
    RateLimited,
    /// 401 or 403: the key is wrong or lacks a right.
    #[error("the key is not allowed to ({code:?})")]
    Auth {
        /// `code`, or the type of the error.
        code: Option<String>,
    },
    /// 402: the card was declined.
    #[error("the card was declined ({code:?})")]
    Card {
        /// `code`.
        code: Option<String>,
    },
    /// Another request with the same idempotency key runs, or came with other parameters.
    #[error("the idempotency key is in use")]
    Idempotency,
    /// The object does not exist (`resource_missing`), or is of the other mode.
    #[error("there is no such object ({param:?})")]
    Missing {
        /// Which parameter named it.
        param: Option<String>,
    },
    /// Any other 4xx.
    #[error("the request is refused with {status} ({code:?}, {param:?})")]
    Invalid {
        /// The status.
        status: u16,
        /// `code`.
        code: Option<String>,
        /// `param`.
        param: Option<String>,
        /// The customer portal has no configuration yet.
        portal: bool,
    },
    /// An answer that is not what was asked for, or too large.
    #[error("its answer cannot be read")]
    Unreadable,
}

impl Error {
    /// An error of `call` before, or apart from, an answer.
    pub(super) fn of(call: &'static str, kind: Kind) -> Self {
        Self {
            kind,
            call,
            request_id: None,
            retry_after: None,
        }
    }

    /// Whether the address itself is not known: a Stripe that lacks this call, not one that lacks the object.
    pub(super) fn is_unrecognised(&self) -> bool {
        match &self.kind {
            Kind::Invalid { status, code, .. } => [404, 405].contains(status) && code.is_none(),
            Kind::Unreachable
            | Kind::Api(_)
            | Kind::RateLimited
            | Kind::Auth { .. }
            | Kind::Card { .. }
            | Kind::Idempotency
            | Kind::Missing { .. }
            | Kind::Unreadable => false,
        }
    }

    /// Whether the call is known, and what it asks for is refused.
    pub(super) fn is_invalid(&self) -> bool {
        matches!(self.kind, Kind::Invalid { .. }) && !self.is_unrecognised()
    }

    /// Whether the same call may work later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            Kind::Unreachable
            | Kind::Api(_)
            | Kind::RateLimited
            | Kind::Idempotency
            | Kind::Unreadable
            // A key is mended or given a right without a restart on our side: keep trying.
            | Kind::Auth { .. } => true,
            Kind::Card { .. } | Kind::Missing { .. } | Kind::Invalid { .. } => false,
        }
    }
}
