//! Bringing a user's entitlement up to date before an answer: ask for it in the ledger, and wait until it is there.
//!
//! Who works on it, and in which process, does not matter here: the ledger is where both sides meet.

use std::time::Duration;

use super::Endpoints;
use crate::store::{Cause, JobKey, Priority, StoreError};

/// How often the ledger is looked at while waiting: the signal may be missed, or another replica do the work.
const LOOK: Duration = Duration::from_millis(100);

impl Endpoints {
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
