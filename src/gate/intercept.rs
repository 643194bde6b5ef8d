//! The paths that are Tollgate's own once Stripe is configured. None is ever forwarded: the handlers that used
//! to answer them are still there behind us.

use std::sync::LazyLock;

use http::Method;

use super::refusal::Refusal;
use crate::policy::{NormalPath, Pattern, Requirement};

/// One endpoint of the HTTP contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its path.
    pub path: Pattern,
    /// Its one method; `HEAD` follows `GET`.
    pub method: Method,
    /// What it asks for; `None` is Stripe's signature.
    pub requirement: Option<Requirement>,
}

/// Every endpoint of the HTTP contract.
pub static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let user = || Some(Requirement::Authenticated);
    let admin = Some(Requirement::AllOf(vec!["access:admin-panel".to_owned()]));
    [
        (Method::GET, "/stripe/config", Some(Requirement::Public)),
        (Method::POST, "/stripe/create-checkout-session", user()),
        (Method::GET, "/stripe/verify-session/{id}", user()),
        (Method::GET, "/stripe/subscriptions", user()),
        (Method::POST, "/stripe/cancel-subscription", user()),
        (Method::POST, "/stripe/customer-portal", user()),
        (Method::POST, "/stripe/webhook", None),
        (Method::GET, "/auth/premium-status", user()),
        (Method::GET, "/admin/premium-users", admin),
    ]
    .into_iter()
    .filter_map(|(method, path, requirement)| {
        Some(Endpoint {
            path: Pattern::parse(path).ok()?,
            method,
            requirement,
        })
    })
    .collect()
});

/// Everything under it is Tollgate's, endpoint or not.
static STRIPE: LazyLock<Option<Pattern>> = LazyLock::new(|| Pattern::parse("/stripe/{*rest}").ok());

/// What a path means to Tollgate itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the backend's.
    None,
    /// It is this endpoint's, and the method fits.
    Endpoint(&'static Endpoint),
    /// It is this endpoint's, and the method does not fit.
    WrongMethod(&'static Endpoint),
    /// It is under `/stripe/`, where nothing is the backend's.
    Unknown,
}

/// Whose `path` is, letter case and a trailing slash ignored.
#[must_use]
pub fn claim(path: &NormalPath<'_>, method: &Method) -> Claim {
    if let Some(endpoint) = ENDPOINTS
        .iter()
        .find(|endpoint| endpoint.path.matches(path))
    {
        let fits = *method == endpoint.method
            || (method == Method::HEAD && endpoint.method == Method::GET);
        return if fits {
            Claim::Endpoint(endpoint)
        } else {
            Claim::WrongMethod(endpoint)
        };
    }
    match &*STRIPE {
        Some(stripe) if stripe.matches(path) => Claim::Unknown,
        Some(_) | None => Claim::None,
    }
}

/// Whether no request for a route with this path, as the config writes it, would ever reach that route.
#[must_use]
pub fn hides(route: &str) -> bool {
    let route = route.to_lowercase();
    let route = route.trim_end_matches('/');
    let is_endpoint = |endpoint: &Endpoint| endpoint.path.as_str() == route;
    route == "/stripe" || route.starts_with("/stripe/") || ENDPOINTS.iter().any(is_endpoint)
}

impl Endpoint {
    /// Value of `Allow`.
    #[must_use]
    pub fn allow(&self) -> &str {
        if self.method == Method::GET {
            "GET, HEAD"
        } else {
            self.method.as_str()
        }
    }
}

/// Refuses what is Tollgate's.
pub(super) fn refuse(path: &NormalPath<'_>, method: &Method) -> Result<(), Refusal> {
    match claim(path, method) {
        Claim::None => Ok(()),
        Claim::Endpoint(_) => Err(Refusal::NotServed),
        Claim::WrongMethod(endpoint) => Err(Refusal::MethodNotAllowed {
            allow: endpoint.allow().to_owned(),
        }),
        Claim::Unknown => Err(Refusal::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PathRules;

    fn whose(path: &str, method: &Method) -> Claim {
        claim(
            &NormalPath::parse(path, &PathRules::default()).unwrap(),
            method,
        )
    }

    #[test]
    fn everything_under_stripe_is_tollgates_in_every_spelling() {
        assert!(
            matches!(whose("/stripe/config", &Method::GET), Claim::Endpoint(e) if e.path.as_str() == "/stripe/config")
        );
        assert!(matches!(
            whose("/Stripe/CONFIG/", &Method::HEAD),
            Claim::Endpoint(_)
        ));
        assert!(matches!(
            whose("/stripe/config", &Method::POST),
            Claim::WrongMethod(_)
        ));
        assert!(matches!(
            whose("/auth/Premium-Status", &Method::GET),
            Claim::Endpoint(_)
        ));
        for path in [
            "/stripe",
            "/stripe/",
            "/stripe/debug",
            "/STRIPE/debug/headers",
            "/stripe/verify-session/a/b",
        ] {
            assert_eq!(whose(path, &Method::GET), Claim::Unknown, "{path}");
        }
        for path in ["/", "/stripes/x", "/auth/status", "/admin/premium"] {
            assert_eq!(whose(path, &Method::GET), Claim::None, "{path}");
        }
    }
}
