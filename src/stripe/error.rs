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
    #[error("{}{}", key_trouble(*known), in_brackets(code.as_ref()))]
    Auth {
        /// Whether Stripe knows the key (403), which then lacks the right.
        known: bool,
        /// `code`, or the type of the error.
        code: Option<String>,
    },
    /// 402: the card was declined.
    #[error("the card was declined{}", in_brackets(code.as_ref()))]
    Card {
        /// `code`.
        code: Option<String>,
    },
    /// Another request with the same idempotency key runs, or came with other parameters.
    #[error("the idempotency key is in use")]
    Idempotency,
    /// The object does not exist (`resource_missing`), or is of the other mode.
    #[error("there is no such object{}", in_brackets(param.as_ref()))]
    Missing {
        /// Which parameter named it.
        param: Option<String>,
    },
    /// Any other 4xx.
    #[error("the request is refused with {status}{}{}", in_brackets(code.as_ref()), at(param.as_ref()))]
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

fn key_trouble(known: bool) -> &'static str {
    if known {
        "the key is not allowed to"
    } else {
        "it does not know this key"
    }
}

fn in_brackets(word: Option<&String>) -> String {
    word.map(|word| format!(" ({word})")).unwrap_or_default()
}

fn at(param: Option<&String>) -> String {
    param
        .map(|param| format!(" at `{param}`"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_told_in_words_with_what_is_known_of_it() {
        let word = |text: &str| Some(text.to_owned());
        let auth = |known, code| Kind::Auth { known, code };
        let invalid = |status, code, param| Kind::Invalid {
            status,
            code,
            param,
            portal: false,
        };
        for (kind, expected) in [
            (auth(false, None), "it does not know this key"),
            (
                auth(false, word("api_key_expired")),
                "it does not know this key (api_key_expired)",
            ),
            (auth(true, None), "the key is not allowed to"),
            (
                auth(true, word("more_permissions_required")),
                "the key is not allowed to (more_permissions_required)",
            ),
            (Kind::Card { code: None }, "the card was declined"),
            (
                Kind::Card {
                    code: word("expired_card"),
                },
                "the card was declined (expired_card)",
            ),
            (Kind::Missing { param: None }, "there is no such object"),
            (
                Kind::Missing { param: word("id") },
                "there is no such object (id)",
            ),
            (invalid(404, None, None), "the request is refused with 404"),
            (
                invalid(400, word("url_invalid"), None),
                "the request is refused with 400 (url_invalid)",
            ),
            (
                invalid(400, word("url_invalid"), word("url")),
                "the request is refused with 400 (url_invalid) at `url`",
            ),
        ] {
            assert_eq!(kind.to_string(), expected);
        }
    }
}
