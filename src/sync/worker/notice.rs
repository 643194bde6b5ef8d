//! Things of Stripe's that somebody should look at: each is counted and told of once, not at every sync.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::entitlement::Oddity;
use crate::telemetry::Metrics;

/// So many are remembered; beyond it all are forgotten, and told of again.
const REMEMBERED: usize = 4096;

/// What was told of since the start.
#[derive(Default)]
pub(super) struct Notices(Mutex<HashSet<String>>);

impl Notices {
    /// Tells of something odd in what the user has bought.
    pub(super) fn oddity(&self, user: &str, oddity: &Oddity, metrics: &Metrics) {
        let (kind, mend) = match oddity {
            Oddity::UnknownPrice { .. } => (
                "price",
                "nobody gets anything for it; if it sells a plan, add it to the plan's `prices`",
            ),
            Oddity::UnknownStatus { .. } => (
                "status",
                "look at it in Stripe, and for a newer version of this program",
            ),
        };
        if self.is_new(format!("{user} {oddity}")) {
            metrics.billing.oddity(kind);
            tracing::warn!(user.id = user, "{oddity}: {mend}");
        }
    }

    /// Tells of a customer under which several users bought.
    pub(super) fn shared(&self, customer: &str, users: &[&str], metrics: &Metrics) {
        let users = users.join(", ");
        if self.is_new(format!("{customer} {users}")) {
            metrics.billing.oddity("owner");
            tracing::warn!(
                customer.id = customer,
                users,
                "several users have bought under one Stripe customer: each gets what names them; give each a customer \
                 of their own"
            );
        }
    }

    /// Tells of a bought plan's role that a user has without having bought anything.
    pub(super) fn unaccounted(&self, user: &str, roles: &str, metrics: &Metrics) {
        if self.is_new(format!("{user} holds {roles}")) {
            metrics.billing.oddity("role");
            tracing::warn!(
                user.id = user,
                roles,
                "the user has a bought plan's role, and Stripe knows of no purchase: the role is left alone; if it was paid \
                 for, set `auth0_user_id` in the metadata of the Stripe customer, else take the role away in Auth0"
            );
        }
    }

    fn is_new(&self, what: String) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_oddity_is_told_of_once_for_each_user() {
        let notices = Notices::default();
        assert!(notices.is_new("a".into()));
        assert!(!notices.is_new("a".into()));
        assert!(notices.is_new("b".into()));
        assert!(!notices.is_new("a".into()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let notices = Notices::default();
        for n in 0..3 * REMEMBERED {
            notices.is_new(n.to_string());
            assert!(notices.0.lock().unwrap().len() <= REMEMBERED);
        }
    }
}
