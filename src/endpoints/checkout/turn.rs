//! One beginning of a checkout at a time: a second click waits for the first, here and at Stripe.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::DEADLINE;
use crate::endpoints::failure::Failure;
use crate::stripe::{Error, Kind};

/// Users remembered at a time, some 200 bytes each, for longer than a turn takes. Stripe tells the clicks of who is
/// forgotten apart by their idempotency key.
const MAX_USERS: u64 = 50_000;
const REMEMBERED: Duration = Duration::from_secs(60);
/// How long to wait while another process is at the same call.
const AGAIN: Duration = Duration::from_millis(500);

/// Whose turn it is, for each user.
pub(in crate::endpoints) struct Turns(Cache<String, Arc<Semaphore>>);

impl Turns {
    pub(in crate::endpoints) fn new() -> Self {
        let turns = Cache::builder()
            .max_capacity(MAX_USERS)
            .time_to_idle(REMEMBERED);
        Self(turns.build())
    }

    /// The user's turn, until it is dropped. Whoever goes away before gives it to the next.
    pub(super) async fn take(&self, user: &str) -> Result<OwnedSemaphorePermit, Failure> {
        let one = || Arc::new(Semaphore::new(1));
        let turn = self.0.get_with_by_ref(user, one).acquire_owned();
        match tokio::time::timeout(DEADLINE, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Failure::Slow),
        }
    }
}

/// Makes a call under an idempotency key, and again while the same call is under way elsewhere. The caller's deadline
/// ends it.
pub(super) async fn once_free<T, F>(call: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        match call().await {
            Err(error) if error.kind == Kind::Idempotency => tokio::time::sleep(AGAIN).await,
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_click_waits_for_the_one_before_of_the_same_user_and_goes_on_when_that_goes_away() {
        let turns = Turns::new();
        let first = turns.take("a").await.unwrap();
        assert!(turns.take("b").await.is_ok(), "for each user");
        let (mut second, mut third) = (Box::pin(turns.take("a")), Box::pin(turns.take("a")));
        tokio::select! {
            biased;
            _ = &mut second => unreachable!("it waits"),
            _ = &mut third => unreachable!("it waits"),
            () = std::future::ready(()) => {}
        }
        drop(second);
        drop(first);
        assert!(third.await.is_ok());
    }
}
