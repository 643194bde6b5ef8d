//! One schedule: a few users, to whom things happen; events that come late, twice, in any order or never; a worker whose
//! neighbours fail, and whose process ends at any moment.

mod end;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use tollgate::endpoints::intent::{Ours, new_event};
use tollgate::store::{EventState, NewEvent};
use tollgate::stripe::{Envelope, matters};

use super::buyer::{Buyer, PRICE_UNKNOWN};
use super::perils::Perils;
use super::witness::{Witness, managed_roles};
use crate::support::stripe::{Event, Form};
use crate::sync::market::Market;

/// One ledger of so many is a file, which takes longer; the others are in memory.
const FILES: u64 = 8;
/// A month, in which a subscription lives through a period.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) struct Schedule {
    random: Rng,
    market: Market,
    perils: Arc<Perils>,
    witness: Witness,
    buyers: Vec<Buyer>,
    /// Ids of the roles that plans name.
    managed: Vec<String>,
    /// Events that are not delivered yet.
    waiting: Vec<Event>,
    /// Events that were.
    delivered: Vec<Event>,
    /// The ids under which the ledger has taken them.
    acknowledged: Vec<String>,
    story: Story,
}

/// What has happened, told when it ends badly.
#[derive(Default)]
struct Story(Vec<String>);

#[expect(
    clippy::print_stderr,
    reason = "who looks for the fault needs to know what led to it"
)]
impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0.join("\n"));
        }
    }
}

impl Schedule {
    /// Draws users, and what they begin with.
    pub(super) async fn draw(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let market = if seed.is_multiple_of(FILES) {
            Market::open().await
        } else {
            Market::in_memory().await
        };
        market.stripe.new_price(PRICE_UNKNOWN, 500, true);
        market.auth0.create_role("newsletter", &[]);
        let (mut buyers, mut witness) = (Vec::new(), Witness::new());
        for number in 0..random.usize(1..=3) {
            let user = format!("auth0|buyer-{number}");
            market.auth0.create_user(&user, "buyer@example.test", true);
            let mut others = Vec::new();
            for (role, chance) in [("admin", 4), ("newsletter", 3)] {
                if random.u8(0..chance) == 0 {
                    market.auth0.give_role(&user, role);
                    others.push(role);
                }
            }
            if random.u8(0..5) > 0 {
                market.auth0.give_role(&user, "free-user");
            }
            let is_guest_of_honour = random.u8(0..10) == 0;
            if is_guest_of_honour {
                market.auth0.give_role(&user, "premium-monthly");
            }
            witness.meet(&user, others.contains(&"admin"));
            buyers.push(Buyer::new(&user, others, is_guest_of_honour));
        }
        let perils = Perils::of(Arc::clone(&market.store));
        let mut schedule = Self {
            managed: managed_roles(&market).await,
            random,
            market,
            perils,
            witness,
            buyers,
            waiting: Vec::new(),
            delivered: Vec::new(),
            acknowledged: Vec::new(),
            story: Story::default(),
        };
        schedule.begin_process();
        schedule
    }

    /// Plays it, and checks the end.
    pub(super) async fn play(mut self) {
        for _ in 0..self.random.u32(8..=24) {
            match self.random.u8(0..100) {
                0..=34 => self.act().await,
                35..=59 => self.deliver().await,
                60..=89 => self.step().await,
                90..=94 => self.pass_time().await,
                95..=97 => self.restart("calmly").await,
                _ => {
                    self.market.recheck().await;
                    self.tell("recheck".to_owned());
                }
            }
            self.look().await;
        }
        self.end().await;
    }

    fn tell(&mut self, what: String) {
        self.story.0.push(what);
    }

    // ---- the world

    /// Something happens to somebody.
    async fn act(&mut self) {
        let place = self.random.usize(..self.buyers.len());
        let host = self.random.usize(..self.buyers.len());
        let host = (host != place).then(|| self.buyers[host].user.clone());
        let buyer = &mut self.buyers[place];
        let happened = buyer.act(&mut self.random, &self.market, host.as_deref());
        if let Some(happened) = happened.await {
            self.tell(happened);
        }
        self.entitle();
    }

    /// Who has a right to what now.
    fn entitle(&mut self) {
        for (place, buyer) in self.buyers.iter().enumerate() {
            let plan = buyer.known().plan(&self.market.stripe);
            self.witness.entitle(place, plan != "free");
        }
    }

    /// Looks at who may do what.
    async fn look(&mut self) {
        self.notice().await;
        self.collect();
        self.witness.look(&self.market).await;
    }

    /// What has happened is to be delivered.
    fn collect(&mut self) {
        let news = self.market.news().into_iter();
        let news = news.filter(|event| matters(&event.kind));
        self.waiting.extend(news);
    }

    /// Looks which purchases the ledger has learned of that only their own events tell of.
    async fn notice(&mut self) {
        for place in 0..self.buyers.len() {
            for session in self.buyers[place].sessions_elsewhere() {
                let of_it = |event: &&Event| event.object_id() == session;
                for event in self.delivered.iter().filter(of_it) {
                    let id = self.read(event).id;
                    let kept = self.market.store.event(&id).await.expect("a ledger");
                    if kept.is_some_and(|kept| kept.state == EventState::Processed) {
                        self.buyers[place].notice(&session);
                    }
                }
            }
        }
        self.entitle();
    }

    /// A while, or a period of somebody's subscription.
    async fn pass_time(&mut self) {
        let is_long = self.random.u8(0..4) == 0;
        let time = if is_long {
            // No job waits for a month: the worker would have tried again and again.
            self.market.settle().await;
            self.look().await;
            MONTH
        } else {
            Duration::from_secs(self.random.u64(1..100))
        };
        self.market.pass(time);
        self.tell(format!("{time:?} pass"));
    }

    // ---- events

    /// Some of the events that wait come, in any order, some of them for the second time.
    async fn deliver(&mut self) {
        let count = self.random.usize(0..=self.waiting.len().min(6));
        let mut batch = Vec::new();
        for _ in 0..count {
            let event = self
                .waiting
                .swap_remove(self.random.usize(..self.waiting.len()));
            if self.random.u8(0..6) == 0 {
                // The answer is lost, or another event tells of the same fact.
                let again = if self.random.bool() {
                    event.clone()
                } else {
                    self.market.stripe.tell_again(&event)
                };
                self.waiting.push(again);
            }
            batch.push(event);
        }
        if let Some(old) = self.random.choice(&self.delivered)
            && self.random.u8(0..4) == 0
        {
            batch.push(old.clone());
        }
        self.receive(batch).await;
    }

    /// The ledger takes these.
    async fn receive(&mut self, mut batch: Vec<Event>) {
        self.random.shuffle(&mut batch);
        let events: Vec<NewEvent> = batch.iter().map(|event| self.read(event)).collect();
        for event in &batch {
            self.tell(format!("> {} {}", event.kind, event.id));
        }
        let taken = self.market.store.receive(&events).await;
        taken.expect("a ledger");
        self.acknowledged
            .extend(events.into_iter().map(|event| event.id));
        self.delivered.extend(batch);
    }

    /// As the webhook reads it, in one form or the other.
    fn read(&self, event: &Event) -> NewEvent {
        // The same event always comes in the same form.
        let form = match event.id.bytes().last() {
            Some(b'3' | b'7') => Form::Thin,
            Some(_) | None => Form::Snapshot,
        };
        let body = Bytes::from(event.body(form, false).to_string());
        let envelope = Envelope::parse(&body).expect("an event");
        let ours = Ours {
            live: false,
            account: None,
        };
        new_event(&envelope, body, self.market.now(), ours)
    }
}
