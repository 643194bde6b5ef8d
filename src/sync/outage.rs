//! A ledger that cannot be used: counted each time, told of once when it begins and once when it is over.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::StoreError;
use crate::telemetry::Metrics;

/// Whether the ledger can be used, as its user `user` saw it last.
pub(super) struct Outage {
    user: &'static str,
    is_on: AtomicBool,
}

impl Outage {
    pub(super) fn new(user: &'static str) -> Self {
        Self {
            user,
            is_on: AtomicBool::new(false),
        }
    }

    /// The ledger failed.
    pub(super) fn goes_on(&self, error: &StoreError, metrics: &Metrics) {
        metrics.billing.ledger_error(self.user);
        if !self.is_on.swap(true, Ordering::Relaxed) {
            tracing::error!(ledger.user = self.user, error = %error, "the ledger fails; it is tried again until it works");
        }
    }

    /// The ledger did what it was asked to.
    pub(super) fn is_over(&self) {
        if self.is_on.load(Ordering::Relaxed) && self.is_on.swap(false, Ordering::Relaxed) {
            tracing::info!(ledger.user = self.user, "the ledger works again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_counted() {
        let metrics = Metrics::new().unwrap();
        let outage = Outage::new("overlay");
        for _ in 0..3 {
            outage.goes_on(&StoreError::LeaseLost, &metrics);
        }
        assert!(outage.is_on.load(Ordering::Relaxed));
        outage.is_over();
        assert!(!outage.is_on.load(Ordering::Relaxed));
        let line = "tollgate_ledger_errors_total{user=\"overlay\"} 3";
        assert!(metrics.render(None).contains(line));
    }
}
