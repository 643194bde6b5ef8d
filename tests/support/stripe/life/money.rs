//! Money that goes back.

use serde_json::{Value, json};

use super::super::objects::{number, text};
use super::super::state::State;

impl State {
    /// Gives `amount` of the charge behind `target` back, or all that is left of it.
    pub(in super::super) fn refund(&mut self, target: &str, amount: Option<i64>) -> String {
        let charge = self.charge_of(target);
        let of = self.objects.of(&charge).clone();
        let left = number(&of, "amount") - number(&of, "amount_refunded");
        let amount = amount.unwrap_or(left);
        assert!((1..=left).contains(&amount), "{charge} has {left} left");
        let id = self.objects.fresh("re");
        let refund = json!({ "id": id, "object": "refund", "amount": amount, "balance_transaction": null,
            "charge": charge, "created": self.now(), "currency": "eur", "metadata": {},
            "payment_intent": of["payment_intent"], "reason": "requested_by_customer", "receipt_number": null,
            "status": "succeeded" });
        self.objects.add(refund);
        self.emit("refund.created", &id);
        let refunded = number(&of, "amount_refunded") + amount;
        let all = refunded == number(&of, "amount");
        self.update(
            "charge.refunded",
            &charge,
            json!({ "amount_refunded": refunded, "refunded": all }),
        );
        id
    }

    /// The buyer's bank refuses the refund: the money comes back to the merchant.
    pub(in super::super) fn refund_fails(&mut self, refund: &str) {
        let of = self.objects.of(refund).clone();
        assert_eq!(text(&of, "status"), "succeeded", "{refund} can fail once");
        let charge = text(&of, "charge").to_owned();
        let left = number(self.objects.of(&charge), "amount_refunded") - number(&of, "amount");
        self.set(
            &charge,
            json!({ "amount_refunded": left, "refunded": false }),
        );
        let failed = json!({ "status": "failed", "failure_reason": "lost_or_stolen_card" });
        self.update("refund.updated", refund, failed);
        self.emit("charge.refund.updated", refund);
        self.emit("refund.failed", refund);
    }

    /// The buyer disputes the charge behind `target`.
    pub(in super::super) fn dispute(&mut self, target: &str, status: &str) -> String {
        let charge = self.charge_of(target);
        let of = self.objects.of(&charge).clone();
        let id = self.objects.fresh("dp");
        let inquiry = status.starts_with("warning_");
        let evidence = json!({ "due_by": null, "enhanced_eligibility": {}, "has_evidence": false, "past_due": false,
            "submission_count": 0 });
        let dispute = json!({ "id": id, "object": "dispute", "amount": of["amount"], "balance_transactions": [],
            "charge": charge, "created": self.now(), "currency": "eur", "enhanced_eligibility_types": [],
            "evidence": { "enhanced_evidence": {} }, "evidence_details": evidence, "is_charge_refundable": inquiry,
            "livemode": self.settings.live, "metadata": {}, "payment_intent": of["payment_intent"],
            "reason": "fraudulent", "status": status });
        self.objects.add(dispute);
        self.set(&charge, json!({ "disputed": true }));
        self.emit("charge.dispute.created", &id);
        if !inquiry {
            self.emit("charge.dispute.funds_withdrawn", &id);
        }
        id
    }

    /// The dispute goes on.
    pub(in super::super) fn set_dispute(&mut self, dispute: &str, status: &str) {
        let was_inquiry = text(self.objects.of(dispute), "status").starts_with("warning_");
        let changes: Value = json!({ "status": status });
        match status {
            "won" => {
                self.update("charge.dispute.closed", dispute, changes);
                self.emit("charge.dispute.funds_reinstated", dispute);
            }
            "lost" | "warning_closed" | "prevented" => {
                self.update("charge.dispute.closed", dispute, changes);
            }
            _ => {
                self.update("charge.dispute.updated", dispute, changes);
                if was_inquiry && !status.starts_with("warning_") {
                    self.emit("charge.dispute.funds_withdrawn", dispute);
                }
            }
        }
    }
}
