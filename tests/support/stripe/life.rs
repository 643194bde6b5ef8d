//! What buyers, banks and the merchant do.

mod checkout;
mod money;
mod subscription;

use serde_json::json;

pub(super) use checkout::Means;

use super::make::Bill;
use super::objects::{number, text};
use super::state::State;

impl State {
    /// Takes the money of `intent`.
    pub(super) fn collect(&mut self, intent: &str) -> String {
        let charge = self.new_charge(intent, true);
        let amount = self.objects.of(intent)["amount"].clone();
        self.emit("charge.succeeded", &charge);
        let paid =
            json!({ "status": "succeeded", "amount_received": amount, "last_payment_error": null });
        self.update("payment_intent.succeeded", intent, paid);
        charge
    }

    /// Tries to take the money of `intent`, and the bank refuses.
    pub(super) fn decline(&mut self, intent: &str) {
        let charge = self.new_charge(intent, false);
        self.emit("charge.failed", &charge);
        let error = json!({ "type": "card_error", "code": "card_declined", "decline_code": "generic_decline" });
        let refused = json!({ "status": "requires_payment_method", "last_payment_error": error });
        self.update("payment_intent.payment_failed", intent, refused);
    }

    /// The intent of `invoice`, made if there is none.
    fn intent_of_invoice(&mut self, invoice: &str) -> String {
        if let Some(intent) = self.linked(invoice, "_payment_intent") {
            return intent;
        }
        let of = self.objects.of(invoice);
        let bill = Bill {
            customer: of["customer"].clone(),
            amount: number(of, "amount_due"),
            metadata: json!({}),
            invoice: Some(invoice.to_owned()),
        };
        let intent = self.new_intent(&bill);
        self.set(invoice, json!({ "_payment_intent": intent }));
        intent
    }

    /// Pays `invoice`, with money if it costs any.
    pub(super) fn pay_invoice(&mut self, invoice: &str) {
        let due = number(self.objects.of(invoice), "amount_due");
        if due > 0 {
            let intent = self.intent_of_invoice(invoice);
            let charge = self.collect(&intent);
            self.set(invoice, json!({ "_charge": charge }));
        }
        let transitions = json!({ "paid_at": self.now() });
        self.set(
            invoice,
            json!({ "status": "paid", "amount_paid": due, "amount_remaining": 0, "attempted": true,
                "status_transitions": transitions }),
        );
        self.emit("invoice.paid", invoice);
        self.emit("invoice.payment_succeeded", invoice);
    }

    /// An attempt to pay `invoice` that fails.
    pub(super) fn fail_invoice(&mut self, invoice: &str) {
        let intent = self.intent_of_invoice(invoice);
        self.decline(&intent);
        let attempts = number(self.objects.of(invoice), "attempt_count") + 1;
        self.set(
            invoice,
            json!({ "attempted": true, "attempt_count": attempts }),
        );
        self.emit("invoice.payment_failed", invoice);
    }

    /// The charge behind `target`: a session, payment intent, invoice or subscription, or the charge itself.
    pub(super) fn charge_of(&self, target: &str) -> String {
        let next = match text(self.objects.of(target), "object") {
            "charge" => return target.to_owned(),
            "payment_intent" => "latest_charge",
            "invoice" => "_payment_intent",
            "subscription" => "latest_invoice",
            "dispute" | "refund" => "charge",
            _ => "payment_intent",
        };
        let linked = self
            .linked(target, next)
            .or_else(|| self.linked(target, "subscription"));
        self.charge_of(&linked.unwrap_or_else(|| unreachable!("no money was taken for {target}")))
    }
}
