//! Who has a paid plan's role: for the admin panel. Auth0 says who, the ledger since when.

mod page;
mod query;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::Endpoints;
use super::failure::Failure;
use crate::auth0;
use crate::entitlement::{Catalog, Plan};
use crate::reply::{json, timestamp};
use crate::store::Entitlement;
use page::Cursor;
use query::Query;

/// How long the whole list may take.
const DEADLINE: Duration = Duration::from_secs(25);
/// Entries of an answer where nobody says how many; with more there is a cursor, too. Some 10 MB.
const MAX_ENTRIES: usize = 50_000;
/// Users that the ledger is asked about at a time.
const CHUNK: usize = 500;

#[derive(Serialize)]
struct Answer {
    success: bool,
    count: usize,
    timestamp: String,
    premium_users: Vec<Entry>,
    #[serde(flatten)]
    next: Option<Next>,
}

/// Where to go on; absent where nobody asked for parts and there is no more.
#[derive(Serialize)]
struct Next {
    /// `null` at the end.
    next_cursor: Option<String>,
}

/// One user with one role.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Entry {
    user_id: String,
    email: Option<String>,
    name: Option<String>,
    role: String,
    /// Auth0 tells it of each user alone, which is a call for each.
    created_at: Option<String>,
    /// Likewise.
    last_login: Option<String>,
    premium_activated_at: Option<String>,
    subscription_source: Option<&'static str>,
}

impl Entry {
    fn new(user: auth0::User, role: &str) -> Self {
        Self {
            user_id: user.id,
            email: user.email,
            name: user.name,
            role: role.to_owned(),
            created_at: None,
            last_login: None,
            premium_activated_at: None,
            subscription_source: None,
        }
    }

    /// Takes the ledger's word, where it is about this role.
    fn complete(&mut self, row: &Entitlement, catalog: &Catalog) {
        let plan = row.derived.plan.as_deref();
        let plan = plan.and_then(|name| catalog.plan(name));
        if row.derived.paid && plan.is_some_and(|plan| plan.role == self.role) {
            let seconds = row.activated_at.map(|millis| millis.div_euclid(1000));
            self.premium_activated_at = seconds.map(timestamp);
            self.subscription_source = Some("stripe");
        }
    }
}

impl Endpoints {
    /// `GET /admin/premium-users`.
    pub(super) async fn premium_users(
        &self,
        query: &str,
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let terms = self.parts.terms.load_full();
        let query = Query::parse(query, &terms.catalog)?;
        let plans: Vec<&Plan> = query.plans(&terms.catalog);
        let listing = self.list(&plans, &query);
        let (mut entries, next) = tokio::time::timeout(DEADLINE, listing)
            .await
            .unwrap_or(Err(Failure::TooLong))?;
        self.complete(&mut entries, &terms.catalog).await?;
        let next_cursor = next.map(|cursor| cursor.write());
        let has_next = query.is_for_a_part() || next_cursor.is_some();
        let answer = Answer {
            success: true,
            count: entries.len(),
            timestamp: timestamp(self.parts.clock.unix_seconds()),
            premium_users: entries,
            next: has_next.then_some(Next { next_cursor }),
        };
        Ok(json(StatusCode::OK, &answer))
    }

    /// The members of the plans' roles from the query's cursor on, and where to go on.
    async fn list(
        &self,
        plans: &[&Plan],
        query: &Query,
    ) -> Result<(Vec<Entry>, Option<Cursor>), Failure> {
        let limit = query.limit.unwrap_or(MAX_ENTRIES);
        let mut entries = Vec::new();
        let mut start = query.cursor.clone();
        let first = start.as_ref().map_or(Ok(0), |cursor| {
            let named = |plan: &&Plan| plan.name == cursor.plan;
            plans.iter().position(named).ok_or(Failure::Cursor)
        })?;
        for plan in &plans[first..] {
            let from = start.take().unwrap_or_else(|| Cursor::start_of(&plan.name));
            if let Some(next) = self
                .list_role(&plan.role, from, limit, &mut entries)
                .await?
            {
                return Ok((entries, Some(next)));
            }
        }
        Ok((entries, None))
    }

    /// Adds the members of one role, up to `limit` entries in all; where to go on when there are more.
    async fn list_role(
        &self,
        name: &str,
        mut at: Cursor,
        limit: usize,
        entries: &mut Vec<Entry>,
    ) -> Result<Option<Cursor>, Failure> {
        let role = match self.parts.auth0.role(name).await {
            Ok(role) => role,
            Err(error) if matches!(error.kind, auth0::Kind::NoRole(_)) => {
                // Nobody holds a role that there is none of.
                tracing::warn!(error = %error, "a plan's members cannot be listed");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        // Pages may overlap when members change in between.
        let mut seen = HashSet::new();
        loop {
            let page = self
                .parts
                .auth0
                .members(&role, at.from.as_deref(), page::SIZE)
                .await
                .map_err(|error| refused(error, &at))?;
            for (index, user) in page.users.into_iter().enumerate().skip(at.skip) {
                if entries.len() == limit {
                    at.skip = index;
                    return Ok(Some(at));
                }
                if seen.insert(user.id.clone()) {
                    entries.push(Entry::new(user, name));
                }
            }
            match page.next {
                Some(next) if at.from.as_deref() != Some(&next) => at = at.moved_to(next),
                Some(_) | None => return Ok(None),
            }
        }
    }

    /// Adds what the ledger knows.
    async fn complete(&self, entries: &mut [Entry], catalog: &Catalog) -> Result<(), Failure> {
        for chunk in entries.chunks_mut(CHUNK) {
            let users: HashSet<String> = chunk.iter().map(|entry| entry.user_id.clone()).collect();
            let users: Vec<String> = users.into_iter().collect();
            let rows = self.parts.store.entitlements(&users).await?;
            let rows: HashMap<&str, &Entitlement> =
                rows.iter().map(|row| (row.user.as_str(), row)).collect();
            for entry in chunk {
                if let Some(row) = rows.get(entry.user_id.as_str()) {
                    entry.complete(row, catalog);
                }
            }
        }
        Ok(())
    }
}

/// A place that Auth0 does not know was not given by it: the cursor is made up, or too old.
fn refused(error: auth0::Error, at: &Cursor) -> Failure {
    match error.kind {
        auth0::Kind::Invalid(400) if at.from.is_some() => Failure::Cursor,
        auth0::Kind::Unreachable
        | auth0::Kind::Api(_)
        | auth0::Kind::RateLimited
        | auth0::Kind::Client
        | auth0::Kind::Scope(_)
        | auth0::Kind::NoUser
        | auth0::Kind::NoRole(_)
        | auth0::Kind::Invalid(_)
        | auth0::Kind::Unreadable => error.into(),
    }
}
