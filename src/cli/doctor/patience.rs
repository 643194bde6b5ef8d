//! How long doctor waits: for one call, and for all of it.

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

    /// Whether nothing is left of it.
    pub(super) fn is_over(self) -> bool {
        Instant::now() >= self.end
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
