//! Every way a request can fail here, and the one place that turns each into a status and a sentence.

use std::time::Duration;

use http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::header_value;
use crate::auth::TokenError;
use crate::entitlement::Catalog;
use crate::policy::{self, PathError};
use crate::proxy::ProxyError;
use crate::reply::Problem;
use crate::server::BodyError;

/// A request that is answered here instead of by the upstream.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A path that could be read in two ways.
    Path(PathError),
    /// A target in a form that does not go with the method.
    Target,
    /// `Host` is missing, repeated, malformed, or not the target's.
    Host,
    /// A body in a transfer coding other than `chunked`.
    Coding,
    /// More header fields than allowed, or larger ones.
    TooManyHeaders,
    /// CONNECT: this is no forward proxy.
    Connect,
    /// A preflight of an origin that is not allowed.
    Origin,
    /// Too many requests.
    RateLimited { retry_after: Duration },
    /// Under `/stripe/`, but no endpoint.
    NotFound,
    /// What an endpoint of our own answers.
    Endpoint(Box<Problem>),
    /// The path is known, the method is not.
    MethodNotAllowed { allow: String },
    /// No route, and the default is to deny.
    Denied,
    /// A token is needed.
    NoToken,
    /// The token does not count.
    InvalidToken(TokenError),
    /// The token counts but is not enough.
    Insufficient { missing: Vec<String>, any: bool },
    /// There are no keys yet.
    NotReady,
    /// The body is larger than allowed.
    TooLarge,
    /// The client stopped sending its body.
    BodyTimeout,
    /// The client's body broke off.
    BodyBroken,
    /// The upstream cannot be reached.
    Unreachable,
    /// The upstream broke off, or spoke no HTTP.
    BadAnswer,
    /// The upstream is slow.
    UpstreamTimeout,
    /// All connections to the upstream are in use.
    UpstreamBusy,
}

/// Seconds after which it is worth asking again while keys or connections are missing.
const SOON: u64 = 5;

impl Refusal {
    /// The answer.
    pub(super) fn into_problem(self, catalog: &Catalog) -> Problem {
        match self {
            Self::Path(error) => {
                Problem::new(StatusCode::BAD_REQUEST, "invalid_path", error.to_string())
            }
            Self::Target => bad(
                "invalid_target",
                "The request target does not go with the method",
            ),
            Self::Host => bad(
                "invalid_host",
                "The Host header is missing, repeated, malformed, or not the target's",
            ),
            // The connection ends with it (RFC 9112, section 6.1): what follows may be a body that was read wrongly.
            Self::Coding => Problem::new(
                StatusCode::NOT_IMPLEMENTED,
                "unknown_coding",
                "The request's body is in a transfer coding other than chunked",
            )
            .header(CONNECTION, HeaderValue::from_static("close")),
            Self::TooManyHeaders => Problem::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "The request's header has too many fields, or is too large",
            ),
            Self::Connect => not_allowed(
                "CONNECT is not supported",
                "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            ),
            Self::Origin => Problem::new(
                StatusCode::FORBIDDEN,
                "origin_denied",
                "This origin is not allowed (CORS)",
            ),
            Self::RateLimited { retry_after } => {
                // Rounded up: a client that comes back in time is let in.
                let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
                let problem = Problem::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limited",
                    "Too many requests, try again later",
                );
                problem.header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
            }
            Self::NotFound => Problem::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "There is no such endpoint",
            ),
            Self::Endpoint(problem) => *problem,
            Self::MethodNotAllowed { allow } => {
                not_allowed("The method is not allowed for this path", &allow)
            }
            Self::Denied => Problem::new(
                StatusCode::FORBIDDEN,
                "denied",
                "This path is not open to anybody",
            ),
            Self::NoToken => Problem::new(
                StatusCode::UNAUTHORIZED,
                "missing_token",
                "Sign in: an access token is needed",
            )
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Self::InvalidToken(error) => invalid_token(error),
            Self::Insufficient { missing, any } => insufficient(&missing, any, catalog),
            Self::NotReady => {
                unavailable("not_ready", "Tokens cannot be verified yet, try again soon")
            }
            Self::TooLarge => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "The request's body is too large",
            ),
            Self::BodyTimeout => Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The request's body did not arrive in time",
            ),
            Self::BodyBroken => bad(
                "invalid_body",
                "The request's body broke off or is malformed",
            ),
            Self::Unreachable => Problem::new(
                StatusCode::BAD_GATEWAY,
                "upstream_unreachable",
                "The service cannot be reached",
            ),
            Self::BadAnswer => Problem::new(
                StatusCode::BAD_GATEWAY,
                "upstream_broken",
                "The service broke off its answer",
            ),
            Self::UpstreamTimeout => Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                "The service did not answer in time",
            ),
            Self::UpstreamBusy => {
                unavailable("upstream_busy", "The service is busy, try again soon")
            }
        }
    }
}

fn bad(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}

fn not_allowed(detail: &str, allow: &str) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        .header(ALLOW, header_value(allow))
}

fn unavailable(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
        .header(RETRY_AFTER, HeaderValue::from(SOON))
}

/// RFC 6750, section 3. The texts of [`TokenError`] hold no quote.
fn invalid_token(error: TokenError) -> Problem {
    let challenge = format!(
        "Bearer error=\"{}\", error_description=\"{error}\"",
        error.code()
    );
    Problem::new(StatusCode::UNAUTHORIZED, error.code(), error.to_string())
        .header(WWW_AUTHENTICATE, header_value(challenge))
}

fn insufficient(missing: &[String], any: bool, catalog: &Catalog) -> Problem {
    let scope = missing.join(" ");
    let detail = match (any, missing) {
        (_, [one]) => format!("Missing permission: {one}"),
        (true, many) => format!("Missing permission: one of {}", many.join(", ")),
        (false, many) => format!("Missing permissions: {}", many.join(", ")),
    };
    let challenge = format!(
        "Bearer error=\"insufficient_scope\", error_description=\"The access token lacks a permission\", scope=\"{scope}\""
    );
    let mut problem = Problem::new(StatusCode::FORBIDDEN, "insufficient_scope", detail)
        .header(WWW_AUTHENTICATE, header_value(challenge));
    problem.upgrade = if any {
        catalog.sold_with_any(missing)
    } else {
        catalog.sold_with(missing)
    };
    problem.scope = Some(scope);
    problem
}

/// The answer to a body that did not arrive.
pub(super) fn body_problem(error: &BodyError) -> Problem {
    Refusal::from(error).into_problem(&Catalog::default())
}

impl From<&BodyError> for Refusal {
    fn from(error: &BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::TooLarge,
            BodyError::Idle => Self::BodyTimeout,
            BodyError::Client(_) => Self::BodyBroken,
        }
    }
}

impl From<PathError> for Refusal {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}

impl From<policy::Refusal<TokenError>> for Refusal {
    fn from(refusal: policy::Refusal<TokenError>) -> Self {
        match refusal {
            policy::Refusal::Denied => Self::Denied,
            policy::Refusal::MethodNotAllowed { allow } => Self::MethodNotAllowed { allow },
            policy::Refusal::NoToken => Self::NoToken,
            policy::Refusal::InvalidToken(error) => Self::InvalidToken(error),
            policy::Refusal::Insufficient { missing, any } => Self::Insufficient { missing, any },
        }
    }
}

impl From<&ProxyError<BodyError>> for Refusal {
    fn from(error: &ProxyError<BodyError>) -> Self {
        match error {
            ProxyError::Connect(_) => Self::Unreachable,
            ProxyError::Busy => Self::UpstreamBusy,
            ProxyError::Timeout => Self::UpstreamTimeout,
            ProxyError::Upstream(_) | ProxyError::Unasked | ProxyError::Coding => Self::BadAnswer,
            ProxyError::Body(error) => Self::from(error),
        }
    }
}
