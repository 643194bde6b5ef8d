//! A look at every user: what Stripe says against what Auth0 says, both ways, and mending what differs.
//!
//! Both services are read in bulk first: customers, subscriptions and checkouts by the page, members by the role. Who is
//! right by these is right. Who is not is looked at again, alone and fresh, before it is called drift. Nothing is
//! changed by a look, here or there, but what it writes down about itself; mending goes through the ordinary jobs.

mod caution;
mod compare;
mod gather;
mod lot;
mod mend;
mod patience;
mod rounds;
mod unmatched;
mod user;
mod walk;
mod why;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub use caution::Taking;
pub use mend::Mended;
pub use rounds::look_now_and_then;

use self::caution::is_implausible;
use self::compare::loses;
use self::gather::Gathered;
use super::{Config, Parts, Sync};
use crate::clock::millis;
use crate::entitlement::Catalog;
use crate::store::{Drift, LONGEST_LIST, Look, StoreError, UnixMillis};

/// For so long a look is kept for a process that says nothing more of it: one that was killed.
pub const LEASE: Duration = Duration::from_secs(10);
/// How often it says so.
const BEAT: Duration = Duration::from_secs(3);
/// A look that was begun so long ago, in milliseconds, says too little of the users it had seen: it is begun anew.
const STALE: UnixMillis = 24 * 60 * 60 * 1000;
/// The longest a call of a look waits for its turn at Auth0. Jobs and browsers are not to notice it.
const TURN: Duration = Duration::from_secs(15 * 60);

/// Looks at every user.
pub struct Reconciler {
    /// A worker that takes no jobs, whose calls let jobs go first.
    sync: Arc<Sync>,
    progress: watch::Sender<Progress>,
    /// Users looked at alone at a time.
    at_once: usize,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// At what.
    pub phase: Phase,
    /// How many of them are done.
    pub done: u64,
    /// Of how many; 0 while that is not known.
    pub total: u64,
    /// How many users differ so far.
    pub drifted: u64,
}

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Things are read from Stripe by the page.
    #[default]
    Stripe,
    /// Members are read from Auth0 by the page.
    Auth0,
    /// Users are compared.
    Users,
    /// Jobs mend what differs.
    Mending,
}

/// What a look found.
pub struct Looked {
    /// Whether it went on with a look that was cut short.
    pub is_resumed: bool,
    /// How many users were looked at, by this look altogether.
    pub looked_at: u64,
    /// Everything that differs, by subject.
    pub drift: Vec<Drift>,
    /// Users who could not be looked at.
    pub failed: Vec<Failed>,
    /// Users who differ, and whose job is under way.
    pub under_way: Vec<String>,
    /// Every list was to be had: if not, there may be more than was seen.
    pub is_whole: bool,
    /// What the operator should know beside it.
    pub notes: Vec<String>,
    gathered: Arc<Gathered>,
    /// Those who hold a sold role that is more than what they pay for.
    losing: BTreeSet<String>,
    /// So many of them that it is hardly true.
    is_implausible: bool,
    /// Users whose ties to Stripe are new to the ledger.
    untied: Vec<String>,
    /// Those who pay, and are no users any more.
    gone: BTreeSet<String>,
}

/// Somebody who could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The user, or the customer.
    pub subject: String,
    /// What went wrong.
    pub why: String,
}

/// Why a look, or mending, did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// One look at a time.
    #[error("another run is at it")]
    InUse,
    /// This process stood still for too long.
    #[error("another run has taken over")]
    TakenOver,
    /// It was told to stop.
    #[error("it was stopped")]
    Stopped,
    /// Stripe or Auth0 cannot be asked at all.
    #[error("{0}")]
    Away(String),
    /// The ledger.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LeaseLost => Self::TakenOver,
            StoreError::Unavailable(_)
            | StoreError::Newer { .. }
            | StoreError::Migration(_)
            | StoreError::Url(_)
            | StoreError::Corrupt(_)
            | StoreError::Refused(_)
            | StoreError::InUse(_)
            | StoreError::File { .. } => Self::Store(error),
        }
    }
}

impl Reconciler {
    /// One that looks at `at_once` users at a time, those whom the lists leave open.
    #[must_use]
    pub fn new(parts: &Parts, config: Config, at_once: usize) -> Self {
        let parts = Parts {
            auth0: Arc::new(parts.auth0.within(TURN)),
            ..parts.clone()
        };
        Self {
            sync: Arc::new(Sync::new(parts, config)),
            progress: watch::Sender::default(),
            at_once: at_once.max(1),
        }
    }

    /// How far it is, from now on.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Looks at every user; goes on with a look that was cut short, unless `restart`.
    ///
    /// # Errors
    ///
    /// See [`Trouble`]. What was looked at by then is kept for the next look.
    pub async fn look(&self, restart: bool, stop: &CancellationToken) -> Result<Looked, Trouble> {
        let store = &self.sync.parts.store;
        let look = self.begin(restart).await?;
        let looking = Box::pin(self.look_at_all(look.clone()));
        let looked = stop.run_until_cancelled(looking).await;
        let looked = looked.unwrap_or(Err(Trouble::Stopped));
        if looked.is_err() {
            // Whoever goes on need not wait for the lease to run out. If this fails too, they do.
            let _ = store.leave_look(&look).await;
        }
        looked
    }

    async fn begin(&self, restart: bool) -> Result<Look, Trouble> {
        let (store, now) = (&self.sync.parts.store, self.sync.now());
        let begun = store.begin_look(restart, now, lease()).await?;
        let look = begun.ok_or(Trouble::InUse)?;
        if now.saturating_sub(look.started_at) < STALE {
            return Ok(look);
        }
        store.leave_look(&look).await?;
        let begun = store.begin_look(true, now, lease()).await?;
        begun.ok_or(Trouble::InUse)
    }

    async fn look_at_all(&self, mut look: Look) -> Result<Looked, Trouble> {
        let terms = self.sync.parts.terms.load_full();
        let gathered = self.beating(&look, self.gather(&terms, look.id)).await??;
        let gathered = Arc::new(gathered);
        let is_resumed = look.position.is_some();
        let walked = self.walk(&mut look, &gathered, &terms).await?;
        let store = &self.sync.parts.store;
        store.end_look(&look, self.sync.now()).await?;
        let drift = store.drift(LONGEST_LIST).await?;
        let losing = losing(&drift, &terms.catalog);
        // A list that is cut off shows no more than a part of them.
        let many = if drift.len() < LONGEST_LIST as usize {
            losing.len()
        } else {
            usize::try_from(look.drifted).unwrap_or(usize::MAX)
        };
        Ok(Looked {
            is_implausible: is_implausible(many, gathered.holders(&terms.catalog)),
            losing,
            is_resumed,
            looked_at: u64::try_from(look.checked).unwrap_or_default(),
            drift,
            failed: [&gathered.failed[..], &walked.failed].concat(),
            under_way: walked.under_way,
            is_whole: !gathered.is_partial,
            gone: walked.gone,
            notes: gathered.notes.clone(),
            untied: walked.untied,
            gathered,
        })
    }

    /// Does `work`, and says now and then that the look goes on.
    async fn beating<T>(&self, look: &Look, work: impl Future<Output = T>) -> Result<T, Trouble> {
        let mut work = std::pin::pin!(work);
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                _ = beat.tick() => {
                    let store = &self.sync.parts.store;
                    match store.look_on(look, &[], &[], self.sync.now(), lease()).await {
                        // A ledger that is away for a moment is asked again at the next beat.
                        Ok(()) | Err(StoreError::Unavailable(_)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
    }

    fn tell(&self, phase: Phase, done: usize, total: usize, drifted: u64) {
        let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
        self.progress.send_replace(Progress {
            phase,
            done: count(done),
            total: count(total),
            drifted,
        });
    }
}

/// Whom mending would take a sold role from that they do not get back as another.
fn losing(drift: &[Drift], catalog: &Catalog) -> BTreeSet<String> {
    let losing = drift
        .iter()
        .filter(|drift| loses(&drift.roles, drift.plan.as_deref(), catalog))
        .filter_map(|drift| drift.user.clone());
    losing.collect()
}

/// [`LEASE`] as the ledger takes it.
fn lease() -> UnixMillis {
    millis(LEASE)
}
