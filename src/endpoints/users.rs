//! Who has a paid plan's role: for the admin panel. Auth0 says who, the ledger since when.

mod listing;
mod page;
mod query;

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::Endpoints;
use super::failure::Failure;
use crate::auth0;
use crate::entitlement::Catalog;
use crate::reply::{json, timestamp};
use crate::store::Entitlement;
pub(super) use listing::Listings;
use page::Cursor;
use query::Query;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
        let listing = self.listing(&query, &terms.catalog).await?;
        let mut entries = listing.entries.clone();
        self.complete(&mut entries, &terms.catalog).await?;
        let next_cursor = listing.next.as_ref().map(Cursor::write);
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
