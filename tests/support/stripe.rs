//! A stand-in for one Stripe account: the API, the hosted pages, the events and their delivery; with faults to order.
//!
//! It keeps the account's state and refuses what Stripe refuses. Buyers, banks and the merchant are methods
//! ([`Stripe::pay`], [`Stripe::dispute`]); each emits the events that Stripe emits for it. They go to the endpoint by
//! themselves once it is known ([`Stripe::send_to`]), or one by one as a test says ([`Stripe::hold_events`]).

mod acts;
mod api;
mod call;
mod delivery;
mod event;
mod events;
mod faults;
mod form;
mod life;
mod make;
mod objects;
mod page;
mod params;
mod refusal;
mod render;
mod server;
mod sign;
mod state;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::net::{Listening, Reserved};
use super::raw::DEADLINE;
use state::State;

pub(crate) use call::Call;
pub(crate) use event::{Event, Form};
pub(crate) use faults::Fault;

/// The key that is let in at first.
pub(crate) const KEY: &str = "sk_test_standin";
/// The key that is let in instead in live mode.
pub(crate) const LIVE_KEY: &str = "sk_live_standin";
/// The first secret of the webhook endpoint.
pub(crate) const SECRET: &str = "whsec_standin";

/// 9.99 EUR by the month.
pub(crate) const PRICE_MONTHLY: &str = "price_monthly";
/// 199 EUR once.
pub(crate) const PRICE_LIFETIME: &str = "price_lifetime";
/// 15 EUR once, for what is no plan.
pub(crate) const PRICE_OTHER: &str = "price_other";

/// The account.
pub(crate) struct Stripe {
    account: Arc<Account>,
    listening: Option<Listening>,
    reserved: Option<Reserved>,
    address: SocketAddr,
    _sender: DropGuard,
}

/// What the handlers and the sender of events share.
struct Account {
    state: Mutex<State>,
    /// Counts changes of the state, so that one can wait for them.
    changes: watch::Sender<u64>,
    /// Lets one held call go on.
    permits: Semaphore,
    tasks: TaskTracker,
}

impl Account {
    /// Reads the state.
    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state and says so.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = self.change_quietly(change);
        self.changes.send_modify(|count| *count += 1);
        changed
    }

    /// Changes what nobody waits for.
    fn change_quietly<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stripe {
    /// Starts an account in test mode, with a key, three prices, and no customer.
    pub(crate) fn start() -> Self {
        let reserved = Reserved::any();
        let address = reserved.address();
        let account = Arc::new(Account {
            state: Mutex::new(State::new(format!("http://{address}"))),
            changes: watch::Sender::default(),
            permits: Semaphore::new(0),
            tasks: TaskTracker::new(),
        });
        let stop = CancellationToken::new();
        let sender = Arc::clone(&account).send_for_ever();
        account
            .tasks
            .spawn(stop.clone().run_until_cancelled_owned(sender));
        let mut stripe = Self {
            account,
            listening: None,
            reserved: Some(reserved),
            address,
            _sender: stop.drop_guard(),
        };
        stripe.come_up();
        stripe
    }

    /// Starts an account that nothing was set up in but what it sells: no customer portal, no webhook endpoint.
    pub(crate) fn start_empty() -> Self {
        let stripe = Self::start();
        stripe.set_up_portal(false);
        stripe
    }

    /// Begins to accept connections again.
    pub(crate) fn come_up(&mut self) {
        if let Some(reserved) = self.reserved.take() {
            let account = Arc::clone(&self.account);
            let serve = move |stream| server::serve(Arc::clone(&account), stream);
            self.listening = Some(Listening::start(reserved.listen(), serve));
        }
    }

    /// Cuts every connection; new ones are refused. Events are still sent.
    pub(crate) async fn go_down(&mut self) {
        if let Some(listening) = self.listening.take() {
            self.reserved = Some(listening.stop().await);
        }
    }

    /// The address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL, for `stripe.url`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets another key in.
    pub(crate) fn accept_key(&self, key: &str) {
        self.account
            .change(|state| state.settings.keys.insert(key.to_owned()));
    }

    /// Lets a key in no more.
    pub(crate) fn revoke_key(&self, key: &str) {
        self.account.change(|state| state.settings.keys.remove(key));
    }

    /// Takes a right from every key: `customer_write`, `dispute_read`.
    pub(crate) fn withhold(&self, right: &str) {
        self.account
            .change(|state| state.settings.missing_rights.insert(right.to_owned()));
    }

    /// Gives a right back.
    pub(crate) fn grant(&self, right: &str) {
        self.account
            .change(|state| state.settings.missing_rights.remove(right));
    }

    /// From now on objects and events are of live mode, and the key is [`LIVE_KEY`].
    pub(crate) fn go_live(&self) {
        self.account.change(|state| {
            state.settings.live = true;
            state.settings.keys = [LIVE_KEY.to_owned()].into();
            state.objects.become_live();
        });
    }

    /// Whether the API answers in the shapes of 2024.
    pub(crate) fn answer_in_older_shapes(&self, older: bool) {
        self.account
            .change(|state| state.settings.older_answers = older);
    }

    /// Whether the customer portal was set up; it is at first.
    pub(crate) fn set_up_portal(&self, is_set_up: bool) {
        self.account.change(|state| {
            state.settings.portal = is_set_up;
            if is_set_up {
                state.open_the_portal();
            } else {
                state.objects.remove(make::CONFIGURATION);
            }
        });
    }

    /// Whether lists may be asked for a customer that is deleted; at first such a customer is unknown to them.
    pub(crate) fn list_deleted_customers(&self, listed: bool) {
        self.account
            .change(|state| state.settings.lists_deleted = listed);
    }

    /// Sets the account's clock, which stands from then on, in the `Date` of answers too; `None` lets it follow the
    /// system's.
    pub(crate) fn set_time(&self, seconds: Option<i64>) {
        self.account.change(|state| state.set_time = seconds);
    }

    /// Makes calls of `method` whose path begins with `path` fail until [`Stripe::mend`].
    pub(crate) fn fault(&self, method: &str, path: &str, fault: Fault) {
        self.account
            .change(|state| state.faults.order(method, path, fault, None));
    }

    /// Makes the next `count` such calls fail.
    pub(crate) fn fault_next(&self, count: usize, method: &str, path: &str, fault: Fault) {
        self.account
            .change(|state| state.faults.order(method, path, fault, Some(count)));
    }

    /// Makes so many calls of a thousand fail in one of these ways, the same ones for the same seed.
    pub(crate) fn fault_by_chance(&self, seed: u64, per_mille: u32, choice: &[Fault]) {
        self.account
            .change(|state| state.faults.by_chance(seed, per_mille, choice));
    }

    /// Takes all faults back; calls that are held stay so.
    pub(crate) fn mend(&self) {
        self.account.change(|state| state.faults.mend());
    }

    /// Lets one call that is held go on.
    pub(crate) fn release(&self) {
        self.account.permits.add_permits(1);
    }

    /// The calls so far, oldest first.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.account.look(|state| state.calls.clone())
    }

    /// The calls of `method` whose path begins with `path`.
    pub(crate) fn calls_of(&self, method: &str, path: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.method == method && call.path.starts_with(path));
        calls
    }

    /// Waits until there were `count` such calls.
    pub(crate) async fn until_calls(&self, count: usize, method: &str, path: &str) {
        let what = format!("{count} times {method} {path}");
        self.until(&what, |state| {
            let fits = |call: &&Call| call.method == method && call.path.starts_with(path);
            state.calls.iter().filter(fits).count() >= count
        })
        .await;
    }

    /// An object as the API shows it now.
    pub(crate) fn object(&self, id: &str) -> Value {
        self.account
            .look(|state| render::shown(state.objects.of(id), state.settings.older_answers))
    }

    /// The ids of all objects of one type (`customer`, `checkout.session`), oldest first.
    pub(crate) fn ids(&self, object: &str) -> Vec<String> {
        let mut ids: Vec<String> = self.account.look(|state| {
            let all = state.objects.newest(object);
            all.map(|found| objects::text(found, "id").to_owned())
                .collect()
        });
        ids.reverse();
        ids
    }

    async fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let mut changes = self.account.changes.subscribe();
        let reached = changes.wait_for(|_| self.account.look(&condition));
        let reached = timeout(DEADLINE, reached).await;
        assert!(matches!(reached, Ok(Ok(_))), "Stripe never saw {what}");
    }
}
