//! Answers that are always the same: status, word, sentence.

use http::StatusCode;

use crate::reply::Problem;

/// Status, word for programs, sentence for people.
#[derive(Clone, Copy)]
pub(super) struct Fixed(StatusCode, &'static str, &'static str);

impl Fixed {
    /// The answer.
    pub(super) fn problem(self) -> Problem {
        let Self(status, code, detail) = self;
        Problem::new(status, code, detail)
    }
}

pub(super) const TOO_LARGE: Fixed = Fixed(
    StatusCode::PAYLOAD_TOO_LARGE,
    "payload_too_large",
    "The request's body is too large",
);
pub(super) const CROWDED: Fixed = Fixed(
    StatusCode::SERVICE_UNAVAILABLE,
    "busy",
    "Too many requests are being read at the moment, try again soon",
);
pub(super) const BODY_TIMEOUT: Fixed = Fixed(
    StatusCode::REQUEST_TIMEOUT,
    "request_timeout",
    "The request's body did not arrive in time",
);
pub(super) const CONTENT_TYPE: Fixed = Fixed(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "unsupported_media_type",
    "Send the body as application/json",
);
pub(super) const CONTENT_ENCODING: Fixed = Fixed(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "unsupported_encoding",
    "Send the body without a Content-Encoding",
);
pub(super) const NOT_JSON: Fixed = Fixed(
    StatusCode::BAD_REQUEST,
    "invalid_json",
    "The request's body is not valid JSON",
);
pub(super) const CURSOR: Fixed = Fixed(
    StatusCode::BAD_REQUEST,
    "invalid_cursor",
    "`cursor` is not one that an earlier answer gave",
);
pub(super) const IDEMPOTENCY_KEY: Fixed = Fixed(
    StatusCode::BAD_REQUEST,
    "invalid_idempotency_key",
    "Idempotency-Key must be 1 to 255 visible ASCII characters, sent once",
);
pub(super) const IDEMPOTENCY_KEY_USED: Fixed = Fixed(
    StatusCode::CONFLICT,
    "idempotency_key_used",
    "The checkout of this Idempotency-Key is over, use a new key to begin another",
);
pub(super) const CHECKOUT_RACE: Fixed = Fixed(
    StatusCode::CONFLICT,
    "checkout_in_progress",
    "Another checkout has just been finished, reload the page and try again",
);
pub(super) const NO_SUBSCRIPTION: Fixed = Fixed(
    StatusCode::NOT_FOUND,
    "subscription_not_found",
    "Subscription not found",
);
pub(super) const SUBSCRIPTION_ENDED: Fixed = Fixed(
    StatusCode::CONFLICT,
    "subscription_ended",
    "The subscription has already ended, there is nothing left to cancel",
);
pub(super) const NO_CUSTOMER: Fixed = Fixed(
    StatusCode::NOT_FOUND,
    "customer_not_found",
    "Customer not found. Please create a subscription first.",
);
pub(super) const STRANGE_CUSTOMER: Fixed = Fixed(
    StatusCode::BAD_GATEWAY,
    "customer_unknown",
    "The payment service does not know your customer at the moment, nothing was changed; please tell the operator",
);
pub(super) const UNFIT_USER: Fixed = Fixed(
    StatusCode::FORBIDDEN,
    "unsupported_user",
    "Your user id cannot be kept with a payment: it is longer than 255 characters, or not visible ASCII",
);
pub(super) const RETURN_URL: Fixed = Fixed(
    StatusCode::BAD_REQUEST,
    "invalid_return_url",
    "`return_url` must be a page of the frontend",
);
pub(super) const PORTAL: Fixed = Fixed(
    StatusCode::FAILED_DEPENDENCY,
    "portal_not_configured",
    "The customer portal is not configured in Stripe yet",
);
pub(super) const NO_SIGNATURE: Fixed = Fixed(
    StatusCode::BAD_REQUEST,
    "missing_signature",
    "Send one Stripe-Signature header with the event",
);
pub(super) const TOO_MANY_QUESTIONS: Fixed = Fixed(
    StatusCode::TOO_MANY_REQUESTS,
    "rate_limited",
    "Too many requests of this kind, try again later",
);
pub(super) const TOO_LONG: Fixed = Fixed(
    StatusCode::SERVICE_UNAVAILABLE,
    "list_too_long",
    "The list could not be read in time, ask for parts of it with `limit` and `cursor`",
);
pub(super) const LEDGER: Fixed = Fixed(
    StatusCode::SERVICE_UNAVAILABLE,
    "ledger_unavailable",
    "The ledger cannot be used at the moment, try again soon",
);
pub(super) const PAYMENTS_BUSY: Fixed = Fixed(
    StatusCode::TOO_MANY_REQUESTS,
    "payments_busy",
    "The payment service is busy, try again soon",
);
pub(super) const PAYMENTS_AWAY: Fixed = Fixed(
    StatusCode::SERVICE_UNAVAILABLE,
    "payments_unavailable",
    "The payment service cannot be reached, try again soon",
);
pub(super) const PAYMENTS_REFUSED: Fixed = Fixed(
    StatusCode::BAD_GATEWAY,
    "payments_refused",
    "The payment service did not accept the request",
);
pub(super) const IDEMPOTENCY_CONFLICT: Fixed = Fixed(
    StatusCode::CONFLICT,
    "idempotency_conflict",
    "The same request is being worked on, or came before with other values; try again soon",
);
pub(super) const USERS_AWAY: Fixed = Fixed(
    StatusCode::SERVICE_UNAVAILABLE,
    "users_unavailable",
    "The user directory cannot be reached, try again soon",
);
pub(super) const USERS_REFUSED: Fixed = Fixed(
    StatusCode::BAD_GATEWAY,
    "users_refused",
    "The user directory did not accept the request",
);
pub(super) const SLOW: Fixed = Fixed(
    StatusCode::SERVICE_UNAVAILABLE,
    "too_slow",
    "The services behind this did not answer in time, try again soon",
);
