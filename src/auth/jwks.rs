//! The issuer's keys: fetched in the background, kept while the issuer is away, never waited for when known.
//!
//! Requests read one snapshot. One task fetches. A token that names an unknown key may ask that task for one
//! fetch per cooldown and waits for it; ids that were not found are remembered for a while, so that made-up ids cost
//! the issuer next to nothing, and an id that came before its key is asked about again.

mod fetch;
mod key;
mod published;
mod set;
mod unknown;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use fetch::FetchError;
pub(super) use key::Key;
pub use published::PublishedKey;
pub(super) use set::KeySet;
use unknown::{Ask, UnknownIds};

use super::config::Jwks;
use crate::telemetry::Metrics;

/// First pause after a failed fetch; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Half a minute: the time an outage of the issuer may outlive itself here.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The current keys and the task that keeps them so.
pub struct Keys {
    config: Jwks,
    fetcher: fetch::Fetcher,
    current: ArcSwapOption<KeySet>,
    unknown: UnknownIds,
    wanted: Notify,
    progress: watch::Sender<Progress>,
    metrics: Arc<Metrics>,
}

/// Fetches are numbered: whoever asks for one waits for a fetch that started after the question.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    started: u64,
    finished: u64,
    /// The last one that worked.
    worked: u64,
}

/// How the keys are, for people and probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHealth {
    /// Usable keys.
    pub keys: usize,
    /// Since they were fetched.
    pub age: Duration,
}

impl Keys {
    /// An empty set; [`Keys::run`] fills it.
    ///
    /// # Errors
    ///
    /// When no HTTPS client can be built, for want of trusted authorities say.
    pub fn new(config: Jwks, metrics: Arc<Metrics>) -> Result<Self, FetchError> {
        Ok(Self {
            fetcher: fetch::Fetcher::new(&config)?,
            unknown: UnknownIds::new(config.cooldown),
            config,
            current: ArcSwapOption::empty(),
            wanted: Notify::new(),
            progress: watch::Sender::default(),
            metrics,
        })
    }

    /// Puts these keys in force, as a fetch would.
    #[cfg(test)]
    pub(super) fn publish(&self, keys: &serde_json::Value) {
        let body = serde_json::json!({ "keys": keys }).to_string();
        let previous = self.current.load_full();
        let set = KeySet::parse(body.as_bytes(), previous.as_deref()).unwrap();
        self.current.store(Some(Arc::new(set)));
    }

    /// Keeps the keys fresh until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            // Given up at the end: an issuer that does not answer must not hold the process.
            let good = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                good = self.refresh() => good,
            };
            let wait = if good {
                pause = FIRST_PAUSE;
                // A tenth of jitter, so that replicas do not ask in step.
                self.config.refresh.mul_f64(0.9 + 0.1 * fastrand::f64())
            } else {
                pause = (pause * 2).min(MAX_PAUSE).min(self.config.refresh);
                pause.mul_f64(0.5 + 0.5 * fastrand::f64())
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(wait)=> self.unknown.forget(),
            }
        }
        // Nobody will fetch any more: whoever waits for it need not.
        self.progress.send_modify(|p| p.finished = u64::MAX);
    }

    /// The keys in force; `None` before the first fetch, and after `stale` without a good one.
    pub(super) fn current(&self) -> Option<Arc<KeySet>> {
        self.current
            .load_full()
            .filter(|set| set.age() <= self.config.stale)
    }

    /// How the keys are; `None` when there are none in force.
    #[must_use]
    pub fn health(&self) -> Option<KeyHealth> {
        self.current().map(|set| KeyHealth {
            keys: set.len(),
            age: set.age(),
        })
    }

    /// Looks for a key that is not in the set, at the price of one fetch at most.
    pub(super) async fn discover(&self, key_id: &str) -> Option<Arc<Key>> {
        let before = *self.progress.borrow();
        let target = match self.unknown.ask(key_id, Instant::now(), before.started) {
            Ask::No => return None,
            Ask::Join(target) => target,
            Ask::Fetch(target) => {
                self.wanted.notify_one();
                target
            }
        };
        let mut progress = self.progress.subscribe();
        // The fetch before ours may still run, then ours: two deadlines at most.
        let patience = self.config.timeout * 2;
        let _ = tokio::time::timeout(patience, progress.wait_for(|p| p.finished >= target)).await;
        let found = self
            .current
            .load()
            .as_ref()
            .and_then(|set| set.find(key_id).cloned());
        // A fetch that failed, or had ended before the question, says nothing about this key.
        let looked = before.finished < target && target <= self.progress.borrow().worked;
        if found.is_none() && looked {
            self.unknown.remember(key_id, Instant::now());
        }
        found
    }

    /// Fetches once. Says whether it worked; if not, the keys stay as they were.
    async fn refresh(&self) -> bool {
        self.progress.send_modify(|p| p.started += 1);
        let fetched = self.fetcher.fetch(self.current.load().as_deref()).await;
        let good = fetched.is_ok();
        match fetched {
            Ok(set) => self.current.store(Some(Arc::new(set))),
            Err(error) => tracing::warn!(
                error = %error,
                keys.url = self.config.url,
                keys.age_seconds = self.current.load().as_ref().map(|set| set.age().as_secs()),
                "JWKS fetch failed; the last good keys stay in force until they are stale"
            ),
        }
        self.metrics.jwks_refresh(if good { "ok" } else { "error" });
        self.progress.send_modify(|p| {
            p.finished = p.started;
            if good {
                p.worked = p.started;
            }
        });
        good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys whose issuer takes connections and never answers.
    async fn unanswered() -> (Arc<Keys>, tokio::net::TcpListener) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Jwks {
            url: format!("http://{}/", listener.local_addr().unwrap()),
            refresh: Duration::from_secs(600),
            stale: Duration::from_secs(600),
            cooldown: Duration::from_secs(30),
            timeout: Duration::from_secs(600),
        };
        let keys = Keys::new(config, Arc::new(Metrics::new().unwrap())).unwrap();
        (Arc::new(keys), listener)
    }

    #[tokio::test]
    async fn a_failed_fetch_says_what_lies_at_the_bottom() {
        let (keys, listener) = unanswered().await;
        drop(listener);
        let error = keys.fetcher.fetch(None).await.err().unwrap().to_string();
        assert!(error.contains("refused"), "{error}");
    }

    async fn soon<T>(future: impl Future<Output = T>) -> T {
        let done = tokio::time::timeout(Duration::from_secs(20), future).await;
        done.expect("it ends long before the fetch would")
    }

    #[tokio::test]
    async fn the_end_does_not_wait_for_a_fetch() {
        let (keys, listener) = unanswered().await;
        let stop = CancellationToken::new();
        let cancel_once_it_fetches = async {
            let held = listener.accept().await;
            stop.cancel();
            held
        };
        let ended = Arc::clone(&keys).run(stop.clone());
        let (held, ()) = soon(async { tokio::join!(cancel_once_it_fetches, ended) }).await;
        assert!(held.is_ok());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_key_once_nobody_fetches() {
        let (keys, listener) = unanswered().await;
        let stop = CancellationToken::new();
        let asked_in_time = async {
            let held = listener.accept().await;
            let (found, ()) = tokio::join!(keys.discover("k1"), async { stop.cancel() });
            assert!(found.is_none());
            held
        };
        let ended = Arc::clone(&keys).run(stop.clone());
        let (held, ()) = soon(async { tokio::join!(asked_in_time, ended) }).await;
        assert!(held.is_ok());
        assert!(soon(keys.discover("k2")).await.is_none());
    }
}
