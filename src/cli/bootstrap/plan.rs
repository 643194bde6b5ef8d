//! What is wanted against what is there: the changes that lead from one to the other. Pure.
//!
//! Nothing here takes anything away: whatever else is there, others may need it.

use crate::auth0::{Permission, ResourceServer, Role};
use crate::cli::wanted::{Wanted, Webhook};
use crate::entitlement;
use crate::stripe::WebhookEndpoint;

/// What is there, as far as it can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Present {
    /// Each wanted API.
    pub(super) apis: Vec<(String, Api)>,
    /// The roles that are wanted and there; `None` when roles cannot be seen.
    pub(super) roles: Option<Vec<PresentRole>>,
    /// All webhook endpoints; `None` when they cannot be seen.
    pub(super) endpoints: Option<Vec<WebhookEndpoint>>,
}

/// What is known of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// It could not be looked at.
    Unseen,
    /// There is none.
    Missing,
    /// It is like this.
    There(ResourceServer),
}

/// A role that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PresentRole {
    pub(super) role: Role,
    /// What it permits; `None` when that cannot be seen.
    pub(super) permissions: Option<Vec<Permission>>,
}

/// One step from what is there to what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Make an API, with RBAC on.
    MakeApi {
        identifier: String,
        permissions: Vec<String>,
    },
    /// Add permissions to an API, and see that its tokens hold them.
    ExtendApi {
        identifier: String,
        add: Vec<String>,
        rbac: bool,
        dialect: Option<String>,
    },
    /// Make a role that permits nothing yet.
    MakeRole { name: String },
    /// Let a role permit more.
    Permit { role: String, add: Vec<Permission> },
    /// Make a webhook endpoint.
    MakeEndpoint { url: String, events: Vec<String> },
    /// Have more events sent to an endpoint, and switch it on.
    ExtendEndpoint {
        id: String,
        url: String,
        add: Vec<String>,
        enable: bool,
    },
}

/// Everything that is to be done, in this order: what comes later needs what comes before.
pub(super) fn difference(wanted: &Wanted, present: &Present) -> Vec<Change> {
    let apis = present.apis.iter();
    let mut changes: Vec<Change> = apis
        .filter_map(|(identifier, api)| api_change(wanted, identifier, api))
        .collect();
    if let Some(roles) = &present.roles {
        for role in &wanted.roles {
            role_changes(present, role, roles, &mut changes);
        }
    }
    if let (Some(webhook), Some(endpoints)) = (&wanted.webhook, &present.endpoints) {
        changes.extend(endpoint_change(webhook, endpoints));
    }
    changes
}

fn api_change(wanted: &Wanted, identifier: &str, api: &Api) -> Option<Change> {
    let identifier = identifier.to_owned();
    let api = match api {
        Api::Unseen => return None,
        Api::Missing => {
            return Some(Change::MakeApi {
                identifier,
                permissions: wanted.permissions.clone(),
            });
        }
        Api::There(api) => api,
    };
    // Where no permission is asked for it does not matter how they are given.
    if wanted.permissions.is_empty() {
        return None;
    }
    let Extension { add, rbac, dialect } = extension(api, &wanted.permissions);
    let is_change = !add.is_empty() || rbac || dialect.is_some();
    is_change.then_some(Change::ExtendApi {
        identifier,
        add,
        rbac,
        dialect,
    })
}

/// What an API lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    /// Permissions.
    pub(super) add: Vec<String>,
    /// RBAC is off.
    pub(super) rbac: bool,
    /// The dialect that puts permissions into its tokens, where they hold none.
    pub(super) dialect: Option<String>,
}

/// What an API lacks of these permissions, and for its tokens to hold any.
pub(super) fn extension(api: &ResourceServer, permissions: &[String]) -> Extension {
    let is_known = |name: &str| api.scopes.iter().any(|(known, _)| known == name);
    let add = missing(permissions, is_known);
    let rbac = !api.enforce_policies;
    let dialect = match &api.token_dialect {
        _ if api.puts_permissions() => None,
        // An API that does not tell its dialect may never do so: it is set along with what else is lacking, and not again
        // and again.
        None if add.is_empty() && !rbac => None,
        dialect => Some(with_permissions(dialect.as_deref())),
    };
    Extension { add, rbac, dialect }
}

/// The dialect that puts permissions into tokens and is otherwise like this one; `access_token` is Auth0's own.
fn with_permissions(dialect: Option<&str>) -> String {
    format!("{}_authz", dialect.unwrap_or("access_token"))
}

fn role_changes(
    present: &Present,
    role: &entitlement::Role,
    roles: &[PresentRole],
    changes: &mut Vec<Change>,
) {
    let there = roles.iter().find(|there| there.role.name == role.name);
    if there.is_none() {
        changes.push(Change::MakeRole {
            name: role.name.clone(),
        });
    }
    let permitted = there.map_or(Some(&[][..]), |there| there.permissions.as_deref());
    let Some(permitted) = permitted else { return };
    // What an API does not know it refuses, and nobody can tell what one knows that cannot be seen.
    let seen = present.apis.iter().filter(|(_, api)| *api != Api::Unseen);
    let everywhere = seen.flat_map(|(api, _)| {
        role.permissions.iter().map(|name| Permission {
            resource_server: api.clone(),
            name: name.clone(),
        })
    });
    let add: Vec<Permission> = everywhere.filter(|one| !permitted.contains(one)).collect();
    if !add.is_empty() {
        changes.push(Change::Permit {
            role: role.name.clone(),
            add,
        });
    }
}

fn endpoint_change(webhook: &Webhook, endpoints: &[WebhookEndpoint]) -> Option<Change> {
    let owned = |events: &[&str]| events.iter().map(ToString::to_string).collect();
    let Some(best) = webhook.best(endpoints) else {
        return Some(Change::MakeEndpoint {
            url: webhook.url.clone(),
            events: owned(webhook.events),
        });
    };
    let (add, enable) = (webhook.missing(best), !best.enabled);
    (enable || !add.is_empty()).then(|| Change::ExtendEndpoint {
        id: best.id.clone(),
        url: best.url.clone(),
        add: owned(&add),
        enable,
    })
}

/// Those of `wanted` that are not there.
fn missing(wanted: &[String], is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let missing = wanted.iter().filter(|name| !is_there(name));
    missing.cloned().collect()
}

#[cfg(test)]
mod tests;
