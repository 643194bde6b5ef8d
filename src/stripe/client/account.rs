//! Whose the key is, and what it may do.

use super::call::{Call, random_key};
use super::{Client, read_as};
use crate::stripe::account::{Account, Right};
use crate::stripe::error::{Error, Kind};
use crate::stripe::form::Params;
use crate::stripe::object::read;

const ACCOUNT: &str = "/v1/account";
const EXPIRE: &str = "/v1/checkout/sessions/{id}/expire";

impl Client {
    /// The account that the key is of.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn account(&self) -> Result<Account, Error> {
        let call = Call::get(ACCOUNT, Params::none());
        let found = self.sender.send(&call).await?;
        read_as(ACCOUNT, read::account(&found))
    }

    /// The id of the account that the key is of.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses.
    pub async fn account_id(&self) -> Result<String, Error> {
        self.account().await.map(|account| account.id)
    }

    /// Whether the key has the right. Asked with an id that nothing has: Stripe looks at the right first, and nothing is
    /// ever changed.
    ///
    /// # Errors
    ///
    /// When the answer does not tell: Stripe cannot be asked, takes no such key, or does not know the call.
    pub async fn may(&self, right: Right) -> Result<bool, Error> {
        match self.sender.send_if_allowed(&probe(right)?).await {
            Ok(answer) => Ok(answer.is_some()),
            Err(error) => match &error.kind {
                // The portal's settings are looked at after the right too.
                Kind::Missing { .. } | Kind::Invalid { portal: true, .. } => Ok(true),
                Kind::Unreachable
                | Kind::Api(_)
                | Kind::RateLimited
                | Kind::Auth { .. }
                | Kind::Card { .. }
                | Kind::Idempotency
                | Kind::Invalid { .. }
                | Kind::Unreadable => Err(error),
            },
        }
    }
}

/// A call that needs the right, and does nothing.
fn probe(right: Right) -> Result<Call, Error> {
    match right {
        Right::CustomersWrite => change(super::CUSTOMER, "cus_tollgateprobe"),
        Right::CheckoutSessionsWrite => change(EXPIRE, "cs_test_tollgateprobe"),
        Right::PortalWrite => Ok(portal()),
        Right::SubscriptionsWrite => change(super::SUBSCRIPTION, "sub_tollgateprobe"),
        Right::PricesRead => look(super::setup::PRICE, "price_tollgateprobe"),
        Right::ProductsRead => look("/v1/products/{id}", "prod_tollgateprobe"),
        Right::PaymentIntentsRead => look(super::PAYMENT_INTENT, "pi_tollgateprobe"),
        Right::ChargesRead => look(super::CHARGE, "ch_tollgateprobe"),
        Right::RefundsRead => Ok(list(super::whose::REFUNDS)),
        Right::DisputesRead => Ok(list(super::purchase::DISPUTES)),
        Right::InvoicesRead => look(super::whose::INVOICE, "in_tollgateprobe"),
        Right::EventsRead => look(super::EVENT, "evt_tollgateprobe"),
        Right::WebhookEndpointsRead => Ok(list(super::setup::WEBHOOK_ENDPOINTS)),
        Right::WebhookEndpointsWrite => change(super::setup::WEBHOOK_ENDPOINT, "we_tollgateprobe"),
    }
}

fn look(template: &'static str, id: &str) -> Result<Call, Error> {
    Call::get(template, Params::none()).about(id)
}

fn list(template: &'static str) -> Call {
    Call::get(template, Params::none().with(&["limit"], "1"))
}

/// Without parameters, so that it would change nothing even if there were such an object.
fn change(template: &'static str, id: &str) -> Result<Call, Error> {
    Call::post(template, Params::none(), &random_key()).about(id)
}

fn portal() -> Call {
    let params = Params::none()
        .with(&["customer"], "cus_tollgateprobe")
        .with(&["return_url"], "https://example.com/");
    Call::post(super::PORTAL, params, &random_key())
}
