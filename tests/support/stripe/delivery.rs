//! Events on their way to the endpoint: by themselves, with retries, or one by one as a test says.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::Account;
use super::event::{Event, Form};
use super::sign::sign_with_all;
use super::state::State;
use crate::support::raw::{Reply, Wire};
use crate::support::token;

/// The real deadline is not published; no good endpoint needs so long.
const DEADLINE: Duration = Duration::from_secs(10);
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

/// Where events go.
#[derive(Clone, Debug)]
pub(super) struct Target {
    address: SocketAddr,
    path: String,
}

impl Target {
    /// `http://127.0.0.1:8001/stripe/webhook`.
    pub(super) fn parse(url: &str) -> Self {
        let rest = url.strip_prefix("http://").expect("an http:// URL");
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            address: authority.parse().expect("an address and a port"),
            path: format!("/{path}"),
        }
    }

    async fn post(&self, body: &str, signature: &str) -> Option<Reply> {
        let post = async {
            let mut wire = Wire::over(TcpStream::connect(self.address).await.ok()?);
            let head = format!(
                "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n\
                 Accept: */*; q=0.5, application/xml\r\nCache-Control: no-cache\r\nContent-Type: application/json; \
                 charset=utf-8\r\nStripe-Signature: {signature}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                self.path,
                self.address,
                body.len()
            );
            wire.try_send(head + body).await.ok()?;
            wire.try_reply(false).await.ok()
        };
        timeout(DEADLINE, post).await.ok().flatten()
    }
}

/// What is on its way.
pub(super) struct Sending {
    pub(super) target: Option<Target>,
    /// Nothing is sent by itself.
    pub(super) is_held: bool,
    /// How many at once.
    pub(super) at_once: usize,
    /// The first wait; each next one is twice as long.
    pub(super) back_off: Duration,
    /// Types that the endpoint has subscribed to; `None` for all.
    pub(super) subscribed: Option<BTreeSet<String>>,
    /// The time of signatures, when a test has set it.
    pub(super) signing_time: Option<i64>,
    pub(super) attempts: Vec<Attempt>,
    acknowledged: HashSet<String>,
    queue: Vec<Due>,
    /// How many events of the outbox have been put into the queue.
    queued: usize,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            target: None,
            is_held: false,
            at_once: 1,
            back_off: Duration::from_millis(50),
            subscribed: None,
            signing_time: None,
            attempts: Vec::new(),
            acknowledged: HashSet::new(),
            queue: Vec::new(),
            queued: 0,
        }
    }
}

/// An event and when it is next tried.
struct Due {
    event: Event,
    at: Instant,
    wait: Duration,
}

impl Sending {
    /// Whether the endpoint has taken the event.
    pub(super) fn is_acknowledged(&self, id: &str) -> bool {
        self.acknowledged.contains(id)
    }

    fn note(&mut self, event: &Event, attempt: Attempt) {
        if attempt.is_acknowledged() {
            self.acknowledged.insert(event.id.clone());
        }
        self.attempts.push(attempt);
    }

    fn wants(&self, event: &Event) -> bool {
        self.subscribed
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&event.kind))
    }
}

impl State {
    /// Whether the endpoint has taken every event that it wants.
    pub(super) fn is_all_acknowledged(&self) -> bool {
        let wanted = self.outbox.iter().filter(|event| self.sending.wants(event));
        wanted
            .into_iter()
            .all(|event| self.sending.is_acknowledged(&event.id))
    }

    /// What is to be sent now, and when to look again.
    fn due(&mut self) -> (Vec<Due>, Option<Instant>) {
        let sending = &mut self.sending;
        if sending.is_held || sending.target.is_none() {
            return (Vec::new(), None);
        }
        let now = Instant::now();
        for event in &self.outbox[sending.queued..] {
            if sending.wants(event) && !sending.is_acknowledged(&event.id) {
                let (event, wait) = (event.clone(), sending.back_off);
                sending.queue.push(Due {
                    event,
                    at: now,
                    wait,
                });
            }
        }
        sending.queued = self.outbox.len();
        let mut due = Vec::new();
        for next in std::mem::take(&mut sending.queue) {
            if sending.is_acknowledged(&next.event.id) {
                continue;
            }
            if next.at <= now && due.len() < sending.at_once {
                due.push(next);
            } else {
                sending.queue.push(next);
            }
        }
        (due, sending.queue.iter().map(|next| next.at).min())
    }

    fn again(&mut self, due: Due) {
        if !self.sending.is_acknowledged(&due.event.id) {
            self.sending.queue.push(Due {
                at: Instant::now() + due.wait,
                wait: LONGEST_WAIT.min(due.wait * 2),
                ..due
            });
        }
    }

    /// The header that signs `body` now, with every secret of the endpoint.
    pub(super) fn signature(&self, body: &str) -> String {
        let secrets: Vec<&str> = self.settings.secrets.iter().map(String::as_str).collect();
        let t = self.sending.signing_time.unwrap_or_else(token::now);
        sign_with_all(body.as_bytes(), &secrets, t)
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
            join_all(due.iter().map(|due| self.deliver_as_set(&due.event))).await;
            self.change(|state| due.into_iter().for_each(|due| state.again(due)));
        }
    }

    async fn deliver_as_set(&self, event: &Event) {
        let (form, older) = self.look(|state| (state.settings.form, state.settings.older_events));
        self.deliver(event, form, older).await;
    }

    /// One attempt, signed anew.
    pub(super) async fn deliver(&self, event: &Event, form: Form, older: bool) -> Option<Reply> {
        let body = event.body(form, older);
        let reply = self.post(&body).await;
        let attempt = Attempt {
            event: event.id_in(form),
            kind: event.kind.clone(),
            status: reply.as_ref().map(|reply| reply.status),
        };
        self.change(|state| state.sending.note(event, attempt));
        reply
    }

    async fn post(&self, body: &Value) -> Option<Reply> {
        let body = body.to_string();
        let (target, signature) =
            self.look(|state| (state.sending.target.clone(), state.signature(&body)));
        target.expect("an endpoint").post(&body, &signature).await
    }

    /// Posts any text with any signature.
    pub(super) async fn post_raw(&self, body: &str, signature: &str) -> Option<Reply> {
        let target = self.look(|state| state.sending.target.clone());
        target.expect("an endpoint").post(body, signature).await
    }
}
