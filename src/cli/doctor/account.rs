//! The Stripe account: whether the key works, whose it is, what it may do, and the customer portal.

use super::patience::{CALL, Patience};
use super::report::{Check, Status};
use super::webhook::Arrivals;
use super::{prices, webhook};
use crate::cli::wanted::Webhook;
use crate::config::Billing;
use crate::stripe::{Account, Client, Error, Kind, Right};
use crate::together::together;

const KEY: &str = "key";
const ACCOUNT: &str = "account";

/// Where keys are made.
const KEYS: &str = "Developers > API keys";

const REACH: &str = "Check that this machine gets to Stripe, and `stripe.url` where it is written.";
const LATER: &str = "Try again in a minute: Stripe takes no more requests just now.";
const TROUBLE: &str = "Try again later: Stripe itself has trouble, see its status page.";

/// Reads without which everything that is sold is kept right all the same: prices are read here alone, and events that
/// name their customer need no look at the invoice or at the event itself.
const CAN_BE_MISSED: [Right; 4] = [
    Right::PricesRead,
    Right::ProductsRead,
    Right::InvoicesRead,
    Right::EventsRead,
];

/// Everything that Stripe tells of the account.
pub(super) async fn check(
    client: &Client,
    arrivals: Arrivals<'_>,
    wanted: &Webhook,
    patience: Patience,
) -> Vec<Check> {
    let billing = arrivals.billing;
    let restricted = billing.stripe.secret_key.expose().starts_with("rk_");
    let mut checks = key(client, billing, restricted, patience).await;
    if checks.iter().any(is_hopeless) {
        let unseen = |name| Check::warn(name, "not looked at", "See to the key first.");
        checks.extend(["prices", PORTAL, webhook::ENDPOINT].map(unseen));
        return checks;
    }
    let rights = async {
        if restricted {
            rights(client, patience).await
        } else {
            Vec::new()
        }
    };
    let (rights, prices, portal, webhook) = tokio::join!(
        rights,
        prices::check(client, billing, patience),
        portal(client, patience),
        webhook::endpoints(client, wanted, arrivals, patience),
    );
    checks.extend(rights);
    checks.extend(prices);
    checks.push(portal);
    checks.extend(webhook);
    checks
}

/// Whether nothing else is worth asking.
fn is_hopeless(check: &Check) -> bool {
    check.name == KEY && check.mend.is_some()
}

async fn key(
    client: &Client,
    billing: &Billing,
    restricted: bool,
    patience: Patience,
) -> Vec<Check> {
    let kind = format!(
        "{} {} key",
        if restricted {
            "a restricted"
        } else {
            "a secret"
        },
        mode(billing.endpoints.live)
    );
    let works = || Check::pass(KEY, format!("{kind}, which works"));
    match patience.wait(CALL, client.account()).await {
        Some(Ok(account)) => vec![works(), agreed(&account, billing)],
        Some(Err(error)) if is_about_the_account(&error) => {
            // A right that such a key lacks, or a wrong key: another call tells.
            match patience.wait(CALL, client.may(Right::PricesRead)).await {
                Some(Ok(_)) => vec![works(), unknown(&error)],
                Some(Err(error)) => vec![refused(&error)],
                None => vec![silent()],
            }
        }
        Some(Err(error)) => vec![refused(&error)],
        None => vec![silent()],
    }
}

/// Whether the call is at fault, and not the key or the way to Stripe.
fn is_about_the_account(error: &Error) -> bool {
    match &error.kind {
        Kind::Auth { .. } | Kind::Missing { .. } | Kind::Invalid { .. } | Kind::Unreadable => true,
        Kind::Unreachable
        | Kind::Api(_)
        | Kind::RateLimited
        | Kind::Card { .. }
        | Kind::Idempotency => false,
    }
}

fn refused(error: &Error) -> Check {
    if error.kind == Kind::RateLimited {
        return Check::warn(KEY, error.to_string(), LATER);
    }
    let mend = match &error.kind {
        Kind::Auth { known: true, .. } => {
            format!("Give the key its rights in the Stripe dashboard, below {KEYS}.")
        }
        Kind::Auth { known: false, .. } => format!(
            "Take the key from the Stripe dashboard, below {KEYS}, and write it as `stripe.secret_key`."
        ),
        Kind::RateLimited => LATER.to_owned(),
        Kind::Api(_) => TROUBLE.to_owned(),
        Kind::Unreachable
        | Kind::Card { .. }
        | Kind::Idempotency
        | Kind::Missing { .. }
        | Kind::Invalid { .. }
        | Kind::Unreadable => REACH.to_owned(),
    };
    Check::fail(KEY, error.to_string(), mend)
}

fn silent() -> Check {
    Check::fail(KEY, "Stripe does not answer in time", REACH)
}

/// Whose key it is, against `stripe.account`.
fn agreed(account: &Account, billing: &Billing) -> Check {
    let name = account.name.as_ref();
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let found = format!("{}{name}", account.id);
    match &billing.endpoints.account {
        Some(expected) if *expected != account.id => Check::fail(
            ACCOUNT,
            format!("the key is of {found}, `stripe.account` says {expected}"),
            "Take the key from that account, or correct `stripe.account`: its events are ignored as they stand.",
        ),
        _ if billing.endpoints.live && account.charges_enabled == Some(false) => Check::warn(
            ACCOUNT,
            format!("{found} may not take payments yet"),
            "Finish the account's set-up in the Stripe dashboard.",
        ),
        _ => Check::pass(ACCOUNT, found),
    }
}

fn unknown(error: &Error) -> Check {
    let found = format!("whose the key is cannot be seen: {error}");
    let mend = "Compare it in the Stripe dashboard, and write its id as `stripe.account`.";
    Check::warn(ACCOUNT, found, mend)
}

fn mode(live: bool) -> &'static str {
    if live { "live mode" } else { "test mode" }
}

/// What a restricted key may do. Each is asked in a way that changes nothing.
async fn rights(client: &Client, patience: Patience) -> Vec<Check> {
    let ask = async |right: Right| (right, patience.wait(CALL, client.may(right)).await);
    let asked = together(Right::NEEDED.iter().map(|right| ask(*right))).await;
    let (mut needed, mut missed, mut untold) = (Vec::new(), Vec::new(), Vec::new());
    for (right, answer) in asked {
        match answer {
            Some(Ok(true)) => {}
            Some(Ok(false)) if CAN_BE_MISSED.contains(&right) => missed.push(right.name()),
            Some(Ok(false)) => needed.push(right.name()),
            Some(Err(_)) | None => untold.push(right.name()),
        }
    }
    lacking(&needed.join(", "), &missed.join(", "), &untold.join(", "))
}

/// Each is a list with commas: what it needs, what can be missed, and what could not be told.
fn lacking(needed: &str, missed: &str, untold: &str) -> Vec<Check> {
    let lacks = |rights: &str| format!("the key lacks {rights}");
    let grant =
        |rights: &str| format!("Give the key {rights} in the Stripe dashboard, below {KEYS}.");
    let mut checks = Vec::new();
    if !needed.is_empty() {
        checks.push(Check::fail("rights", lacks(needed), grant(needed)));
    }
    if !missed.is_empty() {
        checks.push(Check::warn("lesser rights", lacks(missed), grant(missed)));
    }
    if !untold.is_empty() {
        let mend = format!("Compare the key's rights in the Stripe dashboard, below {KEYS}.");
        checks.push(Check::warn(
            "unknown rights",
            format!("cannot be told: {untold}"),
            mend,
        ));
    }
    if checks.is_empty() {
        checks.push(Check::pass("rights", "the key has all that Tollgate needs"));
    }
    checks
}

const PORTAL: &str = "portal";

/// Whether users can be sent to the customer portal.
async fn portal(client: &Client, patience: Patience) -> Check {
    let mend = "Save the settings once in the Stripe dashboard, below Settings > Billing > Customer portal.";
    match patience.wait(CALL, client.has_portal()).await {
        Some(Ok(true)) => Check::pass(PORTAL, "the customer portal is set up"),
        Some(Ok(false)) => Check::warn(PORTAL, "the customer portal is not set up", mend),
        other => {
            let error = other.and_then(Result::err);
            let unseen = unseen(
                PORTAL,
                "the customer portal",
                error.as_ref(),
                "Customer portal",
            );
            // It would be no more than a warning if it were not there.
            Check {
                status: Status::Warn,
                ..unseen
            }
        }
    }
}

/// What could not be looked at, and why; `right` is what a restricted key needs for it. Where Stripe is away or has trouble
/// nobody knows whether it is well; a call that it does not know, or a right that the key lacks, is no sign of anything.
pub(super) fn unseen(name: &str, what: &str, error: Option<&Error>, right: &str) -> Check {
    let Some(error) = error else {
        let found = format!("{what} not looked at: no answer in time");
        return Check::fail(name, found, REACH);
    };
    let found = format!("{what} not looked at: {error}");
    match &error.kind {
        Kind::Unreachable => Check::fail(name, found, REACH),
        Kind::Api(_) => Check::fail(name, found, TROUBLE),
        Kind::RateLimited => Check::warn(name, found, LATER),
        Kind::Auth { .. } => {
            let mend =
                format!("Give the key the right {right}: Read, or look in the Stripe dashboard.");
            Check::warn(name, found, mend)
        }
        Kind::Card { .. }
        | Kind::Idempotency
        | Kind::Missing { .. }
        | Kind::Invalid { .. }
        | Kind::Unreadable => Check::warn(
            name,
            format!("{what} cannot be looked at: {error}"),
            "Look in the Stripe dashboard.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: Kind) -> Error {
        Error {
            kind,
            call: "GET /v1/it",
            request_id: None,
            retry_after: None,
        }
    }

    fn invalid() -> Kind {
        Kind::Invalid {
            status: 404,
            code: None,
            param: None,
            portal: false,
        }
    }

    #[test]
    fn what_cannot_be_looked_at_fails_only_where_stripe_is_away_or_has_trouble() {
        let known = Kind::Auth {
            known: true,
            code: None,
        };
        for (kind, expected, mend) in [
            (Some(Kind::Unreachable), Status::Fail, "this machine"),
            (None, Status::Fail, "this machine"),
            (Some(Kind::Api(503)), Status::Fail, "Try again later"),
            (Some(Kind::RateLimited), Status::Warn, "Try again in"),
            (Some(known), Status::Warn, "Prices: Read"),
            (Some(invalid()), Status::Warn, "dashboard"),
        ] {
            let error = kind.map(error);
            let check = unseen("x", "it", error.as_ref(), "Prices");
            assert_eq!(check.status, expected, "{check:?}");
            assert!(check.mend.as_deref().unwrap().contains(mend), "{check:?}");
        }
    }

    #[test]
    fn a_key_that_asked_too_often_is_no_wrong_key() {
        let check = refused(&error(Kind::RateLimited));
        assert_eq!(check.status, Status::Warn);
        let check = refused(&error(Kind::Api(500)));
        assert_eq!(check.status, Status::Fail);
        assert!(!check.mend.unwrap().contains("this machine"));
    }

    #[test]
    fn lines_about_rights_have_names_of_their_own() {
        let names: std::collections::BTreeSet<String> = lacking("a", "b", "c")
            .into_iter()
            .map(|check| check.name)
            .collect();
        assert_eq!(names.len(), 3);
    }
}
