//! From user to user, in the byte order of their ids, and how far that is, written down as it goes.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::gather::Gathered;
use super::user::Seen;
use super::{Failed, Phase, Reconciler, Trouble, lease};
use crate::entitlement::Terms;
use crate::store::{Drift, DriftKind, LONGEST_LIST, Look};
use crate::sync::worker::failure::Failure;

/// Users between two notes of how far it is.
const BATCH: usize = 64;
/// So many users in a row who cannot be looked at are no trouble of theirs: a whole service is away.
const TOO_MANY: usize = 8;

/// What the walk showed beside the drift that is written down.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) failed: Vec<Failed>,
    pub(super) under_way: Vec<String>,
    /// Those who pay, and are no users any more.
    pub(super) gone: BTreeSet<String>,
    pub(super) untied: Vec<String>,
    /// Since the last note.
    found: Vec<Drift>,
    cleared: Vec<String>,
    /// The last users, none of whom could be looked at, for a reason that may pass.
    streak: Vec<Failed>,
}

type Answer = (String, Result<(Seen, bool), Failure>);

impl Reconciler {
    /// Looks at everybody after the look's position.
    pub(super) async fn walk(
        &self,
        look: &mut Look,
        gathered: &Arc<Gathered>,
        terms: &Arc<Terms>,
    ) -> Result<Walked, Trouble> {
        let start = match &look.position {
            Some(position) => Bound::Excluded(position.clone()),
            None => Bound::Unbounded,
        };
        let users = || gathered.users.range((start.clone(), Bound::Unbounded));
        look.total = look.checked.saturating_add(count(users().count()));
        let mut walked = Walked {
            found: gathered.unmatched.clone(),
            cleared: self.matched_since(gathered).await?,
            ..Walked::default()
        };
        let mut users = users().map(|(user, _)| user.clone());
        loop {
            self.note(look, &mut walked).await?;
            let batch: Vec<String> = users.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let asking = self.look_at_some(batch, gathered, terms, look.id);
            for (user, answer) in self.beating(look, asking).await? {
                if let Err(trouble) = walked.take(user, answer, look) {
                    self.note(look, &mut walked).await?;
                    return Err(trouble);
                }
            }
        }
        for failed in std::mem::take(&mut walked.streak) {
            walked.pass(failed, look);
        }
        self.note(look, &mut walked).await?;
        Ok(walked)
    }

    /// Customers that were nobody's when the look was cut short, and are not any more.
    async fn matched_since(&self, gathered: &Gathered) -> Result<Vec<String>, Trouble> {
        let known = self.sync.parts.store.drift(LONGEST_LIST).await?;
        let is_still = |drift: &Drift| {
            let mut unmatched = gathered.unmatched.iter();
            unmatched.any(|still| still.subject == drift.subject)
        };
        let mut matched = known;
        matched.retain(|drift| drift.kind == DriftKind::Unmatched && !is_still(drift));
        Ok(matched.into_iter().map(|drift| drift.subject).collect())
    }

    /// Writes down how far it is.
    async fn note(&self, look: &Look, walked: &mut Walked) -> Result<(), Trouble> {
        let (store, now) = (&self.sync.parts.store, self.sync.now());
        let (found, cleared) = (&walked.found, &walked.cleared);
        store.look_on(look, found, cleared, now, lease()).await?;
        walked.found.clear();
        walked.cleared.clear();
        let (done, total) = (size(look.checked), size(look.total));
        let drifted = u64::try_from(look.drifted).unwrap_or_default();
        self.tell(Phase::Users, done, total, drifted);
        Ok(())
    }

    /// Looks at these, a few at a time; the answers are in their order.
    async fn look_at_some(
        &self,
        users: Vec<String>,
        gathered: &Arc<Gathered>,
        terms: &Arc<Terms>,
        look: i64,
    ) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = Vec::new();
        answers.resize_with(users.len(), || None);
        let (mut waiting, mut asked) = (users.iter().cloned().enumerate(), JoinSet::new());
        loop {
            for (at, user) in waiting.by_ref().take(self.at_once - asked.len()) {
                let one = self.alike();
                let (gathered, terms) = (Arc::clone(gathered), Arc::clone(terms));
                asked.spawn(async move {
                    let answer = one.look_at(&user, &gathered, &terms, look).await;
                    (at, (user, answer))
                });
            }
            let Some(answer) = asked.join_next().await else {
                break;
            };
            if let Ok((at, answer)) = answer
                && let Some(place) = answers.get_mut(at)
            {
                *place = Some(answer);
            }
        }
        // Who has no answer broke in the middle.
        let answers = answers.into_iter().zip(users);
        let answers = answers.map(|(answer, user)| answer.unwrap_or((user, Err(Failure::Broken))));
        answers.collect()
    }

    /// The same, for a task of its own.
    fn alike(&self) -> Self {
        Self {
            sync: Arc::clone(&self.sync),
            progress: self.progress.clone(),
            at_once: self.at_once,
        }
    }
}

impl Walked {
    /// What was seen of the next user.
    fn take(
        &mut self,
        user: String,
        answer: Result<(Seen, bool), Failure>,
        look: &mut Look,
    ) -> Result<(), Trouble> {
        let (seen, is_untied) = match answer {
            Ok(seen) => seen,
            Err(Failure::Store(error)) => return Err(error.into()),
            Err(failure) => return self.fail(user, failure, look),
        };
        for failed in std::mem::take(&mut self.streak) {
            self.pass(failed, look);
        }
        look.position = Some(user.clone());
        look.checked = look.checked.saturating_add(1);
        if is_untied {
            self.untied.push(user.clone());
        }
        match seen {
            Seen::Right => self.cleared.push(user),
            Seen::UnderWay => self.under_way.push(user),
            Seen::Unlike(drift) => self.find(*drift, look),
            Seen::Gone(drift) => {
                self.gone.insert(user);
                self.find(*drift, look);
            }
        }
        Ok(())
    }

    fn find(&mut self, drift: Drift, look: &mut Look) {
        look.drifted = look.drifted.saturating_add(1);
        self.found.push(drift);
    }

    fn fail(&mut self, user: String, failure: Failure, look: &mut Look) -> Result<(), Trouble> {
        let failed = Failed {
            subject: user,
            why: failure.to_string(),
        };
        if !failure.is_retryable() {
            for failed in std::mem::take(&mut self.streak) {
                self.pass(failed, look);
            }
            self.pass(failed, look);
            return Ok(());
        }
        self.streak.push(failed);
        if self.streak.len() >= TOO_MANY {
            return Err(failure.into());
        }
        Ok(())
    }

    /// Goes on without having seen the user.
    fn pass(&mut self, failed: Failed, look: &mut Look) {
        look.position = Some(failed.subject.clone());
        look.checked = look.checked.saturating_add(1);
        self.failed.push(failed);
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
