//! The ledger in one `SQLite` file: WAL, every commit synced to the disk. The SQL stands in the files below, by table.
//!
//! One connection writes, in transactions that take the lock at once; a few others read and never wait for it.

mod audit;
mod backup;
mod customers;
mod drift;
mod entitlements;
mod events;
mod inspect;
mod jobs;
mod looks;
mod matching;
mod migrate;
mod open;
mod purchases;
mod receive;

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Sqlite as Dialect, Transaction};

use self::open::Place;
use super::{
    Cause, Derived, Entitlement, Event, EventFilter, Job, JobKey, JobState, JobStatus, Link,
    LinkKind, Match, NewEvent, Priority, Purchase, Received, RoleChange, Signals, Store,
    StoreError, Totals, UnixMillis, UserFilter,
};

/// The ledger in `SQLite`.
#[derive(Debug)]
pub struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    signals: Signals,
    place: Place,
    /// The proof that this server alone uses the ledger.
    claim: OnceLock<File>,
}

impl Sqlite {
    /// Opens the ledger that `url` names, makes it when it is missing, and brings its schema up to date.
    ///
    /// `sqlite://tollgate.db` is beside the process, `sqlite:///var/tollgate.db` is absolute, `sqlite::memory:` is for
    /// tests.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`] and [`StoreError::File`] when there can be no such file, [`StoreError::Newer`] and
    /// [`StoreError::Migration`] when its schema is not ours, [`StoreError::Unavailable`] when it cannot be used.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let place = Place::parse(url)?;
        let writer = place.writer().await?;
        migrate::run(&writer).await?;
        Ok(Self {
            readers: place.readers(&writer),
            writer,
            signals: Signals::default(),
            place,
            claim: OnceLock::new(),
        })
    }

    /// Opens a ledger that is there already, for commands: a mistyped name must not make a second one.
    ///
    /// # Errors
    ///
    /// As [`Sqlite::open`], and [`StoreError::Url`] when there is no such file.
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        if let Place::File(path) = Place::parse(url)?
            && !path.is_file()
        {
            return Err(StoreError::Url(format!(
                "there is no ledger at {}",
                path.display()
            )));
        }
        Self::open(url).await
    }

    /// Keeps other servers off this ledger until this one ends, however it does. Commands need no claim.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] when another server uses it, and goes on doing so.
    pub async fn claim(&self) -> Result<(), StoreError> {
        if let Some(file) = self.place.claim().await? {
            // A second claim of the same store changes nothing.
            let _ = self.claim.set(file);
        }
        Ok(())
    }

    /// Begins to write. The lock is taken at once: a transaction that reads first and is then refused the lock could
    /// not be repeated by waiting.
    async fn begin(&self) -> Result<Transaction<'static, Dialect>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Tells that so many jobs were asked for.
    fn asked(&self, jobs: u64) {
        // Each wakes one who waits, and one more is remembered; nobody needs more at a time.
        for _ in 0..jobs.min(64) {
            self.signals.jobs.notify_one();
        }
    }
}

/// The next numbers of a counter. Whoever took them holds the counter until the commit.
async fn next(
    tx: &mut SqliteConnection,
    counter: &'static str,
    count: usize,
) -> Result<Range<i64>, StoreError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "UPDATE counters SET value = value + ?2 WHERE name = ?1 RETURNING value";
    let last = sqlx::query_scalar::<_, i64>(sql).bind(counter).bind(count);
    let last = last.fetch_one(tx).await?;
    Ok(last - count + 1..last + 1)
}

#[async_trait]
impl Store for Sqlite {
    fn signals(&self) -> &Signals {
        &self.signals
    }

    async fn receive(&self, events: &[NewEvent]) -> Result<Vec<Received>, StoreError> {
        let mut tx = self.begin().await?;
        let outcomes = receive::receive(&mut tx, events).await?;
        tx.commit().await?;
        let queued = outcomes.iter().filter(|one| **one == Received::Queued);
        self.asked(queued.map(|_| 1).sum());
        Ok(outcomes)
    }

    async fn event(&self, id: &str) -> Result<Option<Event>, StoreError> {
        events::by_id(&self.readers, id).await
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<Event>, StoreError> {
        events::list(&self.readers, filter).await
    }

    async fn replay(&self, id: &str, now: UnixMillis) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let jobs = events::replay(&mut tx, id, now).await?;
        tx.commit().await?;
        self.asked(jobs);
        Ok(jobs > 0)
    }

    async fn prune(&self, before: UnixMillis) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let pruned = events::prune(&mut tx, before).await?;
        tx.commit().await?;
        Ok(pruned)
    }

    async fn link(
        &self,
        customer: &str,
        user: &str,
        kind: LinkKind,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let jobs = customers::link(&mut tx, customer, user, kind, now).await?;
        tx.commit().await?;
        self.asked(jobs);
        Ok(())
    }

    async fn customers_of(&self, user: &str) -> Result<Vec<Link>, StoreError> {
        customers::of_user(&self.readers, user).await
    }

    async fn users_of(&self, customer: &str) -> Result<Vec<Link>, StoreError> {
        customers::of_customer(&self.readers, customer).await
    }

    async fn customer_deleted(&self, customer: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        customers::mark_deleted(&mut tx, customer).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn record_purchase(&self, purchase: &Purchase) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        purchases::record(&mut tx, purchase).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn purchases_of(&self, user: &str) -> Result<Vec<Purchase>, StoreError> {
        purchases::of_user(&self.readers, user).await
    }

    async fn purchase(&self, id: &str) -> Result<Option<Purchase>, StoreError> {
        purchases::by_id(&self.readers, id).await
    }

    async fn entitlement(&self, user: &str) -> Result<Option<Entitlement>, StoreError> {
        entitlements::by_user(&self.readers, user).await
    }

    async fn entitlements(&self, users: &[String]) -> Result<Vec<Entitlement>, StoreError> {
        entitlements::by_users(&self.readers, users).await
    }

    async fn changes_after(
        &self,
        sequence: i64,
        limit: u32,
    ) -> Result<Vec<Entitlement>, StoreError> {
        entitlements::after(&self.readers, sequence, limit).await
    }

    async fn users(&self, filter: &UserFilter) -> Result<Vec<Entitlement>, StoreError> {
        entitlements::list(&self.readers, filter).await
    }

    async fn derived(
        &self,
        job: &Job,
        derived: &Derived,
        changed: bool,
        now: UnixMillis,
    ) -> Result<Entitlement, StoreError> {
        let mut tx = self.begin().await?;
        let row = entitlements::derived(&mut tx, job, derived, changed, now).await?;
        tx.commit().await?;
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
        let mut tx = self.begin().await?;
        let row = entitlements::roles_read(&mut tx, job, roles, changed, now).await?;
        tx.commit().await?;
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
        let mut tx = self.begin().await?;
        let row = entitlements::confirmed(&mut tx, job, roles, metadata, now).await?;
        tx.commit().await?;
        self.signals.changed();
        Ok(row)
    }

    async fn recheck(&self, now: UnixMillis) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let jobs = entitlements::recheck(&mut tx, now).await?;
        tx.commit().await?;
        self.asked(jobs);
        Ok(jobs)
    }

    async fn of_other_terms(
        &self,
        terms: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        entitlements::of_other_terms(&self.readers, terms, after, limit).await
    }

    async fn enqueue(
        &self,
        key: &JobKey,
        cause: &Cause,
        priority: Priority,
        now: UnixMillis,
    ) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        let generation = jobs::ask(&mut tx, key, cause, priority, now).await?;
        tx.commit().await?;
        self.asked(1);
        Ok(generation)
    }

    async fn take(&self, now: UnixMillis, lease_ms: i64) -> Result<Option<Job>, StoreError> {
        let mut tx = self.begin().await?;
        let job = jobs::take(&mut tx, now, lease_ms).await?;
        tx.commit().await?;
        Ok(job)
    }

    async fn renew(&self, job: &Job, now: UnixMillis, lease_ms: i64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        jobs::renew(&mut tx, job, now, lease_ms).await?;
        Ok(tx.commit().await?)
    }

    async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        jobs::next_due(&self.readers).await
    }

    async fn finish(&self, job: &Job, now: UnixMillis) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        matching::process(&mut tx, job, now).await?;
        let asked_again = jobs::close(&mut tx, job, now).await?;
        tx.commit().await?;
        self.asked(u64::from(asked_again));
        Ok(())
    }

    async fn matched(&self, job: &Job, found: &Match, now: UnixMillis) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let asked = matching::settle(&mut tx, job, found, now).await?;
        let asked_again = jobs::close(&mut tx, job, now).await?;
        tx.commit().await?;
        self.asked(asked + u64::from(asked_again));
        Ok(())
    }

    async fn retry(&self, job: &Job, run_at: UnixMillis, error: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        jobs::retry(&mut tx, job, run_at, error).await?;
        tx.commit().await?;
        // Whoever sleeps until the next job is due may have to wake sooner now.
        self.asked(1);
        Ok(())
    }

    async fn park(&self, job: &Job, error: &str, now: UnixMillis) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let asked_again = jobs::park(&mut tx, job, error, now).await?;
        tx.commit().await?;
        self.asked(u64::from(asked_again));
        Ok(())
    }

    async fn release_leases(&self) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let released = jobs::release(&mut tx).await?;
        tx.commit().await?;
        self.asked(released);
        Ok(released)
    }

    async fn job(&self, key: &JobKey) -> Result<Option<JobStatus>, StoreError> {
        jobs::by_key(&self.readers, key).await
    }

    async fn jobs(&self, state: JobState, limit: u32) -> Result<Vec<JobStatus>, StoreError> {
        jobs::list(&self.readers, state, limit).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        jobs::totals(&self.readers).await
    }

    async fn audit(&self, change: &RoleChange) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        audit::add(&mut tx, change).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn role_changes(&self, user: &str, limit: u32) -> Result<Vec<RoleChange>, StoreError> {
        audit::of_user(&self.readers, user, limit).await
    }

    async fn latest_role_changes(&self, limit: u32) -> Result<Vec<RoleChange>, StoreError> {
        audit::latest(&self.readers, limit).await
    }

    async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        backup::write(&self.readers, to).await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{Concern, Intent, Outage};
    use super::*;

    fn event(id: &str, size: usize) -> NewEvent {
        NewEvent {
            id: id.to_owned(),
            event_type: "invoice.paid".to_owned(),
            live: false,
            created_at: 0,
            received_at: 0,
            body: Bytes::from(vec![b'x'; size]),
            intent: Intent::Sync(Concern {
                customer: Some("cus_1".to_owned()),
                ..Concern::default()
            }),
        }
    }

    /// The database may not grow: as on a disk that is full.
    #[tokio::test]
    async fn a_full_disk_is_an_outage_and_nothing_of_the_batch_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/ledger.db", folder.path().display());
        let ledger = Sqlite::open(&url).await.expect("a ledger");
        let limit = async |sql: &'static str| {
            let limited = sqlx::query(sql).execute(&ledger.writer).await;
            limited.expect("the pragma runs");
        };
        // Never less than there are.
        limit("PRAGMA max_page_count = 1").await;
        let batch = [event("evt_1", 10), event("evt_2", 1 << 20)];
        let refused = ledger.receive(&batch).await;
        assert!(
            matches!(&refused, Err(StoreError::Unavailable(Outage::Database(_)))),
            "{refused:?}"
        );
        for id in ["evt_1", "evt_2"] {
            assert_eq!(ledger.event(id).await.expect("an answer"), None);
        }
        assert_eq!(ledger.totals().await.expect("totals"), Totals::default());
        limit("PRAGMA max_page_count = 100000").await;
        let kept = ledger.receive(&batch).await.expect("there is room again");
        assert_eq!(kept, [Received::Queued, Received::Queued]);
    }

    #[tokio::test]
    async fn every_commit_is_synced_and_every_connection_minds_foreign_keys() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/ledger.db", folder.path().display());
        let ledger = Sqlite::open(&url).await.expect("a ledger");
        let ask = async |sql: &'static str, pool: &SqlitePool| -> String {
            let value = sqlx::query_scalar(sql).fetch_one(pool).await;
            value.expect("the pragma runs")
        };
        let full = "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous";
        assert_eq!(ask(full, &ledger.writer).await, "2");
        let mode = "SELECT journal_mode FROM pragma_journal_mode";
        assert_eq!(ask(mode, &ledger.writer).await, "wal");
        let keys = "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys";
        assert_eq!(ask(keys, &ledger.writer).await, "1");
        let write = sqlx::query("DELETE FROM counters");
        let refused = write.execute(&ledger.readers).await;
        assert!(refused.is_err(), "readers only read");
    }

    /// A search without an index would slow every webhook down as the ledger grows.
    #[tokio::test]
    async fn what_is_asked_often_is_found_by_an_index() {
        let ledger = Sqlite::open("sqlite::memory:").await.expect("a ledger");
        for sql in [
            "EXPLAIN QUERY PLAN SELECT key FROM jobs WHERE state <> 'dead' AND priority = 1 AND run_at <= 5
             ORDER BY run_at, key LIMIT 1",
            "EXPLAIN QUERY PLAN SELECT MIN(run_at) FROM jobs WHERE state <> 'dead' AND priority = 0",
            "EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE state = 'dead' ORDER BY since, key LIMIT 5",
            "EXPLAIN QUERY PLAN SELECT number FROM events
             WHERE body IS NOT NULL AND state IN ('processed', 'ignored') AND received_at < 5
             ORDER BY received_at LIMIT 1000",
            "EXPLAIN QUERY PLAN SELECT id FROM events WHERE state = 'unmatched' ORDER BY number DESC LIMIT 5",
            "EXPLAIN QUERY PLAN SELECT id FROM events WHERE event_type = 'x' ORDER BY number DESC LIMIT 5",
            "EXPLAIN QUERY PLAN SELECT number FROM events WHERE customer = 'x' AND state = 'unmatched'
             ORDER BY number DESC LIMIT 1",
            "EXPLAIN QUERY PLAN DELETE FROM event_jobs WHERE job = 'x' AND generation <= 5",
            "EXPLAIN QUERY PLAN SELECT 1 FROM event_jobs WHERE event = 5 AND job <> 'x'",
            "EXPLAIN QUERY PLAN SELECT * FROM entitlements WHERE sequence > 5 ORDER BY sequence LIMIT 5",
            "EXPLAIN QUERY PLAN SELECT user_id FROM entitlements WHERE recheck_at <= 5 ORDER BY recheck_at LIMIT 5",
            "EXPLAIN QUERY PLAN SELECT * FROM customers WHERE user_id = 'x' ORDER BY created_at, customer",
            "EXPLAIN QUERY PLAN SELECT * FROM purchases WHERE user_id = 'x' ORDER BY created_at, session",
            "EXPLAIN QUERY PLAN SELECT * FROM role_changes WHERE user_id = 'x' ORDER BY number DESC LIMIT 5",
            "EXPLAIN QUERY PLAN SELECT user_id FROM entitlements WHERE user_id > 'x' ORDER BY user_id LIMIT 5",
            "EXPLAIN QUERY PLAN SELECT DISTINCT user_id FROM customers WHERE user_id > 'x' ORDER BY user_id LIMIT 5",
            "EXPLAIN QUERY PLAN SELECT DISTINCT user_id FROM purchases WHERE user_id > 'x' ORDER BY user_id LIMIT 5",
            "EXPLAIN QUERY PLAN DELETE FROM drift WHERE subject = 'x'",
            "EXPLAIN QUERY PLAN UPDATE looks SET position = 'x' WHERE id = 5 AND lease = 'x'",
        ] {
            let plan = sqlx::query_as::<_, (i64, i64, i64, String)>(sql);
            let plan = plan.fetch_all(&ledger.writer).await.expect("a plan");
            let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
            let found = steps.iter().any(|step| step.starts_with("SEARCH"));
            assert!(found, "{sql}: {steps:?}");
            assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{sql}: {steps:?}");
        }
    }
}
