//! Looking at every user now and then, beside a server's other work.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Looked, Mended, Reconciler, Taking, Trouble};
use crate::clock::millis;
use crate::store::{Look, UnixMillis};
use crate::sync::{Config, Parts, Reconcile};

/// How often it is asked when the next look is due: another replica may look, or the command.
const ASK: Duration = Duration::from_secs(5);
/// After a look that did not come to its end.
const PAUSE: Duration = Duration::from_secs(60);
/// One user at a time: nobody waits for it.
const AT_ONCE: usize = 1;

/// Looks at every user each `how.every`, and mends what differs where `how.fix` says so, until the stop. Of several
/// replicas one does it at a time. The jobs are the workers'.
pub async fn look_now_and_then(
    parts: Parts,
    config: Config,
    how: Reconcile,
    stop: CancellationToken,
) {
    let reconciler = Reconciler::new(&parts, config, AT_ONCE);
    while !stop.is_cancelled() {
        let pause = match parts.store.last_look().await {
            Ok(last) => {
                show(&parts, last.as_ref());
                until_due(last.as_ref(), how.every, reconciler.sync.now())
            }
            Err(error) => {
                tracing::debug!(error = %error, "it is not known when every user was looked at last");
                Some(ASK)
            }
        };
        let pause = match pause {
            Some(pause) => pause.min(ASK),
            None => reconciler.once(how.fix, &stop).await.min(how.every),
        };
        stop.run_until_cancelled(sleep(pause)).await;
    }
}

/// How long until the next look is due; `None` when it is.
fn until_due(last: Option<&Look>, every: Duration, now: UnixMillis) -> Option<Duration> {
    // One that was cut short is to be gone on with.
    let last = last.filter(|look| look.ended_at.is_some())?;
    let every = millis(every);
    // A clock that was set back must not put it off for longer than it should ever take.
    let wait = last.started_at.saturating_add(every).saturating_sub(now);
    let wait = u64::try_from(wait.min(every)).unwrap_or(0);
    (wait > 0).then(|| Duration::from_millis(wait))
}

fn show(parts: &Parts, last: Option<&Look>) {
    if let Some(ended) = last.and_then(|look| look.ended_at) {
        parts.metrics.billing.reconciled(ended.div_euclid(1000));
    }
}

impl Reconciler {
    /// One look. Says how long to rest after it.
    async fn once(&self, fix: bool, stop: &CancellationToken) -> Duration {
        let billing = &self.sync.parts.metrics.billing;
        let looked = match self.look(false, stop).await {
            Ok(looked) => looked,
            Err(Trouble::InUse | Trouble::Stopped) => return ASK,
            Err(trouble) => {
                billing.reconcile_run("error");
                tracing::warn!(
                    error = %trouble,
                    "not every user could be looked at; it is gone on with in a while"
                );
                return PAUSE;
            }
        };
        let is_complete = looked.is_whole && looked.failed.is_empty();
        let result = match (looked.drift.is_empty(), is_complete) {
            (false, _) => "drift",
            (true, false) => "incomplete",
            (true, true) => "ok",
        };
        billing.reconcile_run(result);
        if !fix || (looked.drift.is_empty() && looked.untied.is_empty()) {
            tell(&looked, None);
            return ASK;
        }
        match self.mend(&looked, Taking::Unwatched, stop).await {
            Ok(mended) => tell(&looked, Some(&mended)),
            Err(trouble) => {
                tell(&looked, None);
                tracing::warn!(error = %trouble, "not all that differs could be mended");
            }
        }
        ASK
    }
}

/// The one line of a look.
fn tell(looked: &Looked, mended: Option<&Mended>) {
    let users = looked.looked_at;
    let (drift, failed) = (looked.drift.len(), looked.failed.len());
    let fixed = mended.map_or(0, |mended| mended.fixed.len());
    let held_back = mended.map_or(0, |mended| mended.held_back);
    let notes = (!looked.notes.is_empty()).then(|| looked.notes.join("; "));
    if drift > 0 || failed > 0 {
        tracing::warn!(
            users,
            reconcile.drift = drift,
            reconcile.fixed = fixed,
            reconcile.failed = failed,
            reconcile.held_back = held_back,
            reconcile.notes = notes,
            "every user was looked at, and not all are as Stripe says: `tollgate reconcile` shows who"
        );
    } else if !looked.is_whole {
        tracing::warn!(
            users,
            reconcile.notes = notes,
            "nobody was found who is not as Stripe says, but not everything could be read"
        );
    } else {
        tracing::info!(
            users,
            reconcile.notes = notes,
            "every user was looked at: Auth0 says what Stripe says"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_due_once_its_time_has_passed_since_the_last_began() {
        let minute = Duration::from_secs(60);
        let look = |started_at, ended_at| Look {
            id: 1,
            started_at,
            ended_at,
            position: None,
            total: 0,
            checked: 0,
            drifted: 0,
            lease: String::new(),
        };
        for (last, now, expected) in [
            (None, 0, None),
            (Some(look(1_000, None)), 2_000, None),
            (Some(look(1_000, Some(5_000))), 6_000, Some(55_000)),
            (Some(look(1_000, Some(5_000))), 61_000, None),
            (Some(look(1_000, Some(5_000))), 99_000, None),
            // The clock was set back.
            (Some(look(1_000_000, Some(1_005_000))), 0, Some(60_000)),
        ] {
            let wait = until_due(last.as_ref(), minute, now);
            assert_eq!(wait, expected.map(Duration::from_millis), "{last:?} {now}");
        }
    }
}
