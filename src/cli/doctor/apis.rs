//! The tenant's APIs, one for each audience: whether they are there, and make tokens that Tollgate can use.

use std::collections::BTreeSet;
use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::patience::{CALL, Patience};
use super::report::{Check, Status};
use super::tenant::unseen;
use crate::auth0::{Client, ResourceServer};
use crate::cli::wanted::Wanted;

/// What each line about them is called, at least in part.
pub(super) const NAME: &str = "api";
const TOKENS: &str = "api tokens";
const SIGNATURE: &str = "api signature";
const LIFETIME: &str = "api lifetime";

/// What the config says of tokens.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    /// The algorithms that may sign them.
    pub(super) algorithms: &'a [Algorithm],
    /// The longest for which one is valid.
    pub(super) max_age: Duration,
}

/// Looks at each.
pub(super) async fn check(
    client: &Client,
    wanted: &Wanted,
    tokens: Tokens<'_>,
    patience: Patience,
) -> Vec<Check> {
    let mut checks = Vec::new();
    for audience in &wanted.apis {
        match patience.wait(CALL, client.resource_server(audience)).await {
            Some(Ok(Some(api))) => {
                checks.push(Check::pass(NAME, format!("{audience} is there")));
                checks.extend(signature(&api, tokens.algorithms));
                checks.extend(lifetime(&api, tokens.max_age));
                if !wanted.permissions.is_empty() {
                    checks.extend(settings(&api).map(|check| weighed(check, wanted)));
                    checks.push(permissions(&api, wanted));
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

/// Where nothing in the config asks for a permission it is no failure that nobody gets any.
fn weighed(check: Check, wanted: &Wanted) -> Check {
    let status = if wanted.unnamed.len() == wanted.permissions.len() {
        check.status.min(Status::Warn)
    } else {
        check.status
    };
    Check { status, ..check }
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
            let mend = "See that \"Add Permissions in the Access Token\" is on in the settings of this API in the Auth0 dashboard.";
            Check::warn(TOKENS, found, mend)
        }
    };
    [rbac, token]
}

/// Whether its tokens are signed as the config wants it; nothing where Auth0 does not say.
fn signature(api: &ResourceServer, algorithms: &[Algorithm]) -> Option<Check> {
    let signed_with = api.signing_alg.as_deref()?;
    let of = &api.identifier;
    let accepted: Vec<String> = algorithms.iter().map(|a| format!("{a:?}")).collect();
    if accepted.iter().any(|name| name == signed_with) {
        let found = format!("tokens for {of} are signed with {signed_with}");
        return Some(Check::pass(SIGNATURE, found));
    }
    let found = format!(
        "tokens for {of} are signed with {signed_with}, so that every one is refused: accepted is {}",
        accepted.join(", ")
    );
    let set = format!(
        "Set the signing algorithm to {} in the settings of this API in the Auth0 dashboard",
        accepted.join(" or ")
    );
    // A key that is shared cannot be published, and so not be checked with.
    let mend = if signed_with.starts_with("HS") {
        format!("{set}.")
    } else {
        format!("{set}, or write {signed_with} into `auth0.algorithms`.")
    };
    Some(Check::fail(SIGNATURE, found, mend))
}

/// Whether a change of plan is remembered for as long as a token from before it is valid; nothing where Auth0 does not say.
fn lifetime(api: &ResourceServer, max_age: Duration) -> Option<Check> {
    let longest = api.token_lifetime?.as_secs();
    let (of, max_age) = (&api.identifier, max_age.as_secs());
    if longest <= max_age {
        let found = format!("tokens for {of} are valid for {longest}s at most");
        return Some(Check::pass(LIFETIME, found));
    }
    let found = format!(
        "tokens for {of} are valid for up to {longest}s, and a change of plan is remembered for {max_age}s: after that an old \
         token gets in again"
    );
    let mend = format!(
        "Write `auth0.max_token_age: {longest}s`, or set the token's lifetime to {max_age} seconds or less in the settings of \
         this API in the Auth0 dashboard."
    );
    Some(Check::fail(LIFETIME, found, mend))
}

/// Whether the API has each permission that is wanted: its tokens hold no others.
fn permissions(api: &ResourceServer, wanted: &Wanted) -> Check {
    const NAME: &str = "api permissions";
    let mend = "Run `tollgate bootstrap`, or add them to the API in the Auth0 dashboard.";
    let there: BTreeSet<&str> = api.scopes.iter().map(|(name, _)| name.as_str()).collect();
    let all = wanted.permissions.iter();
    let missing: Vec<&String> = all.filter(|name| !there.contains(name.as_str())).collect();
    let of = &api.identifier;
    if missing.is_empty() {
        let count = wanted.permissions.len();
        return Check::pass(NAME, format!("{of} has all {count} that the config names"));
    }
    let names: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
    let found = format!("{of} lacks {}", names.join(", "));
    if missing.iter().all(|name| wanted.unnamed.contains(name)) {
        let found = format!("{found}, which no role gives; `GET /admin/premium-users` asks for it");
        return Check::warn(NAME, found, mend);
    }
    Check::fail(NAME, found, mend)
}

#[cfg(test)]
mod tests {
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
            signing_alg: None,
            token_lifetime: None,
        }
    }

    #[test]
    fn tokens_are_signed_with_what_is_accepted_and_nothing_is_said_where_auth0_does_not_tell() {
        let of = |signed_with: Option<&str>| {
            let api = ResourceServer {
                signing_alg: signed_with.map(str::to_owned),
                ..api(&[], true, None)
            };
            signature(&api, &[Algorithm::RS256, Algorithm::EdDSA])
        };
        assert_eq!(of(None), None);
        for good in ["RS256", "EdDSA"] {
            assert_eq!(of(Some(good)).unwrap().status, Status::Pass, "{good}");
        }
        for (bad, is_writable) in [("HS256", false), ("PS256", true)] {
            let check = of(Some(bad)).unwrap();
            assert_eq!(check.status, Status::Fail, "{bad}");
            let mend = check.mend.unwrap();
            assert!(mend.contains("RS256 or EdDSA"), "{mend}");
            assert_eq!(mend.contains("auth0.algorithms"), is_writable, "{mend}");
        }
    }

    #[test]
    fn no_token_outlives_what_is_remembered_of_plans() {
        let of = |seconds: Option<u64>| {
            let api = ResourceServer {
                token_lifetime: seconds.map(Duration::from_secs),
                ..api(&[], true, None)
            };
            lifetime(&api, Duration::from_secs(86_400)).map(|check| check.status)
        };
        assert_eq!(of(None), None);
        assert_eq!(of(Some(86_400)), Some(Status::Pass));
        assert_eq!(of(Some(86_401)), Some(Status::Fail));
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
        let api = api(&["a", "b"], true, None);
        assert_eq!(permissions(&api, &wanted(&["a"], &[])).status, Status::Pass);
        let check = permissions(&api, &wanted(&["a", "d", "e"], &[]));
        assert_eq!(check.status, Status::Fail);
        assert!(check.found.ends_with("lacks d, e"), "{check:?}");
    }

    #[test]
    fn a_permission_that_no_role_and_no_route_names_is_no_failure() {
        let without = api(&["a"], false, Some("access_token"));
        let of = |permissions: &[&str], unnamed: &[&str]| {
            let wanted = wanted(permissions, unnamed);
            let settings = settings(&without).map(|check| weighed(check, &wanted).status);
            (permissions_of(&without, &wanted), settings)
        };
        let (fail, warn) = (Status::Fail, Status::Warn);
        assert_eq!(of(&["a", "panel"], &["panel"]), (warn, [fail, fail]));
        assert_eq!(of(&["b", "panel"], &["panel"]), (fail, [fail, fail]));
        assert_eq!(of(&["panel"], &["panel"]), (warn, [warn, warn]));
    }

    fn permissions_of(api: &ResourceServer, wanted: &Wanted) -> Status {
        permissions(api, wanted).status
    }

    fn wanted(permissions: &[&str], unnamed: &[&str]) -> Wanted {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Wanted {
            apis: Vec::new(),
            permissions: words(permissions),
            unnamed: words(unnamed),
            roles: Vec::new(),
            plans: Vec::new(),
            webhook: None,
        }
    }
}
