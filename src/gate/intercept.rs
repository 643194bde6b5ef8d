//! The paths that are Tollgate's own once Stripe is configured. None is ever forwarded: the handlers that used
//! to answer them are still there behind us.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;

use super::Admission;
use super::record::Record;
use super::refusal::{self, Refusal};
use crate::endpoints::{self, Call, Endpoints};
use crate::policy::{Fallback, Found, NormalPath, Pattern, Permissions, Requirement};
use crate::server::RequestBody;

/// One endpoint of the HTTP contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its path.
    pub path: Pattern,
    /// Its one method; `HEAD` follows `GET`.
    pub method: Method,
    /// What it asks for; `None` is Stripe's signature.
    pub requirement: Option<Requirement>,
    /// What answers.
    pub handler: endpoints::Endpoint,
    /// The requirement, as the policy takes it.
    fallback: Fallback,
}

/// Every endpoint of the HTTP contract.
pub static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    use endpoints::Endpoint as Handler;
    let user = || Some(Requirement::Authenticated);
    let admin = Some(Requirement::AllOf(vec!["access:admin-panel".to_owned()]));
    let (get, post) = (Method::GET, Method::POST);
    [
        (
            &get,
            "/stripe/config",
            Some(Requirement::Public),
            Handler::Config,
        ),
        (
            &post,
            "/stripe/create-checkout-session",
            user(),
            Handler::CreateCheckoutSession,
        ),
        (
            &get,
            "/stripe/verify-session/{id}",
            user(),
            Handler::VerifySession,
        ),
        (
            &get,
            "/stripe/subscriptions",
            user(),
            Handler::Subscriptions,
        ),
        (
            &post,
            "/stripe/cancel-subscription",
            user(),
            Handler::CancelSubscription,
        ),
        (
            &post,
            "/stripe/customer-portal",
            user(),
            Handler::CustomerPortal,
        ),
        (&post, "/stripe/webhook", None, Handler::Webhook),
        (&get, "/auth/premium-status", user(), Handler::PremiumStatus),
        (&get, "/admin/premium-users", admin, Handler::PremiumUsers),
    ]
    .into_iter()
    .filter_map(|(method, path, requirement, handler)| {
        Some(Endpoint {
            path: Pattern::parse(path).ok()?,
            method: method.clone(),
            fallback: Fallback::Apply(requirement.clone().unwrap_or(Requirement::Public)),
            requirement,
            handler,
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
    // All of them begin with an `s` or an `a`, or with an escape where a letter stands that a backend may fold into
    // one (`ſ`): most paths are done with here.
    let first = path.as_str().as_bytes().get(1);
    if !first.is_some_and(|byte| matches!(byte.to_ascii_lowercase(), b's' | b'a' | b'%')) {
        return Claim::None;
    }
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

    /// The endpoint as the policy decides on it.
    pub(super) fn found(&self) -> Found<'_> {
        Found::Fallback(&self.fallback)
    }

    /// Whether rate limits count requests for it. Stripe's events come from few addresses, and none may be lost.
    pub(super) fn is_limited(&self) -> bool {
        self.handler != endpoints::Endpoint::Webhook
    }
}

/// Lets an endpoint of our own answer a request that was decided on.
pub(super) async fn serve(
    (endpoint, endpoints): (&'static Endpoint, &Endpoints),
    record: &mut Record,
    admission: Admission,
    parameter: String,
    mut request: Box<Request<RequestBody>>,
) -> Result<Response<Full<Bytes>>, Refusal> {
    record.served();
    if !request.body_mut().limit(endpoint.handler.max_body()) {
        return Err(Refusal::TooLarge);
    }
    let user = admission.permit.principal();
    let (head, body) = request.into_parts();
    let call = Call {
        endpoint: endpoint.handler,
        user: user.map(|who| who.subject.to_string()).unwrap_or_default(),
        permissions: user.map_or_else(|| Permissions::new([]), |who| who.permissions.clone()),
        parameter,
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    };
    let answer = endpoints.handle(call, refusal::body_problem).await;
    answer.map_err(|problem| Refusal::Endpoint(Box::new(problem)))
}

/// What stands for the parameter of an endpoint that has one.
pub(super) fn last_segment(path: &str) -> &str {
    path.trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default()
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
    fn every_endpoint_of_the_contract_is_there() {
        assert_eq!(ENDPOINTS.len(), 9);
        for endpoint in ENDPOINTS.iter() {
            let path = endpoint.path.as_str();
            let (path, method) = (path.replace("{id}", "cs_1"), &endpoint.method);
            assert_eq!(whose(&path, method), Claim::Endpoint(endpoint), "{path}");
            assert!(hides(endpoint.path.as_str()), "{path}");
        }
        assert!(STRIPE.is_some());
    }

    #[test]
    fn what_is_left_once_the_base_path_is_taken_off_decides() {
        let rules = PathRules {
            base_path: Some("/api".to_owned()),
            ..PathRules::default()
        };
        for path in [
            "/api/stripe/webhook",
            "/api/%C5%BFtripe/webhook",
            "/%61pi/%73tripe/webhook",
        ] {
            let path = NormalPath::parse(path, &rules).unwrap();
            assert!(matches!(claim(&path, &Method::POST), Claim::Endpoint(_)));
        }
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
        // Letters that a backend may fold into those of the path: ſ and the Kelvin sign.
        for path in ["/%C5%BFtripe/webhook", "/%c5%bfTRIPE/Webhoo%E2%84%AA/"] {
            assert!(
                matches!(whose(path, &Method::POST), Claim::Endpoint(e) if e.requirement.is_none()),
                "{path}"
            );
        }
        for path in ["/%C5%BFtripe", "/%C5%BFtripe/debug", "/%73tripe/%C5%BF"] {
            assert_eq!(whose(path, &Method::GET), Claim::Unknown, "{path}");
        }
        for path in [
            "/",
            "/%C3%9Ftripe/x",
            "/%20stripe/x",
            "/stripes/x",
            "/auth/status",
            "/admin/premium",
        ] {
            assert_eq!(whose(path, &Method::GET), Claim::None, "{path}");
        }
    }
}
