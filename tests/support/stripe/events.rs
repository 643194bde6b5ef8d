//! How tests and the demo steer the events.

use std::time::Duration;

use super::delivery::{Attempt, Target};
use super::sign::sign_with_all;
use super::{Event, Form, Stripe};
use crate::support::raw::Reply;

impl Stripe {
    /// Events go to this URL from now on, those that have waited for it first.
    pub(crate) fn send_to(&self, url: &str) {
        let target = Target::parse(url).expect("http:// with an address and a port");
        self.account
            .change(|state| state.sending.target = Some(target));
    }

    /// Nothing is sent by itself; a test takes the events and delivers them.
    pub(crate) fn hold_events(&self) {
        self.account.change(|state| state.sending.is_held = true);
    }

    /// Events go by themselves again, those first that were held and not delivered.
    pub(crate) fn let_events_go(&self) {
        self.account.change(|state| state.sending.is_held = false);
    }

    /// So many deliveries at once, in no order; 1 at first.
    pub(crate) fn send_at_once(&self, count: usize) {
        self.account.change(|state| state.sending.at_once = count);
    }

    /// The first wait before an event is sent again; 50 ms at first, doubled each time up to a second.
    pub(crate) fn back_off(&self, wait: Duration) {
        self.account.change(|state| state.sending.back_off = wait);
    }

    /// Where [`Stripe::send_to`] says gets these types alone.
    pub(crate) fn subscribe(&self, kinds: &[&str]) {
        let kinds = kinds.iter().map(ToString::to_string).collect();
        self.account
            .change(|state| state.sending.subscribed = Some(kinds));
    }

    /// The form of the events that go by themselves.
    pub(crate) fn send_as(&self, form: Form) {
        self.account.change(|state| state.settings.form = form);
    }

    /// Whether events are rendered in the shapes of 2024.
    pub(crate) fn send_in_older_shapes(&self, older: bool) {
        self.account
            .change(|state| state.settings.older_events = older);
    }

    /// The secrets for where [`Stripe::send_to`] says; several while one is rolled, each with its own `v1`.
    pub(crate) fn set_secrets(&self, secrets: &[&str]) {
        let secrets = secrets.iter().map(ToString::to_string).collect();
        self.account
            .change(|state| state.settings.secrets = secrets);
    }

    /// The time that signatures bear; `None` for the system's.
    pub(crate) fn set_signing_time(&self, seconds: Option<i64>) {
        self.account
            .change(|state| state.sending.signing_time = seconds);
    }

    /// Whether things happen without an event that tells of them, as is rarely the case.
    pub(crate) fn make_no_events(&self, silent: bool) {
        self.account
            .change(|state| state.settings.makes_no_events = silent);
    }

    /// A second event object for the same fact, as there is one now and then.
    pub(crate) fn tell_again(&self, event: &Event) -> Event {
        self.account.change(|state| {
            let again = event.under(state.objects.fresh("evt"));
            state.outbox.push(again.clone());
            again
        })
    }

    /// All events so far, oldest first.
    pub(crate) fn outbox(&self) -> Vec<Event> {
        self.account.look(|state| state.outbox.clone())
    }

    /// The events that came after the first `count`.
    pub(crate) fn outbox_after(&self, count: usize) -> Vec<Event> {
        self.account.look(|state| state.outbox[count..].to_vec())
    }

    /// One attempt to deliver an event, in the endpoint's form; `None` without an answer.
    pub(crate) async fn deliver(&self, event: &Event) -> Option<Reply> {
        let (form, older) = self
            .account
            .look(|state| (state.settings.form, state.settings.older_events));
        self.account.deliver(event, form, older).await
    }

    /// One attempt to deliver an event in this form, in the shapes of 2024 or in today's.
    pub(crate) async fn deliver_as(&self, event: &Event, form: Form, older: bool) -> Option<Reply> {
        self.account.deliver(event, form, older).await
    }

    /// Posts any text to the endpoint, with any `Stripe-Signature`.
    pub(crate) async fn post(&self, body: &str, signature: &str) -> Option<Reply> {
        self.account.post_raw(body, signature).await
    }

    /// The `Stripe-Signature` of any text, made at `t` (seconds since 1970) with any secrets.
    pub(crate) fn sign(body: &str, secrets: &[&str], t: i64) -> String {
        sign_with_all(body.as_bytes(), secrets, t)
    }

    /// The `Stripe-Signature` of any text, as deliveries have it now.
    pub(crate) fn signature(&self, body: &str) -> String {
        self.account.look(|state| state.signature(body))
    }

    /// Every attempt at a delivery, oldest first.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.account.look(|state| state.sending.attempts.clone())
    }

    /// The ids that the endpoint has answered with a 2xx, in that order, as they were sent.
    pub(crate) fn acknowledged(&self) -> Vec<String> {
        let attempts = self.attempts().into_iter();
        let taken = attempts.filter(Attempt::is_acknowledged);
        taken.map(|attempt| attempt.event).collect()
    }

    /// Waits until the endpoint has taken every event that it wants.
    pub(crate) async fn until_all_acknowledged(&self) {
        self.until("all events acknowledged", super::State::is_all_acknowledged)
            .await;
    }

    /// Waits until there were `count` attempts.
    pub(crate) async fn until_attempts(&self, count: usize) {
        let what = format!("{count} attempts at a delivery");
        self.until(&what, |state| state.sending.attempts.len() >= count)
            .await;
    }
}
