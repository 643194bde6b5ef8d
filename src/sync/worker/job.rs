//! A job in work: what the ledger said of it, and until when what is known of it may be gone by.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::failure::Failure;
use crate::store::{self, StoreError};

/// For how long a job is kept at a time. Whoever dies with a job keeps it from the others for no longer.
const LEASE: Duration = Duration::from_secs(20);

/// A job that was taken, and the time this try has.
pub(super) struct Job {
    taken: store::Job,
    allowed: Duration,
    began: Instant,
    lease: Duration,
    /// Until when the job is surely this process's, and half the lease is left: milliseconds after `began`.
    kept: AtomicU64,
}

/// For how long a job is taken whose try may take `allowed`, and kept again and again meanwhile.
pub(super) fn lease(allowed: Duration) -> Duration {
    LEASE.min(allowed.saturating_mul(2))
}

impl Job {
    /// `taken` by a try that began at `began`, before the ledger was asked, and may take so long.
    pub(super) fn new(taken: store::Job, began: Instant, allowed: Duration) -> Self {
        let job = Self {
            taken,
            allowed,
            began,
            lease: lease(allowed),
            kept: AtomicU64::new(0),
        };
        job.is_kept_since(began);
        job
    }

    /// What `work` comes to within the time of this try, while `renew` keeps the job.
    ///
    /// # Errors
    ///
    /// Those of the work, [`Failure::Late`] when the try has had its time, [`Failure::NotKept`] and the ledger's word
    /// that the lease is lost.
    pub(super) async fn in_time<T, R: Future<Output = Result<(), StoreError>>>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
        renew: impl Fn() -> R,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        // Not by a timer alone: after a standstill everything is due at once, and work that is woken before the timer
        // would go on to its next wait, and make a call on the way.
        let checked = poll_fn(|context| match self.must_be_in_time() {
            Ok(()) => work.as_mut().poll(context),
            Err(late) => Poll::Ready(Err(late)),
        });
        let worked = async {
            tokio::select! {
                biased;
                done = checked => done,
                failure = self.keep(renew) => Err(failure),
            }
        };
        let done = timeout_at(self.began + self.allowed, worked).await;
        done.unwrap_or(Err(Failure::Late(self.allowed)))
    }

    /// Keeps the job, as long as the ledger lets it.
    async fn keep<R: Future<Output = Result<(), StoreError>>>(
        &self,
        renew: impl Fn() -> R,
    ) -> Failure {
        let mut next = Instant::now() + self.lease / 4;
        loop {
            sleep_until(next).await;
            // Before the time of day is read, which the lease is counted from.
            let asked = Instant::now();
            match timeout_at(self.kept_until(), renew()).await {
                Ok(Ok(())) => {
                    self.is_kept_since(asked);
                    next = asked + self.lease / 4;
                }
                Ok(Err(StoreError::LeaseLost)) => return StoreError::LeaseLost.into(),
                Ok(Err(_)) => next = Instant::now() + self.lease / 16,
                Err(_) => return Failure::NotKept,
            }
        }
    }

    fn is_kept_since(&self, moment: Instant) {
        let until = moment.duration_since(self.began) + self.lease / 2;
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.kept.store(millis, Ordering::Relaxed);
    }

    fn kept_until(&self) -> Instant {
        self.began + Duration::from_millis(self.kept.load(Ordering::Relaxed))
    }

    /// Until when nobody else has the job, if the clocks agree.
    pub(super) fn is_ours_until(&self) -> Instant {
        self.kept_until() + self.lease / 2
    }

    /// Asked before each change at Auth0 or Stripe, which know nothing of leases, and whenever the work goes on.
    ///
    /// A process may stand still between any two lines, for as long as it likes: suspended, swapped out, moved to
    /// another machine. Another replica has the job by then, and what this one meant to do is of the past. Whether the
    /// lease is lost the ledger says; half of it is left for a call that is on its way.
    ///
    /// # Errors
    ///
    /// [`Failure::Late`] when the try has had its time, [`Failure::NotKept`] when it is long ago that the ledger said
    /// whose the job is.
    pub(super) fn must_be_in_time(&self) -> Result<(), Failure> {
        let now = Instant::now();
        if now >= self.began + self.allowed {
            Err(Failure::Late(self.allowed))
        } else if now >= self.kept_until() {
            Err(Failure::NotKept)
        } else {
            Ok(())
        }
    }
}

impl Deref for Job {
    type Target = store::Job;

    fn deref(&self) -> &store::Job {
        &self.taken
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use super::*;
    use crate::store::{Cause, JobKey, Outage};

    fn taken() -> store::Job {
        store::Job {
            key: JobKey::User("ann".to_owned()),
            generation: 1,
            attempts: 0,
            since: 0,
            cause: Cause::default(),
            lease: String::new(),
        }
    }

    /// One that is kept for `lease` at a time.
    fn kept_for(lease: Duration) -> Job {
        let mut job = Job::new(taken(), Instant::now(), Duration::from_secs(60));
        job.lease = lease;
        job.is_kept_since(job.began);
        job
    }

    #[tokio::test]
    async fn work_that_waited_does_not_go_on_after_a_standstill() {
        let job = Job::new(taken(), Instant::now(), Duration::from_millis(20));
        let mut has_called = false;
        let work = async {
            while job.must_be_in_time().is_ok() {
                std::hint::spin_loop();
            }
            // Whatever it waits for is there at once.
            tokio::task::yield_now().await;
            has_called = true;
            Ok(())
        };
        let done = job.in_time(work, || ready(Ok(()))).await;
        assert!(matches!(done, Err(Failure::Late(_))));
        assert!(!has_called, "a call of the past was made");
    }

    #[tokio::test]
    async fn work_that_waits_for_ever_has_the_time_of_its_try() {
        let job = Job::new(taken(), Instant::now(), Duration::from_millis(1));
        let never = std::future::pending::<Result<(), Failure>>();
        let done = job.in_time(never, || ready(Ok(()))).await;
        assert!(matches!(done, Err(Failure::Late(_))));
    }

    #[tokio::test]
    async fn a_job_is_kept_for_as_long_as_the_ledger_says_so_and_not_longer() {
        let job = kept_for(Duration::from_millis(200));
        let renewals = Cell::new(0);
        let renew = || {
            renewals.set(renewals.get() + 1);
            let is_away = renewals.get() > 3;
            async move {
                if is_away {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        };
        let never = std::future::pending::<Result<(), Failure>>();
        let done = job.in_time(never, renew).await;
        assert!(matches!(done, Err(Failure::NotKept)), "{done:?}");
        assert!(matches!(job.must_be_in_time(), Err(Failure::NotKept)));
        assert!(job.began.elapsed() >= job.lease / 4 * 3 + job.lease / 2);
    }

    #[tokio::test]
    async fn work_goes_on_over_an_outage_of_the_ledger_that_is_short() {
        let job = kept_for(Duration::from_secs(2));
        let renewals = Cell::new(0);
        let renew = || {
            renewals.set(renewals.get() + 1);
            ready(match renewals.get() {
                1..=2 => Err(Outage::Busy.into()),
                _ => Ok(()),
            })
        };
        let work = async {
            sleep_until(job.began + job.lease).await;
            Ok(())
        };
        let done = job.in_time(work, renew).await;
        assert!(done.is_ok(), "{done:?}");
    }

    #[tokio::test]
    async fn work_ends_when_the_ledger_says_that_another_has_the_job() {
        let job = kept_for(Duration::from_millis(200));
        let never = std::future::pending::<Result<(), Failure>>();
        let done = job
            .in_time(never, || ready(Err(StoreError::LeaseLost)))
            .await;
        assert!(matches!(done, Err(Failure::Store(StoreError::LeaseLost))));
    }

    #[test]
    fn nothing_is_changed_once_the_time_of_a_try_is_over() {
        let minute = Duration::from_secs(60);
        let job = Job::new(taken(), Instant::now(), minute);
        assert!(job.must_be_in_time().is_ok());
        let began = Instant::now()
            .checked_sub(minute)
            .expect("a machine that runs for a minute");
        let job = Job::new(job.taken, began, minute);
        assert!(matches!(job.must_be_in_time(), Err(Failure::Late(_))));
    }
}
