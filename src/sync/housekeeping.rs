//! What is done now and then beside the jobs: gauges, rechecks, retention, another chance for what ran out of time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Sync;
use super::outage::Outage;
use super::worker::OUT_OF_TIME;
use crate::clock::millis;
use crate::store::{Cause, DriftKind, JobKey, JobState, Priority, StoreError, Totals};

/// How old a gauge may be, and how late a recheck.
const ROUND: Duration = Duration::from_secs(1);
/// Retention is counted in days.
const PRUNE: Duration = Duration::from_secs(60);
/// Jobs that ran out of time are tried again at the start, and then so often.
const ANOTHER_CHANCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Dead jobs that are looked through, the oldest.
const DEAD: u32 = 10_000;
/// Jobs that are woken in one round.
const WOKEN_AT_A_TIME: usize = 500;
/// Each has a gauge, which falls to 0 by being set.
const DRIFT_KINDS: [DriftKind; 4] = [
    DriftKind::Missing,
    DriftKind::Extra,
    DriftKind::Other,
    DriftKind::Unmatched,
];
/// As many events as [`crate::store::Store::prune`] does at a time.
const PRUNED_AT_A_TIME: u64 = 1000;
/// Users of other terms are looked for at the start and when the terms change, and once more so long after: a replica that
/// had not been told yet went on by the old ones. Not for ever: two that are never told the same would undo each other's
/// work.
const OTHER_TERMS: Duration = Duration::from_secs(10 * 60);
/// Users of other terms who are asked for in one round.
const ASKED_AT_A_TIME: u32 = 500;

/// A walk over the users whose entitlement was derived by other terms than those in force, by their ids. A walk asks for
/// each of them once, whatever becomes of the job.
#[derive(Default)]
struct Walk {
    /// The fingerprint of the terms in force.
    terms: String,
    after: String,
    users: usize,
    ended: Option<Instant>,
    is_second: bool,
}

/// Keeps house until the stop.
pub(super) async fn keep_house(sync: Arc<Sync>, stop: CancellationToken) {
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut pruned, mut woken): (Option<Instant>, Option<Instant>) = (None, None);
    // Its own: on a full disk this may go well while the workers fail.
    let outage = Outage::new("sync");
    let mut walk = Walk::default();
    while stop.run_until_cancelled(rounds.tick()).await.is_some() {
        match sync.round(&mut walk).await {
            Ok(()) => outage.is_over(),
            Err(error) => outage.goes_on(&error, &sync.parts.metrics),
        }
        if pruned.is_none_or(|at| at.elapsed() >= PRUNE) {
            match sync.prune().await {
                Ok(count) if count < PRUNED_AT_A_TIME => pruned = Some(Instant::now()),
                Ok(_) => {}
                Err(error) => outage.goes_on(&error, &sync.parts.metrics),
            }
        }
        if woken.is_none_or(|at| at.elapsed() >= ANOTHER_CHANCE) {
            match sync.give_another_chance().await {
                Ok(count) if count < WOKEN_AT_A_TIME => woken = Some(Instant::now()),
                Ok(_) => {}
                Err(error) => outage.goes_on(&error, &sync.parts.metrics),
            }
        }
    }
}

impl Sync {
    async fn round(&self, walk: &mut Walk) -> Result<(), StoreError> {
        let store = &self.parts.store;
        store.recheck(self.now()).await?;
        self.walk(walk).await?;
        let totals = store.totals().await?;
        self.show(&totals);
        Ok(())
    }

    /// Drops what is older than the retention, some of it at a time, and says how much.
    async fn prune(&self) -> Result<u64, StoreError> {
        let before = self.now().saturating_sub(millis(self.config.retention));
        self.parts.store.prune(before).await
    }

    /// Goes on with the walk, or begins it: what users have a right to may be something else by the terms in force,
    /// whether a reload changed them or somebody before the start.
    async fn walk(&self, walk: &mut Walk) -> Result<(), StoreError> {
        let terms = self.parts.terms.load().fingerprint();
        let is_changed = walk.terms != terms;
        let is_due = !walk.is_second && walk.ended.is_some_and(|at| at.elapsed() >= OTHER_TERMS);
        if is_changed || is_due {
            *walk = Walk {
                terms,
                is_second: !is_changed,
                ..Walk::default()
            };
        }
        if walk.ended.is_some() {
            return Ok(());
        }
        let store = &self.parts.store;
        let users = store.of_other_terms(&walk.terms, &walk.after, ASKED_AT_A_TIME);
        let users = users.await?;
        let cause = Cause {
            why: "terms changed".to_owned(),
            event: None,
        };
        for user in &users {
            let key = JobKey::User(user.clone());
            let now = self.now();
            store
                .enqueue(&key, &cause, Priority::Background, now)
                .await?;
            user.clone_into(&mut walk.after);
        }
        walk.users += users.len();
        if users.is_empty() {
            walk.ended = Some(Instant::now());
            if walk.users > 0 {
                tracing::info!(
                    users = walk.users,
                    "plans, roles or past_due have changed since these users were looked at: they are looked at again"
                );
            }
        }
        Ok(())
    }

    /// Queues jobs again that were given up for their age: an outage may have been longer than their time. Says how many.
    async fn give_another_chance(&self) -> Result<usize, StoreError> {
        let store = &self.parts.store;
        let mut dead = store.jobs(JobState::Dead, DEAD).await?;
        dead.retain(|job| {
            let error = job.error.as_deref().unwrap_or_default();
            error.starts_with(OUT_OF_TIME)
        });
        dead.truncate(WOKEN_AT_A_TIME);
        let cause = Cause {
            why: "another chance".to_owned(),
            event: None,
        };
        for job in &dead {
            let priority = Priority::Background;
            store
                .enqueue(&job.key, &cause, priority, self.now())
                .await?;
        }
        if !dead.is_empty() {
            tracing::warn!(
                jobs.count = dead.len(),
                "jobs that were given up for their age are tried again"
            );
        }
        Ok(dead.len())
    }

    fn show(&self, totals: &Totals) {
        let billing = &self.parts.metrics.billing;
        billing.jobs("queued", totals.queued);
        billing.jobs("running", totals.running);
        billing.jobs("dead", totals.dead);
        let waited = totals
            .oldest
            .map_or(0, |since| self.now().saturating_sub(since));
        let waited = Duration::from_millis(u64::try_from(waited).unwrap_or(0));
        billing.sync_lag(waited.as_secs_f64());
        for kind in DRIFT_KINDS {
            let count = totals.drift.iter().find(|(known, _)| *known == kind);
            billing.drift_users(kind.word(), count.map_or(0, |(_, count)| *count));
        }
        let terms = self.parts.terms.load();
        for plan in terms
            .catalog
            .plans()
            .iter()
            .filter(|plan| plan.sale.is_some())
        {
            let count = totals.paid.iter().find(|(name, _)| *name == plan.name);
            billing.premium_users(&plan.name, count.map_or(0, |(_, count)| *count));
        }
    }
}
