//! What keeps the console from an answer. Each question to the ledger has a deadline.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::store::StoreError;

/// How long the ledger may take for one question: longer, and an operator thinks that the page hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Questions at once, of all pages together. The ledger has a handful of connections, and webhooks, requests and jobs need
/// them more: whoever loads pages as fast as they can must not keep those waiting.
static PLACES: Semaphore = Semaphore::const_new(2);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The ledger refuses or is away.
    #[error("{0}")]
    Ledger(#[from] StoreError),
    /// The ledger says nothing.
    #[error("the ledger does not answer within {0:?}")]
    Slow(Duration),
}

/// The answer, if it comes in time.
pub(super) async fn ask<T>(
    question: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Trouble> {
    let answer = timeout(PATIENCE, async {
        // Nobody closes it.
        let _place = PLACES.acquire().await;
        question.await
    });
    Ok(answer.await.map_err(|_| Trouble::Slow(PATIENCE))??)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn pages_ask_the_ledger_two_questions_at_once_and_who_gives_up_makes_room() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let question = || {
            ask(async {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                yield_now().await;
                now.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            })
        };
        let answers = join_all((0..20).map(|_| question())).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(most.load(Ordering::Relaxed), 2);
        let unanswered = join_all((0..4).map(|_| ask(pending::<Result<(), StoreError>>())));
        assert!(timeout(Duration::from_millis(1), unanswered).await.is_err());
        assert!(question().await.is_ok());
    }
}
