//! Money that goes back, and comes again.

use fastrand::Rng;
use serde_json::Value;

use super::{Buyer, short};
use crate::support::stripe::Stripe;

/// What can become of a dispute.
const VERDICTS: [&str; 5] = [
    "needs_response",
    "under_review",
    "won",
    "lost",
    "warning_closed",
];

impl Buyer {
    /// The money of a slow method comes, or not.
    pub(super) fn settle_late_payment(
        &mut self,
        random: &mut Rng,
        stripe: &Stripe,
    ) -> Option<String> {
        if self.unpaid.is_empty() {
            return None;
        }
        let session = self.unpaid.swap_remove(random.usize(..self.unpaid.len()));
        // What was canceled meanwhile is not paid any more.
        let linked = stripe.object(&session)["subscription"]
            .as_str()
            .map(str::to_owned);
        if linked.is_some_and(|id| stripe.object(&id)["status"] != "active") {
            return None;
        }
        if random.u8(0..3) < 2 {
            stripe.async_succeed(&session);
            Some("the money comes".to_owned())
        } else {
            stripe.async_fail(&session);
            Some("the money does not come".to_owned())
        }
    }

    /// Money goes back, or a bank takes it back, or gives it back again.
    pub(super) fn move_money(&mut self, random: &mut Rng, stripe: &Stripe) -> Option<String> {
        match random.u8(0..6) {
            0 => self.have_refund_fail(stripe),
            1 | 2 => {
                let dispute = random.choice(&self.disputes)?;
                let word = random.choice(VERDICTS)?;
                stripe.dispute_status(dispute, word);
                Some(format!("dispute {} {word}", short(dispute)))
            }
            _ => self.take_back(random, stripe),
        }
    }

    fn have_refund_fail(&self, stripe: &Stripe) -> Option<String> {
        let refunds = self.refunds.iter();
        let mut good = refunds.filter(|id| stripe.object(id)["status"] == "succeeded");
        let refund = good.next()?;
        stripe.refund_fails(refund);
        Some(format!("refund {} fails", short(refund)))
    }

    fn take_back(&mut self, random: &mut Rng, stripe: &Stripe) -> Option<String> {
        let lifetime = self.bought.lifetime.iter();
        let of_sessions =
            lifetime.filter(|session| stripe.object(session)["payment_status"] == "paid");
        let subscriptions = self.bought.subscriptions.iter();
        let of_subscriptions = subscriptions.filter(|_| random.u8(0..4) == 0);
        let targets: Vec<&String> = of_sessions.chain(of_subscriptions).collect();
        let target: &String = fastrand::Rng::choice(random, targets)?;
        let charge = charge_of(stripe, target)?;
        let left = charge["amount"].as_i64()? - charge["amount_refunded"].as_i64()?;
        match random.u8(0..4) {
            0 if left > 1 => {
                self.refunds
                    .push(stripe.refund_part(target, random.i64(1..left)));
                Some(format!("part of {} goes back", short(target)))
            }
            0 | 1 if left > 0 => {
                self.refunds.push(stripe.refund(target));
                Some(format!("all of {} goes back", short(target)))
            }
            _ => {
                let word = random.choice(["needs_response", "warning_needs_response"])?;
                self.disputes.push(stripe.dispute(target, word));
                Some(format!("{} is disputed: {word}", short(target)))
            }
        }
    }
}

/// The money that `target` brought; `None` when it brought none.
fn charge_of(stripe: &Stripe, target: &str) -> Option<Value> {
    let of = stripe.object(target);
    let intent = match of["object"].as_str()? {
        "subscription" => {
            let invoice = stripe.object(of["latest_invoice"].as_str()?);
            if invoice["status"] != "paid" || invoice["amount_paid"] == 0 {
                return None;
            }
            let charge = stripe.charge_of(target);
            return Some(stripe.object(&charge)).filter(|charge| charge["paid"] == true);
        }
        _ => stripe.object(of["payment_intent"].as_str()?),
    };
    Some(stripe.object(intent["latest_charge"].as_str()?))
}
