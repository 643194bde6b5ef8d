//! What is told of a request that an endpoint does not serve, beside its answer.

use super::failure::Failure;
use super::{Endpoint, Endpoints};
use crate::reply::Problem;

impl Endpoints {
    /// Logs and counts what went wrong on our side of the answer.
    pub(super) fn refuse(&self, endpoint: Endpoint, failure: Failure) -> Problem {
        let is_webhook = endpoint == Endpoint::Webhook;
        let billing = &self.parts.metrics.billing;
        if is_webhook {
            // What it says of its type is not believed: it may not be Stripe's.
            billing.webhook_event("other", failure.webhook_result());
        }
        if matches!(failure, Failure::Ledger(_)) {
            billing.ledger_error(if is_webhook { "webhook" } else { "endpoint" });
        }
        tell(endpoint.name(), &failure);
        failure.into_problem()
    }
}

/// One line, where there is something to tell.
fn tell(name: &'static str, failure: &Failure) {
    match failure {
        Failure::Stripe(error) => {
            tracing::warn!(endpoint.name = name, error = %error, "Stripe did not do what an endpoint needs");
        }
        Failure::Auth0(error) => {
            tracing::warn!(endpoint.name = name, error = %error, "Auth0 did not do what an endpoint needs");
        }
        Failure::Ledger(error) => {
            tracing::error!(endpoint.name = name, error = %error, "the ledger did not do what an endpoint needs");
        }
        Failure::TooLong | Failure::Slow => {
            tracing::warn!(endpoint.name = name, "an endpoint could not answer in time");
        }
        Failure::Portal => {
            tracing::warn!(
                "the customer portal is not configured: save its settings in Stripe's dashboard"
            );
        }
        Failure::StrangeCustomer => {
            tracing::error!(
                endpoint.name = name,
                "Stripe does not know a customer of the ledger: is stripe.secret_key of another account or mode?"
            );
        }
        Failure::Signature(error) => {
            // Anybody can send them: the access log and the metric say enough.
            tracing::debug!(endpoint.name = name, error = %error, "an event's signature does not count");
        }
        Failure::Body(_)
        | Failure::TooLarge
        | Failure::Crowded
        | Failure::BodyTimeout
        | Failure::ContentType
        | Failure::ContentEncoding
        | Failure::NotJson
        | Failure::Field { .. }
        | Failure::Cursor
        | Failure::PlanType(_)
        | Failure::Owned { .. }
        | Failure::UnfitUser
        | Failure::IdempotencyKey
        | Failure::IdempotencyKeyUsed
        | Failure::CheckoutRace
        | Failure::NoSubscription
        | Failure::SubscriptionEnded
        | Failure::NoCustomer
        | Failure::ReturnUrl
        | Failure::NoSignature
        | Failure::Event(_)
        | Failure::TooManyQuestions { .. } => {}
    }
}
