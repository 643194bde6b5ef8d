//! What goes wrong with the Management API.

use std::time::Duration;

/// What Auth0, or the way to it, refused. Holds nothing of Auth0's own message.
#[derive(Clone, Debug, thiserror::Error)]
#[error("Auth0: {kind} ({call})")]
pub struct Error {
    /// What a caller does differently.
    pub kind: Kind,
    /// Which call.
    pub call: &'static str,
    /// How long Auth0 asks to wait (`Retry-After`, else `x-ratelimit-reset`).
    pub retry_after: Option<Duration>,
}

/// What a caller does differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Kind {
    /// No connection, a broken one, or no answer in time.
    #[error("it cannot be reached")]
    Unreachable,
    /// Auth0 answered 5xx.
    #[error("it answered {0}")]
    Api(u16),
    /// 429, or a call that would have to wait too long for its turn.
    #[error("too many requests")]
    RateLimited,
    /// The client's id or secret is wrong, or it may not ask for this API.
    #[error("the Management API client is refused; check auth0.management")]
    Client,
    /// 403: the token lacks a scope.
    #[error("the Management API client lacks a scope, one of: {0}")]
    Scope(&'static str),
    /// The user does not exist (any more).
    #[error("there is no such user")]
    NoUser,
    /// A role that the config names does not exist in the tenant.
    #[error("there is no role named {0:?} in the tenant; make it")]
    NoRole(String),
    /// Any other 4xx.
    #[error("the request is refused with {0}")]
    Invalid(u16),
    /// An answer that is not what was asked for, or too large.
    #[error("its answer cannot be read")]
    Unreadable,
}

impl Error {
    pub(super) fn new(kind: Kind, call: &'static str) -> Self {
        Self {
            kind,
            call,
            retry_after: None,
        }
    }

    /// The same call, failed for another reason.
    pub(super) fn but(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// Whether Auth0 said that what the call names does not exist, or is no name of anything.
    pub(super) fn names_nothing(&self) -> bool {
        matches!(self.kind, Kind::Invalid(400 | 404))
    }

    /// Whether the same call may work later without a change here: the trouble passes by itself, or somebody gives the
    /// client its rights back in Auth0.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            Kind::Unreachable
            | Kind::Api(_)
            | Kind::RateLimited
            | Kind::Unreadable
            | Kind::Client
            | Kind::Scope(_) => true,
            Kind::NoUser | Kind::NoRole(_) | Kind::Invalid(_) => false,
        }
    }
}
