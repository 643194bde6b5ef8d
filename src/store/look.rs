//! Looks at every user, and the drift they find: the part of the ledger that the comparison of Stripe with Auth0 goes by.

use async_trait::async_trait;

use super::{StoreError, UnixMillis};

/// The longest list that is given at once, whatever is asked for.
pub const LONGEST_LIST: u32 = 10_000;

/// A look at every user, in the byte order of their ids. Over all processes one is under way at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Grows with every look.
    pub id: i64,
    /// When it began.
    pub started_at: UnixMillis,
    /// When every user had been looked at; `None` while it is under way, or was cut short.
    pub ended_at: Option<UnixMillis>,
    /// The user looked at last; `None` when it has just begun.
    pub position: Option<String>,
    /// How many users there are to look at, as far as is known.
    pub total: i64,
    /// How many were looked at.
    pub checked: i64,
    /// How many of them differ.
    pub drifted: i64,
    /// Proof that it is ours; empty while nobody is at it. [`StoreError::LeaseLost`] once somebody else has it.
    pub lease: String,
}

/// How what Auth0 says differs from what Stripe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftKind {
    /// It is paid for, and the role is not held.
    Missing,
    /// A role is held, and not paid for.
    Extra,
    /// The wrong role is held, or several are.
    Other,
    /// A customer paid whose user nobody knows.
    Unmatched,
}

/// A user whose Auth0 roles differ from what Stripe says, or a customer who paid and has no user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The user; the customer, for [`DriftKind::Unmatched`]. There is one drift for each at most.
    pub subject: String,
    /// How they differ.
    pub kind: DriftKind,
    /// `sub`.
    pub user: Option<String>,
    /// `cus_…`.
    pub customer: Option<String>,
    /// The plan that Stripe says.
    pub plan: Option<String>,
    /// The managed roles that Auth0 says.
    pub roles: Vec<String>,
    /// Why Stripe says so, in a sentence.
    pub why: String,
    /// When it was found.
    pub found_at: UnixMillis,
    /// The look that found it last.
    pub look: i64,
    /// The sequence of the user's entitlement when it was found, `None` where there was none. It is not kept: what is read
    /// back has `None`.
    pub sequence: Option<i64>,
}

/// Which users to list, the last changed first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// With this in their id only, in any letter case.
    pub contains: Option<String>,
    /// With this plan only.
    pub plan: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// Looks at every user, and what they found. A part of [`super::Store`].
#[async_trait]
pub trait Looks: Send + Sync {
    /// Goes on with the look that was cut short, whose lease ran out or was given up; with `restart`, or when there is
    /// none, begins a new one. It is lent for `lease_ms`. `None` while somebody else is at it, also with `restart`.
    async fn begin_look(
        &self,
        restart: bool,
        now: UnixMillis,
        lease_ms: i64,
    ) -> Result<Option<Look>, StoreError>;

    /// Writes how far `look` is (position and counts), what it `found`, and that the drift of the subjects `cleared` is
    /// gone; the lease begins anew. All of it, or nothing with [`StoreError::LeaseLost`]. What was found of a user whose
    /// entitlement has another sequence by now is left out: a job has been at it since, and may have mended it.
    async fn look_on(
        &self,
        look: &Look,
        found: &[Drift],
        cleared: &[String],
        now: UnixMillis,
        lease_ms: i64,
    ) -> Result<(), StoreError>;

    /// Every user was looked at: drift that this look did not find again is gone, and so are earlier looks. How far it
    /// is stays as [`Looks::look_on`] wrote it. Only while the lease holds.
    async fn end_look(&self, look: &Look, now: UnixMillis) -> Result<(), StoreError>;

    /// Gives the lease up, so that whoever begins next goes on at once. Only while the lease holds.
    async fn leave_look(&self, look: &Look) -> Result<(), StoreError>;

    /// The look that began last.
    async fn last_look(&self) -> Result<Option<Look>, StoreError>;

    /// The drift that is known, by subject, at most `limit` and [`LONGEST_LIST`].
    async fn drift(&self, limit: u32) -> Result<Vec<Drift>, StoreError>;

    /// The drift of this subject is gone, if there was any.
    async fn mended(&self, subject: &str) -> Result<(), StoreError>;

    /// Every user with an entitlement, a customer or a purchase, in byte order: those after `after`, at most `limit` and
    /// [`LONGEST_LIST`].
    async fn known_users(&self, after: Option<&str>, limit: u32)
    -> Result<Vec<String>, StoreError>;
}
