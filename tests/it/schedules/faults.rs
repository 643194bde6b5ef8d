//! What goes wrong between the worker and its neighbours during one step, drawn by lot before it: so that the same seed
//! brings the same faults, however the calls of one step race.

use fastrand::Rng;
use http::Method;

use crate::support::auth0::{Fault as Auth0Fault, Trouble};
use crate::support::stripe::Fault;
use crate::sync::market::Market;

/// Calls of Stripe.
const STRIPE: [(&str, &str); 7] = [
    ("GET", "/v1/customers"),
    ("GET", "/v1/subscriptions"),
    ("GET", "/v1/checkout/sessions"),
    ("GET", "/v1/payment_intents"),
    ("GET", "/v1/charges"),
    ("GET", "/v1/disputes"),
    ("POST", "/v1/subscriptions"),
];

/// Calls of Auth0; the first buys a token, once in the life of a process.
const AUTH0: [(Method, &str); 6] = [
    (Method::POST, "/oauth/token"),
    (Method::GET, "/api/v2/users/*/roles"),
    (Method::POST, "/api/v2/users/*/roles"),
    (Method::DELETE, "/api/v2/users/*/roles"),
    (Method::PATCH, "/api/v2/users"),
    (Method::GET, "/api/v2/roles"),
];

/// Makes one call, or a few, of the next step fail. Tells which.
pub(super) fn some(random: &mut Rng, market: &Market) -> String {
    let mut told = Vec::new();
    for _ in 0..random.u32(1..4) {
        told.push(one(random, market));
    }
    told.join(", ")
}

fn one(random: &mut Rng, market: &Market) -> String {
    if random.bool() {
        let (method, path) = *random.choice(&STRIPE).expect("a call");
        let fault = match random.u8(0..6) {
            0 => Fault::status(500),
            1 => Fault::status(503),
            2 => Fault::rate_limited(1),
            // Stripe keeps this failure under the call's idempotency key.
            3 if method == "POST" => Fault::Broken,
            4 => Fault::CutAfter,
            _ => Fault::CutBefore,
        };
        let told = format!("{method} {path}: {fault:?}");
        market.stripe.fault_next(1, method, path, fault);
        told
    } else {
        let (method, path) = random.choice(&AUTH0).expect("a call");
        let (word, trouble) = match random.u8(0..5) {
            0 => ("500", Trouble::Instead(Auth0Fault::Status(500))),
            1 => ("503, done", Trouble::After(Auth0Fault::Status(503))),
            2 => (
                "429",
                Trouble::TooMany {
                    retry_after: Some(0),
                    reset: None,
                },
            ),
            3 => ("cut, done", Trouble::After(Auth0Fault::Cut)),
            _ => ("cut", Trouble::Instead(Auth0Fault::Cut)),
        };
        let told = format!("{method} {path}: {word}");
        market.auth0.trouble_times(1, method.clone(), path, trouble);
        told
    }
}

/// A call in the middle of which something happens.
pub(super) enum Held {
    Stripe(&'static str, &'static str, usize),
    Auth0(Method, &'static str, usize),
}

impl Held {
    /// Lets the next call of some kind wait for ever for its answer, done or not.
    pub(super) fn by_lot(random: &mut Rng, market: &Market) -> (Self, String) {
        let is_done = random.bool();
        if random.bool() {
            let (method, path) = *random.choice(&STRIPE).expect("a call");
            let fault = if is_done { Fault::Late } else { Fault::Hang };
            let told = format!("{method} {path}: {fault:?}");
            market.stripe.fault_next(1, method, path, fault);
            let before = market.stripe.calls_of(method, path).len();
            (Self::Stripe(method, path, before), told)
        } else {
            let (method, path) = random.choice(&AUTH0[1..]).expect("a call");
            let trouble = if is_done {
                Trouble::After(Auth0Fault::Hang)
            } else {
                Trouble::Instead(Auth0Fault::Hang)
            };
            let told = format!("{method} {path}, done: {is_done}");
            market.auth0.trouble_times(1, method.clone(), path, trouble);
            let before = market.auth0.count(method, path);
            (Self::Auth0(method.clone(), path, before), told)
        }
    }

    /// Waits until the call was made.
    pub(super) async fn reached(&self, market: &Market) {
        match self {
            Self::Stripe(method, path, before) => {
                market.stripe.until_calls(before + 1, method, path).await;
            }
            Self::Auth0(method, path, before) => {
                let is_made =
                    |auth0: &crate::support::auth0::Auth0| auth0.count(method, path) > *before;
                market.auth0.until(is_made).await;
            }
        }
    }
}

/// Nothing goes wrong any more.
pub(super) fn mend(market: &Market) {
    market.stripe.mend();
    market.auth0.mend_all();
}
