//! What becomes of a subscription.

use serde_json::{Value, json};

use super::super::make::MONTH;
use super::super::objects::{number, text};
use super::super::state::State;

const UPDATED: &str = "customer.subscription.updated";

impl State {
    /// Changes `subscription` and says so.
    pub(in super::super) fn change(&mut self, subscription: &str, changes: Value) {
        self.update(UPDATED, subscription, changes);
    }

    /// Sets any status, with the event that tells of it.
    pub(in super::super) fn set_status(&mut self, subscription: &str, status: &str) {
        match status {
            "canceled" => self.cancel(subscription),
            _ => self.change(subscription, json!({ "status": status })),
        }
    }

    /// Ends `subscription` now.
    pub(in super::super) fn cancel(&mut self, subscription: &str) {
        let now = self.now();
        let since = self.objects.of(subscription)["canceled_at"].as_i64();
        let since = since.unwrap_or(now);
        self.set(
            subscription,
            json!({ "status": "canceled", "canceled_at": since, "ended_at": now }),
        );
        self.emit("customer.subscription.deleted", subscription);
    }

    /// Sets `subscription` to end with its period, or takes that back.
    pub(in super::super) fn cancel_at_end(&mut self, subscription: &str, ends: bool) {
        let changes = self.ending(subscription, ends);
        self.change(subscription, changes);
    }

    /// What `cancel_at_period_end` changes.
    pub(in super::super) fn ending(&self, subscription: &str, ends: bool) -> Value {
        if !ends {
            return json!({ "cancel_at_period_end": false, "cancel_at": null, "canceled_at": null });
        }
        let of = self.objects.of(subscription);
        let since = of["canceled_at"].as_i64().unwrap_or_else(|| self.now());
        let end = self.period_end(subscription);
        json!({ "cancel_at_period_end": true, "cancel_at": end, "canceled_at": since })
    }

    /// As the portal does with flexible billing: `cancel_at` alone.
    pub(in super::super) fn set_cancel_at(&mut self, subscription: &str) {
        let end = self.period_end(subscription);
        let now = self.now();
        self.change(
            subscription,
            json!({ "cancel_at": end, "cancel_at_period_end": false, "canceled_at": now }),
        );
    }

    /// The next period begins; it begins whether or not it is paid.
    fn next_period(&mut self, subscription: &str) {
        let start = self.period_end(subscription);
        let mut items = self.objects.of(subscription)["items"].clone();
        for item in items["data"].as_array_mut().into_iter().flatten() {
            item["current_period_start"] = start.into();
            item["current_period_end"] = (start + MONTH).into();
        }
        self.change(subscription, json!({ "items": items }));
    }

    /// A renewal that is paid.
    pub(in super::super) fn renew(&mut self, subscription: &str) {
        self.next_period(subscription);
        let cost = self.cost(subscription);
        let invoice = self.new_invoice(subscription, "subscription_cycle", cost);
        self.pay_invoice(&invoice);
    }

    /// A renewal that is not.
    pub(in super::super) fn fail_renewal(&mut self, subscription: &str) {
        self.next_period(subscription);
        let cost = self.cost(subscription);
        let invoice = self.new_invoice(subscription, "subscription_cycle", cost);
        self.fail_invoice(&invoice);
        self.set_status(subscription, "past_due");
    }

    /// The last attempt failed too: `unpaid` or `canceled`, as the account's settings say.
    pub(in super::super) fn exhaust(&mut self, subscription: &str, status: &str) {
        let invoice = self
            .linked(subscription, "latest_invoice")
            .expect("an invoice");
        self.fail_invoice(&invoice);
        self.set_status(subscription, status);
        if status == "canceled" {
            self.update(
                "invoice.marked_uncollectible",
                &invoice,
                json!({ "status": "uncollectible" }),
            );
        }
    }

    /// The open invoice is paid after all.
    pub(in super::super) fn recover(&mut self, subscription: &str) {
        let invoice = self
            .linked(subscription, "latest_invoice")
            .expect("an invoice");
        self.pay_invoice(&invoice);
        self.set_status(subscription, "active");
    }

    /// The period ends: the subscription with it, if it is set to, or the next one begins.
    pub(in super::super) fn end_period(&mut self, subscription: &str) {
        if self.objects.of(subscription)["cancel_at"].is_null() {
            self.renew(subscription);
        } else {
            self.cancel(subscription);
        }
    }

    /// Pauses, or goes on.
    pub(in super::super) fn pause(&mut self, subscription: &str, paused: bool) {
        let (status, event) = if paused {
            ("paused", "customer.subscription.paused")
        } else {
            ("active", "customer.subscription.resumed")
        };
        self.set_status(subscription, status);
        self.emit(event, subscription);
    }

    pub(in super::super) fn trial(&mut self, subscription: &str, days: i64) {
        let trial = super::checkout::trialing(self.now(), days);
        self.change(subscription, trial);
    }

    /// The plan is switched: the first item gets another price.
    pub(in super::super) fn switch_price(&mut self, subscription: &str, price: &str) {
        let price = self.objects.of(price).clone();
        let mut items = self.objects.of(subscription)["items"].clone();
        items["data"][0]["price"] = price;
        self.change(subscription, json!({ "items": items }));
    }

    /// As the dashboard does it: no checkout, no metadata.
    pub(in super::super) fn subscribe_by_hand(
        &mut self,
        customer: &str,
        prices: &[&str],
    ) -> String {
        let prices: Vec<(String, i64)> = prices
            .iter()
            .map(|price| ((*price).to_owned(), 1))
            .collect();
        let subscription = self.new_subscription(&customer.into(), &prices, &Value::Null);
        self.emit("customer.subscription.created", &subscription);
        let cost = self.cost(&subscription);
        let invoice = self.new_invoice(&subscription, "subscription_create", cost);
        self.pay_invoice(&invoice);
        subscription
    }

    /// Deletes the customer, and its subscriptions end.
    pub(in super::super) fn delete_customer(&mut self, customer: &str) {
        let ended = ["canceled", "incomplete_expired"];
        let own = self
            .objects
            .newest("subscription")
            .filter(|found| text(found, "customer") == customer);
        let own = own.filter(|found| !ended.contains(&text(found, "status")));
        let own: Vec<String> = own.map(|found| text(found, "id").to_owned()).collect();
        for subscription in own {
            self.cancel(&subscription);
        }
        self.emit("customer.deleted", customer);
        self.set(customer, json!({ "_deleted": true }));
    }

    /// Items of a subscription, newest last; more than a list shows inline.
    pub(in super::super) fn items(&self, subscription: &str) -> Vec<Value> {
        let shown = &self.objects.of(subscription)["items"]["data"];
        let own = self
            .objects
            .newest("subscription_item")
            .filter(|item| text(item, "subscription") == subscription);
        let current = |item: &Value| {
            let shown = shown.as_array().into_iter().flatten();
            let shown = shown.into_iter().find(|shown| shown["id"] == item["id"]);
            shown.unwrap_or(item).clone()
        };
        let mut own: Vec<Value> = own.map(current).collect();
        own.sort_by_key(|item| number(item, "created"));
        own
    }
}
