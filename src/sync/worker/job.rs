//! A job in work: what the ledger said of it, and until when what is known of it may be gone by.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use crate::store;

/// A job that was taken, and the time this try has.
pub(super) struct Job {
    taken: store::Job,
    allowed: Duration,
    over_at: Instant,
}

impl Job {
    /// `taken` by a try that began at `began`, before the ledger was asked, and may take so long.
    pub(super) fn new(taken: store::Job, began: Instant, allowed: Duration) -> Self {
        Self {
            taken,
            allowed,
            over_at: began + allowed,
        }
    }

    /// What `work` comes to within the time of this try.
    ///
    /// # Errors
    ///
    /// Those of the work, and [`Failure::Late`] when the try has had its time.
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        // Not by a timer alone: after a standstill everything is due at once, and work that is woken before the timer
        // would go on to its next wait, and make a call on the way.
        let checked = poll_fn(|context| match self.must_be_in_time() {
            Ok(()) => work.as_mut().poll(context),
            Err(late) => Poll::Ready(Err(late)),
        });
        let done = timeout_at(self.over_at, checked).await;
        done.unwrap_or(Err(Failure::Late(self.allowed)))
    }

    /// Asked before each change at Auth0 or Stripe, which know nothing of leases, and whenever the work goes on.
    ///
    /// A process may stand still between any two lines, for as long as it likes: suspended, swapped out, moved to
    /// another machine. Another replica has the job by then, and what this one meant to do is of the past. Whether the
    /// lease is lost the ledger says; the other half of it is left for a call that is on its way.
    ///
    /// # Errors
    ///
    /// [`Failure::Late`] when the try has had its time.
    pub(super) fn must_be_in_time(&self) -> Result<(), Failure> {
        if Instant::now() < self.over_at {
            Ok(())
        } else {
            Err(Failure::Late(self.allowed))
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
    use super::*;
    use crate::store::{Cause, JobKey};

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
        let done = job.in_time(work).await;
        assert!(matches!(done, Err(Failure::Late(_))));
        assert!(!has_called, "a call of the past was made");
    }

    #[tokio::test]
    async fn work_that_waits_for_ever_has_the_time_of_its_try() {
        let job = Job::new(taken(), Instant::now(), Duration::from_millis(1));
        let done = job.in_time(std::future::pending::<Result<(), Failure>>());
        assert!(matches!(done.await, Err(Failure::Late(_))));
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
