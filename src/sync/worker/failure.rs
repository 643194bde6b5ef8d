//! What goes wrong with a job, and what becomes of it: tried again later, or given up with the mend named.

use std::time::Duration;

use super::{Stepped, Sync};
use crate::clock::millis;
use crate::store::{Cause, Job, JobKey, Priority, StoreError, UnixMillis};
use crate::sync::Config;
use crate::types::format_duration;
use crate::{auth0, stripe};

/// However long somebody asks us to wait, we look again after this.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// Why a user is looked at once more whom two replicas may have worked on at once.
pub(super) const LEASE_LOST: &str = "lease lost";

/// What the error of a job begins with that was given up for its age alone, and that may go well by now.
pub(in crate::sync) const OUT_OF_TIME: &str = "out of time: ";

/// Why a job is not done.
#[derive(Debug, thiserror::Error)]
pub(in crate::sync) enum Failure {
    /// Stripe, or the way to it.
    #[error(transparent)]
    Stripe(#[from] stripe::Error),
    /// Auth0, or the way to it.
    #[error(transparent)]
    Auth0(#[from] auth0::Error),
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A customer that Stripe does not know, when believing it would take away a plan.
    #[error("Stripe does not know the customer {0}")]
    UnknownCustomer(String),
    /// The same of a checkout that was completed.
    #[error("Stripe does not know the checkout {0}")]
    UnknownCheckout(String),
    /// Everything together took too long.
    #[error("it was not done within {}", format_duration(*.0))]
    Late(Duration),
    /// The ledger did not say in time that the job is still this process's.
    #[error("the ledger did not answer, and another worker may have the job by now")]
    NotKept,
    /// A bug of ours.
    #[error("it broke in the middle")]
    Broken,
}

impl Failure {
    /// Whether the same job may go well later without a change here.
    pub(in crate::sync) fn is_retryable(&self) -> bool {
        match self {
            Self::Stripe(error) => error.is_retryable(),
            Self::Auth0(error) => error.is_retryable(),
            Self::Store(error) => match error {
                StoreError::Unavailable(_) => true,
                StoreError::Newer { .. }
                | StoreError::Migration(_)
                | StoreError::Url(_)
                | StoreError::LeaseLost
                | StoreError::Corrupt(_)
                | StoreError::Refused(_)
                | StoreError::InUse(_)
                | StoreError::File { .. } => false,
            },
            Self::UnknownCustomer(_) | Self::UnknownCheckout(_) => false,
            Self::Late(_) | Self::NotKept | Self::Broken => true,
        }
    }

    /// How long the other side asks us to wait.
    pub(in crate::sync) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Stripe(error) => error.retry_after,
            Self::Auth0(error) => error.retry_after,
            Self::Store(_)
            | Self::UnknownCustomer(_)
            | Self::UnknownCheckout(_)
            | Self::Late(_)
            | Self::NotKept
            | Self::Broken => None,
        }
    }

    /// What somebody should do, once it is given up.
    fn mend(&self) -> String {
        match self {
            Self::Auth0(error) => match &error.kind {
                auth0::Kind::NoUser => "the user does not exist in Auth0 any more; \
                    if Stripe still bills, cancel there"
                    .to_owned(),
                auth0::Kind::NoRole(role) => format!(
                    "make the role {role:?} in Auth0, then `tollgate events replay` one of the user's events; \
                     meanwhile the plan holds here alone"
                ),
                auth0::Kind::Unreachable
                | auth0::Kind::Api(_)
                | auth0::Kind::RateLimited
                | auth0::Kind::Client
                | auth0::Kind::Scope(_)
                | auth0::Kind::Invalid(_)
                | auth0::Kind::Unreadable => {
                    "mend what it names, then `tollgate events replay`".to_owned()
                }
            },
            Self::Stripe(_) => {
                "look the request up in Stripe's dashboard, mend what it names, then `tollgate events replay`"
                    .to_owned()
            }
            Self::Store(_) | Self::NotKept => "look at the ledger's database, then `tollgate events replay`".to_owned(),
            Self::UnknownCustomer(_) | Self::UnknownCheckout(_) => "nothing is taken away; see that `stripe.secret_key` is of the account and mode \
                that this ledger belongs to, then `tollgate events replay`"
                .to_owned(),
            Self::Late(_) => "see that Stripe and Auth0 answer, then `tollgate events replay`".to_owned(),
            Self::Broken => "this is a bug: please report it with what the process wrote about a panic".to_owned(),
        }
    }
}

impl Sync {
    /// Writes down that `job` failed.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`] when somebody else has the job.
    pub(super) async fn failed(&self, job: &Job, failure: &Failure) -> Result<Stepped, StoreError> {
        if let Failure::Store(StoreError::LeaseLost) = failure {
            return Err(StoreError::LeaseLost);
        }
        let now = self.now();
        let waited = u64::try_from(now.saturating_sub(job.since)).unwrap_or(0);
        let is_young = Duration::from_millis(waited) < self.config.max_age;
        if failure.is_retryable() && is_young {
            self.try_again(job, failure, now).await
        } else {
            self.give_up(job, failure, now).await
        }
    }

    /// Somebody else has the job. Roles may have been changed here meanwhile, and what two did at once may be neither's
    /// wish: the user is looked at once more.
    pub(super) async fn lost(&self, job: &Job) -> Result<Stepped, StoreError> {
        tracing::debug!(job = %job.key, "the lease has run out; another worker has the job");
        if let JobKey::User(_) = &job.key {
            let cause = Cause {
                why: LEASE_LOST.to_owned(),
                event: job.cause.event.clone(),
            };
            let (store, now) = (&self.parts.store, self.now());
            store
                .enqueue(&job.key, &cause, Priority::Background, now)
                .await?;
        }
        Ok(Stepped::Lost)
    }

    async fn try_again(
        &self,
        job: &Job,
        failure: &Failure,
        now: UnixMillis,
    ) -> Result<Stepped, StoreError> {
        let wait = wait(
            &self.config,
            job.attempts,
            failure.retry_after(),
            fastrand::f64(),
        );
        let store = &self.parts.store;
        store
            .retry(job, now.saturating_add(millis(wait)), &failure.to_string())
            .await?;
        // Once it is written, which may take several attempts.
        tracing::warn!(
            job = %job.key,
            job.attempts = job.attempts + 1,
            retry.seconds = wait.as_secs_f64(),
            error = %failure,
            "sync failed; it is tried again"
        );
        Ok(Stepped::Retried)
    }

    async fn give_up(
        &self,
        job: &Job,
        failure: &Failure,
        now: UnixMillis,
    ) -> Result<Stepped, StoreError> {
        let mend = failure.mend();
        let (why, begin) = if failure.is_retryable() {
            let tried = format!("tried for {}", format_duration(self.config.max_age));
            (tried + ", and again once a day", OUT_OF_TIME)
        } else {
            ("trying again would not help".to_owned(), "")
        };
        let text = format!("{begin}{failure}: {mend}");
        self.parts.store.park(job, &text, now).await?;
        tracing::error!(
            job = %job.key,
            job.attempts = job.attempts + 1,
            error = %failure,
            "sync given up ({why}): {mend}"
        );
        Ok(Stepped::Dead)
    }
}

/// How long to wait before the next try: full jitter below a limit that doubles, and no less than was asked for.
/// `random` is in `0.0..1.0`.
fn wait(config: &Config, attempts: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doubled = 2_u32.checked_pow(attempts);
    let limit = doubled.and_then(|factor| config.backoff.checked_mul(factor));
    let limit = limit.unwrap_or(config.max_backoff).min(config.max_backoff);
    let asked = asked.unwrap_or_default().min(LONGEST_WAIT);
    limit.mul_f64(random).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: Config = Config {
        workers: 1,
        max_age: Duration::from_secs(3600),
        deadline: Duration::from_secs(60),
        retention: Duration::from_secs(3600),
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(300),
    };

    #[test]
    fn the_limit_doubles_until_the_longest() {
        let seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        for (attempts, limit) in (0..).zip(seconds) {
            let longest = wait(&CONFIG, attempts, None, 1.0);
            assert_eq!(longest, Duration::from_secs(limit), "{attempts}");
        }
        assert_eq!(wait(&CONFIG, u32::MAX, None, 1.0), CONFIG.max_backoff);
    }

    #[test]
    fn the_other_side_is_obeyed_up_to_an_hour() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wait(&CONFIG, 0, asked(42), 0.5), Duration::from_secs(42));
        assert_eq!(wait(&CONFIG, 0, asked(u64::MAX), 0.5), LONGEST_WAIT);
        assert_eq!(wait(&CONFIG, 9, asked(1), 0.5), Duration::from_secs(150));
    }

    proptest! {
        #[test]
        fn jitter_is_full_and_bounded(attempts: u32, random in 0.0..1.0) {
            let drawn = wait(&CONFIG, attempts, None, random);
            prop_assert!(drawn <= CONFIG.max_backoff);
            prop_assert_eq!(wait(&CONFIG, attempts, None, 0.0), Duration::ZERO);
        }
    }
}
