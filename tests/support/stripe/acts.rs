//! What tests and the demo make buyers, banks and the merchant do.

use serde_json::{Value, json};

use super::Stripe;
use super::life::Means;

impl Stripe {
    fn act<T>(&self, act: impl FnOnce(&mut super::State) -> T) -> T {
        self.account.change(act)
    }

    /// The buyer pays by card.
    pub(crate) fn pay(&self, session: &str) {
        self.act(|state| state.complete(session, Means::Card));
    }

    /// The buyer pays by a method that takes days: complete, and not paid.
    pub(crate) fn pay_later(&self, session: &str) {
        self.act(|state| state.complete(session, Means::Delayed));
    }

    /// A coupon takes the whole price off.
    pub(crate) fn pay_nothing(&self, session: &str) {
        self.act(|state| state.complete(session, Means::Coupon));
    }

    /// The money of [`Stripe::pay_later`] arrives.
    pub(crate) fn async_succeed(&self, session: &str) {
        self.act(|state| state.async_succeed(session));
    }

    /// The money of [`Stripe::pay_later`] does not arrive.
    pub(crate) fn async_fail(&self, session: &str) {
        self.act(|state| state.async_fail(session));
    }

    /// Nobody has paid in time.
    pub(crate) fn expire(&self, session: &str) {
        self.act(|state| state.expire(session));
    }

    /// The next period begins, and is paid.
    pub(crate) fn renew(&self, subscription: &str) {
        self.act(|state| state.renew(subscription));
    }

    /// The next period begins, and is not paid: `past_due`.
    pub(crate) fn fail_renewal(&self, subscription: &str) {
        self.act(|state| state.fail_renewal(subscription));
    }

    /// The last attempt failed too: `status` is `unpaid` or `canceled`.
    pub(crate) fn exhaust(&self, subscription: &str, status: &str) {
        self.act(|state| state.exhaust(subscription, status));
    }

    /// The open invoice is paid after all.
    pub(crate) fn recover(&self, subscription: &str) {
        self.act(|state| state.recover(subscription));
    }

    /// The subscription ends now.
    pub(crate) fn cancel_now(&self, subscription: &str) {
        self.act(|state| state.cancel(subscription));
    }

    /// The subscription is set to end with its period.
    pub(crate) fn cancel_at_end(&self, subscription: &str) {
        self.act(|state| state.cancel_at_end(subscription, true));
    }

    /// [`Stripe::cancel_at_end`] and [`Stripe::set_cancel_at`] are taken back.
    pub(crate) fn keep_going(&self, subscription: &str) {
        self.act(|state| state.cancel_at_end(subscription, false));
    }

    /// The same as the portal does it with flexible billing: `cancel_at` alone.
    pub(crate) fn set_cancel_at(&self, subscription: &str) {
        self.act(|state| state.set_cancel_at(subscription));
    }

    /// The period ends, and the subscription with it if it was set to; else the next period begins.
    pub(crate) fn end_period(&self, subscription: &str) {
        self.act(|state| state.end_period(subscription));
    }

    /// The status becomes `paused`.
    pub(crate) fn pause(&self, subscription: &str) {
        self.act(|state| state.pause(subscription, true));
    }

    /// The status becomes `active` again.
    pub(crate) fn resume(&self, subscription: &str) {
        self.act(|state| state.pause(subscription, false));
    }

    /// `pause_collection` is set; the status stays.
    pub(crate) fn pause_collection(&self, subscription: &str) {
        let pause = json!({ "pause_collection": { "behavior": "void", "resumes_at": null } });
        self.act(|state| state.change(subscription, pause));
    }

    /// A trial of so many days begins.
    pub(crate) fn trial(&self, subscription: &str, days: i64) {
        self.act(|state| state.trial(subscription, days));
    }

    /// The trial ends in three days.
    pub(crate) fn warn_of_trial_end(&self, subscription: &str) {
        self.act(|state| state.emit("customer.subscription.trial_will_end", subscription));
    }

    /// The status becomes any word, one that does not exist yet too.
    pub(crate) fn set_status(&self, subscription: &str, status: &str) {
        self.act(|state| state.set_status(subscription, status));
    }

    /// The plan is switched in the portal: the first item gets another price.
    pub(crate) fn switch_price(&self, subscription: &str, price: &str) {
        self.act(|state| state.switch_price(subscription, price));
    }

    /// All that is left of the charge behind `target` (a session, subscription, intent, invoice, charge) goes back.
    /// Gives the refund's id.
    pub(crate) fn refund(&self, target: &str) -> String {
        self.act(|state| state.refund(target, None))
    }

    /// So many cents of it go back.
    pub(crate) fn refund_part(&self, target: &str, amount: i64) -> String {
        self.act(|state| state.refund(target, Some(amount)))
    }

    /// The buyer's bank does not take the refund: it never was.
    pub(crate) fn refund_fails(&self, refund: &str) {
        self.act(|state| state.refund_fails(refund));
    }

    /// The charge behind `target` is disputed. `warning_…` is an inquiry. Gives the dispute's id.
    pub(crate) fn dispute(&self, target: &str, status: &str) -> String {
        self.act(|state| state.dispute(target, status))
    }

    /// The dispute goes on, or ends.
    pub(crate) fn dispute_status(&self, dispute: &str, status: &str) {
        self.act(|state| state.set_dispute(dispute, status));
    }

    /// The charge behind `target`.
    pub(crate) fn charge_of(&self, target: &str) -> String {
        self.account.look(|state| state.charge_of(target))
    }

    /// The subscription that a checkout made.
    pub(crate) fn subscription_of(&self, session: &str) -> String {
        let linked = self
            .account
            .look(|state| state.linked(session, "subscription"));
        linked.expect("a checkout of a subscription that was paid")
    }

    /// A customer made in the dashboard.
    pub(crate) fn new_customer(&self, email: &str, metadata: &Value) -> String {
        self.act(|state| state.new_customer(&email.into(), &Value::Null, metadata))
    }

    /// Deletes a customer; its subscriptions end.
    pub(crate) fn delete_customer(&self, customer: &str) {
        self.act(|state| state.delete_customer(customer));
    }

    /// Other metadata for any object, without an event.
    pub(crate) fn set_metadata(&self, id: &str, metadata: &Value) {
        self.act(|state| state.set(id, json!({ "metadata": metadata })));
    }

    /// A subscription made in the dashboard: paid, without a checkout and without metadata.
    pub(crate) fn create_subscription_by_hand(&self, customer: &str, prices: &[&str]) -> String {
        self.act(|state| state.subscribe_by_hand(customer, prices))
    }

    /// Somebody buys through a payment link, where anybody can write the reference; as a guest, or as a new customer.
    /// Gives the session's id.
    pub(crate) fn payment_link_purchase(
        &self,
        reference: &str,
        price: &str,
        as_guest: bool,
    ) -> String {
        self.act(|state| {
            let recurring = state.objects.of(price)["type"] == "recurring";
            let mode = if recurring { "subscription" } else { "payment" };
            let creation = if as_guest { "if_required" } else { "always" };
            let given = json!({ "client_reference_id": reference, "payment_link": "plink_standin",
                "_customer_creation": creation });
            let session = state.new_session(mode, &[(price.to_owned(), 1)], given);
            state.complete(&session, Means::Card);
            session
        })
    }

    /// A checkout that the merchant began elsewhere, open. Gives the session's id.
    pub(crate) fn new_checkout(&self, customer: &str, price: &str) -> String {
        self.act(|state| {
            let recurring = state.objects.of(price)["type"] == "recurring";
            let mode = if recurring { "subscription" } else { "payment" };
            state.new_session(
                mode,
                &[(price.to_owned(), 1)],
                json!({ "customer": customer }),
            )
        })
    }

    /// Sells one thing more, in cents.
    pub(crate) fn new_price(&self, id: &str, amount: i64, monthly: bool) {
        self.act(|state| state.new_price(id, "Something else", amount, monthly));
    }

    /// A price that is sold no more.
    pub(crate) fn retire_price(&self, id: &str) {
        self.act(|state| state.set(id, json!({ "active": false })));
    }

    /// A price that is sold again.
    pub(crate) fn sell_again(&self, id: &str) {
        self.act(|state| state.set(id, json!({ "active": true })));
    }

    /// A price of the other kind: by the month, or once.
    pub(crate) fn sell_by_month(&self, id: &str, monthly: bool) {
        self.act(|state| state.set_kind(id, monthly));
    }

    /// An object of the other mode: no key of this one sees it; and back.
    pub(crate) fn move_to_other_mode(&self, id: &str, moved: bool) {
        self.act(|state| {
            state.set(id, json!({ "livemode": state.settings.live != moved }));
            state.objects.hide(id, moved);
        });
    }

    /// Any fields of any object, without an event: what Stripe itself would not say.
    pub(crate) fn pretend(&self, id: &str, fields: Value) {
        self.act(|state| state.set(id, fields));
    }

    /// A webhook endpoint made in the dashboard, which gets the events from now on. Gives its id.
    pub(crate) fn new_webhook_endpoint(
        &self,
        url: &str,
        kinds: &[&str],
        version: Option<&str>,
    ) -> String {
        let given = json!({ "url": url, "enabled_events": kinds, "api_version": version });
        self.act(|state| state.new_webhook_endpoint(&given))
    }

    /// The secret that signs what this endpoint gets.
    pub(crate) fn secret_of(&self, endpoint: &str) -> String {
        let secret = |state: &super::State| state.linked(endpoint, "_secret");
        self.account.look(secret).expect("an endpoint")
    }
}
