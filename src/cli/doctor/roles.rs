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
        checks.extend(look(client, role, wanted, &roles, patience).await);
    }
    checks
}

async fn look(
    client: &Client,
    described: &Described,
    wanted: &Wanted,
    roles: &[Role],
    patience: Patience,
) -> Vec<Check> {
    let line = format!("role {}", described.name);
    let named = roles.iter().filter(|role| role.name == described.name);
    let named: Vec<&Role> = named.collect();
    let Some(role) = named.first() else {
        let found = "the tenant has no role of this name";
        let mend = "Run `tollgate bootstrap`, or make it in the Auth0 dashboard below User Management > Roles.";
        return vec![Check::fail(&line, found, mend)];
    };
    let mut checks = Vec::new();
    if named.len() > 1 {
        let count = named.len();
        let found = format!("{count} roles have this name, and Tollgate takes one");
        let mend = "Delete or rename the others in Auth0.";
        checks.push(Check::warn(&line, found, mend));
    }
    let held = patience.wait(CALL, client.permissions_of(role)).await;
    checks.push(match held {
        Some(Ok(held)) => {
            let sold = wanted.sold_to_others(described);
            compare(&line, &wanted.apis, &described.permissions, &sold, &held)
        }
        // Many roles, asked for at the pace of a small tenant: whoever never answers was found out before.
        None if patience.is_over() => {
            let found = "what it allows is not looked at: the tenant's roles take too long";
            Check::warn(&line, found, "Compare it in the Auth0 dashboard.")
        }
        other => {
            let error = other.and_then(Result::err);
            unseen(&line, "what it allows is", error.as_ref())
        }
    });
    checks
}

/// What the role allows on our APIs, against what it should: each permission on each of them. What is `sold` it must not.
fn compare(
    line: &str,
    apis: &[String],
    wanted: &[String],
    sold: &[&str],
    held: &[Permission],
) -> Check {
    let on = |api| wanted.iter().map(move |name| (api, name.as_str()));
    let should: BTreeSet<(&str, &str)> = apis.iter().map(String::as_str).flat_map(on).collect();
    let does: BTreeSet<(&str, &str)> = held
        .iter()
        .filter(|held| apis.contains(&held.resource_server))
        .map(|held| (held.resource_server.as_str(), held.name.as_str()))
        .collect();
    let but = |these: &BTreeSet<_>, those| named(these.difference(those), apis.len());
    let (missing, more) = (but(&should, &does), but(&does, &should));
    let given = does.iter().filter(|(_, name)| sold.contains(name));
    let given = named(given, apis.len());
    if !given.is_empty() {
        let mend = "Take it from the role in the Auth0 dashboard, below User Management > Roles, or write it below `roles`.";
        let found =
            format!("allows {given}, which is sold: whoever has this role gets it for nothing");
        Check::fail(line, found, mend)
    } else if !missing.is_empty() {
        let mend = "Run `tollgate bootstrap`, or give them to the role in the Auth0 dashboard.";
        Check::fail(line, format!("does not allow {missing}"), mend)
    } else if !more.is_empty() {
        let mend = "Write it below `roles`, or take it from the role in Auth0.";
        let found = format!("allows {more} too, which the config does not say");
        Check::warn(line, found, mend)
    } else {
        let count = wanted.len();
        Check::pass(line, format!("allows what the config says ({count})"))
    }
}

/// Of several APIs each permission says whose it is.
fn named<'a>(permissions: impl Iterator<Item = &'a (&'a str, &'a str)>, apis: usize) -> String {
    let name = |(api, name): &(&str, &str)| match apis {
        0 | 1 => (*name).to_owned(),
        _ => format!("{name} of {api}"),
    };
    permissions.map(name).collect::<Vec<_>>().join(", ")
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
        let check = compare("role x", &[API.to_owned()], &wanted, &["sold"], &held);
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
    fn a_role_allows_what_it_should_on_each_of_the_apis() {
        let second = "https://second.example.test";
        let apis = [API.to_owned(), second.to_owned()];
        let permission = |api: &str| Permission {
            resource_server: api.to_owned(),
            name: "a".to_owned(),
        };
        let compared = |held: &[Permission]| compare("role x", &apis, &["a".to_owned()], &[], held);
        let both = [permission(second), permission(API)];
        assert_eq!(compared(&both).status, Status::Pass);
        let check = compared(&both[1..]);
        assert_eq!(
            (check.status, check.found.as_str()),
            (
                Status::Fail,
                "does not allow a of https://second.example.test"
            )
        );
    }

    #[test]
    fn what_is_sold_and_given_for_nothing_fails() {
        let (status, found) = compared(&["a"], &[(API, "a"), (API, "sold")]);
        assert_eq!(status, Status::Fail);
        assert!(found.contains("allows sold, which is sold"), "{found}");
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
