//! Mending what a look found, through the ordinary jobs: the ties that it saw are written down, a job is asked for, and
//! what becomes of it is waited for. Who does the jobs is not known here.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::gather::Known;
use super::{Failed, Looked, Phase, Reconciler, Taking, Trouble};
use crate::store::{
    Cause, Drift, DriftKind, JobKey, JobState, JobStatus, LONGEST_LIST, Priority, StoreError,
};
use crate::sync::RECONCILE;

/// Jobs that are asked for at a time, so that those of events need not wait behind all of them.
const AT_ONCE: usize = 32;
/// How often it is looked what has become of them.
const LOOK: Duration = Duration::from_millis(100);
/// A job that nobody took up or finished for so long is not waited for.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// A job that failed so often since it was asked for is not waited for either; it is tried on.
const FAILURES: u32 = 3;
/// What the error of a job says that was asked to wait: no failure of its own.
const TOLD_TO_WAIT: &str = "too many requests";
/// So often a job is asked for; an event that comes between takes its place.
const TIMES: u32 = 3;

/// What was mended, and what not.
#[derive(Debug, Default)]
pub struct Mended {
    /// What differed, and does not any more.
    pub fixed: Vec<Drift>,
    /// What still differs, and why it was not mended.
    pub left: Vec<Failed>,
    /// How many of them hold a role that may be paid for after all.
    pub held_back: u64,
    /// How many users are tied to something of Stripe's that the ledger did not know.
    pub tied: u64,
}

/// A job that is waited for.
struct Asked {
    user: String,
    times: u32,
    /// Tries of the job that were seen by now; `None` before the first look at it.
    tries: Option<u32>,
    /// Those of them that failed, since it was asked for.
    failures: u32,
}

impl Asked {
    fn new(user: String, times: u32) -> Self {
        Self {
            user,
            times,
            tries: None,
            failures: 0,
        }
    }

    /// Counts the tries since the last look; whether there were any.
    fn count(&mut self, job: &JobStatus) -> bool {
        // What failed before it was asked for is over.
        let seen = self.tries.replace(job.attempts).unwrap_or(job.attempts);
        let new = job.attempts.saturating_sub(seen);
        let error = job.error.as_deref().unwrap_or_default();
        if !error.contains(TOLD_TO_WAIT) {
            self.failures += new;
        }
        new > 0
    }
}

/// What has become of a job.
enum Became {
    Waits,
    Done,
    Failed(String),
}

impl Reconciler {
    /// Mends what differs, and ties users to what is theirs. Jobs that are under way are waited for too.
    ///
    /// # Errors
    ///
    /// See [`Trouble`]. What was mended by then is.
    pub async fn mend(
        &self,
        looked: &Looked,
        taking: Taking,
        stop: &CancellationToken,
    ) -> Result<Mended, Trouble> {
        let mended = stop.run_until_cancelled(self.mend_all(looked, taking));
        mended.await.unwrap_or(Err(Trouble::Stopped))
    }

    async fn mend_all(&self, looked: &Looked, taking: Taking) -> Result<Mended, Trouble> {
        let (mut mended, users) = plan(looked, taking);
        let mut asked = under_way(looked);
        let total = users.len() + asked.len();
        let mut users = users.into_iter();
        let (mut failed, mut done) = (Vec::new(), 0);
        let mut moved = Instant::now();
        loop {
            self.tell(Phase::Mending, done, total, 0);
            for user in users.by_ref().take(AT_ONCE.saturating_sub(asked.len())) {
                self.ask(&user, looked).await?;
                asked.push(Asked::new(user, 1));
            }
            if asked.is_empty() {
                break;
            }
            sleep(LOOK).await;
            let before = asked.len();
            asked = self.follow(asked, looked, &mut failed, &mut moved).await?;
            done += before - asked.len();
            if asked.len() < before {
                moved = Instant::now();
            }
        }
        self.sort(looked, failed, &mut mended).await?;
        Ok(mended)
    }

    /// Writes down what ties the user to Stripe, and asks for the job.
    async fn ask(&self, user: &str, looked: &Looked) -> Result<(), StoreError> {
        let (store, now) = (&self.sync.parts.store, self.sync.now());
        if let Some(known) = looked.known(user) {
            for (customer, kind) in &known.ties.customers {
                store.link(customer, user, *kind, now).await?;
            }
            for purchase in &known.ties.purchases {
                store.record_purchase(purchase).await?;
            }
        }
        let cause = Cause {
            why: RECONCILE.to_owned(),
            event: None,
        };
        let key = JobKey::User(user.to_owned());
        store
            .enqueue(&key, &cause, Priority::Background, now)
            .await?;
        Ok(())
    }

    /// Those that are still to be waited for.
    async fn follow(
        &self,
        asked: Vec<Asked>,
        looked: &Looked,
        failed: &mut Vec<Failed>,
        moved: &mut Instant,
    ) -> Result<Vec<Asked>, StoreError> {
        let mut known: Option<HashSet<String>> = None;
        let mut waiting = Vec::new();
        for mut one in asked {
            let why = match self.became(&mut one, moved).await? {
                Became::Waits => {
                    waiting.push(one);
                    continue;
                }
                Became::Failed(why) => why,
                Became::Done => {
                    let drift = match known.take() {
                        Some(drift) => drift,
                        None => self.subjects().await?,
                    };
                    let is_left = drift.contains(&one.user);
                    known = Some(drift);
                    if !is_left {
                        continue;
                    }
                    if one.times < TIMES {
                        // Something else asked for the job meanwhile, and it was careful.
                        self.ask(&one.user, looked).await?;
                        one.times += 1;
                        waiting.push(one);
                        continue;
                    }
                    "its job left the roles alone".to_owned()
                }
            };
            failed.push(Failed {
                subject: one.user,
                why,
            });
        }
        Ok(waiting)
    }

    /// `moved` is when any of the jobs got on last.
    async fn became(&self, one: &mut Asked, moved: &mut Instant) -> Result<Became, StoreError> {
        let key = JobKey::User(one.user.clone());
        let Some(job) = self.sync.parts.store.job(&key).await? else {
            return Ok(Became::Done);
        };
        if one.count(&job) {
            *moved = Instant::now();
        }
        let error = job.error.unwrap_or_else(|| "no reason is known".to_owned());
        Ok(match job.state {
            JobState::Dead => Became::Failed(format!("its job was given up: {error}")),
            JobState::Queued | JobState::Running if one.failures >= FAILURES => {
                Became::Failed(format!("its job fails, and is tried on: {error}"))
            }
            JobState::Queued | JobState::Running if moved.elapsed() >= LONGEST => {
                Became::Failed("its job waits; see that a server runs".to_owned())
            }
            JobState::Queued | JobState::Running => Became::Waits,
        })
    }

    async fn subjects(&self) -> Result<HashSet<String>, StoreError> {
        let drift = self.sync.parts.store.drift(LONGEST_LIST).await?;
        Ok(drift.into_iter().map(|drift| drift.subject).collect())
    }

    /// What the ledger says now of what differed.
    async fn sort(
        &self,
        looked: &Looked,
        failed: Vec<Failed>,
        mended: &mut Mended,
    ) -> Result<(), StoreError> {
        let left = self.subjects().await?;
        let is_mended = |drift: &&Drift| !left.contains(&drift.subject);
        mended.fixed = looked.drift.iter().filter(is_mended).cloned().collect();
        let is_failed = |user: &&String| failed.iter().any(|failed| failed.subject == **user);
        let tied = looked.untied.iter().filter(|user| !is_failed(user)).count();
        mended.tied = u64::try_from(tied).unwrap_or(u64::MAX);
        mended.left.extend(failed);
        mended.left.sort_by(|a, b| a.subject.cmp(&b.subject));
        Ok(())
    }
}

/// Whom a job is asked for; what no job can mend, or should, is left at once.
fn plan(looked: &Looked, taking: Taking) -> (Mended, BTreeSet<String>) {
    let mut mended = Mended::default();
    let mut users: BTreeSet<String> = looked.untied.iter().cloned().collect();
    for drift in &looked.drift {
        let left = match &drift.user {
            None => drift.why.clone(),
            Some(user) => match looked.holds_back(drift, taking) {
                None => {
                    users.insert(user.clone());
                    continue;
                }
                Some(why) => {
                    users.remove(user);
                    mended.held_back += 1;
                    format!("{}{why}", drift.why)
                }
            },
        };
        mended.left.push(Failed {
            subject: drift.subject.clone(),
            why: left,
        });
    }
    (mended, users)
}

/// The jobs that are under way already.
fn under_way(looked: &Looked) -> Vec<Asked> {
    let users = looked.under_way.iter().cloned();
    users.map(|user| Asked::new(user, TIMES)).collect()
}

impl Looked {
    fn known(&self, user: &str) -> Option<&Known> {
        self.gathered.users.get(user)
    }

    /// Whether a job that [`Reconciler::mend`] asks for may mend anything of it.
    #[must_use]
    pub fn is_mendable(&self, taking: Taking) -> bool {
        let mut drift = self.drift.iter();
        drift.any(|drift| {
            let user = drift.user.as_ref();
            let may_be = user.is_some_and(|user| !self.gone.contains(user));
            may_be && self.holds_back(drift, taking).is_none()
        })
    }

    /// Why a role stays that a job would take away; what the table says of it already is not said again.
    fn holds_back(&self, drift: &Drift, taking: Taking) -> Option<&'static str> {
        let is_watched = match taking {
            Taking::Forced => return None,
            Taking::Asked => true,
            Taking::Unwatched => false,
        };
        let user = drift.user.as_deref()?;
        if !self.losing.contains(user) {
            return None;
        }
        if self.is_implausible {
            return Some("; so many would lose their role at once that it may be a mistake");
        }
        let known = self.known(user);
        if known.is_some_and(|known| self.gathered.doubt(known).is_some()) {
            return Some("");
        }
        let is_nobodys = |drift: &Drift| drift.kind == DriftKind::Unmatched;
        if !is_watched && drift.customer.is_none() && self.drift.iter().any(is_nobodys) {
            return Some("; may be the customer who pays and is nobody's");
        }
        None
    }
}
