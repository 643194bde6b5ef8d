//! The tenant's roles against those of the config.

use std::collections::BTreeSet;

use super::patience::{CALL, Patience};
use super::report::Check;
use super::tenant::unseen;
use crate::auth0::{Client, Permission, Role};
use crate::cli::wanted::Wanted;
use crate::entitlement::Role as Described;

/// Looks at each role that the config names.
pub(super) async fn check(client: &Client, wanted: &Wanted, patience: Patience) -> Vec<Check> {
    let roles = match patience.wait(CALL, client.all_roles()).await {
        Some(Ok(roles)) => roles,
        other => {
            let error = other.and_then(Result::err);
            return vec![unseen("roles", "they are", error.as_ref())];
        }
    };
    let mut checks = Vec::new();
    for role in &wanted.roles {
        checks.extend(look(client, role, &wanted.apis, &roles, patience).await);
    }
    checks
}

async fn look(
    client: &Client,
    wanted: &Described,
    apis: &[String],
    roles: &[Role],
    patience: Patience,
) -> Vec<Check> {
    let line = format!("role {}", wanted.name);
    let named = roles.iter().filter(|role| role.name == wanted.name);
    let named: Vec<&Role> = named.collect();
    let Some(role) = named.first() else {
        let mend = "Run `tollgate bootstrap`, or make it in the Auth0 dashboard below User Management > Roles.";
        return vec![Check::fail(
            &line,
            "the tenant has no role of this name",
            mend,
        )];
    };
    let mut checks = Vec::new();
    if named.len() > 1 {
        let found = format!(
            "{} roles have this name, and Tollgate takes one",
            named.len()
        );
        checks.push(Check::warn(
            &line,
            found,
            "Delete or rename the others in Auth0.",
        ));
    }
    checks.push(
        match patience.wait(CALL, client.permissions_of(role)).await {
            Some(Ok(held)) => compare(&line, apis, &wanted.permissions, &held),
            other => {
                let error = other.and_then(Result::err);
                unseen(&line, "what it allows is", error.as_ref())
            }
        },
    );
    checks
}

/// What the role allows on our APIs, against what it should.
fn compare(line: &str, apis: &[String], wanted: &[String], held: &[Permission]) -> Check {
    let ours = held
        .iter()
        .filter(|held| apis.contains(&held.resource_server));
    let held: BTreeSet<&str> = ours.map(|held| held.name.as_str()).collect();
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let but = |these: &BTreeSet<&str>, those: &BTreeSet<&str>| -> String {
        these
            .difference(those)
            .copied()
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (missing, more) = (but(&wanted, &held), but(&held, &wanted));
    if !missing.is_empty() {
        let mend = "Run `tollgate bootstrap`, or give them to the role in the Auth0 dashboard.";
        Check::fail(line, format!("does not allow {missing}"), mend)
    } else if !more.is_empty() {
        let mend = "Write it below `roles`, or take it from the role in Auth0.";
        let found = format!("allows {more} too, which the config does not say");
        Check::warn(line, found, mend)
    } else {
        Check::pass(
            line,
            format!("allows what the config says ({})", wanted.len()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    const API: &str = "https://api.example.test";

    fn compared(wanted: &[&str], held: &[(&str, &str)]) -> (Status, String) {
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        let held: Vec<_> = held
            .iter()
            .map(|(api, name)| Permission {
                resource_server: (*api).to_owned(),
                name: (*name).to_owned(),
            })
            .collect();
        let check = compare("role x", &[API.to_owned()], &wanted, &held);
        (check.status, check.found)
    }

    #[test]
    fn what_a_role_lacks_fails_what_it_has_too_much_is_warned_of() {
        let (status, _) = compared(&["a", "b"], &[(API, "b"), (API, "a")]);
        assert_eq!(status, Status::Pass);
        let (status, found) = compared(&["a", "b", "c"], &[(API, "b"), (API, "d")]);
        assert_eq!(
            (status, found.as_str()),
            (Status::Fail, "does not allow a, c")
        );
        let (status, found) = compared(&["a"], &[(API, "a"), (API, "z")]);
        assert_eq!(status, Status::Warn);
        assert!(found.contains("allows z too"), "{found}");
    }

    #[test]
    fn permissions_of_other_apis_are_not_ours() {
        let other = "https://other.example.test";
        assert_eq!(
            compared(&["a"], &[(API, "a"), (other, "z")]).0,
            Status::Pass
        );
        assert_eq!(compared(&["a"], &[(other, "a")]).0, Status::Fail);
    }
}
