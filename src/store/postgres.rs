//! The ledger in `PostgreSQL`, for one process or a fleet. The SQL stands in the files below, by table.
//!
//! Whoever asks for jobs holds the counter of requests from the first statement to the commit: over the whole fleet
//! one at a time, as in `SQLite`. So an event is kept once, requests of one job become visible in their order, and
//! nobody waits for two locks crosswise. Locks are taken in one order: that counter, a job, its events, the sequence.
//! Taking and ending jobs goes on beside it.

mod audit;
mod customers;
mod drift;
mod entitlements;
mod events;
mod inspect;
mod jobs;
mod listen;
mod looks;
mod matching;
mod migrate;
mod open;
mod purchases;
mod receive;
mod work;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Postgres as Dialect;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use self::work::{alone, once, transaction};
use super::{
    Cause, Derived, Entitlement, Event, EventFilter, Job, JobKey, JobState, JobStatus, Link,
    LinkKind, Match, NewEvent, Outage, Priority, Purchase, Received, RoleChange, Signals, Store,
    StoreError, Totals, UnixMillis, UserFilter,
};

/// The ledger in `PostgreSQL`.
pub struct Postgres {
    pool: PgPool,
    /// Where the connections live. A worker thread has a runtime of its own, which ends before the process does.
    home: Handle,
    signals: Arc<Signals>,
    /// This process among those that use the ledger.
    me: String,
    /// Ends with the store.
    _listener: JoinSet<()>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Postgres {
    /// A connection, made at home whoever asks.
    async fn connection(&self) -> Result<PoolConnection<Dialect>, StoreError> {
        let acquired = self.home.spawn(self.pool.acquire()).await;
        Ok(acquired.map_err(|_| Outage::Stopping)??)
    }

    fn asked(&self, jobs: u64) {
        listen::asked(&self.signals, jobs);
    }
}

#[async_trait]
impl Store for Postgres {
    fn signals(&self) -> &Signals {
        &self.signals
    }

    async fn receive(&self, events: &[NewEvent]) -> Result<Vec<Received>, StoreError> {
        let (outcomes, queued) = transaction!(self, |tx| {
            alone(&mut tx).await?;
            let outcomes = receive::receive(&mut tx, events).await?;
            let queued = outcomes.iter().filter(|one| **one == Received::Queued);
            let queued = queued.map(|_| 1).sum();
            listen::tell_jobs(&mut tx, &self.me, queued).await?;
            (outcomes, queued)
        })?;
        self.asked(queued);
        Ok(outcomes)
    }

    async fn event(&self, id: &str) -> Result<Option<Event>, StoreError> {
        once!(self, |db| events::by_id(&mut db, id).await)
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<Event>, StoreError> {
        once!(self, |db| events::list(&mut db, filter).await)
    }

    async fn replay(&self, id: &str, now: UnixMillis) -> Result<bool, StoreError> {
        let jobs = transaction!(self, |tx| {
            alone(&mut tx).await?;
            let jobs = events::replay(&mut tx, id, now).await?;
            listen::tell_jobs(&mut tx, &self.me, jobs).await?;
            jobs
        })?;
        self.asked(jobs);
        Ok(jobs > 0)
    }

    async fn prune(&self, before: UnixMillis) -> Result<u64, StoreError> {
        once!(self, |db| events::prune(&mut db, before).await)
    }

    async fn link(
        &self,
        customer: &str,
        user: &str,
        kind: LinkKind,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let jobs = transaction!(self, |tx| {
            alone(&mut tx).await?;
            let jobs = customers::link(&mut tx, customer, user, kind, now).await?;
            listen::tell_jobs(&mut tx, &self.me, jobs).await?;
            jobs
        })?;
        self.asked(jobs);
        Ok(())
    }

    async fn customers_of(&self, user: &str) -> Result<Vec<Link>, StoreError> {
        once!(self, |db| customers::of_user(&mut db, user).await)
    }

    async fn users_of(&self, customer: &str) -> Result<Vec<Link>, StoreError> {
        once!(self, |db| customers::of_customer(&mut db, customer).await)
    }

    async fn customer_deleted(&self, customer: &str) -> Result<(), StoreError> {
        transaction!(self, |tx| {
            // Or a link that is written now would not be marked.
            alone(&mut tx).await?;
            customers::mark_deleted(&mut tx, customer).await?;
        })
    }

    async fn record_purchase(&self, purchase: &Purchase) -> Result<(), StoreError> {
        once!(self, |db| purchases::record(&mut db, purchase).await)
    }

    async fn purchases_of(&self, user: &str) -> Result<Vec<Purchase>, StoreError> {
        once!(self, |db| purchases::of_user(&mut db, user).await)
    }

    async fn purchase(&self, id: &str) -> Result<Option<Purchase>, StoreError> {
        once!(self, |db| purchases::by_id(&mut db, id).await)
    }

    async fn entitlement(&self, user: &str) -> Result<Option<Entitlement>, StoreError> {
        once!(self, |db| entitlements::by_user(&mut db, user).await)
    }

    async fn entitlements(&self, users: &[String]) -> Result<Vec<Entitlement>, StoreError> {
        once!(self, |db| entitlements::by_users(&mut db, users).await)
    }

    async fn changes_after(
        &self,
        sequence: i64,
        limit: u32,
    ) -> Result<Vec<Entitlement>, StoreError> {
        once!(self, |db| entitlements::after(&mut db, sequence, limit)
            .await)
    }

    async fn users(&self, filter: &UserFilter) -> Result<Vec<Entitlement>, StoreError> {
        once!(self, |db| entitlements::list(&mut db, filter).await)
    }

    async fn derived(
        &self,
        job: &Job,
        derived: &Derived,
        changed: bool,
        now: UnixMillis,
    ) -> Result<Entitlement, StoreError> {
        let row = transaction!(self, |tx| {
            listen::tell_change(&mut tx, &self.me).await?;
            entitlements::derived(&mut tx, job, derived, changed, now).await?
        })?;
        self.signals.changed();
        Ok(row)
    }

    async fn roles_read(
        &self,
        job: &Job,
        roles: &[String],
        changed: bool,
        now: UnixMillis,
    ) -> Result<Entitlement, StoreError> {
        let row = transaction!(self, |tx| {
            listen::tell_change(&mut tx, &self.me).await?;
            entitlements::roles_read(&mut tx, job, roles, changed, now).await?
        })?;
        self.signals.changed();
        Ok(row)
    }

    async fn confirmed(
        &self,
        job: &Job,
        roles: &[String],
        metadata: &str,
        now: UnixMillis,
    ) -> Result<Entitlement, StoreError> {
        let row = transaction!(self, |tx| {
            listen::tell_change(&mut tx, &self.me).await?;
            entitlements::confirmed(&mut tx, job, roles, metadata, now).await?
        })?;
        self.signals.changed();
        Ok(row)
    }

    async fn recheck(&self, now: UnixMillis) -> Result<u64, StoreError> {
        // Every replica looks every second, and mostly in vain: that is no reason to hold the others up.
        let due = once!(self, |db| entitlements::due(&mut db, now).await)?;
        if due.is_empty() {
            return Ok(0);
        }
        let jobs = transaction!(self, |tx| {
            alone(&mut tx).await?;
            let jobs = entitlements::recheck(&mut tx, now).await?;
            listen::tell_jobs(&mut tx, &self.me, jobs).await?;
            jobs
        })?;
        self.asked(jobs);
        Ok(jobs)
    }

    async fn of_other_terms(
        &self,
        terms: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        once!(self, |db| entitlements::of_other_terms(
            &mut db, terms, after, limit
        )
        .await)
    }

    async fn enqueue(
        &self,
        key: &JobKey,
        cause: &Cause,
        priority: Priority,
        now: UnixMillis,
    ) -> Result<i64, StoreError> {
        let generation = transaction!(self, |tx| {
            alone(&mut tx).await?;
            let generation = jobs::ask(&mut tx, key, cause, priority, now).await?;
            listen::tell_jobs(&mut tx, &self.me, 1).await?;
            generation
        })?;
        self.asked(1);
        Ok(generation)
    }

    async fn take(&self, now: UnixMillis, lease_ms: i64) -> Result<Option<Job>, StoreError> {
        once!(self, |db| jobs::take(&mut db, now, lease_ms).await)
    }

    async fn renew(&self, job: &Job, now: UnixMillis, lease_ms: i64) -> Result<(), StoreError> {
        once!(self, |db| jobs::renew(&mut db, job, now, lease_ms).await)
    }

    async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        once!(self, |db| jobs::next_due(&mut db).await)
    }

    async fn finish(&self, job: &Job, now: UnixMillis) -> Result<(), StoreError> {
        let again = transaction!(self, |tx| {
            jobs::hold(&mut tx, job).await?;
            matching::process(&mut tx, job, now).await?;
            let again = u64::from(jobs::close(&mut tx, job, now).await?);
            listen::tell_jobs(&mut tx, &self.me, again).await?;
            again
        })?;
        self.asked(again);
        Ok(())
    }

    async fn matched(&self, job: &Job, found: &Match, now: UnixMillis) -> Result<(), StoreError> {
        let asked = transaction!(self, |tx| {
            alone(&mut tx).await?;
            jobs::hold(&mut tx, job).await?;
            let asked = matching::settle(&mut tx, job, found, now).await?;
            let asked = asked + u64::from(jobs::close(&mut tx, job, now).await?);
            listen::tell_jobs(&mut tx, &self.me, asked).await?;
            asked
        })?;
        self.asked(asked);
        Ok(())
    }

    async fn retry(&self, job: &Job, run_at: UnixMillis, error: &str) -> Result<(), StoreError> {
        once!(self, |db| jobs::retry(&mut db, job, run_at, error).await)?;
        // Whoever sleeps until the next job is due may have to wake sooner now.
        self.asked(1);
        Ok(())
    }

    async fn park(&self, job: &Job, error: &str, now: UnixMillis) -> Result<(), StoreError> {
        let again = transaction!(self, |tx| {
            let again = u64::from(jobs::park(&mut tx, job, error, now).await?);
            listen::tell_jobs(&mut tx, &self.me, again).await?;
            again
        })?;
        self.asked(again);
        Ok(())
    }

    /// Gives up every lease of every replica, so never at the start of one: a replica that died loses its leases when
    /// they run out.
    async fn release_leases(&self) -> Result<u64, StoreError> {
        let released = once!(self, |db| jobs::release(&mut db).await)?;
        self.asked(released);
        Ok(released)
    }

    async fn job(&self, key: &JobKey) -> Result<Option<JobStatus>, StoreError> {
        once!(self, |db| jobs::by_key(&mut db, key).await)
    }

    async fn jobs(&self, state: JobState, limit: u32) -> Result<Vec<JobStatus>, StoreError> {
        once!(self, |db| jobs::list(&mut db, state, limit).await)
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        once!(self, |db| jobs::totals(&mut db).await)
    }

    async fn audit(&self, change: &RoleChange) -> Result<(), StoreError> {
        once!(self, |db| audit::add(&mut db, change).await)
    }

    async fn role_changes(&self, user: &str, limit: u32) -> Result<Vec<RoleChange>, StoreError> {
        once!(self, |db| audit::of_user(&mut db, user, limit).await)
    }

    async fn latest_role_changes(&self, limit: u32) -> Result<Vec<RoleChange>, StoreError> {
        once!(self, |db| audit::latest(&mut db, limit).await)
    }

    /// Never: the server's own tool makes a copy that can be restored.
    async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        Err(StoreError::File {
            path: to.to_owned(),
            source: io::Error::new(
                io::ErrorKind::Unsupported,
                "a ledger in PostgreSQL is backed up with pg_dump",
            ),
        })
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
