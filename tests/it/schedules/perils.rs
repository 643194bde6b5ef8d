//! A ledger that fails, or at which the process ends, at a chosen moment.

use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use tollgate::store::Cause;
use tollgate::store::{
    Derived, Drift, Entitlement, Event, EventFilter, Job, JobKey, JobState, JobStatus, Link,
    LinkKind, Look, Looks, Match, NewEvent, Outage, Priority, Purchase, Received, RoleChange,
    Signals, Store, StoreError, Totals, UnixMillis, UserFilter,
};

/// What happens at some call of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peril {
    /// The process ends, and nothing is written.
    EndBefore,
    /// The process ends when it is written.
    EndAfter,
    /// The ledger fails, and nothing is written.
    FailBefore,
    /// It is written, and the ledger says that it is not.
    FailAfter,
}

/// The ledger, and what is to happen to it.
pub(super) struct Perils {
    ledger: Arc<dyn Store>,
    /// The peril, and how many calls go well before it.
    next: Mutex<Option<(usize, Peril)>>,
    ended: Notify,
}

impl Perils {
    pub(super) fn of(ledger: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            next: Mutex::default(),
            ended: Notify::new(),
        })
    }

    /// After so many calls that go well there is one that does not.
    pub(super) fn after(&self, calls: usize, peril: Peril) {
        *self.next() = Some((calls, peril));
    }

    /// Nothing more happens.
    pub(super) fn none(&self) {
        *self.next() = None;
    }

    /// Waits until the process is to end.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    fn next(&self) -> MutexGuard<'_, Option<(usize, Peril)>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens at this call.
    fn pass(&self) -> Option<Peril> {
        let mut next = self.next();
        match &mut *next {
            None => None,
            Some((0, peril)) => {
                let peril = *peril;
                *next = None;
                Some(peril)
            }
            Some((calls, _)) => {
                *calls -= 1;
                None
            }
        }
    }

    /// One call of the ledger.
    async fn meet<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let peril = self.pass();
        match peril {
            Some(Peril::EndBefore) => return self.end().await,
            Some(Peril::FailBefore) => return Err(Outage::Busy.into()),
            Some(Peril::EndAfter | Peril::FailAfter) | None => {}
        }
        let done = call.await;
        match peril {
            Some(Peril::EndAfter) => self.end().await,
            Some(Peril::FailAfter) => Err(Outage::Busy.into()),
            Some(Peril::EndBefore | Peril::FailBefore) | None => done,
        }
    }

    async fn end<T>(&self) -> T {
        self.ended.notify_one();
        pending().await
    }
}

/// Sends every call of the ledger through [`Perils::meet`].
macro_rules! perilous {
    (
        Store { $(fn $name:ident($($what:ident: $kind:ty),*) -> $result:ty;)* }
        Looks { $(fn $look:ident($($at:ident: $type:ty),*) -> $given:ty;)* }
    ) => {
        #[async_trait]
        impl Store for Perils {
            fn signals(&self) -> &Signals {
                self.ledger.signals()
            }

            async fn close(&self) {
                self.ledger.close().await;
            }

            $(async fn $name(&self, $($what: $kind),*) -> Result<$result, StoreError> {
                self.meet(self.ledger.$name($($what),*)).await
            })*
        }

        #[async_trait]
        impl Looks for Perils {
            $(async fn $look(&self, $($at: $type),*) -> Result<$given, StoreError> {
                self.meet(self.ledger.$look($($at),*)).await
            })*
        }
    };
}

perilous! {
    Store {
        fn receive(events: &[NewEvent]) -> Vec<Received>;
        fn event(id: &str) -> Option<Event>;
        fn events(filter: &EventFilter) -> Vec<Event>;
        fn replay(id: &str, now: UnixMillis) -> bool;
        fn prune(before: UnixMillis) -> u64;
        fn link(customer: &str, user: &str, kind: LinkKind, now: UnixMillis) -> ();
        fn customers_of(user: &str) -> Vec<Link>;
        fn users_of(customer: &str) -> Vec<Link>;
        fn customer_deleted(customer: &str) -> ();
        fn record_purchase(purchase: &Purchase) -> ();
        fn purchases_of(user: &str) -> Vec<Purchase>;
        fn purchase(id: &str) -> Option<Purchase>;
        fn entitlement(user: &str) -> Option<Entitlement>;
        fn entitlements(users: &[String]) -> Vec<Entitlement>;
        fn changes_after(sequence: i64, limit: u32) -> Vec<Entitlement>;
        fn users(filter: &UserFilter) -> Vec<Entitlement>;
        fn derived(job: &Job, derived: &Derived, changed: bool, now: UnixMillis) -> Entitlement;
        fn roles_read(job: &Job, roles: &[String], changed: bool, now: UnixMillis) -> Entitlement;
        fn confirmed(job: &Job, roles: &[String], metadata: &str, now: UnixMillis) -> Entitlement;
        fn recheck(now: UnixMillis) -> u64;
        fn of_other_terms(terms: &str, after: &str, limit: u32) -> Vec<String>;
        fn enqueue(key: &JobKey, cause: &Cause, priority: Priority, now: UnixMillis) -> i64;
        fn take(now: UnixMillis, lease_ms: i64) -> Option<Job>;
        fn renew(job: &Job, now: UnixMillis, lease_ms: i64) -> ();
        fn next_due() -> Option<UnixMillis>;
        fn finish(job: &Job, now: UnixMillis) -> ();
        fn matched(job: &Job, found: &Match, now: UnixMillis) -> ();
        fn retry(job: &Job, run_at: UnixMillis, error: &str) -> ();
        fn park(job: &Job, error: &str, now: UnixMillis) -> ();
        fn release_leases() -> u64;
        fn job(key: &JobKey) -> Option<JobStatus>;
        fn jobs(state: JobState, limit: u32) -> Vec<JobStatus>;
        fn totals() -> Totals;
        fn audit(change: &RoleChange) -> ();
        fn role_changes(user: &str, limit: u32) -> Vec<RoleChange>;
        fn latest_role_changes(limit: u32) -> Vec<RoleChange>;
        fn backup(to: &Path) -> ();
    }
    Looks {
        fn begin_look(restart: bool, now: UnixMillis, lease_ms: i64) -> Option<Look>;
        fn look_on(look: &Look, found: &[Drift], cleared: &[String], now: UnixMillis, lease_ms: i64) -> ();
        fn end_look(look: &Look, now: UnixMillis) -> ();
        fn leave_look(look: &Look) -> ();
        fn last_look() -> Option<Look>;
        fn drift(limit: u32) -> Vec<Drift>;
        fn mended(subject: &str) -> ();
        fn known_users(after: Option<&str>, limit: u32) -> Vec<String>;
    }
}
