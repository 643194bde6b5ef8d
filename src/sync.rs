//! Bringing Auth0 in line with Stripe: one job, one step. And what the gate must know of it: the overlay.
//!
//! Stripe is the source of truth. A job says only that somebody's state may have changed; the step reads the present,
//! derives what the user has a right to, writes it down, changes the roles that differ, and writes that down too.

mod follow;
mod housekeeping;
mod outage;
mod overlay;
mod reconcile;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use follow::{follow, load};
pub use overlay::{Overlay, Standing};
pub use reconcile::{
    Failed, LEASE, Looked, Mended, Phase, Progress, Reconciler, Taking, Trouble, look_now_and_then,
};
pub use worker::{Stepped, Sync};

use crate::clock::Clock;
use crate::entitlement::Terms;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::{auth0, stripe};

/// Why a job is asked for by a look that is to mend what it finds.
pub(crate) const RECONCILE: &str = "reconcile";

/// How jobs are worked on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Users worked on at a time.
    pub workers: usize,
    /// A job that has failed for so long is given up as dead.
    pub max_age: Duration,
    /// How long one try may take. A lease lasts twice as long, so that no two workers that live ever work on one job.
    pub deadline: Duration,
    /// Raw events are kept for so long.
    pub retention: Duration,
    /// The first delay after a failure; doubled each time, with full jitter.
    pub backoff: Duration,
    /// The longest delay after a failure.
    pub max_backoff: Duration,
}

/// A look at all users now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// From the start of one look to the next.
    pub every: Duration,
    /// Whether what is found is mended.
    pub fix: bool,
}

/// What a step needs.
#[derive(Clone)]
pub struct Parts {
    /// Where the truth is.
    pub stripe: Arc<stripe::Client>,
    /// Where the roles are.
    pub auth0: Arc<auth0::Client>,
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// What is sold; a reload swaps it.
    pub terms: Arc<ArcSwap<Terms>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}
