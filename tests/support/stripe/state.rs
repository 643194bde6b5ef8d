//! What the account is and has; every change of it goes through here, with the event it causes.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::call::{Call, Kept};
use super::delivery::Sending;
use super::event::{Event, Form};
use super::faults::Faults;
use super::objects::Objects;
use crate::support::token;

/// How the account behaves.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, and tests combine them freely"
)]
pub(super) struct Settings {
    /// Live mode: other ids and `livemode: true`.
    pub(super) live: bool,
    /// The API answers in the shapes of 2024.
    pub(super) older_answers: bool,
    /// Events are rendered in the shapes of 2024.
    pub(super) older_events: bool,
    /// Things happen, and no event tells of them.
    pub(super) makes_no_events: bool,
    /// The customer portal was set up.
    pub(super) portal: bool,
    /// Lists may be asked for a customer that is deleted.
    pub(super) lists_deleted: bool,
    /// Keys that are let in.
    pub(super) keys: BTreeSet<String>,
    /// Rights that no key has: `customer_write`, `dispute_read`.
    pub(super) missing_rights: BTreeSet<String>,
    /// Secrets of the endpoint; several while one is rolled.
    pub(super) secrets: Vec<String>,
    pub(super) form: Form,
}

pub(super) struct State {
    pub(super) url: String,
    pub(super) settings: Settings,
    pub(super) objects: Objects,
    /// The time, when a test has set it.
    pub(super) set_time: Option<i64>,
    pub(super) outbox: Vec<Event>,
    pub(super) sending: Sending,
    pub(super) calls: Vec<Call>,
    pub(super) kept: HashMap<String, Kept>,
    pub(super) faults: Faults,
}

impl State {
    pub(super) fn new(url: String) -> Self {
        let settings = Settings {
            live: false,
            older_answers: false,
            older_events: false,
            makes_no_events: false,
            portal: true,
            lists_deleted: false,
            keys: [super::KEY.to_owned()].into(),
            missing_rights: BTreeSet::new(),
            secrets: vec![super::SECRET.to_owned()],
            form: Form::Snapshot,
        };
        let mut state = Self {
            url,
            settings,
            objects: Objects::default(),
            set_time: None,
            outbox: Vec::new(),
            sending: Sending::default(),
            calls: Vec::new(),
            kept: HashMap::new(),
            faults: Faults::default(),
        };
        state.open_the_account();
        state.open_the_portal();
        state.stock_the_shop();
        state
    }

    /// Seconds since 1970, as the account counts them.
    pub(super) fn now(&self) -> i64 {
        self.set_time.unwrap_or_else(token::now)
    }

    /// Records that something happened to `id`.
    pub(super) fn emit(&mut self, kind: &str, id: &str) {
        let object = self.objects.of(id).clone();
        self.emit_with(kind, object, Value::Null);
    }

    pub(super) fn emit_with(&mut self, kind: &str, object: Value, previous: Value) {
        if self.settings.makes_no_events {
            return;
        }
        let id = self.objects.fresh("evt");
        let event = Event::new(id, kind, self.now(), object, self.settings.live);
        self.outbox.push(event.previously(previous));
    }

    /// Changes `id` without a word.
    pub(super) fn set(&mut self, id: &str, changes: Value) {
        let object = self.objects.of_mut(id);
        for (field, value) in fields(changes) {
            object[field] = value;
        }
    }

    /// Changes `id` and records `kind`, with what the fields held before.
    pub(super) fn update(&mut self, kind: &str, id: &str, changes: Value) {
        let before = self.objects.of(id).clone();
        self.set(id, changes);
        let after = self.objects.of(id).clone();
        let mut previous = fields(before);
        previous.retain(|field, value| after[field.as_str()] != *value);
        // A call that changes nothing makes no event; else who answers each event with the same call would never end.
        if !(previous.is_empty() && kind.ends_with(".updated")) {
            self.emit_with(kind, after, previous.into());
        }
    }
}

/// The members of an object.
pub(super) fn fields(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).expect("an object")
}
