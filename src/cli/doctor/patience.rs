//! How long doctor waits: for one call, and for all of it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// One call. Whoever takes longer is as good as away for the browser that waits behind Tollgate.
pub(super) const CALL: Duration = Duration::from_secs(5);
/// Everything together; a tenant of the free kind answers twice a second, and is asked some ten times.
const ALL: Duration = Duration::from_secs(16);

/// When all of it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    end: Instant,
}

impl Patience {
    /// It begins now.
    pub(super) fn begin() -> Self {
        Self {
            end: Instant::now() + ALL,
        }
    }

    /// What `work` gives; `None` when it takes longer than `longest`, or than is left of all of it.
    pub(super) async fn wait<T>(
        self,
        longest: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let end = self.end.min(Instant::now() + longest);
        timeout_at(end, work).await.ok()
    }
}

/// What each of them gives, in their order; all are under way at once. For a few.
pub(super) async fn together<F: Future>(few: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = few.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    poll_fn(|context| {
        let each = running.iter_mut().zip(&mut done);
        for (future, done) in each.filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
