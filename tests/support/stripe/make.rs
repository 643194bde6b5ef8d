//! New objects.

use serde_json::{Value, json};

use super::objects::{number, text};
use super::state::State;

/// 30 days, for a month.
pub(super) const MONTH: i64 = 30 * 24 * 3600;

/// The account itself.
pub(super) const ACCOUNT: &str = "acct_standin";

/// How the customer portal is set up.
pub(super) const CONFIGURATION: &str = "bpc_standin";

/// What the shop sells at first: id, name, cents, whether it is monthly.
const SHOP: [(&str, &str, i64, bool); 3] = [
    (super::PRICE_MONTHLY, "Premium, by the month", 999, true),
    (super::PRICE_LIFETIME, "Premium, for life", 19_900, false),
    (super::PRICE_OTHER, "A mug", 1500, false),
];

/// Money that is asked for.
pub(super) struct Bill {
    /// `null`, or an id.
    pub(super) customer: Value,
    pub(super) amount: i64,
    pub(super) metadata: Value,
    pub(super) invoice: Option<String>,
}

impl State {
    pub(super) fn open_the_account(&mut self) {
        self.objects.add(
            json!({ "id": ACCOUNT, "object": "account", "charges_enabled": true, "country": "DE",
            "default_currency": "eur", "details_submitted": true, "email": "owner@example.test",
            "payouts_enabled": true, "type": "standard",
            "settings": { "dashboard": { "display_name": "Stand-in", "timezone": "Europe/Berlin" } } }),
        );
    }

    /// The customer portal is set up, as the dashboard does it.
    pub(super) fn open_the_portal(&mut self) {
        self.objects.remove(CONFIGURATION);
        self.objects.add(json!({ "id": CONFIGURATION, "object": "billing_portal.configuration", "active": true,
            "created": self.now(), "features": {}, "is_default": true, "livemode": self.settings.live, "metadata": {},
            "updated": self.now() }));
    }

    /// An endpoint, which gets the events from now on, signed with a secret of its own.
    pub(super) fn new_webhook_endpoint(&mut self, given: &Value) -> String {
        let (id, secret) = (self.objects.fresh("we"), self.objects.fresh("whsec"));
        let endpoint = json!({ "id": id, "object": "webhook_endpoint", "api_version": given["api_version"],
            "application": null, "created": self.now(), "description": given["description"],
            "enabled_events": given["enabled_events"], "livemode": self.settings.live,
            "metadata": or_empty(&given["metadata"]), "status": "enabled", "url": given["url"],
            "_secret": secret, "_from": self.outbox.len() });
        self.sending.endpoints.push(id.clone());
        self.objects.add(endpoint)
    }

    pub(super) fn stock_the_shop(&mut self) {
        for (id, name, amount, monthly) in SHOP {
            self.new_price(id, name, amount, monthly);
        }
    }

    pub(super) fn new_price(&mut self, id: &str, name: &str, amount: i64, monthly: bool) {
        let product = format!("prod_{}", id.trim_start_matches("price_"));
        let (recurring, kind) = kind_of(monthly);
        let (now, live) = (self.now(), self.settings.live);
        self.objects.add(json!({ "id": product, "object": "product", "active": true, "created": now, "updated": now,
            "default_price": id, "description": null, "images": [], "livemode": live, "marketing_features": [],
            "metadata": {}, "name": name, "package_dimensions": null, "shippable": null, "url": null }));
        self.objects.add(json!({ "id": id, "object": "price", "active": true, "billing_scheme": "per_unit",
            "created": now, "currency": "eur", "livemode": live, "lookup_key": null, "metadata": {}, "nickname": name,
            "product": product, "recurring": recurring, "tax_behavior": "unspecified", "type": kind,
            "unit_amount": amount, "unit_amount_decimal": amount.to_string() }));
    }

    pub(super) fn new_customer(&mut self, email: &Value, name: &Value, metadata: &Value) -> String {
        let id = self.objects.fresh("cus");
        let customer = json!({ "id": id, "object": "customer", "address": null, "balance": 0, "created": self.now(),
            "currency": null, "default_source": null, "delinquent": false, "description": null, "email": email,
            "invoice_prefix": "STANDIN", "livemode": self.settings.live, "metadata": or_empty(metadata), "name": name,
            "phone": null, "preferred_locales": [], "shipping": null, "tax_exempt": "none", "test_clock": null });
        self.objects.add(customer);
        self.emit("customer.created", &id);
        id
    }

    /// A session that is open; `fields` are put over the usual ones.
    pub(super) fn new_session(
        &mut self,
        mode: &str,
        line_items: &[(String, i64)],
        given: Value,
    ) -> String {
        let prefix = if self.settings.live {
            "cs_live"
        } else {
            "cs_test"
        };
        let id = self.objects.fresh(prefix);
        let mut items = Vec::new();
        let mut total = 0;
        for (price, quantity) in line_items {
            total += number(self.objects.of(price), "unit_amount") * quantity;
            items.push(
                json!({ "id": self.objects.fresh("li"), "price": price, "quantity": quantity }),
            );
        }
        let now = self.now();
        let session = json!({ "id": id, "object": "checkout.session", "amount_subtotal": total, "amount_total": total,
            "automatic_tax": { "enabled": false, "liability": null, "status": null }, "cancel_url": null,
            "client_reference_id": null, "created": now, "currency": "eur", "custom_fields": [],
            "custom_text": {}, "customer": null, "customer_details": null, "customer_email": null,
            "expires_at": now + 24 * 3600, "invoice": null, "livemode": self.settings.live, "metadata": {},
            "mode": mode, "payment_intent": null, "payment_link": null, "payment_method_types": ["card"],
            "payment_status": "unpaid", "setup_intent": null, "shipping_options": [], "status": "open",
            "subscription": null, "success_url": null, "ui_mode": "hosted_page",
            "url": format!("{}/pay/{id}", self.url), "_line_items": items });
        self.objects.add(session);
        self.set(&id, given);
        id
    }

    /// A subscription to `prices`, from now on for a month. No event.
    pub(super) fn new_subscription(
        &mut self,
        customer: &Value,
        prices: &[(String, i64)],
        metadata: &Value,
    ) -> String {
        let id = self.objects.fresh("sub");
        let now = self.now();
        let items: Vec<Value> = prices
            .iter()
            .map(|(price, quantity)| self.item(&id, price, *quantity))
            .collect();
        let items =
            super::render::inline(&format!("/v1/subscription_items?subscription={id}"), &items);
        let all = items.clone();
        let subscription = json!({ "id": id, "object": "subscription", "automatic_tax": { "enabled": false },
            "billing_cycle_anchor": now, "billing_mode": { "type": "flexible" }, "billing_schedules": [],
            "cancel_at": null, "cancel_at_period_end": false, "canceled_at": null,
            "cancellation_details": { "comment": null, "feedback": null, "reason": null },
            "collection_method": "charge_automatically", "created": now, "currency": "eur", "customer": customer,
            "default_payment_method": null, "discounts": [], "ended_at": null,
            "invoice_settings": { "issuer": { "type": "self" } }, "items": all, "latest_invoice": null,
            "livemode": self.settings.live, "metadata": or_empty(metadata), "pause_collection": null,
            "pending_update": null, "schedule": null, "start_date": now, "status": "active", "trial_end": null,
            "trial_start": null });
        self.objects.add(subscription);
        id
    }

    fn item(&mut self, subscription: &str, price: &str, quantity: i64) -> Value {
        let now = self.now();
        let price = self.objects.of(price).clone();
        let id = self.objects.fresh("si");
        let item = json!({ "id": id, "object": "subscription_item", "created": now, "current_period_start": now,
            "current_period_end": now + MONTH, "discounts": [], "metadata": {}, "price": price, "quantity": quantity,
            "subscription": subscription });
        self.objects.add(item.clone());
        item
    }

    pub(super) fn new_intent(&mut self, bill: &Bill) -> String {
        let id = self.objects.fresh("pi");
        let intent = json!({ "id": id, "object": "payment_intent", "amount": bill.amount, "amount_received": 0,
            "canceled_at": null, "created": self.now(), "currency": "eur", "customer": bill.customer,
            "description": null, "last_payment_error": null, "latest_charge": null, "livemode": self.settings.live,
            "metadata": or_empty(&bill.metadata), "payment_method": null, "payment_method_types": ["card"],
            "status": "requires_payment_method", "_invoice": bill.invoice });
        self.objects.add(intent);
        self.emit("payment_intent.created", &id);
        id
    }

    /// An attempt to take the money of `intent`. No event.
    pub(super) fn new_charge(&mut self, intent: &str, succeeded: bool) -> String {
        let id = self.objects.fresh("ch");
        let of = self.objects.of(intent).clone();
        let (status, captured) = if succeeded {
            ("succeeded", of["amount"].clone())
        } else {
            ("failed", 0.into())
        };
        let charge = json!({ "id": id, "object": "charge", "amount": of["amount"], "amount_captured": captured,
            "amount_refunded": 0, "balance_transaction": null, "billing_details": {}, "captured": succeeded,
            "created": self.now(), "currency": "eur", "customer": of["customer"], "disputed": false,
            "failure_code": if succeeded { Value::Null } else { "card_declined".into() },
            "livemode": self.settings.live, "metadata": of["metadata"], "paid": succeeded, "payment_intent": intent,
            "receipt_url": null, "refunded": false, "status": status, "_invoice": of["_invoice"] });
        self.objects.add(charge);
        self.set(intent, json!({ "latest_charge": id }));
        id
    }

    /// The invoice for a period of `subscription`, open. Emits `invoice.created` and `invoice.finalized`.
    pub(super) fn new_invoice(&mut self, subscription: &str, reason: &str, amount: i64) -> String {
        let id = self.objects.fresh("in");
        let of = self.objects.of(subscription).clone();
        let now = self.now();
        let details = json!({ "subscription": subscription, "metadata": of["metadata"] });
        let price = &of["items"]["data"][0]["price"];
        let line = json!({ "id": self.objects.fresh("il"), "object": "line_item", "amount": amount, "currency": "eur",
            "discountable": true, "discounts": [], "invoice": id, "livemode": self.settings.live,
            "metadata": of["metadata"], "quantity": 1, "subtotal": amount,
            "period": { "start": now, "end": now + MONTH },
            "pricing": { "type": "price_details", "price_details": { "price": price["id"], "product": price["product"] } } });
        let lines = super::render::inline(&format!("/v1/invoices/{id}/lines"), &[line]);
        let invoice = json!({ "id": id, "object": "invoice", "amount_due": amount, "amount_overpaid": 0,
            "amount_paid": 0, "amount_paid_off_stripe": 0, "amount_shipping": 0, "issuer": { "type": "self" },
            "automatic_tax": { "enabled": false, "disabled_reason": null, "liability": null, "provider": null, "status": null },
            "payment_settings": { "default_mandate": null, "payment_method_options": null, "payment_method_types": null },
            "post_payment_credit_notes_amount": 0, "pre_payment_credit_notes_amount": 0, "starting_balance": 0,
            "amount_remaining": amount, "attempt_count": 0, "attempted": false, "auto_advance": true,
            "billing_reason": reason, "collection_method": "charge_automatically", "created": now, "currency": "eur",
            "customer": of["customer"], "default_tax_rates": [], "discounts": [], "lines": lines,
            "livemode": self.settings.live, "metadata": {}, "period_end": now, "period_start": now, "status": "draft",
            "parent": { "type": "subscription_details", "quote_details": null, "subscription_details": details },
            "status_transitions": { "paid_at": null }, "subtotal": amount, "total": amount,
            "_subscription": subscription, "_payment_intent": null, "_charge": null });
        self.objects.add(invoice);
        self.emit("invoice.created", &id);
        self.set(subscription, json!({ "latest_invoice": id }));
        self.update("invoice.finalized", &id, json!({ "status": "open" }));
        id
    }

    /// A price becomes one of the other kind.
    pub(super) fn set_kind(&mut self, price: &str, monthly: bool) {
        let (recurring, kind) = kind_of(monthly);
        self.set(price, json!({ "recurring": recurring, "type": kind }));
    }

    /// What a period of `subscription` costs.
    pub(super) fn cost(&self, subscription: &str) -> i64 {
        let items = self.objects.of(subscription)["items"]["data"].as_array();
        let cost = |item: &Value| number(&item["price"], "unit_amount") * number(item, "quantity");
        items.into_iter().flatten().map(cost).sum()
    }

    /// The end of the period of `subscription`.
    pub(super) fn period_end(&self, subscription: &str) -> i64 {
        number(
            &self.objects.of(subscription)["items"]["data"][0],
            "current_period_end",
        )
    }

    /// The object that `id` names in its `field`.
    pub(super) fn linked(&self, id: &str, field: &str) -> Option<String> {
        let linked = text(self.objects.of(id), field);
        (!linked.is_empty()).then(|| linked.to_owned())
    }
}

/// `recurring` and `type` of a price.
fn kind_of(monthly: bool) -> (Value, &'static str) {
    if monthly {
        let recurring =
            json!({ "interval": "month", "interval_count": 1, "usage_type": "licensed" });
        (recurring, "recurring")
    } else {
        (Value::Null, "one_time")
    }
}

fn or_empty(metadata: &Value) -> Value {
    super::render::merged(&json!({}), metadata)
}
