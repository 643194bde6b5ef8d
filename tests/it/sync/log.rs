//! What the worker says in the log.

use std::io;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use http::Method;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::fmt::MakeWriter;

use super::market::{ANN, Market};
use crate::support::auth0::{Fault, Trouble};

/// Hears nothing, for as long as the process lives.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// While a subscriber is the only one, the first thread that comes to a line decides for all whether it is ever told.
/// From here on no subscriber is the only one.
pub(crate) fn hear_every_thread() {
    LazyLock::force(&SECOND);
}

/// What this thread logs, from now on.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn begin() -> (Self, DefaultGuard) {
        hear_every_thread();
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (log, guard)
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines that hold `text`.
    pub(super) fn lines(&self, text: &str) -> Vec<String> {
        let bytes = self.bytes().clone();
        let all = String::from_utf8(bytes).expect("a text");
        let lines = all.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_premium_role_that_was_assigned_is_told_word_for_word_and_once() {
    let (log, _guard) = Log::begin();
    let market = Market::open().await;
    let session = market.buy(ANN, "lifetime").await;
    let line = format!("Premium role assigned to user {ANN} (plan: lifetime)");
    let told = log.lines(&line);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("INFO"), "{told:?}");
    market.stripe.refund(&session);
    market.deliver().await;
    market.settle().await;
    assert_eq!(
        log.lines("Premium role assigned").len(),
        1,
        "free is not premium"
    );
}

#[tokio::test]
async fn a_failure_is_told_once_for_each_try_with_when_it_is_tried_again() {
    let (log, _guard) = Log::begin();
    let market = Market::open().await;
    let broken = Trouble::Instead(Fault::Status(503));
    market
        .auth0
        .trouble(Method::GET, "/api/v2/users/*/roles", broken);
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    market.work().await;
    let told = log.lines("sync failed; it is tried again");
    assert_eq!(told.len(), 1, "{told:?}");
    for part in [
        "WARN",
        ANN,
        "job.attempts=1",
        "retry.seconds=",
        "Auth0: it answered 503",
    ] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
    market.auth0.mend_all();
}

#[tokio::test]
async fn what_is_given_up_is_told_loudly_with_the_mend() {
    let (log, _guard) = Log::begin();
    let market = Market::open().await;
    market.auth0.delete_role("premium-monthly");
    market.pay(ANN, "monthly").await;
    market.deliver().await;
    market.work().await;
    let told = log.lines("sync given up");
    assert_eq!(told.len(), 1, "{told:?}");
    for part in [
        "ERROR",
        ANN,
        "make the role \"premium-monthly\"",
        "tollgate events replay",
    ] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
}
