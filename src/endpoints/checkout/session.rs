//! The Checkout Session of an order. The same order gives the same one until it is over.
//!
//! Under one idempotency key Stripe repeats its first answer for a day, whatever became of the session since. So a
//! session that may be a repetition is looked at before it is handed out.

use super::turn::once_free;
use super::{DEADLINE, Order, PATIENCE};
use crate::endpoints::failure::Failure;
use crate::endpoints::look::Seen;
use crate::endpoints::{Endpoints, in_time};
use crate::entitlement::Catalog;
use crate::store::{Purchase, PurchaseState};
use crate::stripe::{self, CheckoutSession, NewCheckout, SessionMode, SessionStatus};

/// A session made longer ago than this, in seconds, is a repetition.
const NEW: i64 = 10;

/// The version of what is sent beside the parts of an intent's name. Under one name Stripe refuses other parameters for
/// a day, so whoever changes them counts this up.
const PARAMETERS: &str = "parameters-1";

/// What Stripe gave for an order.
enum Opened {
    /// It can be paid.
    Open(Box<CheckoutSession>),
    /// It is a repetition of one that is over.
    Over,
}

impl Endpoints {
    /// A session that can be paid, and its customer.
    pub(super) async fn open_session(
        &self,
        order: &Order<'_>,
        seen: &Seen,
        catalog: &Catalog,
    ) -> Result<(CheckoutSession, String), Failure> {
        let mut customer = self.paying_customer(order.user).await?;
        // Once more after a customer that is gone, and once after a session that is over.
        for _ in 0..3 {
            let opened = match self.begin(order, &customer).await {
                Ok(session) => self.judge(order, &customer, session, seen).await?,
                Err(Failure::Stripe(error)) => {
                    self.forget_deleted(&customer, error).await?;
                    customer = self.paying_customer(order.user).await?;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            match opened {
                Opened::Open(session) => return Ok((*session, customer)),
                Opened::Over if order.key.is_some() => return Err(Failure::IdempotencyKeyUsed),
                Opened::Over => self.refuse_owned(order, seen, catalog).await?,
            }
        }
        Err(Failure::CheckoutRace)
    }

    /// Asks Stripe for a session.
    async fn begin(&self, order: &Order<'_>, customer: &str) -> Result<CheckoutSession, Failure> {
        let frontend = &self.config.frontend_url;
        let checkout = NewCheckout {
            mode: order.mode.clone(),
            price: order.price.clone(),
            customer: customer.to_owned(),
            user: order.user.to_owned(),
            plan: order.plan.clone(),
            success_url: format!(
                "{frontend}?payment=success&plan={}&session_id={{CHECKOUT_SESSION_ID}}",
                order.plan
            ),
            cancel_url: format!("{frontend}?payment=canceled"),
        };
        let intent = match order.key {
            Some(key) => format!("client:{key}"),
            None => format!("number:{}", self.finished(order).await?),
        };
        let next = self.tries.next(&[
            "checkout",
            PARAMETERS,
            order.user,
            &checkout.plan,
            &checkout.price,
            customer,
            &checkout.success_url,
            &checkout.cancel_url,
            mode(&checkout.mode),
            &intent,
        ]);
        let client = &self.parts.stripe;
        let call = || client.create_checkout_session(&checkout, &next.key);
        // The name holds all that is sent: other parameters cannot be meant.
        let made = in_time(DEADLINE, "create_checkout_session", once_free(call)).await;
        self.tries.ended(&next, &made);
        Ok(made?)
    }

    /// How many checkouts of this plan are behind the user: the next one is another intent.
    async fn finished(&self, order: &Order<'_>) -> Result<usize, Failure> {
        let purchases = self.parts.store.purchases_of(order.user).await?;
        let is_finished =
            |known: &&Purchase| known.plan == order.plan && known.state != PurchaseState::Open;
        Ok(purchases.iter().filter(is_finished).count())
    }

    /// Whether the session can still be paid; it is in the ledger then.
    async fn judge(
        &self,
        order: &Order<'_>,
        customer: &str,
        mut session: CheckoutSession,
        seen: &Seen,
    ) -> Result<Opened, Failure> {
        let known = self.parts.store.purchase(&session.id).await?;
        let now = self.now_millis();
        let is_old = session.created.saturating_add(NEW) < now.div_euclid(1000);
        let was_seen = seen.open.contains(&session.id);
        match &known {
            Some(known) if known.state != PurchaseState::Open => {
                self.record(order, customer, &session.id, known.state)
                    .await?;
                return Ok(Opened::Over);
            }
            Some(_) | None if was_seen => {}
            None if !is_old => {}
            Some(_) | None => {
                let call = self.parts.stripe.checkout_session(&session.id);
                let present = in_time(DEADLINE, "checkout_session", call).await?;
                // A repetition holds what the present one may leave out.
                session.status = present.map_or(SessionStatus::Expired, |present| present.status);
            }
        }
        self.keep(order, customer, session).await
    }

    async fn keep(
        &self,
        order: &Order<'_>,
        customer: &str,
        session: CheckoutSession,
    ) -> Result<Opened, Failure> {
        let id = &session.id;
        match session.status {
            SessionStatus::Open | SessionStatus::Unknown(_) if session.url.is_some() => {
                self.record(order, customer, id, PurchaseState::Open)
                    .await?;
                Ok(Opened::Open(Box::new(session)))
            }
            SessionStatus::Open | SessionStatus::Unknown(_) => {
                Err(Failure::Stripe(unreadable("create_checkout_session")))
            }
            SessionStatus::Expired => {
                self.record(order, customer, id, PurchaseState::Expired)
                    .await?;
                Ok(Opened::Over)
            }
            SessionStatus::Complete => {
                if !self.settle(order.user, "open-checkout", PATIENCE).await? {
                    // It may be what the user wants, paid: not to be sold twice.
                    return Err(Failure::CheckoutRace);
                }
                self.record(order, customer, id, PurchaseState::Complete)
                    .await?;
                Ok(Opened::Over)
            }
        }
    }

    async fn record(
        &self,
        order: &Order<'_>,
        customer: &str,
        session: &str,
        state: PurchaseState,
    ) -> Result<(), Failure> {
        let purchase = Purchase {
            session: session.to_owned(),
            user: order.user.to_owned(),
            customer: Some(customer.to_owned()),
            plan: order.plan.clone(),
            state,
            created_at: self.now_millis(),
        };
        Ok(self.parts.store.record_purchase(&purchase).await?)
    }
}

fn mode(mode: &SessionMode) -> &str {
    match mode {
        SessionMode::Payment => "payment",
        SessionMode::Subscription => "subscription",
        SessionMode::Other(word) => word,
    }
}

fn unreadable(call: &'static str) -> stripe::Error {
    stripe::Error {
        kind: stripe::Kind::Unreadable,
        call,
        request_id: None,
        retry_after: None,
    }
}
