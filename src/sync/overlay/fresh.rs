//! How old the overlay may be before a request waits for the ledger, where other replicas write to it too.
//!
//! A process that stood still (suspended, its machine moved) goes on with the overlay of before, and for a moment would
//! answer by what the others have long left behind. So the overlay knows when the ledger was read last, and who finds
//! that too long ago waits for the next reading.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

/// What one replica has answered by, every other goes by after this time: that is what is promised. Well above the
/// interval at which the ledger is read, so that nobody waits in ordinary life.
const OLD: Duration = Duration::from_secs(1);
/// How long a request waits for a reading. Then it goes on with what there is, and so do those after it.
const PATIENCE: Duration = Duration::from_secs(1);
/// In place of a moment: nobody is to wait.
const AWAY: u64 = u64::MAX;

/// When the ledger was read through last.
pub(super) struct Freshness {
    start: Instant,
    /// Whether others write to the ledger. What this process writes it hears of at once, whatever stands still.
    is_shared: bool,
    /// Milliseconds from `start` to the beginning of the last complete reading; or [`AWAY`].
    read_at: AtomicU64,
    readings: watch::Sender<()>,
}

impl Freshness {
    /// Before the first reading nobody waits.
    pub(super) fn new(is_shared: bool) -> Self {
        Self {
            start: Instant::now(),
            is_shared,
            read_at: AtomicU64::new(AWAY),
            readings: watch::Sender::default(),
        }
    }

    /// All that the ledger held at `began` is known.
    pub(super) fn read(&self, began: Instant) {
        if !self.is_shared {
            return;
        }
        // A ledger that is away is back when it answers in time: one that is slow all along would have every request
        // wait in vain, again and again.
        let is_late = began.elapsed() > OLD;
        if !(is_late && self.read_at.load(Ordering::Acquire) == AWAY) {
            self.read_at.store(self.millis(began), Ordering::Release);
        }
        self.readings.send_replace(());
    }

    /// The ledger cannot be read: what there is decides, without waiting.
    pub(super) fn away(&self) {
        self.read_at.store(AWAY, Ordering::Release);
        self.readings.send_replace(());
    }

    /// Whether the last reading is too long ago.
    pub(super) fn is_old(&self) -> bool {
        // Acquired: what was read is seen with it.
        let read_at = self.read_at.load(Ordering::Acquire);
        read_at != AWAY && self.millis(Instant::now()).saturating_sub(read_at) > millis(OLD)
    }

    /// Waits for a reading that is not too long ago, for the news that the ledger is away, or until patience ends.
    pub(super) async fn renewed(&self) {
        let mut readings = self.readings.subscribe();
        let renewed = async { while self.is_old() && readings.changed().await.is_ok() {} };
        if timeout(PATIENCE, renewed).await.is_err() && self.is_old() {
            tracing::warn!("the ledger does not answer; requests go on with what is known");
            self.away();
        }
    }

    fn millis(&self, moment: Instant) -> u64 {
        millis(moment.saturating_duration_since(self.start))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(AWAY - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One whose last reading is as long ago as this; and that moment.
    fn read_before(age: Duration) -> (Freshness, Instant) {
        let mut freshness = Freshness::new(true);
        freshness.read(Instant::now());
        freshness.start -= age;
        let began = freshness.start;
        freshness.read(began);
        (freshness, began)
    }

    #[test]
    fn a_reading_is_old_after_a_second_unless_the_ledger_is_away() {
        assert!(!Freshness::new(true).is_old(), "before the first");
        assert!(!read_before(OLD / 2).0.is_old());
        let (freshness, _) = read_before(OLD * 2);
        assert!(freshness.is_old());
        freshness.away();
        assert!(!freshness.is_old());
        freshness.read(Instant::now());
        assert!(!freshness.is_old());
    }

    #[test]
    fn a_ledger_of_this_process_alone_is_never_waited_for() {
        let mut freshness = Freshness::new(false);
        freshness.start -= OLD * 2;
        freshness.read(freshness.start);
        assert!(!freshness.is_old());
    }

    #[test]
    fn a_ledger_that_is_slow_all_along_is_as_good_as_away_until_it_answers_in_time() {
        let (freshness, began) = read_before(OLD * 2);
        freshness.away();
        freshness.read(began);
        assert!(!freshness.is_old(), "nobody waits for the next one too");
        freshness.read(Instant::now());
        freshness.read(began);
        assert!(freshness.is_old(), "it was in time before");
    }

    #[tokio::test]
    async fn who_finds_it_old_waits_for_a_reading_or_the_news_that_there_is_none() {
        for reads in [true, false] {
            let (freshness, began) = read_before(OLD * 2);
            let told = async {
                tokio::task::yield_now().await;
                // A reading that began as long ago tells nothing new.
                freshness.read(began);
                tokio::task::yield_now().await;
                assert!(freshness.is_old());
                if reads {
                    freshness.read(Instant::now());
                } else {
                    freshness.away();
                }
            };
            let both = async { tokio::join!(freshness.renewed(), told) };
            let told = timeout(PATIENCE / 2, both).await;
            told.expect("without delay");
            assert!(!freshness.is_old());
        }
    }

    #[tokio::test]
    async fn a_ledger_that_says_nothing_is_waited_for_once() {
        let (freshness, _) = read_before(OLD * 2);
        let began = Instant::now();
        tokio::join!(freshness.renewed(), freshness.renewed());
        assert!(began.elapsed() >= PATIENCE);
        assert!(!freshness.is_old(), "others do not wait");
    }
}
