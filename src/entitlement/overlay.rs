//! An entitlement newer than the token, applied on top of the token's permissions.

use std::collections::HashSet;

use super::catalog::Catalog;
use crate::clock::UnixSeconds;

/// A change of a user's plan that tokens in the field may not know of yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The plan's name now.
    pub plan: Option<String>,
    /// When Auth0 had the role, seconds; `None` while it may not have it yet.
    pub confirmed_at: Option<UnixSeconds>,
    /// The user's Auth0 roles, as far as they were read. What one gives that no plan names is not the plan's to take;
    /// those of plans do not count, because the plan may just have lost them.
    pub other_roles: Vec<String>,
}

/// What a token is worth after `change`; `None` when it is worth what it says.
///
/// A token issued after Auth0 confirmed the change knows of it. `iat` counts whole seconds, so one of the very second
/// is not trusted, and `leeway` allows for two clocks.
#[must_use]
pub fn effective<'a>(
    token: impl Iterator<Item = &'a str>,
    issued_at: Option<UnixSeconds>,
    change: &'a Change,
    catalog: &'a Catalog,
    leeway: UnixSeconds,
) -> Option<Vec<&'a str>> {
    if let (Some(issued_at), Some(confirmed_at)) = (issued_at, change.confirmed_at)
        && issued_at > confirmed_at.saturating_add(leeway)
    {
        return None;
    }
    let plan = match change.plan.as_deref() {
        // A plan that a reload took away or renamed: nobody can say what it brings until the user is looked at again.
        Some(name) => Some(catalog.plan(name)?),
        None => None,
    };
    // Sets, because a token may hold a thousand permissions: the work grows with what there is, not with its square.
    let others = change.other_roles.iter();
    let unmanaged = others.filter(|role| catalog.plan_of_role(role).is_none());
    let by_another_role: HashSet<&str> = unmanaged
        .flat_map(|role| catalog.permissions_of(role))
        .map(String::as_str)
        .collect();
    let rest = token.filter(|held| !catalog.manages(held) || by_another_role.contains(held));
    let bought = plan.map(|plan| &*plan.permissions).unwrap_or_default();
    let mut seen = HashSet::new();
    let all = bought.iter().map(String::as_str).chain(rest);
    Some(all.filter(|permission| seen.insert(*permission)).collect())
}

#[cfg(test)]
mod tests;
