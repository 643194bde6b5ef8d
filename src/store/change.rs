//! How an entitlement changes, the same in every database.

use super::{Derived, Entitlement, UnixMillis};

impl Entitlement {
    /// Takes what was derived. With `changed`, the change begins now and is not confirmed.
    pub(super) fn derive(&mut self, derived: &Derived, changed: bool, now: UnixMillis) {
        let same_plan = self.derived.plan == derived.plan;
        self.activated_at = match self.activated_at {
            _ if !derived.paid => None,
            Some(since) if same_plan => Some(since),
            Some(_) | None => Some(now),
        };
        self.derived = derived.clone();
        self.begin(changed, now);
    }

    /// Takes what was read from Auth0 before anything is done to it. With `changed`, the change begins now.
    pub(super) fn read_roles(&mut self, roles: &[String], changed: bool, now: UnixMillis) {
        self.roles = Some(roles.to_vec());
        self.begin(changed, now);
    }

    fn begin(&mut self, changed: bool, now: UnixMillis) {
        if changed {
            self.changed_at = Some(now);
            self.confirmed_at = None;
        }
    }

    /// Takes what was read from Auth0, which has what it should. What was confirmed stays so since then.
    pub(super) fn confirm(&mut self, roles: &[String], metadata: &str, now: UnixMillis) {
        self.roles = Some(roles.to_vec());
        self.metadata = Some(metadata.to_owned());
        self.confirmed_at.get_or_insert(now);
    }
}
