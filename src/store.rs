//! The ledger: what was received, who is who, what each user has a right to, what is still to be done, and what was
//! done to roles. One trait; each database is a file of its own. All times are milliseconds since the Unix epoch.
//!
//! It knows nothing of Stripe's or Auth0's API: it keeps what it is told, in transactions that either are durable or
//! never happened.

mod aim;
mod batch;
mod change;
mod copy;
mod error;
mod inbox;
mod inspect;
mod look;
mod postgres;
mod records;
mod signals;
mod sqlite;
mod words;

use std::path::Path;

use async_trait::async_trait;

pub use copy::{Copied, CopyError, Side, copy};
pub use error::{Outage, StoreError};
pub use inbox::Inbox;
pub use inspect::{Contents, Inspected};
pub use look::{Drift, DriftKind, LONGEST_LIST, Look, Looks, UserFilter};
pub use postgres::Postgres;
pub use records::{
    Action, Cause, Concern, Derived, Entitlement, Event, EventFilter, EventState, Intent, Job,
    JobKey, JobState, JobStatus, Link, LinkKind, Match, NewEvent, Priority, Purchase,
    PurchaseState, Received, RoleChange, Totals,
};
pub use signals::Signals;
pub use sqlite::Sqlite;

pub use crate::clock::UnixMillis;

/// The ledger; looks at every user are the part of it that [`Looks`] names.
#[async_trait]
pub trait Store: Looks + Send + Sync + 'static {
    /// What happened here lately, for those who wait.
    fn signals(&self) -> &Signals;

    // ---- events

    /// Keeps events and makes their jobs, all in one transaction. One outcome for each, in order.
    ///
    /// For [`Intent::Sync`]: a `user` with a customer links the two. Jobs are made for the `user` and for every user
    /// linked with the customer; without any, for the customer; without one, for the object; without one, the event
    /// is [`EventState::Unmatched`] at once. A dead job wakes. `customer_deleted` marks the customer's links. An event
    /// that concerns several users is processed when the jobs of all of them are done.
    async fn receive(&self, events: &[NewEvent]) -> Result<Vec<Received>, StoreError>;

    /// The event `id`, its body included.
    async fn event(&self, id: &str) -> Result<Option<Event>, StoreError>;

    /// Events, the newest first, without their bodies.
    async fn events(&self, filter: &EventFilter) -> Result<Vec<Event>, StoreError>;

    /// Queues the event and its job again. `false` when there is no such event, or nobody it could concern.
    async fn replay(&self, id: &str, now: UnixMillis) -> Result<bool, StoreError>;

    /// Drops the bodies of events received before `before` that are processed or ignored; at most 1000 at a time, and
    /// says how many.
    async fn prune(&self, before: UnixMillis) -> Result<u64, StoreError>;

    // ---- customers

    /// Remembers that the customer has to do with the user; the stronger kind stays. Unmatched events of the customer
    /// are queued, with the user's job; a search for the customer's user that is dead begins again.
    async fn link(
        &self,
        customer: &str,
        user: &str,
        kind: LinkKind,
        now: UnixMillis,
    ) -> Result<(), StoreError>;

    /// The customers that have to do with the user, the oldest first.
    async fn customers_of(&self, user: &str) -> Result<Vec<Link>, StoreError>;

    /// The users that have to do with the customer, the oldest first.
    async fn users_of(&self, customer: &str) -> Result<Vec<Link>, StoreError>;

    /// Remembers that Stripe has deleted the customer.
    async fn customer_deleted(&self, customer: &str) -> Result<(), StoreError>;

    // ---- purchases

    /// Remembers a Checkout Session, or what has become of it. One that is closed never opens again, and whose it is
    /// stays as it was written first.
    async fn record_purchase(&self, purchase: &Purchase) -> Result<(), StoreError>;

    /// The Checkout Sessions of the user, the oldest first.
    async fn purchases_of(&self, user: &str) -> Result<Vec<Purchase>, StoreError>;

    /// The Checkout Session `id`.
    async fn purchase(&self, id: &str) -> Result<Option<Purchase>, StoreError>;

    // ---- entitlements

    /// What the user has a right to.
    async fn entitlement(&self, user: &str) -> Result<Option<Entitlement>, StoreError>;

    /// The entitlements of these users, in no order; those without one are left out.
    async fn entitlements(&self, users: &[String]) -> Result<Vec<Entitlement>, StoreError>;

    /// Entitlements with a higher sequence than `sequence`, lowest first, at most `limit`.
    async fn changes_after(
        &self,
        sequence: i64,
        limit: u32,
    ) -> Result<Vec<Entitlement>, StoreError>;

    /// Entitlements, the last changed first, at most [`LONGEST_LIST`].
    async fn users(&self, filter: &UserFilter) -> Result<Vec<Entitlement>, StoreError>;

    /// Writes what `job` derived for its user. With `changed`, the change begins now and is not confirmed. Gives the
    /// row as it is now. Only while the job's lease holds.
    ///
    /// `activated_at` is set when the plan is paid and another one than before, kept when it is the same, and taken away
    /// when the plan is not paid.
    async fn derived(
        &self,
        job: &Job,
        derived: &Derived,
        changed: bool,
        now: UnixMillis,
    ) -> Result<Entitlement, StoreError>;

    /// Writes all roles that the user of `job` holds, as Auth0 was read before anything is done to them. With `changed`,
    /// the change begins now and is not confirmed. Gives the row as it is now. Only while the job's lease holds.
    async fn roles_read(
        &self,
        job: &Job,
        roles: &[String],
        changed: bool,
        now: UnixMillis,
    ) -> Result<Entitlement, StoreError>;

    /// Writes that Auth0 was read, and has what it should: `roles` are all roles of the user now, `metadata` what
    /// `app_metadata` was set to. A change that is not confirmed is confirmed now. Gives the row as it is now. Only
    /// while the job's lease holds.
    async fn confirmed(
        &self,
        job: &Job,
        roles: &[String],
        metadata: &str,
        now: UnixMillis,
    ) -> Result<Entitlement, StoreError>;

    /// Makes jobs for the users whose `recheck_at` has come and who have none, also no dead one; at most 1000 at a time,
    /// and says how many.
    async fn recheck(&self, now: UnixMillis) -> Result<u64, StoreError>;

    /// Users after `after` whose entitlement was derived by other terms than those of this fingerprint, by their ids; at
    /// most `limit`.
    async fn of_other_terms(
        &self,
        terms: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, StoreError>;

    // ---- jobs

    /// Asks for a job; gives the generation that must be reached. A dead one wakes, one that waits for its next try is
    /// tried now.
    async fn enqueue(
        &self,
        key: &JobKey,
        cause: &Cause,
        priority: Priority,
        now: UnixMillis,
    ) -> Result<i64, StoreError>;

    /// Takes the most urgent job that is due, for `lease_ms`; also one whose lease has run out, which counts as a try.
    async fn take(&self, now: UnixMillis, lease_ms: i64) -> Result<Option<Job>, StoreError>;

    /// Keeps a job that was taken for `lease_ms` from now. Only while the job's lease holds.
    async fn renew(&self, job: &Job, now: UnixMillis, lease_ms: i64) -> Result<(), StoreError>;

    /// When [`Store::take`] may find a job: when the next that waits is due, or the next lease runs out.
    async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError>;

    /// The job is done: it is gone, or queued again when it was asked for while it ran. Its events up to its generation
    /// are processed.
    async fn finish(&self, job: &Job, now: UnixMillis) -> Result<(), StoreError>;

    /// A job for a customer or an object is done: its events get the user or wait as unmatched, the next job is
    /// made, and the links are written, in one transaction.
    async fn matched(&self, job: &Job, found: &Match, now: UnixMillis) -> Result<(), StoreError>;

    /// The job failed, and is tried again at `run_at`, or at once when it was asked for while it ran.
    async fn retry(&self, job: &Job, run_at: UnixMillis, error: &str) -> Result<(), StoreError>;

    /// The job failed for good. It is kept as dead, unless it was asked for while it ran: then it is queued again.
    async fn park(&self, job: &Job, error: &str, now: UnixMillis) -> Result<(), StoreError>;

    /// Gives up every lease: for a ledger that one process uses, at its start.
    async fn release_leases(&self) -> Result<u64, StoreError>;

    /// How the job stands; `None` when there is none.
    async fn job(&self, key: &JobKey) -> Result<Option<JobStatus>, StoreError>;

    /// Jobs in this state, the oldest first.
    async fn jobs(&self, state: JobState, limit: u32) -> Result<Vec<JobStatus>, StoreError>;

    /// Counts for the metrics.
    async fn totals(&self) -> Result<Totals, StoreError>;

    // ---- audit

    /// Adds a line to the audit.
    async fn audit(&self, change: &RoleChange) -> Result<(), StoreError>;

    /// The user's lines, the newest first.
    async fn role_changes(&self, user: &str, limit: u32) -> Result<Vec<RoleChange>, StoreError>;

    /// The lines of all users, the newest first, at most `limit` and [`LONGEST_LIST`].
    async fn latest_role_changes(&self, limit: u32) -> Result<Vec<RoleChange>, StoreError>;

    // ---- the whole

    /// Writes a copy of everything to a new file, while the ledger is in use. A file that is there is not touched.
    async fn backup(&self, to: &Path) -> Result<(), StoreError>;

    /// Ends every connection, once it is not in use any more. A ledger in a file is then in that file alone.
    async fn close(&self);
}
