//! Bringing a user's entitlement up to date before an answer: ask for it in the ledger, and wait until it is there.
//!
//! Who works on it, and in which process, does not matter here: the ledger is where both sides meet.

use std::time::Duration;

use super::Endpoints;
use crate::store::{Cause, JobKey, JobState, JobStatus, Priority, StoreError, UnixMillis};

/// How often the ledger is looked at while waiting: the signal may be missed, or another replica do the work.
const LOOK: Duration = Duration::from_millis(100);
/// How long work that is under way already is waited for.
const CATCH_UP: Duration = Duration::from_secs(2);

impl Endpoints {
    /// Waits until what the ledger knows of the user already, a webhook's event say, is taken in. Whether it was in time.
    /// Work that failed is not waited for: it may take as long as an outage.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be used.
    pub(super) async fn catch_up(&self, user: &str) -> Result<bool, StoreError> {
        let store = &self.parts.store;
        let mut changes = store.signals().changes();
        let key = JobKey::User(user.to_owned());
        let done = async {
            loop {
                let job = store.job(&key).await?;
                if !job.is_some_and(|job| is_under_way(&job, self.now_millis())) {
                    return Ok(());
                }
                // Whether told or not, the ledger is what counts.
                let _ = tokio::time::timeout(LOOK, changes.changed()).await;
            }
        };
        match tokio::time::timeout(CATCH_UP, done).await {
            Ok(outcome) => outcome.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Has the user's entitlement derived anew, and waits up to `patience`. Whether it was derived in time.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be used.
    pub(super) async fn settle(
        &self,
        user: &str,
        why: &str,
        patience: Duration,
    ) -> Result<bool, StoreError> {
        // Subscribed before it is asked for, so that no signal is missed in between.
        let mut changes = self.parts.store.signals().changes();
        let cause = Cause {
            why: why.to_owned(),
            event: None,
        };
        let key = JobKey::User(user.to_owned());
        let now = self.now_millis();
        let store = &self.parts.store;
        let generation = store
            .enqueue(&key, &cause, Priority::Interactive, now)
            .await?;
        let reached = async {
            loop {
                let row = store.entitlement(user).await?;
                if row.is_some_and(|row| row.generation >= generation) {
                    return Ok(());
                }
                // Whether told or not, the ledger is what counts.
                let _ = tokio::time::timeout(LOOK, changes.changed()).await;
            }
        };
        match tokio::time::timeout(patience, reached).await {
            Ok(outcome) => outcome.map(|()| true),
            Err(_) => Ok(false),
        }
    }
}

/// Whether somebody works on the job for the first time, or is about to.
fn is_under_way(job: &JobStatus, now: UnixMillis) -> bool {
    let is_first = job.attempts == 0 && job.error.is_none();
    is_first
        && match job.state {
            JobState::Queued => job.run_at <= now,
            // Else whoever had it is gone.
            JobState::Running => job.run_at > now,
            JobState::Dead => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_waited_for_while_it_is_due_or_running_and_has_not_failed() {
        let job = |state, attempts, run_at| JobStatus {
            key: JobKey::User("a".into()),
            state,
            attempts,
            since: 0,
            run_at,
            error: (attempts > 0).then(|| "it failed".to_owned()),
        };
        for (state, attempts, run_at, expected) in [
            (JobState::Queued, 0, 1000, true),
            (JobState::Queued, 0, 1001, false),
            (JobState::Queued, 1, 1000, false),
            (JobState::Running, 0, 2000, true),
            (JobState::Running, 0, 1000, false),
            (JobState::Running, 1, 2000, false),
            (JobState::Dead, 0, 1000, false),
        ] {
            let job = job(state, attempts, run_at);
            assert_eq!(is_under_way(&job, 1000), expected, "{job:?}");
        }
    }
}
