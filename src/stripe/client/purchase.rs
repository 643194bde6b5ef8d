//! Sessions of Checkout, with their prices and what became of their money.

use serde_json::Value;

use super::Client;
use super::call::Call;
use crate::entitlement::{DisputeStatus, Payment};
use crate::stripe::error::Error;
use crate::stripe::form::Params;
use crate::stripe::json;
use crate::stripe::object::read::{self, Part, Session};
use crate::stripe::object::{CheckoutSession, SessionStatus};

const LINE_ITEMS: &str = "/v1/checkout/sessions/{id}/line_items";
const DISPUTES: &str = "/v1/disputes";

impl Client {
    /// The session with all its line items, and with its money looked at where there is any.
    pub(super) async fn completed(&self, part: Part<Session>) -> Result<CheckoutSession, Error> {
        let Session {
            mut session,
            intent,
        } = part.object;
        // What an expired session would have bought counts for nothing.
        if !part.whole && session.status != SessionStatus::Expired {
            let call = Call::get(LINE_ITEMS, Params::none()).about(&session.id)?;
            let lines = self.sender.list(call, read::line).await?;
            session.prices = lines.into_iter().flatten().collect();
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

    async fn look_at_money(
        &self,
        session: &mut CheckoutSession,
        intent: &str,
    ) -> Result<(), Error> {
        let expanded = Params::none().expand("latest_charge");
        let Some(intent) = self.find(super::PAYMENT_INTENT, intent, expanded).await? else {
            return Ok(());
        };
        if session.owner.is_nobody() {
            session.owner.metadata = json::user(&intent);
        }
        session.payment = self.money(&intent).await?;
        Ok(())
    }

    /// What became of the money that came by `intent`.
    async fn money(&self, intent: &Value) -> Result<Payment, Error> {
        let kept = Payment::Paid {
            refunded: false,
            disputes: Vec::new(),
        };
        let charge = match intent.get("latest_charge") {
            Some(charge) if charge.is_object() => charge.clone(),
            Some(Value::String(id)) => match self.find(super::CHARGE, id, Params::none()).await? {
                Some(charge) => charge,
                None => return Ok(kept),
            },
            Some(_) | None => return Ok(kept),
        };
        let charge =
            read::charge(&charge).ok_or_else(|| super::unreadable(super::PAYMENT_INTENT))?;
        let disputes = if charge.disputed {
            self.disputes(&charge.id).await?
        } else {
            Vec::new()
        };
        Ok(Payment::Paid {
            refunded: charge.refunded,
            disputes,
        })
    }

    async fn disputes(&self, charge: &str) -> Result<Vec<DisputeStatus>, Error> {
        let of_charge = Params::none().with(&["charge"], charge);
        let call = Call::get(DISPUTES, of_charge);
        let mut disputes = self.sender.list(call, read::dispute).await?;
        // The charge says that it is disputed: to list none is a word that is not understood, not an all-clear.
        if disputes.is_empty() {
            disputes.push(DisputeStatus::Unknown("unlisted".to_owned()));
        }
        Ok(disputes)
    }
}
