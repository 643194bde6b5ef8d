//! Random stories of events and jobs, told to a store and to a model of plain maps: after every step the two agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tollgate::store::{
    EventState, Job, JobKey, JobState, JobStatus, LinkKind, Match, Priority, Received, Sqlite,
    Store, StoreError,
};

use super::{LEASE, START, cause, customer, event, of_customer, of_user, postgres, user};

/// One step of a story. Small numbers name users, customers, events, and jobs that were taken.
#[derive(Clone, Debug)]
enum Step {
    /// An event of a user.
    OfUser(u8, u8),
    /// An event of a customer.
    OfCustomer(u8, u8),
    Link(u8, u8),
    Ask(u8, bool),
    Take,
    /// A job that was taken ends.
    End(u8, End),
    Replay(u8),
    Release,
    Wait(u16),
}

/// How a job ends.
#[derive(Clone, Debug)]
enum End {
    Finish,
    Retry(u8),
    Park,
    /// The search found this user, or nobody.
    Matched(Option<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let few = 0..3_u8;
    let job = 0..6_u8;
    prop_oneof![
        3 => (0..12_u8, few.clone()).prop_map(|(id, user)| Step::OfUser(id, user)),
        3 => (0..12_u8, few.clone()).prop_map(|(id, customer)| Step::OfCustomer(id, customer)),
        1 => (few.clone(), few.clone()).prop_map(|(customer, user)| Step::Link(customer, user)),
        2 => (few.clone(), any::<bool>()).prop_map(|(user, hurry)| Step::Ask(user, hurry)),
        6 => Just(Step::Take),
        9 => (job, end()).prop_map(|(job, end)| Step::End(job, end)),
        1 => (0..12_u8).prop_map(Step::Replay),
        1 => Just(Step::Release),
        2 => (0..40_000_u16).prop_map(Step::Wait),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => Just(End::Finish),
        2 => (0..100_u8).prop_map(End::Retry),
        1 => Just(End::Park),
        3 => proptest::option::of(0..3_u8).prop_map(End::Matched),
    ]
}

#[derive(Clone, Debug)]
struct ModelJob {
    state: JobState,
    priority: Priority,
    generation: i64,
    attempts: u32,
    since: i64,
    run_at: i64,
    asked_at: Option<i64>,
    lease: Option<String>,
    error: Option<String>,
}

#[derive(Clone, Debug)]
struct ModelEvent {
    state: EventState,
    user: Option<String>,
    customer: Option<String>,
    /// The jobs it waits for.
    waits: BTreeMap<String, i64>,
}

#[derive(Default)]
struct Model {
    now: i64,
    generation: i64,
    jobs: BTreeMap<String, ModelJob>,
    events: BTreeMap<String, ModelEvent>,
    /// Customer and user, in the order they were linked.
    links: Vec<(String, String)>,
}

impl Model {
    fn ask(&mut self, key: &JobKey, priority: Priority) -> i64 {
        self.generation += 1;
        let now = self.now;
        let fresh = ModelJob {
            state: JobState::Queued,
            priority,
            generation: self.generation,
            attempts: 0,
            since: now,
            run_at: now,
            asked_at: None,
            lease: None,
            error: None,
        };
        let job = self.jobs.entry(key.to_string()).or_insert(fresh.clone());
        job.generation = fresh.generation;
        job.priority = job.priority.max(priority);
        match job.state {
            JobState::Queued => job.run_at = job.run_at.min(now),
            JobState::Running => job.asked_at = job.asked_at.or(Some(now)),
            JobState::Dead => {
                let error = job.error.take();
                *job = ModelJob { error, ..fresh };
            }
        }
        self.generation
    }

    fn queue(&mut self, id: &str, keys: &[JobKey]) {
        for key in keys {
            let generation = self.ask(key, Priority::Background);
            let event = self.events.get_mut(id).expect("the event");
            event.waits.insert(key.to_string(), generation);
        }
        let event = self.events.get_mut(id).expect("the event");
        event.state = EventState::Queued;
        if let (None, Some(JobKey::User(user))) = (&event.user, keys.first()) {
            event.user = Some(user.clone());
        }
    }

    fn targets(&self, user: Option<&str>, customer_: Option<&str>) -> Vec<JobKey> {
        let mut users: Vec<&str> = user.into_iter().collect();
        for (linked, user) in &self.links {
            if Some(linked.as_str()) == customer_ && !users.contains(&user.as_str()) {
                users.push(user);
            }
        }
        if users.is_empty() {
            return customer_.into_iter().map(customer).collect();
        }
        users.into_iter().map(user_key).collect()
    }

    fn receive(&mut self, id: &str, user: Option<&str>, customer: Option<&str>) -> Received {
        if self.events.contains_key(id) {
            return Received::Duplicate;
        }
        let event = ModelEvent {
            state: EventState::Queued,
            user: user.map(str::to_owned),
            customer: customer.map(str::to_owned),
            waits: BTreeMap::new(),
        };
        self.events.insert(id.to_owned(), event);
        let keys = self.targets(user, customer);
        self.queue(id, &keys);
        Received::Queued
    }

    fn link(&mut self, customer_: &str, user: &str) {
        let link = (customer_.to_owned(), user.to_owned());
        if !self.links.contains(&link) {
            self.links.push(link);
        }
        let waiting = |event: &ModelEvent| {
            event.state == EventState::Unmatched && event.customer.as_deref() == Some(customer_)
        };
        if self.events.values().any(waiting) {
            let generation = self.ask(&user_key(user), Priority::Background);
            for event in self.events.values_mut().filter(|event| waiting(event)) {
                event.state = EventState::Queued;
                event.user.get_or_insert_with(|| user.to_owned());
                let key = user_key(user).to_string();
                event.waits.insert(key, generation);
            }
        }
        let search = self.jobs.get_mut(&customer(customer_).to_string());
        if let Some(job) = search.filter(|job| job.state == JobState::Dead) {
            job.state = JobState::Queued;
            (job.attempts, job.since, job.run_at) = (0, self.now, self.now);
        }
    }

    /// The key of the job that is to be taken now.
    fn due(&self) -> Option<String> {
        let due = self.jobs.iter();
        let due = due.filter(|(_, job)| job.state != JobState::Dead && job.run_at <= self.now);
        let first = due
            .min_by_key(|(key, job)| (std::cmp::Reverse(job.priority), job.run_at, (*key).clone()));
        first.map(|(key, _)| key.clone())
    }

    fn taken(&mut self, job: &Job) {
        let now = self.now;
        let row = self.jobs.get_mut(&job.key.to_string()).expect("the job");
        row.attempts += u32::from(row.state == JobState::Running);
        row.state = JobState::Running;
        row.priority = Priority::Background;
        row.run_at = now + LEASE;
        row.asked_at = None;
        row.lease = Some(job.lease.clone());
        assert_eq!(
            (job.generation, job.attempts),
            (row.generation, row.attempts)
        );
        assert_eq!(job.since, row.since);
    }

    fn holds(&self, job: &Job) -> bool {
        let row = self.jobs.get(&job.key.to_string());
        row.is_some_and(|row| row.lease.as_ref() == Some(&job.lease))
    }

    /// The events that wait for this try of the job; they no longer do.
    fn release_events(&mut self, job: &Job) -> Vec<String> {
        let key = job.key.to_string();
        let mut released = Vec::new();
        for (id, event) in &mut self.events {
            if event.waits.get(&key).is_some_and(|g| *g <= job.generation) {
                event.waits.remove(&key);
                released.push(id.clone());
            }
        }
        released
    }

    fn close(&mut self, job: &Job) {
        let key = job.key.to_string();
        let row = self.jobs.get_mut(&key).expect("the job");
        if row.generation == job.generation {
            self.jobs.remove(&key);
            return;
        }
        row.state = JobState::Queued;
        row.lease = None;
        row.since = row.asked_at.take().unwrap_or(self.now);
        (row.attempts, row.run_at, row.error) = (0, self.now, None);
    }

    fn finish(&mut self, job: &Job) {
        for id in self.release_events(job) {
            let event = self.events.get_mut(&id).expect("the event");
            if event.waits.is_empty() {
                event.state = EventState::Processed;
            }
        }
        self.close(job);
    }

    fn matched(&mut self, job: &Job, found: Option<&str>) {
        let JobKey::Customer(customer_) = &job.key else {
            unreachable!("only searches are matched");
        };
        if let Some(user) = found {
            self.link(customer_, user);
        }
        let mut keys = self.targets(found, Some(customer_));
        keys.retain(|key| *key != job.key);
        let released = self.release_events(job);
        let generations: Vec<i64> = keys
            .iter()
            .map(|key| self.ask(key, Priority::Background))
            .collect();
        for id in released {
            let event = self.events.get_mut(&id).expect("the event");
            for (key, generation) in keys.iter().zip(&generations) {
                event.waits.insert(key.to_string(), *generation);
            }
            if let (None, Some(JobKey::User(user))) = (&event.user, keys.first()) {
                event.user = Some(user.clone());
            }
            if event.waits.is_empty() {
                event.state = EventState::Unmatched;
            }
        }
        self.close(job);
    }

    fn retry(&mut self, job: &Job, run_at: i64) {
        let row = self.jobs.get_mut(&job.key.to_string()).expect("the job");
        row.run_at = row.asked_at.take().map_or(run_at, |at| at.min(run_at));
        row.state = JobState::Queued;
        row.lease = None;
        row.attempts += 1;
        row.error = Some("away".to_owned());
    }

    fn park(&mut self, job: &Job) {
        let now = self.now;
        let row = self.jobs.get_mut(&job.key.to_string()).expect("the job");
        if row.generation > job.generation {
            row.state = JobState::Queued;
            row.attempts = 0;
            row.since = row.asked_at.unwrap_or(now);
        } else {
            row.state = JobState::Dead;
            row.attempts += 1;
        }
        (row.run_at, row.asked_at, row.lease) = (now, None, None);
        row.error = Some("no use".to_owned());
    }

    fn release(&mut self) -> u64 {
        let mut released = 0;
        for job in self.jobs.values_mut() {
            if job.state == JobState::Running {
                job.state = JobState::Queued;
                job.attempts += 1;
                (job.run_at, job.asked_at, job.lease) = (job.since, None, None);
                released += 1;
            }
        }
        released
    }
}

fn user_key(name: &str) -> JobKey {
    user(name)
}

/// A store and its model, and the jobs that were taken, long ago too.
struct Pair {
    store: Arc<dyn Store>,
    model: Model,
    taken: Vec<Job>,
}

impl Pair {
    /// A job that was taken once, and whether it is still held.
    fn job(&self, number: u8) -> Option<(Job, bool)> {
        // Of the last few, or almost every step would meet a lease long lost.
        let recent = self.taken.iter().rev().nth(number.into());
        recent.map(|job| (job.clone(), self.model.holds(job)))
    }

    async fn tell(&mut self, step: &Step) {
        let now = self.model.now;
        match step {
            Step::OfUser(id, name) => self.receive(*id, Some(*name), None).await,
            Step::OfCustomer(id, name) => self.receive(*id, None, Some(*name)).await,
            Step::Link(customer, user) => {
                let (customer, user) = (format!("cus_{customer}"), format!("auth0|{user}"));
                self.model.link(&customer, &user);
                let linked = self.store.link(&customer, &user, LinkKind::Owner, now);
                linked.await.expect("linked");
            }
            Step::Ask(name, hurry) => {
                let priority = [Priority::Background, Priority::Interactive][usize::from(*hurry)];
                let key = user(&format!("auth0|{name}"));
                let expected = self.model.ask(&key, priority);
                let why = cause("test");
                let asked = self.store.enqueue(&key, &why, priority, now).await;
                assert_eq!(asked.expect("asked"), expected);
            }
            Step::Take => {
                let job = self.store.take(now, LEASE).await.expect("an answer");
                let key = job.as_ref().map(|job| job.key.to_string());
                assert_eq!(key, self.model.due());
                if let Some(job) = job {
                    self.model.taken(&job);
                    self.taken.push(job);
                }
            }
            Step::Replay(id) => {
                let id = format!("evt_{id}");
                let there = self.model.events.get(&id).cloned();
                let replayed = self.store.replay(&id, now).await.expect("an answer");
                assert_eq!(replayed, there.is_some());
                if let Some(event) = there {
                    let (user, customer) = (event.user.as_deref(), event.customer.as_deref());
                    let keys = self.model.targets(user, customer);
                    self.model.queue(&id, &keys);
                }
            }
            Step::Release => {
                let released = self.store.release_leases().await.expect("released");
                assert_eq!(released, self.model.release());
            }
            Step::Wait(time) => self.model.now += i64::from(*time),
            Step::End(number, end) => self.end(*number, end).await,
        }
    }

    /// Ends a job that was taken, if it is still ours.
    async fn end(&mut self, number: u8, end: &End) {
        let now = self.model.now;
        let Some((job, held)) = self.job(number) else {
            return;
        };
        let search = matches!(job.key, JobKey::Customer(_));
        let outcome = match end {
            End::Retry(delay) => {
                let run_at = now + i64::from(*delay);
                if held {
                    self.model.retry(&job, run_at);
                }
                self.store.retry(&job, run_at, "away").await
            }
            End::Park => {
                if held {
                    self.model.park(&job);
                }
                self.store.park(&job, "no use", now).await
            }
            End::Matched(found) if search => {
                let name = found.map(|found| format!("auth0|{found}"));
                if held {
                    self.model.matched(&job, name.as_deref());
                }
                let found = found_by(&job.key, name);
                self.store.matched(&job, &found, now).await
            }
            End::Finish | End::Matched(_) => {
                if held {
                    self.model.finish(&job);
                }
                self.store.finish(&job, now).await
            }
        };
        match outcome {
            Ok(()) => assert!(held, "written without the lease"),
            Err(StoreError::LeaseLost) => assert!(!held, "the lease was there"),
            Err(error) => panic!("{error}"),
        }
    }

    async fn receive(&mut self, id: u8, name: Option<u8>, of: Option<u8>) {
        let id = format!("evt_{id}");
        let name = name.map(|name| format!("auth0|{name}"));
        let of = of.map(|of| format!("cus_{of}"));
        let mut concern = of.as_deref().map(of_customer).unwrap_or_default();
        if let Some(name) = &name {
            concern = of_user(name);
        }
        let mut new = event(&id, concern);
        new.received_at = self.model.now;
        let expected = self.model.receive(&id, name.as_deref(), of.as_deref());
        let outcome = self.store.receive(&[new]).await.expect("kept");
        assert_eq!(outcome, [expected]);
    }

    /// Compares all that can be seen.
    async fn agree(&self) {
        let mut seen = BTreeMap::new();
        for state in [JobState::Queued, JobState::Running, JobState::Dead] {
            for job in self.store.jobs(state, 100).await.expect("jobs") {
                seen.insert(job.key.to_string(), job);
            }
        }
        let expected = self.model.jobs.iter();
        let expected: BTreeMap<_, _> = expected
            .map(|(key, job)| {
                let status = JobStatus {
                    key: seen.get(key).expect("the job is there").key.clone(),
                    state: job.state,
                    attempts: job.attempts,
                    since: job.since,
                    run_at: job.run_at,
                    error: job.error.clone(),
                };
                (key.clone(), status)
            })
            .collect();
        assert_eq!(seen, expected);
        for (id, expected) in &self.model.events {
            let event = self.store.event(id).await.expect("an answer");
            let event = event.expect("every acknowledged event is there");
            assert_eq!(event.state, expected.state, "{id}");
            assert_eq!(event.user, expected.user, "{id}");
            assert_eq!(event.customer, expected.customer, "{id}");
        }
        let due = self.model.jobs.values();
        let due = due.filter(|job| job.state != JobState::Dead);
        let due = due.map(|job| job.run_at).min();
        assert_eq!(self.store.next_due().await.expect("an answer"), due);
    }
}

fn found_by(key: &JobKey, name: Option<String>) -> Match {
    let (JobKey::Customer(customer), Some(user)) = (key, name) else {
        return Match::Nobody;
    };
    Match::User {
        user,
        kind: LinkKind::Item,
        customer: Some(customer.clone()),
    }
}

async fn told_to_both(store: Arc<dyn Store>, steps: &[Step]) {
    let mut pair = Pair {
        store,
        model: Model {
            now: START,
            ..Model::default()
        },
        taken: Vec::new(),
    };
    for step in steps {
        pair.tell(step).await;
        // Links of one moment have no order; a moment later they have.
        pair.model.now += 1;
        pair.agree().await;
    }
}

pub(super) fn run(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(story);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_story_of_events_and_jobs_ends_as_the_model_says(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        run(async {
            let store = Sqlite::open("sqlite::memory:").await.expect("a ledger");
            told_to_both(Arc::new(store), &steps).await;
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_story_ends_as_the_model_says_in_postgres_too(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        run(async {
            if let Some(ledger) = postgres().await {
                told_to_both(Arc::clone(&ledger.store), &steps).await;
            }
        });
    }
}
