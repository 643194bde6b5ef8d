//! What the ledger knows of a principal, applied on top of what the token says.

use std::sync::Arc;

use http::HeaderValue;

use super::{Config, Rules, Shared, header_value};
use crate::entitlement::{self, Catalog};
use crate::policy::{self, Credential, Fallback, Found, Permissions, Principal, Requirement};
use crate::proxy::Ending;

/// A verified principal, before and after.
pub(super) struct Overlaid {
    /// As the token says.
    pub(super) token: Arc<Principal>,
    /// With the permissions that count now.
    pub(super) effective: Arc<Principal>,
    /// The plan now; `None` without payments.
    pub(super) plan: Option<HeaderValue>,
}

/// The plans' names as header values, made once for each config.
pub(super) struct PlanNames {
    names: Vec<(String, HeaderValue)>,
    base: Option<HeaderValue>,
}

impl PlanNames {
    pub(super) fn new(catalog: &Catalog) -> Self {
        let names = catalog.plans().iter();
        Self {
            names: names
                .map(|plan| (plan.name.clone(), header_value(plan.name.as_str())))
                .collect(),
            base: catalog.base().map(|plan| header_value(plan.name.as_str())),
        }
    }

    fn named(&self, plan: &str) -> Option<HeaderValue> {
        let known = self.names.iter().find(|(name, _)| name == plan);
        known.map(|(_, value)| value.clone())
    }
}

impl Shared {
    /// Waits where the overlay is older than it may be, as after a standstill of the whole process; else costs a look at
    /// a number.
    pub(super) async fn until_overlay_counts(&self) {
        if let Some(billing) = &self.billing
            && billing.overlay.is_old()
        {
            // Boxed: the common way should not pay for the room that this one needs.
            Box::pin(billing.overlay.renewed()).await;
        }
    }

    /// Applies what the ledger knows: one look at a snapshot, no lock, no waiting.
    pub(super) fn overlaid(&self, rules: &Rules, token: Arc<Principal>) -> Overlaid {
        let Some(billing) = &self.billing else {
            return Overlaid {
                effective: Arc::clone(&token),
                token,
                plan: None,
            };
        };
        let Some(standing) = billing.overlay.standing(&token.subject) else {
            return Overlaid {
                effective: Arc::clone(&token),
                token,
                plan: rules.plans.base.clone(),
            };
        };
        let held = standing.change.as_ref().and_then(|change| {
            let permissions = token.permissions.iter();
            let catalog = &rules.config.catalog;
            let leeway = billing.overlay.leeway();
            entitlement::effective(permissions, token.issued_at, change, catalog, leeway)
        });
        let effective = match held {
            Some(held) => Arc::new(Principal {
                permissions: Permissions::new(held),
                ..Principal::clone(&token)
            }),
            None => Arc::clone(&token),
        };
        let plan = standing.plan.as_deref();
        Overlaid {
            token,
            effective,
            plan: plan.and_then(|plan| rules.plans.named(plan)),
        }
    }

    /// Waits until the principal of `token` does not meet `requirement` any more.
    pub(super) async fn lost(self: Arc<Self>, token: Arc<Principal>, requirement: Requirement) {
        let Some(billing) = &self.billing else {
            return std::future::pending().await;
        };
        let fallback = Fallback::Apply(requirement);
        let found = Found::Fallback(&fallback);
        let mut changes = billing.overlay.changes();
        loop {
            let effective = self
                .overlaid(&self.rules.load(), Arc::clone(&token))
                .effective;
            if policy::decide::<()>(&found, Credential::Valid(effective)).is_err() {
                return;
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The end of what `token` was let in to by `found`; `None` where no permission was asked for.
    pub(super) fn end_of_permission(
        self: &Arc<Self>,
        config: &Config,
        found: &Found<'_>,
        token: &Arc<Principal>,
    ) -> Option<Box<dyn FnOnce() -> Ending + Send>> {
        self.billing.as_ref()?;
        match found.requirement()? {
            Requirement::Public | Requirement::Optional | Requirement::Authenticated => {
                return None;
            }
            Requirement::AllOf(_) | Requirement::AnyOf(_) => {}
        }
        let shared = Arc::clone(self);
        let table = Arc::clone(&config.table);
        let token = Arc::clone(token);
        let route = match found {
            Found::Route { index, .. } => Some(*index),
            Found::Fallback(_) | Found::MethodNotAllowed { .. } => None,
        };
        Some(Box::new(move || {
            let requirement = match (
                route.and_then(|at| table.routes().get(at)),
                table.fallback(),
            ) {
                (Some(route), _) => route.requirement.clone(),
                (None, Fallback::Apply(requirement)) => requirement.clone(),
                // Nobody was let in by it.
                (None, Fallback::Deny) => Requirement::AnyOf(Vec::new()),
            };
            Box::pin(shared.lost(token, requirement))
        }))
    }
}
