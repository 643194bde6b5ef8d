//! Reading entitlement changes from the ledger into the overlay: at once when told, and at an interval.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Overlay;
use super::outage::Outage;
use crate::clock::Clock;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// Rows that are read at a time.
const PAGE: u32 = 1000;
/// A change that another replica wrote is noticed within this time.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Changes are remembered for a day or so: a minute more does no harm.
const SWEEP: Duration = Duration::from_secs(60);

/// Reads everything that the ledger holds after `sequence` into the overlay, and says where to go on. The first time
/// is before the first request: [`follow`] goes on from there.
///
/// # Errors
///
/// When the ledger cannot be read. The overlay is as it was then.
pub async fn load(
    sequence: i64,
    store: &dyn Store,
    overlay: &Overlay,
    clock: &dyn Clock,
) -> Result<i64, StoreError> {
    let began = std::time::Instant::now();
    let mut sequence = sequence;
    let mut all = Vec::new();
    loop {
        let rows = store.changes_after(sequence, PAGE).await?;
        let Some(last) = rows.last() else {
            break;
        };
        sequence = last.sequence;
        all.extend(rows);
    }
    // At once: each application copies what it touches, and the first one touches everything.
    overlay.apply(&all, clock.unix_seconds());
    overlay.was_read(began);
    Ok(sequence)
}

/// Keeps the overlay in line with the ledger until the stop, from where [`load`] left off. While the ledger cannot be
/// read, the overlay stays as it is.
pub async fn follow(
    sequence: i64,
    store: Arc<dyn Store>,
    overlay: Arc<Overlay>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let outage = Outage::new("overlay");
    let mut changes = store.signals().changes();
    let mut sequence = sequence;
    let mut swept = Instant::now();
    let mut failures = 0_u32;
    while !stop.is_cancelled() {
        // Marked as seen before reading: a change that comes while we read wakes us again.
        changes.borrow_and_update();
        match load(sequence, &*store, &overlay, &*clock).await {
            Ok(last) => {
                sequence = last;
                failures = 0;
                outage.is_over();
                metrics.billing.ledger_up(true);
            }
            Err(error) => {
                outage.goes_on(&error, &metrics);
                metrics.billing.ledger_up(false);
                failures = failures.saturating_add(1);
                if failures == 1 {
                    // After a standstill of this process its deadlines are over at once, and its connections may be
                    // gone: that says nothing of the ledger.
                    continue;
                }
                overlay.is_on_its_own();
            }
        }
        if swept.elapsed() >= SWEEP {
            overlay.sweep(clock.unix_seconds());
            swept = Instant::now();
        }
        let told = timeout(LOOK_AGAIN, changes.changed());
        let _ = stop.run_until_cancelled(told).await;
    }
    overlay.is_on_its_own();
}
