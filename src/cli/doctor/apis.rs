//! The tenant's APIs, one for each audience: whether they are there, and put permissions into tokens.

use std::collections::BTreeSet;

use super::patience::{CALL, Patience};
use super::report::Check;
use super::tenant::unseen;
use crate::auth0::{Client, ResourceServer};
use crate::cli::wanted::Wanted;

/// What each line about them is called, at least in part.
pub(super) const NAME: &str = "api";

/// Looks at each.
pub(super) async fn check(client: &Client, wanted: &Wanted, patience: Patience) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut seen = Vec::new();
    let mut all_seen = true;
    for audience in &wanted.apis {
        match patience.wait(CALL, client.resource_server(audience)).await {
            Some(Ok(Some(api))) => {
                checks.push(Check::pass(NAME, format!("{audience} is there")));
                if !wanted.permissions.is_empty() {
                    checks.extend(settings(&api));
                }
                seen.push(api);
            }
            Some(Ok(None)) => checks.push(Check::fail(
                NAME,
                format!("the tenant has no API whose identifier is {audience}"),
                "Run `tollgate bootstrap`, or make it in the Auth0 dashboard below Applications > APIs, or correct `auth0.audience`.",
            )),
            other => {
                let error = other.and_then(Result::err);
                checks.push(unseen(NAME, audience, error.as_ref()));
                all_seen = false;
            }
        }
    }
    // One that was not seen may have the rest.
    if all_seen && !seen.is_empty() {
        checks.extend(permissions(&seen, &wanted.permissions));
    }
    checks
}

/// Without both nobody holds any permission.
fn settings(api: &ResourceServer) -> [Check; 2] {
    let switch = |what: &str| {
        format!(
            "Run `tollgate bootstrap`, or switch on \"{what}\" in the settings of this API in the Auth0 dashboard."
        )
    };
    let of = &api.identifier;
    let rbac = if api.enforce_policies {
        Check::pass("api RBAC", format!("on for {of}"))
    } else {
        let found = format!("off for {of}, so that roles give nobody a permission");
        Check::fail("api RBAC", found, switch("Enable RBAC"))
    };
    let token = if api.puts_permissions() {
        Check::pass("api tokens", format!("those for {of} hold permissions"))
    } else {
        let found = format!("those for {of} hold no permissions");
        let mend = switch("Add Permissions in the Access Token");
        Check::fail("api tokens", found, mend)
    };
    [rbac, token]
}

/// Whether each permission that the config names exists.
fn permissions(apis: &[ResourceServer], wanted: &[String]) -> Option<Check> {
    const NAME: &str = "api permissions";
    let there: BTreeSet<&str> = apis
        .iter()
        .flat_map(|api| api.scopes.iter().map(|(name, _)| name.as_str()))
        .collect();
    let missing: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|name| !there.contains(name))
        .collect();
    match (wanted.len(), missing.as_slice()) {
        (0, _) => None,
        (count, []) => Some(Check::pass(
            NAME,
            format!("all {count} that the config names exist"),
        )),
        (_, missing) => Some(Check::fail(
            NAME,
            format!("{} not there", missing.join(", ")),
            "Run `tollgate bootstrap`, or add them to the API in the Auth0 dashboard.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    fn api(scopes: &[&str], rbac: bool, dialect: Option<&str>) -> ResourceServer {
        ResourceServer {
            id: "1".into(),
            identifier: "https://api.example.test".into(),
            scopes: scopes
                .iter()
                .map(|name| ((*name).to_owned(), None))
                .collect(),
            enforce_policies: rbac,
            token_dialect: dialect.map(str::to_owned),
        }
    }

    #[test]
    fn rbac_and_the_permissions_in_tokens_are_both_needed() {
        let of = |rbac, dialect| settings(&api(&[], rbac, dialect)).map(|check| check.status);
        let authz = Some("access_token_authz");
        assert_eq!(of(true, authz), [Status::Pass, Status::Pass]);
        assert_eq!(of(false, authz), [Status::Fail, Status::Pass]);
        assert_eq!(of(true, Some("access_token")), [Status::Pass, Status::Fail]);
        assert_eq!(of(false, None), [Status::Fail, Status::Fail]);
    }

    #[test]
    fn a_permission_exists_where_one_of_the_apis_has_it_and_those_that_are_missing_are_named() {
        let apis = [api(&["a", "b"], true, None), api(&["c"], true, None)];
        let wanted =
            |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
        let check = permissions(&apis, &wanted(&["a", "c"])).unwrap();
        assert_eq!(check.status, Status::Pass);
        let check = permissions(&apis, &wanted(&["a", "d", "e"])).unwrap();
        assert_eq!(
            (check.status, check.found.as_str()),
            (Status::Fail, "d, e not there")
        );
        assert_eq!(permissions(&apis, &wanted(&[])), None);
    }
}
