//! What the frontend shows a user of their plan: the ledger's word beside what Auth0 says.

mod reading;
mod roles;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::Endpoints;
use super::failure::Failure;
use super::look::Seen;
use crate::clock::millis;
use crate::entitlement::Catalog;
use crate::policy::Permissions;
use crate::reply::{json, timestamp};
use crate::store::{Entitlement, StoreError, UnixMillis};
use reading::{Reading, Status};
pub(super) use roles::RoleReadings;

/// How long Auth0 may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// How long it may take before a purchase, which does not need it.
const BRIEFLY: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Answer<'a> {
    success: bool,
    user_id: &'a str,
    timestamp: String,
    premium_status: Status,
}

/// What is known of a user without Auth0; by default nothing, which may be stale.
#[derive(Default)]
struct Known {
    /// Whether the ledger could be asked.
    is_read: bool,
    /// Whether nothing is under way.
    is_caught_up: bool,
    seen: Arc<Seen>,
    row: Option<Entitlement>,
}

impl Endpoints {
    /// `GET /auth/premium-status`.
    pub(super) async fn premium_status(
        &self,
        user: &str,
        permissions: &Permissions,
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let Known {
            is_read,
            is_caught_up,
            seen,
            row,
        } = self.known_of(user).await.unwrap_or_else(|error| {
            // Auth0's roles answer then, and what the user may do.
            self.parts.metrics.billing.ledger_error("endpoint");
            tracing::error!(error = %error, "a status is told without the ledger");
            Known::default()
        });
        let sequence = row.as_ref().map(|row| row.sequence);
        let roles = self.roles_of(user, sequence, DEADLINE).await;
        let terms = self.parts.terms.load();
        let (catalog, now) = (&terms.catalog, self.now_millis());
        let row = reading::with_paid(row, &seen.paid, catalog, now);
        let reading = Reading {
            row: row.as_ref(),
            roles: roles.as_ref().map(|roles| roles.as_slice()),
            is_blind: !is_read,
            permissions,
            catalog,
            now,
            decisive: self.decisive(),
        };
        let mut premium_status = reading.status();
        premium_status.stale |= seen.stale || !is_caught_up;
        let answer = Answer {
            success: true,
            user_id: user,
            timestamp: timestamp(self.parts.clock.unix_seconds()),
            premium_status,
        };
        Ok(json(StatusCode::OK, &answer))
    }

    /// What the ledger and an open checkout tell.
    async fn known_of(&self, user: &str) -> Result<Known, StoreError> {
        Ok(Known {
            is_read: true,
            is_caught_up: self.catch_up(user).await?,
            seen: self.look(user).await?,
            row: self.parts.store.entitlement(user).await?,
        })
    }

    /// The bought plan that the user holds, by the same reading as the status: a role from before the ledger is not sold
    /// again. While Auth0 is away the ledger alone says.
    pub(super) async fn held(
        &self,
        user: &str,
        row: Option<&Entitlement>,
        catalog: &Catalog,
    ) -> Option<String> {
        let mut reading = Reading {
            row,
            roles: None,
            is_blind: false,
            permissions: &Permissions::new([]),
            catalog,
            now: self.now_millis(),
            decisive: self.decisive(),
        };
        let roles = if reading.is_decisive() {
            None
        } else {
            let asking = self.roles_of(user, row.map(|row| row.sequence), BRIEFLY);
            // Somebody may have begun to ask, and have more time.
            let asked = tokio::time::timeout(BRIEFLY, asking).await;
            asked.ok().flatten()
        };
        reading.roles = roles.as_ref().map(|roles| roles.as_slice());
        reading.held().map(|plan| plan.name.clone())
    }

    /// For how long after a change the ledger alone decides, in milliseconds.
    fn decisive(&self) -> UnixMillis {
        millis(self.config.max_token_age)
    }
}
