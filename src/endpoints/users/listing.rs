//! The list as Auth0 has it, read once for all who ask for the same part of it at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;

use super::Entry;
use super::page::{self, Cursor};
use super::query::Query;
use crate::auth0;
use crate::endpoints::Endpoints;
use crate::endpoints::allowance::Allowance;
use crate::endpoints::failure::Failure;
use crate::entitlement::{Catalog, Plan};

/// How long the whole list may take.
const DEADLINE: Duration = Duration::from_secs(25);
/// How long each call may wait for its turn.
const TURN: Duration = Duration::from_secs(5);
/// Entries of an answer where nobody says how many; with more there is a cursor, too. Some 10 MB.
const MAX_ENTRIES: usize = 50_000;
/// How long a list counts for those who ask again and again.
const FRESH: Duration = Duration::from_secs(3);
/// Times that a list is read without a pause; then one in [`FRESH`].
const BURST: u32 = 3;
/// Entries of all lists that are remembered.
const MAX_REMEMBERED: u64 = 100_000;

/// What was read lately.
pub(in crate::endpoints) struct Listings {
    read: Cache<String, Arc<Listing>>,
    /// By list, whoever asks.
    allowance: Allowance,
}

/// A part of the list.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    /// Where to go on.
    pub(super) next: Option<Cursor>,
}

/// Why a list could not be read: told to each who waits for it.
#[derive(Clone, Debug)]
enum Unread {
    Auth0(auth0::Error),
    Cursor,
    TooLong,
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Auth0(error) => Self::Auth0(error),
            Unread::Cursor => Self::Cursor,
            Unread::TooLong => Self::TooLong,
        }
    }
}

impl Listings {
    pub(in crate::endpoints) fn new() -> Self {
        let weight = |_: &String, listing: &Arc<Listing>| {
            u32::try_from(listing.entries.len().saturating_add(1)).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .weigher(weight)
            .max_capacity(MAX_REMEMBERED)
            .time_to_live(FRESH);
        Self {
            read: cache.build(),
            allowance: Allowance::new(BURST, FRESH),
        }
    }
}

impl Endpoints {
    /// The part of the list that is asked for.
    pub(super) async fn listing(
        &self,
        query: &Query,
        catalog: &Catalog,
    ) -> Result<Arc<Listing>, Failure> {
        let plans = query.plans(catalog);
        let reading = async {
            let read = tokio::time::timeout(DEADLINE, self.list(&plans, query)).await;
            read.unwrap_or(Err(Unread::TooLong)).map(Arc::new)
        };
        let which = format!("{query:?}");
        let Listings { read, allowance } = &self.listings;
        if allowance.take(&which, Instant::now()).is_ok() {
            read.invalidate(&which).await;
        }
        let read = read.try_get_with(which, Box::pin(reading)).await;
        read.map_err(|unread| Unread::clone(&unread).into())
    }

    /// The members of the plans' roles from the query's cursor on, and where to go on.
    async fn list(&self, plans: &[&Plan], query: &Query) -> Result<Listing, Unread> {
        let limit = query.limit.unwrap_or(MAX_ENTRIES);
        let mut entries = Vec::new();
        let mut start = query.cursor.clone();
        let first = start.as_ref().map_or(Ok(0), |cursor| {
            let named = |plan: &&Plan| plan.name == cursor.plan;
            plans.iter().position(named).ok_or(Unread::Cursor)
        })?;
        for plan in &plans[first..] {
            let from = start.take().unwrap_or_else(|| Cursor::start_of(&plan.name));
            if let Some(next) = self
                .list_role(&plan.role, from, limit, &mut entries)
                .await?
            {
                return Ok(Listing {
                    entries,
                    next: Some(next),
                });
            }
        }
        Ok(Listing {
            entries,
            next: None,
        })
    }

    /// Adds the members of one role, up to `limit` entries in all; where to go on when there are more.
    async fn list_role(
        &self,
        name: &str,
        mut at: Cursor,
        limit: usize,
        entries: &mut Vec<Entry>,
    ) -> Result<Option<Cursor>, Unread> {
        let auth0 = self.parts.auth0.within(TURN);
        let role = match auth0.role(name).await {
            Ok(role) => role,
            Err(error) if matches!(error.kind, auth0::Kind::NoRole(_)) => {
                // Nobody holds a role that there is none of.
                tracing::warn!(error = %error, "a plan's members cannot be listed");
                return Ok(None);
            }
            Err(error) => return Err(Unread::Auth0(error)),
        };
        // Pages may overlap when members change in between.
        let mut seen = HashSet::new();
        // Only where the client says to begin can the client be wrong.
        let mut is_clients = at.from.is_some();
        loop {
            let page = auth0
                .members(&role, at.from.as_deref(), page::SIZE)
                .await
                .map_err(|error| refused(error, is_clients))?;
            for (index, user) in page.users.into_iter().enumerate().skip(at.skip) {
                if entries.len() == limit {
                    at.skip = index;
                    return Ok(Some(at));
                }
                if seen.insert(user.id.clone()) {
                    entries.push(Entry::new(user, name));
                }
            }
            is_clients = false;
            match page.next {
                None => return Ok(None),
                // A list that leads back to itself, taken for the whole, would miss somebody.
                Some(next) if at.from.as_ref() == Some(&next) => {
                    return Err(Unread::Auth0(endless()));
                }
                Some(next) => at = at.moved_to(next),
            }
        }
    }
}

fn endless() -> auth0::Error {
    auth0::Error {
        kind: auth0::Kind::Unreadable,
        call: "GET /roles/{id}/users",
        retry_after: None,
    }
}

/// A place of the client's that Auth0 does not know was not given by it: the cursor is made up, or too old.
fn refused(error: auth0::Error, is_clients: bool) -> Unread {
    match error.kind {
        auth0::Kind::Invalid(400) if is_clients => Unread::Cursor,
        auth0::Kind::Unreachable
        | auth0::Kind::Api(_)
        | auth0::Kind::RateLimited
        | auth0::Kind::Client
        | auth0::Kind::Scope(_)
        | auth0::Kind::NoUser
        | auth0::Kind::NoRole(_)
        | auth0::Kind::Invalid(_)
        | auth0::Kind::Unreadable => Unread::Auth0(error),
    }
}
