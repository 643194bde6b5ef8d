//! A batch of events on its way into the ledger, as far as it is the same in every database: which are new, which jobs
//! they ask for, and which events wait for which job.

use std::collections::{HashMap, HashSet};

use super::aim::aims;
use super::{
    Cause, Concern, EventState, Intent, JobKey, NewEvent, Priority, Purchase, PurchaseState,
    Received, UnixMillis,
};

/// A wish for a job.
pub(super) struct Request {
    pub(super) key: JobKey,
    pub(super) cause: Cause,
    pub(super) priority: Priority,
    pub(super) now: UnixMillis,
}

/// An event that is new, and what is known of it.
pub(super) struct Fresh<'a> {
    pub(super) event: &'a NewEvent,
    pub(super) state: EventState,
    pub(super) reason: Option<&'a str>,
    pub(super) concern: Option<&'a Concern>,
    pub(super) keys: Vec<JobKey>,
}

/// Tells the new from those `there` already, in the ledger or earlier in the batch. One outcome for each, in order.
pub(super) fn sort(events: &[NewEvent], there: HashSet<String>) -> (Vec<Received>, Vec<Fresh<'_>>) {
    let mut seen = there;
    let mut outcomes = Vec::with_capacity(events.len());
    let mut fresh = Vec::new();
    for event in events {
        let outcome = if !seen.insert(event.id.clone()) {
            Received::Duplicate
        } else if matches!(event.intent, Intent::Ignore(_)) {
            Received::Ignored
        } else {
            Received::Queued
        };
        outcomes.push(outcome);
        if outcome != Received::Duplicate {
            fresh.push(Fresh::new(event));
        }
    }
    (outcomes, fresh)
}

impl<'a> Fresh<'a> {
    fn new(event: &'a NewEvent) -> Self {
        let (state, reason, concern) = match &event.intent {
            Intent::Ignore(reason) => (EventState::Ignored, Some(reason.as_str()), None),
            Intent::Sync(concern) => (EventState::Unmatched, None, Some(concern)),
        };
        Self {
            event,
            state,
            reason,
            concern,
            keys: Vec::new(),
        }
    }

    pub(super) fn customer(&self) -> Option<&'a str> {
        self.concern.and_then(|concern| concern.customer.as_deref())
    }

    pub(super) fn user(&self) -> Option<&'a str> {
        let user = self.concern.and_then(|concern| concern.user.as_ref());
        user.map(|(user, _)| user.as_str())
    }

    pub(super) fn object(&self) -> Option<&'a (String, String)> {
        self.concern.and_then(|concern| concern.object.as_ref())
    }

    /// The checkout that is to be remembered. What it buys is found out when it is read.
    pub(super) fn purchase(&self) -> Option<Purchase> {
        let session = self.concern.and_then(|concern| concern.session.clone())?;
        Some(Purchase {
            session,
            user: self.user()?.to_owned(),
            customer: None,
            plan: "unknown".to_owned(),
            state: PurchaseState::Open,
            created_at: self.event.created_at,
        })
    }

    /// Finds its jobs, where it is known who is `linked` with its customer.
    pub(super) fn aim(&mut self, linked: &[String]) {
        self.keys = aims(self.user(), linked, self.customer(), self.object());
        if !self.keys.is_empty() {
            self.state = EventState::Queued;
        }
    }
}

/// An event that waits for a job, given by its place among the requests.
pub(super) struct Wait<'a> {
    pub(super) place: usize,
    pub(super) key: &'a JobKey,
    pub(super) event: &'a str,
}

/// Each job once, asked for by the last event that needs it, and what waits for it.
pub(super) fn requests<'a>(fresh: &'a [Fresh<'_>]) -> (Vec<Request>, Vec<Wait<'a>>) {
    let mut requests: Vec<Request> = Vec::new();
    let mut places: HashMap<&JobKey, usize> = HashMap::new();
    let mut waits = Vec::new();
    for one in fresh {
        let cause = Cause {
            why: one.event.event_type.clone(),
            event: Some(one.event.id.clone()),
        };
        for key in &one.keys {
            let place = *places.entry(key).or_insert_with(|| {
                requests.push(Request {
                    key: key.clone(),
                    cause: Cause::default(),
                    priority: Priority::Background,
                    now: one.event.received_at,
                });
                requests.len() - 1
            });
            if let Some(request) = requests.get_mut(place) {
                request.cause.clone_from(&cause);
            }
            waits.push(Wait {
                place,
                key,
                event: &one.event.id,
            });
        }
    }
    (requests, waits)
}
