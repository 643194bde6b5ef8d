//! Events on their way: by themselves, with retries, or one by one as a test says.

mod destination;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::Account;
use super::event::{Event, Form};
use super::state::State;
use crate::support::raw::Reply;

pub(super) use destination::Target;
use destination::{Destination, Name};

/// The wait between two attempts at an event grows to this; real ones grow to hours.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// One attempt to deliver an event.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// The id that was sent.
    pub(crate) event: String,
    pub(crate) kind: String,
    /// The status of the answer; `None` without an answer.
    pub(crate) status: Option<u16>,
}

impl Attempt {
    /// Whether the endpoint has taken the event: a 2xx. A 3xx is a failure.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }
}

/// What is on its way.
pub(super) struct Sending {
    /// Where a test says.
    pub(super) target: Option<Target>,
    /// The ids of the endpoints that were made by the API.
    pub(super) endpoints: Vec<String>,
    /// Nothing is sent by itself.
    pub(super) is_held: bool,
    /// How many at once.
    pub(super) at_once: usize,
    /// The first wait; each next one is twice as long.
    pub(super) back_off: Duration,
    /// Types that go to where a test says; `None` for all.
    pub(super) subscribed: Option<BTreeSet<String>>,
    /// The time of signatures, when a test has set it.
    pub(super) signing_time: Option<i64>,
    pub(super) attempts: Vec<Attempt>,
    acknowledged: HashMap<Name, HashSet<String>>,
    queue: Vec<Due>,
    /// How many events of the outbox have been put into the queue, for each destination.
    queued: HashMap<Name, usize>,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            target: None,
            endpoints: Vec::new(),
            is_held: false,
            at_once: 1,
            back_off: Duration::from_millis(50),
            subscribed: None,
            signing_time: None,
            attempts: Vec::new(),
            acknowledged: HashMap::new(),
            queue: Vec::new(),
            queued: HashMap::new(),
        }
    }
}

/// An event, where it goes, and when it is next tried.
struct Due {
    event: Event,
    to: Destination,
    at: Instant,
    wait: Duration,
}

impl Sending {
    /// Whether the destination has taken the event.
    fn has(&self, name: &Name, id: &str) -> bool {
        let taken = self.acknowledged.get(name);
        taken.is_some_and(|taken| taken.contains(id))
    }

    fn note(&mut self, name: &Name, event: &Event, attempt: Attempt) {
        if attempt.is_acknowledged() {
            let taken = self.acknowledged.entry(name.clone()).or_default();
            taken.insert(event.id.clone());
        }
        self.attempts.push(attempt);
    }
}

impl State {
    /// Whether every endpoint has taken every event that it wants.
    pub(super) fn is_all_acknowledged(&self) -> bool {
        let destinations = self.destinations();
        let mut events = self.outbox.iter().enumerate();
        events.all(|(place, event)| self.pending_at(&destinations, place, event) == 0)
    }

    /// How many endpoints have yet to take the event.
    pub(super) fn pending(&self, event: &Event) -> usize {
        let place = self.outbox.iter().position(|known| known.id == event.id);
        self.pending_at(&self.destinations(), place.unwrap_or_default(), event)
    }

    fn pending_at(&self, destinations: &[Destination], place: usize, event: &Event) -> usize {
        let waits =
            |to: &&Destination| to.wants(place, event) && !self.sending.has(&to.name, &event.id);
        destinations.iter().filter(waits).count()
    }

    /// What is to be sent now, and when to look again.
    fn due(&mut self) -> (Vec<Due>, Option<Instant>) {
        if self.sending.is_held {
            return (Vec::new(), None);
        }
        let now = Instant::now();
        let mut destinations = self.destinations();
        destinations.retain(|to| to.target.is_some());
        for to in &destinations {
            self.enqueue(to, now);
        }
        let sending = &mut self.sending;
        let mut due = Vec::new();
        for mut next in std::mem::take(&mut sending.queue) {
            // As it is now: switched off, moved, or signed with another secret.
            let to = destinations.iter().find(|to| to.name == next.to.name);
            let Some(to) = to.filter(|to| !sending.has(&to.name, &next.event.id)) else {
                continue;
            };
            if next.at <= now && due.len() < sending.at_once {
                next.to = to.clone();
                due.push(next);
            } else {
                sending.queue.push(next);
            }
        }
        (due, sending.queue.iter().map(|next| next.at).min())
    }

    /// Puts the events that are new for `to` into the queue.
    fn enqueue(&mut self, to: &Destination, now: Instant) {
        let sending = &mut self.sending;
        let queued = sending.queued.insert(to.name.clone(), self.outbox.len());
        let queued = queued.unwrap_or_default();
        for (place, event) in self.outbox.iter().enumerate().skip(queued) {
            if to.wants(place, event) && !sending.has(&to.name, &event.id) {
                sending.queue.push(Due {
                    event: event.clone(),
                    to: to.clone(),
                    at: now,
                    wait: sending.back_off,
                });
            }
        }
    }

    fn again(&mut self, due: Due) {
        if !self.sending.has(&due.to.name, &due.event.id) {
            self.sending.queue.push(Due {
                at: Instant::now() + due.wait,
                wait: LONGEST_WAIT.min(due.wait * 2),
                ..due
            });
        }
    }
}

impl Account {
    /// Sends events as they come, until it is stopped.
    pub(super) async fn send_for_ever(self: Arc<Self>) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let (due, next) = self.change_quietly(State::due);
            if due.is_empty() {
                // Without anything to try again, only a change brings something to do.
                let change = changes.changed();
                match next {
                    Some(next) => drop(timeout_at(next, change).await),
                    None => drop(change.await),
                }
                continue;
            }
            join_all(due.iter().map(|due| self.deliver_as_set(due))).await;
            self.change(|state| due.into_iter().for_each(|due| state.again(due)));
        }
    }

    async fn deliver_as_set(&self, due: &Due) {
        let form = self.look(|state| state.settings.form);
        self.deliver_to(&due.to, &due.event, form, due.to.older)
            .await;
    }

    /// One attempt at the first destination, signed anew.
    pub(super) async fn deliver(&self, event: &Event, form: Form, older: bool) -> Option<Reply> {
        let to = self.look(State::first_destination);
        self.deliver_to(&to, event, form, older).await
    }

    async fn deliver_to(
        &self,
        to: &Destination,
        event: &Event,
        form: Form,
        older: bool,
    ) -> Option<Reply> {
        let body = event.body(form, older).to_string();
        let signature = to.sign(&body, self.look(State::signing_time));
        let target = to.target.as_ref().expect("an endpoint");
        let reply = target.post(&body, &signature).await;
        let attempt = Attempt {
            event: event.id_in(form),
            kind: event.kind.clone(),
            status: reply.as_ref().map(|reply| reply.status),
        };
        self.change(|state| state.sending.note(&to.name, event, attempt));
        reply
    }

    /// Posts any text with any signature.
    pub(super) async fn post_raw(&self, body: &str, signature: &str) -> Option<Reply> {
        let to = self.look(State::first_destination);
        let target = to.target.expect("an endpoint");
        target.post(body, signature).await
    }
}
