//! What keeps the console from an answer. Each question to the ledger has a deadline.

use std::time::Duration;

use tokio::time::timeout;

use crate::store::StoreError;

/// How long the ledger may take for one question: longer, and an operator thinks that the page hangs.
const PATIENCE: Duration = Duration::from_secs(5);

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
    let answer = timeout(PATIENCE, question).await;
    Ok(answer.map_err(|_| Trouble::Slow(PATIENCE))??)
}
