//! The roles that a user has in Auth0, asked for once for all who want to know at once.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::auth0;
use crate::endpoints::Endpoints;

/// How long a reading counts. A change in the ledger makes it void at once.
const FRESH: Duration = Duration::from_secs(2);
/// Readings remembered, some 500 bytes each.
const MAX_READINGS: u64 = 10_000;

/// A user, and the ledger's sequence that the reading belongs to.
type Key = (String, Option<i64>);

/// What was read lately; nothing where Auth0 was away, so that it is not asked again at once.
pub(in crate::endpoints) struct RoleReadings(Cache<Key, Option<Arc<Vec<String>>>>);

impl RoleReadings {
    pub(in crate::endpoints) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_READINGS)
            .time_to_live(FRESH);
        Self(cache.build())
    }
}

impl Endpoints {
    /// The names of the user's roles; `None` when Auth0 does not say in time.
    pub(super) async fn roles_of(
        &self,
        user: &str,
        sequence: Option<i64>,
        deadline: Duration,
    ) -> Option<Arc<Vec<String>>> {
        let reading = async {
            let asked = tokio::time::timeout(deadline, self.parts.auth0.roles_of(user)).await;
            match asked {
                Ok(Ok(roles)) => {
                    let names = roles.into_iter().map(|role| role.name);
                    Some(Arc::new(names.collect()))
                }
                // A user who is gone has no roles.
                Ok(Err(error)) if error.kind == auth0::Kind::NoUser => Some(Arc::default()),
                Ok(Err(error)) => {
                    tracing::warn!(error = %error, "a user's roles could not be read");
                    None
                }
                Err(_) => {
                    tracing::warn!("a user's roles could not be read in time");
                    None
                }
            }
        };
        let key = (user.to_owned(), sequence);
        self.roles.0.get_with(key, Box::pin(reading)).await
    }
}
