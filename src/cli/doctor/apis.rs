//! The tenant's APIs, one for each audience: whether they are there, and put permissions into tokens.

use std::collections::BTreeSet;

use super::patience::{CALL, Patience};
use super::report::Check;
use super::tenant::unseen;
use crate::auth0::{Client, ResourceServer};
use crate::cli::wanted::Wanted;

/// What each line about them is called, at least in part.
pub(super) const NAME: &str = "api";
const TOKENS: &str = "api tokens";

/// Looks at each.
pub(super) async fn check(client: &Client, wanted: &Wanted, patience: Patience) -> Vec<Check> {
    let mut checks = Vec::new();
    for audience in &wanted.apis {
        match patience.wait(CALL, client.resource_server(audience)).await {
            Some(Ok(Some(api))) => {
                checks.push(Check::pass(NAME, format!("{audience} is there")));
                if !wanted.permissions.is_empty() {
                    checks.extend(settings(&api));
                    checks.push(permissions(&api, &wanted.permissions));
                }
            }
            Some(Ok(None)) => checks.push(Check::fail(
                NAME,
                format!("the tenant has no API whose identifier is {audience}"),
                "Run `tollgate bootstrap`, or make it in the Auth0 dashboard below Applications > APIs, or correct `auth0.audience`.",
            )),
            other => {
                let error = other.and_then(Result::err);
                checks.push(unseen(NAME, audience, error.as_ref()));
            }
        }
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
    let mend = switch("Add Permissions in the Access Token");
    let token = match &api.token_dialect {
        Some(_) if api.puts_permissions() => {
            Check::pass(TOKENS, format!("those for {of} hold permissions"))
        }
        Some(_) => Check::fail(TOKENS, format!("those for {of} hold no permissions"), mend),
        None => {
            let found = format!("Auth0 does not say whether those for {of} hold permissions");
            Check::warn(TOKENS, found, mend)
        }
    };
    [rbac, token]
}

/// Whether the API has each permission that the config names: its tokens hold no others.
fn permissions(api: &ResourceServer, wanted: &[String]) -> Check {
    const NAME: &str = "api permissions";
    let there: BTreeSet<&str> = api.scopes.iter().map(|(name, _)| name.as_str()).collect();
    let missing: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|name| !there.contains(name))
        .collect();
    let of = &api.identifier;
    if missing.is_empty() {
        let count = wanted.len();
        return Check::pass(NAME, format!("{of} has all {count} that the config names"));
    }
    Check::fail(
        NAME,
        format!("{of} lacks {}", missing.join(", ")),
        "Run `tollgate bootstrap`, or add them to the API in the Auth0 dashboard.",
    )
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
        assert_eq!(of(false, None), [Status::Fail, Status::Warn]);
        assert_eq!(
            of(true, None),
            [Status::Pass, Status::Warn],
            "a short answer"
        );
    }

    #[test]
    fn an_api_has_every_permission_and_those_that_it_lacks_are_named() {
        let wanted =
            |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
        let api = api(&["a", "b"], true, None);
        assert_eq!(permissions(&api, &wanted(&["a"])).status, Status::Pass);
        let check = permissions(&api, &wanted(&["a", "d", "e"]));
        assert_eq!(check.status, Status::Fail);
        assert!(check.found.ends_with("lacks d, e"), "{check:?}");
    }
}
