//! The roles that a user has in Auth0, asked for once for all who want to know at once, and as far as the tenant's rate
//! has room beside the jobs: who was asked about lately is what was read then rather than nobody.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::auth0;
use crate::endpoints::Endpoints;

/// How long a reading counts without a question, and nothing is asked after a failure.
const FRESH: Duration = Duration::from_secs(2);
/// How long a reading counts while there is no room for the question. A change in the ledger makes it void at once.
const KEPT: Duration = Duration::from_secs(60);
/// How long a question may wait for its turn where nothing was read lately.
const TURN: Duration = Duration::from_secs(1);
/// Readings remembered, some 500 bytes each.
const MAX_READINGS: u64 = 10_000;

/// A user, and the ledger's sequence that the reading belongs to.
type Key = (String, Option<i64>);
/// The names of the roles.
type Names = Arc<Vec<String>>;

/// What was read lately.
pub(in crate::endpoints) struct RoleReadings {
    /// Nothing where Auth0 was away, so that it is not asked again at once.
    latest: Cache<Key, Option<Names>>,
    kept: Cache<Key, Names>,
}

impl RoleReadings {
    pub(in crate::endpoints) fn new() -> Self {
        let latest = Cache::builder()
            .max_capacity(MAX_READINGS)
            .time_to_live(FRESH);
        let kept = Cache::builder()
            .max_capacity(MAX_READINGS)
            .time_to_live(KEPT);
        Self {
            latest: latest.build(),
            kept: kept.build(),
        }
    }
}

impl Endpoints {
    /// The names of the user's roles; `None` when Auth0 does not say in time.
    pub(super) async fn roles_of(
        &self,
        user: &str,
        sequence: Option<i64>,
        deadline: Duration,
    ) -> Option<Names> {
        let key = (user.to_owned(), sequence);
        let reading = self.read_roles(key.clone(), deadline);
        self.roles.latest.get_with(key, Box::pin(reading)).await
    }

    async fn read_roles(&self, key: Key, deadline: Duration) -> Option<Names> {
        let kept = self.roles.kept.get(&key).await;
        let turn = if kept.is_some() { Duration::ZERO } else { TURN };
        let auth0 = self.parts.auth0.within(turn);
        let names: Names = match tokio::time::timeout(deadline, auth0.roles_of(&key.0)).await {
            Ok(Ok(roles)) => Arc::new(roles.into_iter().map(|role| role.name).collect()),
            // A user who is gone has no roles.
            Ok(Err(error)) if error.kind == auth0::Kind::NoUser => Arc::default(),
            // Not a line for each who asks: there may be many.
            Ok(Err(error)) if error.kind == auth0::Kind::RateLimited => {
                tracing::debug!(error = %error, "there is no room to read a user's roles");
                return kept;
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "a user's roles could not be read");
                return None;
            }
            Err(_) => {
                tracing::warn!("a user's roles could not be read in time");
                return None;
            }
        };
        self.roles.kept.insert(key, Arc::clone(&names)).await;
        Some(names)
    }
}
