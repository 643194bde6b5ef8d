//! The paths that are Tollgate's own once Stripe is configured. None is ever forwarded: the handlers that used
//! to answer them are still there behind us.

use std::sync::LazyLock;

use http::Method;

use super::refusal::Refusal;
use crate::policy::{NormalPath, Pattern};

/// One endpoint of the HTTP contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its path.
    pub path: &'static str,
    /// Its one method; `HEAD` follows `GET`.
    pub method: &'static str,
    /// What it asks for, in the words of the route table.
    pub requirement: &'static str,
}

/// Every endpoint of the HTTP contract.
pub const ENDPOINTS: [Endpoint; 9] = [
    Endpoint { path: "/stripe/config", method: "GET", requirement: "public" },
    Endpoint { path: "/stripe/create-checkout-session", method: "POST", requirement: "authenticated" },
    Endpoint { path: "/stripe/verify-session/{id}", method: "GET", requirement: "authenticated" },
    Endpoint { path: "/auth/premium-status", method: "GET", requirement: "authenticated" },
    Endpoint { path: "/admin/premium-users", method: "GET", requirement: "permissions: [access:admin-panel]" },
    Endpoint { path: "/stripe/subscriptions", method: "GET", requirement: "authenticated" },
    Endpoint { path: "/stripe/cancel-subscription", method: "POST", requirement: "authenticated" },
    Endpoint { path: "/stripe/customer-portal", method: "POST", requirement: "authenticated" },
    Endpoint { path: "/stripe/webhook", method: "POST", requirement: "Stripe's signature" },
];

static PATTERNS: LazyLock<Vec<(Pattern, Endpoint)>> = LazyLock::new(|| {
    ENDPOINTS.iter().filter_map(|endpoint| Some((Pattern::parse(endpoint.path).ok()?, *endpoint))).collect()
});
static STRIPE: LazyLock<Option<Pattern>> = LazyLock::new(|| Pattern::parse("/stripe/{*rest}").ok());

/// What a path means to Tollgate itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the backend's.
    None,
    /// It is this endpoint's, and the method fits.
    Endpoint(Endpoint),
    /// It is this endpoint's, and the method does not fit.
    WrongMethod(Endpoint),
    /// It is under `/stripe/`, where nothing is the backend's.
    Unknown,
}

/// Whose `path` is, letter case and a trailing slash ignored.
#[must_use]
pub fn claim(path: &NormalPath<'_>, method: &Method) -> Claim {
    if let Some((_, endpoint)) = PATTERNS.iter().find(|(pattern, _)| pattern.matches(path)) {
        let fits = method.as_str() == endpoint.method || (method == Method::HEAD && endpoint.method == "GET");
        return if fits { Claim::Endpoint(*endpoint) } else { Claim::WrongMethod(*endpoint) };
    }
    match &*STRIPE {
        Some(stripe) if stripe.matches(path) => Claim::Unknown,
        Some(_) | None => Claim::None,
    }
}

/// Refuses what is Tollgate's.
pub(super) fn refuse(path: &NormalPath<'_>, method: &Method) -> Result<(), Refusal> {
    match claim(path, method) {
        Claim::None => Ok(()),
        Claim::Endpoint(_) => Err(Refusal::NotServed),
        Claim::WrongMethod(endpoint) => {
            let allow = if endpoint.method == "GET" { "GET, HEAD" } else { endpoint.method };
            Err(Refusal::MethodNotAllowed { allow: allow.to_owned() })
        }
        Claim::Unknown => Err(Refusal::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PathRules;

    fn whose(path: &str, method: Method) -> Claim {
        claim(&NormalPath::parse(path, &PathRules::default()).unwrap(), &method)
    }

    #[test]
    fn everything_under_stripe_is_tollgates_in_every_spelling() {
        assert!(matches!(whose("/stripe/config", Method::GET), Claim::Endpoint(e) if e.path == "/stripe/config"));
        assert!(matches!(whose("/Stripe/CONFIG/", Method::HEAD), Claim::Endpoint(_)));
        assert!(matches!(whose("/stripe/config", Method::POST), Claim::WrongMethod(_)));
        assert!(matches!(whose("/auth/Premium-Status", Method::GET), Claim::Endpoint(_)));
        for path in ["/stripe", "/stripe/", "/stripe/debug", "/STRIPE/debug/headers", "/stripe/verify-session/a/b"] {
            assert_eq!(whose(path, Method::GET), Claim::Unknown, "{path}");
        }
        for path in ["/", "/stripes/x", "/auth/status", "/admin/premium"] {
            assert_eq!(whose(path, Method::GET), Claim::None, "{path}");
        }
    }
}
