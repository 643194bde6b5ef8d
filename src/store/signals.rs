//! What happened in the ledger lately, for tasks of this process that wait for it. A signal may be missed (another
//! replica wrote, a notification was lost), so whoever waits looks for itself at an interval too.

use tokio::sync::{Notify, watch};

/// The signals of one ledger.
#[derive(Debug, Default)]
pub struct Signals {
    /// A job is due.
    pub jobs: Notify,
    changes: watch::Sender<u64>,
}

impl Signals {
    /// Tells that an entitlement was written.
    pub fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits for entitlements that are written from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
