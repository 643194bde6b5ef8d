//! A job in work: what the ledger said of it, and until when what is known of it may be gone by.

use std::ops::Deref;
use std::time::Duration;

use tokio::time::Instant;

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

    /// When this try is over.
    pub(super) fn over_at(&self) -> Instant {
        self.over_at
    }

    /// Asked before each change at Auth0 or Stripe, which know nothing of leases.
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

    #[test]
    fn nothing_is_changed_once_the_time_of_a_try_is_over() {
        let taken = store::Job {
            key: JobKey::User("ann".to_owned()),
            generation: 1,
            attempts: 0,
            since: 0,
            cause: Cause::default(),
            lease: String::new(),
        };
        let minute = Duration::from_secs(60);
        let job = Job::new(taken, Instant::now(), minute);
        assert!(job.must_be_in_time().is_ok());
        let began = Instant::now()
            .checked_sub(minute)
            .expect("a machine that runs for a minute");
        let job = Job::new(job.taken, began, minute);
        assert!(matches!(job.must_be_in_time(), Err(Failure::Late(_))));
    }
}
