//! What the ledger keeps, and the words for it. No SQL, no database: every store speaks of these.

use bytes::Bytes;

use super::{DriftKind, UnixMillis};

// ---------------------------------------------------------------------------------------------------- events

/// An event whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// `evt_…`: the key under which it is taken only once.
    pub id: String,
    /// `type`, without the prefix that thin events have.
    pub event_type: String,
    /// Whether it is of live mode.
    pub live: bool,
    /// When Stripe made it.
    pub created_at: UnixMillis,
    /// When it came.
    pub received_at: UnixMillis,
    /// Every byte of its body, as it was signed.
    pub body: Bytes,
    /// What is to be done with it.
    pub intent: Intent,
}

/// What is to be done with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Nothing, for this reason.
    Ignore(String),
    /// Look at whom it concerns.
    Sync(Concern),
}

/// Whom an event concerns, as far as its envelope tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concern {
    /// The Stripe customer.
    pub customer: Option<String>,
    /// The user, and how we know.
    pub user: Option<(String, LinkKind)>,
    /// The object itself, for events that name neither: `("dispute", "dp_…")`.
    pub object: Option<(String, String)>,
    /// A Checkout Session of the user's without a customer: nothing but the ledger will lead to it again.
    pub session: Option<String>,
    /// The customer does not exist any more (`customer.deleted`).
    pub customer_deleted: bool,
}

/// What became of an event that was given to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is kept, and a job was made or is waiting already; or it waits for its customer to become known.
    Queued,
    /// It is kept, and nothing is to be done.
    Ignored,
    /// It was there already.
    Duplicate,
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// Its job waits.
    Queued,
    /// Its job is done.
    Processed,
    /// Nothing was to be done.
    Ignored,
    /// Whose it is is not known yet.
    Unmatched,
}

/// An event as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `evt_…`.
    pub id: String,
    /// `type`.
    pub event_type: String,
    /// Whether it is of live mode.
    pub live: bool,
    /// When Stripe made it.
    pub created_at: UnixMillis,
    /// When it came.
    pub received_at: UnixMillis,
    /// When its job was done.
    pub processed_at: Option<UnixMillis>,
    /// Where it stands.
    pub state: EventState,
    /// Why it was ignored.
    pub reason: Option<String>,
    /// The customer it concerns.
    pub customer: Option<String>,
    /// The user it concerns; of several, the one known first.
    pub user: Option<String>,
    /// Its body, until retention takes it.
    pub body: Option<Bytes>,
}

/// Which events to list, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// In this state only.
    pub state: Option<EventState>,
    /// Of this type only.
    pub event_type: Option<String>,
    /// Of this user and of the customers that have to do with this user only.
    pub user: Option<String>,
    /// At most so many.
    pub limit: u32,
}

// ------------------------------------------------------------------------------------------------- customers

/// How it is known that a customer has to do with a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkKind {
    /// `client_reference_id` of a checkout: a payment link lets anybody write it.
    Reference,
    /// Metadata of something the customer bought.
    Item,
    /// Metadata of the customer itself, or we made it for the user.
    Owner,
}

/// A customer that has to do with a user. Only the strongest kind is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// `cus_…`.
    pub customer: String,
    /// `sub`.
    pub user: String,
    /// How it is known.
    pub kind: LinkKind,
    /// Since when.
    pub created_at: UnixMillis,
    /// Whether Stripe has deleted the customer.
    pub deleted: bool,
}

// -------------------------------------------------------------------------------------------------- purchases

/// A Checkout Session that we know of: made here, or seen in Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// `cs_…`.
    pub session: String,
    /// `sub`.
    pub user: String,
    /// `cus_…`.
    pub customer: Option<String>,
    /// The plan's name.
    pub plan: String,
    /// Where it stands.
    pub state: PurchaseState,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// Where a Checkout Session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurchaseState {
    /// The user may still pay, or has paid and nobody has looked.
    Open,
    /// `status: complete`; whether it is paid is Stripe's to say.
    Complete,
    /// It can no longer be paid.
    Expired,
}

// ------------------------------------------------------------------------------------------------ entitlements

/// What a user has a right to, as it was derived last, and what is known of the user's roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// `sub`.
    pub user: String,
    /// What was derived.
    pub derived: Derived,
    /// Grows with every change of this row, over all users: who has seen a number has seen all before it.
    pub sequence: i64,
    /// The generation of the job that derived it last.
    pub generation: i64,
    /// When the plan, or a role, changed last; `None` when it never did.
    pub changed_at: Option<UnixMillis>,
    /// When Auth0 had the role; `None` while it may not have it.
    pub confirmed_at: Option<UnixMillis>,
    /// The user's Auth0 roles at the last reading; `None` when they were never read.
    pub roles: Option<Vec<String>>,
    /// When the plan in force was given first; stays when it is confirmed again.
    pub activated_at: Option<UnixMillis>,
    /// What was written to `app_metadata` last, as JSON.
    pub metadata: Option<String>,
}

/// What was derived from Stripe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// The plan's name.
    pub plan: Option<String>,
    /// Whether it was bought.
    pub paid: bool,
    /// The id of the subscription or Checkout Session that it rests on.
    pub backing: Option<String>,
    /// The subscription's status, where it rests on one.
    pub status: Option<String>,
    /// Whether that subscription is set to end.
    pub ends: Option<bool>,
    /// When its period ends, seconds.
    pub period_end: Option<i64>,
    /// When to look again although nothing happens.
    pub recheck_at: Option<UnixMillis>,
    /// The fingerprint of the terms by which it was derived.
    pub terms: Option<String>,
}

// --------------------------------------------------------------------------------------------------------- jobs

/// What a job is about. There is one job for each key at most: what comes while it waits is taken along.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobKey {
    /// Bring this user's roles in line. No two replicas ever work on one user at a time.
    User(String),
    /// Find out whose customer this is.
    Customer(String),
    /// Find out whose object this is: `("dispute", "dp_…")`.
    Object(String, String),
}

/// A job that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What it is about.
    pub key: JobKey,
    /// Grows with every request for a job, over all keys. One made while this job runs is later.
    pub generation: i64,
    /// How often it was tried before.
    pub attempts: u32,
    /// Since when it has waited.
    pub since: UnixMillis,
    /// Why it was asked for last.
    pub cause: Cause,
    /// Proof that it was taken; [`StoreError::LeaseLost`] once somebody else has it.
    pub lease: String,
}

/// Why something is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// In a word: the event's type, `verify-session`, `replay`, `recheck`, `terms changed`.
    pub why: String,
    /// The event.
    pub event: Option<String>,
}

/// How a job is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody will notice in a while.
    Background,
    /// Somebody waits for an answer.
    Interactive,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits for its first try, or its next.
    Queued,
    /// Somebody works on it.
    Running,
    /// It was given up, loudly; an event or a replay wakes it.
    Dead,
}

/// A job as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStatus {
    /// What it is about.
    pub key: JobKey,
    /// Where it stands.
    pub state: JobState,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it has waited.
    pub since: UnixMillis,
    /// When it is tried next; while it runs, when its lease runs out.
    pub run_at: UnixMillis,
    /// What went wrong last.
    pub error: Option<String>,
}

/// Counts for the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Jobs that wait.
    pub queued: i64,
    /// Jobs somebody works on.
    pub running: i64,
    /// Jobs given up.
    pub dead: i64,
    /// Since when the oldest job that is not dead has waited.
    pub oldest: Option<UnixMillis>,
    /// Users with a plan that was bought, by plan.
    pub paid: Vec<(String, i64)>,
    /// Drift that is known, by kind; kinds without any are left out.
    pub drift: Vec<(DriftKind, i64)>,
}

/// Whose a customer or object turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// This user's, who is now known to have to do with the customer, if there is one.
    User {
        /// `sub`.
        user: String,
        /// How it is known.
        kind: LinkKind,
        /// `cus_…`.
        customer: Option<String>,
    },
    /// This customer's, whose user is to be found out next, or is known.
    Customer(String),
    /// Nobody's that we know of.
    Nobody,
}

// -------------------------------------------------------------------------------------------------------- audit

/// A line of the audit: what was done to a user, and why. Never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleChange {
    /// `sub`.
    pub user: String,
    /// What was done.
    pub action: Action,
    /// The Auth0 role, or the subscription that was set to end.
    pub subject: String,
    /// The plan in force.
    pub plan: Option<String>,
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: UnixMillis,
    /// What went wrong; `None` when it was done.
    pub error: Option<String>,
}

/// What was done to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A role was added.
    Assign,
    /// A role was taken away.
    Remove,
    /// A subscription was set to end, because a bought plan replaces it.
    EndSubscription,
}
