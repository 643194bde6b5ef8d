//! Sessions of Checkout, with their prices and what became of their money.

use serde_json::Value;

use super::Client;
use super::call::Call;
use crate::entitlement::{DisputeStatus, Payment};
use crate::stripe::error::Error;
use crate::stripe::form::Params;
use crate::stripe::json;
use crate::stripe::object::read::{self, Part, Session};
use crate::stripe::object::{CheckoutSession, SessionMode, SessionStatus};

const LINE_ITEMS: &str = "/v1/checkout/sessions/{id}/line_items";
pub(super) const DISPUTES: &str = "/v1/disputes";

const NO_MONEY: &str =
    "payments are not to be seen: money that was given back or is disputed stays unnoticed";

impl Client {
    /// The session with all its line items, and with its money looked at where there is any.
    pub(super) async fn completed(&self, part: Part<Session>) -> Result<CheckoutSession, Error> {
        let Session {
            mut session,
            intent,
        } = part.object;
        // What an open or expired session would buy counts for nothing, and a subscription has prices of its own.
        let is_bought =
            session.mode == SessionMode::Payment && session.status == SessionStatus::Complete;
        if is_bought && !part.whole {
            self.complete_prices(&mut session).await?;
        }
        let is_paid = match &session.payment {
            Payment::Paid { .. } => true,
            Payment::Unpaid | Payment::NotRequired | Payment::Unknown(_) => false,
        };
        if let (true, Some(intent)) = (is_paid, intent) {
            self.look_at_money(&mut session, &intent).await?;
        }
        Ok(session)
    }

    /// Reads the prices that did not come along. Without them it is still known what became of the money.
    async fn complete_prices(&self, session: &mut CheckoutSession) -> Result<(), Error> {
        let call = Call::get(LINE_ITEMS, Params::none()).about(&session.id)?;
        match self.sender.list(call, read::line).await {
            Ok(lines) => session.prices = lines.into_iter().flatten().collect(),
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                let therefore =
                    "prices of checkouts are not to be had: the ledger says what was bought";
                self.lacks.tell(&error, therefore);
            }
        }
        Ok(())
    }

    async fn look_at_money(
        &self,
        session: &mut CheckoutSession,
        intent: &str,
    ) -> Result<(), Error> {
        let expanded = Params::none().expand("latest_charge");
        let found = self.find(super::PAYMENT_INTENT, intent, expanded).await;
        let Some(found) = self.unless_lacking(found, NO_MONEY)?.flatten() else {
            return Ok(());
        };
        if session.owner.is_nobody() {
            session.owner.metadata = json::user(&found);
        }
        session.payment = self.money(intent, &found).await?;
        Ok(())
    }

    /// What became of the money that came by the payment `id`, which is `intent`.
    async fn money(&self, id: &str, intent: &Value) -> Result<Payment, Error> {
        let kept = Payment::Paid {
            refunded: false,
            disputes: Vec::new(),
        };
        let charge = match intent.get("latest_charge") {
            Some(charge) if charge.is_object() => charge.clone(),
            Some(Value::String(charge)) => {
                let found = self.find(super::CHARGE, charge, Params::none()).await;
                match self.unless_lacking(found, NO_MONEY)?.flatten() {
                    Some(charge) => charge,
                    None => return Ok(kept),
                }
            }
            Some(_) | None => return Ok(kept),
        };
        let charge =
            read::charge(&charge).ok_or_else(|| super::unreadable(super::PAYMENT_INTENT))?;
        let disputes = if charge.disputed {
            self.disputes(&charge.id, id).await?
        } else {
            Vec::new()
        };
        Ok(Payment::Paid {
            refunded: charge.refunded,
            disputes,
        })
    }

    async fn disputes(&self, charge: &str, intent: &str) -> Result<Vec<DisputeStatus>, Error> {
        let listed = match self.disputes_of("charge", charge).await {
            Err(error) if !error.is_retryable() => self.disputes_of("payment_intent", intent).await,
            listed => listed,
        };
        let mut disputes = listed.or_else(|error| self.none_listed(error))?;
        // The charge says that it is disputed: to list none is a word that is not understood, not an all-clear.
        if disputes.is_empty() {
            disputes.push(DisputeStatus::Unknown("unlisted".to_owned()));
        }
        Ok(disputes)
    }

    fn none_listed(&self, error: Error) -> Result<Vec<DisputeStatus>, Error> {
        if error.is_retryable() {
            return Err(error);
        }
        let therefore =
            "disputes are not to be listed: a disputed charge gives no right to what it bought";
        self.lacks.tell(&error, therefore);
        Ok(Vec::new())
    }

    async fn disputes_of(&self, key: &str, id: &str) -> Result<Vec<DisputeStatus>, Error> {
        let call = Call::get(DISPUTES, Params::none().with(&[key], id));
        self.sender.list(call, read::dispute).await
    }
}
