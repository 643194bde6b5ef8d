//! The Management API: its token, what that may do, and what the tenant is set up with.

use std::sync::Arc;
use std::time::Duration;

use super::apis::{self, Tokens};
use super::patience::{CALL, Patience};
use super::report::{Check, Status};
use super::roles;
use crate::auth0::{Client, Error, Kind};
use crate::cli::wanted::Wanted;
use crate::clock::SystemClock;
use crate::config::Billing;
use crate::telemetry::Metrics;

const TOKEN: &str = "management token";
const SCOPES: &str = "scopes";

/// For so long one call is repeated while the tenant's rate limit is used up: less than [`CALL`], so that this is what is
/// told in the end.
const PATIENCE: Duration = Duration::from_secs(4);

/// Without these no role can follow a payment.
const NEEDED: [&str; 3] = ["read:roles", "read:users", "update:users"];
/// Asked for by some tenants only.
const MAYBE_NEEDED: [&str; 3] = [
    "read:role_members",
    "create:role_members",
    "delete:role_members",
];
/// What bootstrap needs beside them.
const FOR_BOOTSTRAP: [&str; 5] = [
    "create:roles",
    "update:roles",
    "read:resource_servers",
    "create:resource_servers",
    "update:resource_servers",
];

const REACH: &str = "Check `auth0.domain` (or `auth0.url`), and that this machine gets there.";
const LATER: &str = "Try again in a minute: the tenant's rate limit is used up.";
const TROUBLE: &str = "Try again later: Auth0 itself has trouble, see its status page.";

/// Where scopes are granted.
const GRANT: &str = "Applications > APIs > Auth0 Management API > Machine to Machine Applications";

/// Everything that the Management API tells. One call after the other: a tenant allows few at once.
pub(super) async fn check(
    billing: &Billing,
    wanted: &Wanted,
    tokens: Tokens<'_>,
    patience: Patience,
    metrics: &Arc<Metrics>,
) -> Vec<Check> {
    let mut config = billing.auth0.clone();
    config.timeout = config.timeout.min(CALL);
    let client = match Client::new(config, Arc::new(SystemClock), Arc::clone(metrics)) {
        Ok(client) => client.patient(PATIENCE),
        Err(error) => {
            let found = format!("no HTTPS client can be made: {error}");
            let mend = "Check that the system's certificates are installed and can be read.";
            return vec![Check::fail(TOKEN, found, mend)];
        }
    };
    let granted = match patience.wait(CALL, client.granted_scopes()).await {
        Some(Ok(granted)) => granted,
        Some(Err(error)) => return without_token(&error.to_string(), &error.kind),
        None => return without_token("no answer in time", &Kind::Unreachable),
    };
    let mut checks = vec![Check::pass(
        TOKEN,
        format!("bought for {}", billing.auth0.audience),
    )];
    checks.extend(scopes(granted.as_deref()));
    let mut found = apis::check(&client, wanted, tokens, patience).await;
    found.extend(roles::check(&client, wanted, patience).await);
    checks.extend(granted.and_then(|granted| for_bootstrap(&granted, &found)));
    checks.extend(found);
    checks
}

fn without_token(found: &str, kind: &Kind) -> Vec<Check> {
    let mend = match kind {
        Kind::Client | Kind::NoUser | Kind::NoRole(_) | Kind::Invalid(_) => {
            "Check `auth0.management`: the client's id and secret, and that it is authorised for the Auth0 Management API.".to_owned()
        }
        Kind::Scope(scopes) => grant(scopes),
        Kind::Unreachable => REACH.to_owned(),
        Kind::RateLimited => LATER.to_owned(),
        Kind::Api(_) => TROUBLE.to_owned(),
        Kind::Unreadable => {
            "Check that `auth0.domain` (or `auth0.url`) is the tenant: what answers there sells no tokens.".to_owned()
        }
    };
    let unseen = |name| {
        Check::warn(
            name,
            "not looked at: there is no token",
            "Mend the token first.",
        )
    };
    vec![
        Check::fail(TOKEN, found, mend),
        unseen(SCOPES),
        unseen(apis::NAME),
        unseen("roles"),
    ]
}

/// What the token was granted, as far as a running Tollgate needs it.
fn scopes(granted: Option<&[String]>) -> Vec<Check> {
    let Some(granted) = granted else {
        let found = "the token does not say which it holds";
        return vec![Check::warn(SCOPES, found, format!("Look below {GRANT}."))];
    };
    let needed = lacking(granted, &NEEDED);
    let mut checks = vec![if needed.is_empty() {
        Check::pass(SCOPES, format!("{} are granted", NEEDED.join(", ")))
    } else {
        Check::fail(SCOPES, format!("{needed} not granted"), grant(&needed))
    }];
    let maybe = lacking(granted, &MAYBE_NEEDED);
    if !maybe.is_empty() {
        let found = format!("{maybe} not granted; some tenants ask for them");
        checks.push(Check::warn("role member scopes", found, grant(&maybe)));
    }
    checks
}

/// Said only where there is something for bootstrap to do.
fn for_bootstrap(granted: &[String], found: &[Check]) -> Option<Check> {
    let lacks = lacking(granted, &FOR_BOOTSTRAP);
    let has_work = found.iter().any(|check| check.status == Status::Fail);
    (has_work && !lacks.is_empty()).then(|| {
        let found = format!("`tollgate bootstrap` lacks {lacks}");
        Check::warn("bootstrap scopes", found, grant(&lacks))
    })
}

fn lacking(granted: &[String], wanted: &[&str]) -> String {
    let lacks = |scope: &&&str| !granted.iter().any(|held| held == **scope);
    let lacking: Vec<&str> = wanted.iter().filter(lacks).copied().collect();
    lacking.join(", ")
}

fn grant(scopes: &str) -> String {
    format!("Grant {scopes} to the client in the Auth0 dashboard, below {GRANT}.")
}

/// What could not be looked at, and why. Where Auth0 is away, has trouble or takes no more requests nobody knows whether it
/// is well; a call that it does not know, or a scope that is not granted, is no sign of anything.
pub(super) fn unseen(name: &str, what: &str, error: Option<&Error>) -> Check {
    let Some(error) = error else {
        let found = format!("{what} not looked at: no answer in time");
        return Check::fail(name, found, REACH);
    };
    let found = format!("{what} not looked at: {error}");
    match &error.kind {
        Kind::Scope(scopes) => {
            let found = format!("{what} not looked at: {scopes} not granted");
            Check::warn(name, found, grant(scopes))
        }
        Kind::RateLimited => Check::fail(name, found, LATER),
        Kind::Unreachable => Check::fail(name, found, REACH),
        Kind::Api(_) => Check::fail(name, found, TROUBLE),
        Kind::Client | Kind::NoUser | Kind::NoRole(_) | Kind::Invalid(_) | Kind::Unreadable => {
            Check::warn(name, found, "Look in the Auth0 dashboard.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(ToString::to_string).collect()
    }

    fn statuses(granted: &[&str]) -> Vec<Status> {
        let checks = scopes(Some(&owned(granted)));
        checks.iter().map(|check| check.status).collect()
    }

    #[test]
    fn scopes_that_tollgate_works_with_are_needed_those_of_some_tenants_are_warned_of() {
        let all = [NEEDED, MAYBE_NEEDED].concat();
        assert_eq!(statuses(&all), [Status::Pass]);
        assert_eq!(statuses(&NEEDED), [Status::Pass, Status::Warn]);
        assert_eq!(statuses(&all[1..]), [Status::Fail]);
        let check = &scopes(Some(&owned(&all[1..])))[0];
        assert!(check.found.contains("read:roles"), "{check:?}");
        assert_eq!(scopes(None)[0].status, Status::Warn);
    }

    #[test]
    fn a_token_that_is_not_had_is_mended_where_the_trouble_is() {
        for (kind, expected) in [
            (Kind::Client, "auth0.management"),
            (Kind::Unreachable, "this machine gets there"),
            (Kind::RateLimited, "in a minute"),
            (Kind::Api(503), "Try again later"),
            (Kind::Unreadable, "sells no tokens"),
        ] {
            let check = &without_token("x", &kind)[0];
            let mend = check.mend.as_deref().unwrap();
            assert!(mend.contains(expected), "{kind:?}: {mend}");
            let of_domain = matches!(kind, Kind::Unreachable | Kind::Unreadable);
            assert_eq!(mend.contains("auth0.domain"), of_domain, "{kind:?}: {mend}");
        }
    }

    #[test]
    fn what_cannot_be_looked_at_fails_only_where_auth0_is_away_has_trouble_or_takes_no_more() {
        for (kind, expected, mend) in [
            (Some(Kind::Unreachable), Status::Fail, "this machine"),
            (None, Status::Fail, "this machine"),
            (Some(Kind::Api(503)), Status::Fail, "Try again later"),
            (Some(Kind::RateLimited), Status::Fail, "in a minute"),
            (
                Some(Kind::Scope("read:roles")),
                Status::Warn,
                "Grant read:roles",
            ),
            (Some(Kind::Invalid(404)), Status::Warn, "dashboard"),
        ] {
            let error = kind.map(|kind| Error {
                kind,
                call: "GET it",
                retry_after: None,
            });
            let check = unseen("x", "it", error.as_ref());
            assert_eq!(check.status, expected, "{check:?}");
            assert!(check.found.starts_with("it "), "{check:?}");
            assert!(check.mend.as_deref().unwrap().contains(mend), "{check:?}");
        }
    }

    #[test]
    fn scopes_of_bootstrap_are_spoken_of_only_when_it_has_something_to_do() {
        let granted = owned(&NEEDED);
        let broken = [Check::fail("api", "none", "Make one.")];
        assert!(for_bootstrap(&granted, &[]).is_none());
        assert!(for_bootstrap(&owned(&FOR_BOOTSTRAP), &broken).is_none());
        let check = for_bootstrap(&granted, &broken).unwrap();
        assert_eq!(check.status, Status::Warn);
    }
}
