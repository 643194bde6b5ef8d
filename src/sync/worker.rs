//! The worker: takes a job, does it, and writes down how it went. What a job does is below; here is how it is tried,
//! and when the next one is taken.

pub(super) mod failure;
mod find;
mod job;
mod notice;
pub(super) mod owner;
pub(super) mod purpose;
pub(super) mod read;
mod replace;
pub(super) mod roles;
mod stray;
pub(super) mod user;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::housekeeping::keep_house;
use super::outage::Outage;
use super::{Config, Parts};
use crate::clock::millis;
use crate::store::{JobKey, JobState, StoreError, UnixMillis};
use failure::Failure;
pub(super) use failure::OUT_OF_TIME;
use job::Job;
use notice::Notices;

/// Jobs that another process wrote are noticed within this time.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Due, and yet not to be had: another worker takes it this moment.
const SOON: Duration = Duration::from_millis(10);
/// The first and the longest pause while the ledger cannot be used.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// Between two attempts to write down how a job went.
const WRITE_AGAIN: Duration = Duration::from_millis(500);

/// Works on jobs.
pub struct Sync {
    pub(super) parts: Parts,
    pub(super) config: Config,
    outage: Outage,
    notices: Notices,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// No job was due.
    Idle,
    /// A job is done.
    Done,
    /// A job failed and will be tried again.
    Retried,
    /// A job failed for good.
    Dead,
    /// Somebody else took the job over meanwhile.
    Lost,
}

impl Sync {
    /// A worker.
    #[must_use]
    pub fn new(parts: Parts, config: Config) -> Self {
        Self {
            parts,
            config,
            outage: Outage::new("sync"),
            notices: Notices::default(),
        }
    }

    /// Takes one job that is due, and does it.
    ///
    /// It may be dropped at any moment: what it did is done, what it did not is done when the lease has run out.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be used.
    pub async fn step(&self) -> Result<Stepped, StoreError> {
        self.step_until(&CancellationToken::new()).await
    }

    async fn step_until(&self, stop: &CancellationToken) -> Result<Stepped, StoreError> {
        let (store, deadline) = (&self.parts.store, self.config.deadline);
        let lease = millis(job::lease(deadline));
        // Before the time of day is read, which the lease is counted from.
        let began = Instant::now();
        let Some(taken) = store.take(self.now(), lease).await? else {
            return Ok(Stepped::Idle);
        };
        let job = Job::new(taken, began, deadline);
        let renew = || store.renew(&job, self.now(), lease);
        let work = unless_broken(self.work(&job));
        match job.in_time(work, renew).await {
            Ok(()) => Ok(Stepped::Done),
            Err(failure) => self.write_down_failure(&job, &failure, stop).await,
        }
    }

    /// Writes down that `job` failed, also to a ledger that is away for a moment, which may be why it failed: what is
    /// not written rests until the lease has run out.
    async fn write_down_failure(
        &self,
        job: &Job,
        failure: &Failure,
        stop: &CancellationToken,
    ) -> Result<Stepped, StoreError> {
        let mut is_doubtful = false;
        loop {
            match self.failed(job, failure).await {
                // It was written, and only the answer was lost.
                Err(StoreError::LeaseLost) if is_doubtful && self.is_at_rest(job).await? => {
                    return Ok(Stepped::Retried);
                }
                Err(StoreError::LeaseLost) => return self.lost(job).await,
                Err(error @ StoreError::Unavailable(_))
                    if Instant::now() < job.is_ours_until() && !stop.is_cancelled() =>
                {
                    is_doubtful = true;
                    self.outage.goes_on(&error, &self.parts.metrics);
                    stop.run_until_cancelled(sleep(WRITE_AGAIN)).await;
                }
                written => return written,
            }
        }
    }

    /// Whether the job is there and nobody works on it.
    async fn is_at_rest(&self, job: &Job) -> Result<bool, StoreError> {
        let status = self.parts.store.job(&job.key).await?;
        Ok(status.is_some_and(|status| status.state != JobState::Running))
    }

    async fn work(&self, job: &Job) -> Result<(), Failure> {
        match &job.key {
            JobKey::User(user) => self.bring_in_line(job, user).await,
            JobKey::Customer(customer) => self.find_customer(job, customer).await,
            JobKey::Object(object, id) => self.find_object(job, object, id).await,
        }
    }

    /// Works until the stop: `workers` jobs at a time, rechecks, retention, gauges. Steps that have begun are
    /// finished; dropping the future ends them too.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        let keep = || keep_house(Arc::clone(&self), stop.clone());
        let work = || Arc::clone(&self).take_jobs(stop.clone());
        let mut house = tasks.spawn(keep()).id();
        for _ in 0..self.config.workers.max(1) {
            tasks.spawn(work());
        }
        while let Some(ended) = tasks.join_next().await {
            let Err(error) = ended else {
                continue;
            };
            // A bug in one step must not cost a worker. The job comes again when its lease has run out.
            tracing::error!(error = %error, "a sync task broke; another takes its place");
            stop.run_until_cancelled(sleep(PAUSES.0)).await;
            if error.id() == house {
                house = tasks.spawn(keep()).id();
            } else {
                tasks.spawn(work());
            }
        }
    }

    async fn take_jobs(self: Arc<Self>, stop: CancellationToken) {
        let mut pause = PAUSES.0;
        while !stop.is_cancelled() {
            match self.step_until(&stop).await {
                Ok(Stepped::Idle) => {
                    self.outage.is_over();
                    pause = PAUSES.0;
                    stop.run_until_cancelled(self.wait_for_a_job()).await;
                }
                Ok(Stepped::Done | Stepped::Retried | Stepped::Dead | Stepped::Lost) => {
                    self.outage.is_over();
                    pause = PAUSES.0;
                }
                Err(error) => {
                    self.outage.goes_on(&error, &self.parts.metrics);
                    stop.run_until_cancelled(sleep(pause)).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    async fn wait_for_a_job(&self) {
        let due = self.parts.store.next_due().await;
        let wait = match due {
            Ok(Some(due)) => u64::try_from(due.saturating_sub(self.now()))
                .map_or(SOON, Duration::from_millis)
                .clamp(SOON, LOOK_AGAIN),
            // A ledger that fails shows at the next step.
            Ok(None) | Err(_) => LOOK_AGAIN,
        };
        let _ = timeout(wait, self.parts.store.signals().jobs.notified()).await;
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.parts.clock.unix_millis()
    }
}

/// Work that a bug ends is a failure like others: it must be written down, or the job would come again and again for
/// ever. What the work shares with others are locks that survive this.
fn unless_broken(
    work: impl Future<Output = Result<(), Failure>>,
) -> impl Future<Output = Result<(), Failure>> {
    let mut work = Box::pin(work);
    std::future::poll_fn(move |context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or(Poll::Ready(Err(Failure::Broken)))
    })
}
