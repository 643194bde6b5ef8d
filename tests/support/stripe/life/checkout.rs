//! What happens at the checkout.

use serde_json::{Value, json};

use super::super::make::Bill;
use super::super::objects::{number, text};
use super::super::state::State;

/// How a checkout is paid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Means {
    /// By card: at once.
    Card,
    /// By a method that takes days.
    Delayed,
    /// A coupon leaves nothing to pay.
    Coupon,
}

impl State {
    /// The buyer goes through with `session`.
    pub(in super::super) fn complete(&mut self, session: &str, means: Means) {
        let of = self.objects.of(session).clone();
        assert_eq!(text(&of, "status"), "open", "{session} can be paid once");
        let payment_status = match means {
            Means::Card => "paid",
            Means::Delayed => "unpaid",
            Means::Coupon => "no_payment_required",
        };
        if means == Means::Coupon {
            self.set(session, json!({ "amount_total": 0 }));
        }
        self.name_the_buyer(session);
        if text(&of, "mode") == "subscription" {
            self.subscribe(session, means);
        } else {
            self.buy(session, means);
        }
        let done = json!({ "status": "complete", "payment_status": payment_status, "url": null });
        self.set(session, done);
        self.emit("checkout.session.completed", session);
    }

    /// A subscription always has a customer; a purchase without one is a guest's.
    fn name_the_buyer(&mut self, session: &str) {
        let of = self.objects.of(session).clone();
        let email = match self.linked(session, "customer") {
            Some(customer) => self.objects.of(&customer)["email"].clone(),
            None => "buyer@example.test".into(),
        };
        self.set(
            session,
            json!({ "customer_details": { "email": email, "name": "A buyer" } }),
        );
        let wanted =
            text(&of, "mode") == "subscription" || text(&of, "_customer_creation") == "always";
        if of["customer"].is_null() && wanted {
            let customer = self.new_customer(&email, &"A buyer".into(), &Value::Null);
            self.set(session, json!({ "customer": customer }));
        }
    }

    fn buy(&mut self, session: &str, means: Means) {
        if means == Means::Coupon {
            return;
        }
        let of = self.objects.of(session);
        let bill = Bill {
            customer: of["customer"].clone(),
            amount: number(of, "amount_total"),
            metadata: of["_intent_metadata"].clone(),
            invoice: None,
        };
        let intent = self.new_intent(&bill);
        self.set(session, json!({ "payment_intent": intent }));
        if means == Means::Card {
            self.collect(&intent);
        } else {
            self.update(
                "payment_intent.processing",
                &intent,
                json!({ "status": "processing" }),
            );
        }
    }

    fn subscribe(&mut self, session: &str, means: Means) {
        let of = self.objects.of(session).clone();
        let items = of["_line_items"].as_array().cloned().unwrap_or_default();
        let bought = |item: &Value| (text(item, "price").to_owned(), number(item, "quantity"));
        let prices: Vec<(String, i64)> = items.iter().map(bought).collect();
        let subscription =
            self.new_subscription(&of["customer"], &prices, &of["_subscription_metadata"]);
        let trial = number(&of, "_trial_days");
        if trial > 0 {
            self.set(&subscription, trialing(self.now(), trial));
        }
        // Before 2025-03-31 the subscription was there before the payment.
        if self.settings.older_events {
            self.set(&subscription, json!({ "status": "incomplete" }));
            self.emit("customer.subscription.created", &subscription);
            let status = if trial > 0 { "trialing" } else { "active" };
            self.update(
                "customer.subscription.updated",
                &subscription,
                json!({ "status": status }),
            );
        } else {
            self.emit("customer.subscription.created", &subscription);
        }
        let free = means == Means::Coupon || trial > 0;
        let cost = if free { 0 } else { self.cost(&subscription) };
        let invoice = self.new_invoice(&subscription, "subscription_create", cost);
        if means != Means::Delayed {
            self.pay_invoice(&invoice);
        }
        self.set(
            session,
            json!({ "subscription": subscription, "invoice": invoice }),
        );
    }

    /// The money of a delayed method arrives.
    pub(in super::super) fn async_succeed(&mut self, session: &str) {
        self.assert_waits(session);
        if let Some(intent) = self.linked(session, "payment_intent") {
            self.collect(&intent);
        } else {
            let invoice = self.linked(session, "invoice").expect("an invoice");
            self.pay_invoice(&invoice);
        }
        self.set(session, json!({ "payment_status": "paid" }));
        self.emit("checkout.session.async_payment_succeeded", session);
    }

    /// The money of a delayed method does not arrive.
    pub(in super::super) fn async_fail(&mut self, session: &str) {
        self.assert_waits(session);
        if let Some(intent) = self.linked(session, "payment_intent") {
            self.decline(&intent);
        } else {
            let linked = |field| self.linked(session, field).expect("one of a subscription");
            let (invoice, subscription) = (linked("invoice"), linked("subscription"));
            self.fail_invoice(&invoice);
            self.set_status(&subscription, "past_due");
        }
        self.emit("checkout.session.async_payment_failed", session);
    }

    fn assert_waits(&self, session: &str) {
        let of = self.objects.of(session);
        let state = (text(of, "status"), text(of, "payment_status"));
        assert_eq!(
            state,
            ("complete", "unpaid"),
            "{session} waits for its money"
        );
    }

    /// The session can no longer be paid.
    pub(in super::super) fn expire(&mut self, session: &str) {
        self.set(session, json!({ "status": "expired", "url": null }));
        self.emit("checkout.session.expired", session);
    }
}

/// A trial of so many days.
pub(super) fn trialing(now: i64, days: i64) -> Value {
    json!({ "status": "trialing", "trial_start": now, "trial_end": now + days * 24 * 3600 })
}
