//! Where Stripe sends events: the endpoint it knows, the secret it signs with, and whether the way leads here.

use std::time::Duration;

use serde_json::Value;

use super::account::unseen;
use super::ledger::Ledger;
use super::patience::{CALL, Patience};
use super::plain::{Answer, Plain};
use super::report::Check;
use crate::cli::wanted::Webhook;
use crate::config::Billing;
use crate::stripe::{Client, WebhookEndpoint};

/// What the endpoint's line is called.
pub(super) const ENDPOINT: &str = "webhook endpoint";
const EVENTS: &str = "webhook events";
const MORE_EVENTS: &str = "more webhook events";
const VERSION: &str = "webhook version";
const SECRET: &str = "webhook secret";
const ADDRESS: &str = "webhook address";

/// Said of an address that the config does not name.
const GUESSED: &str =
    "guessed from `frontend_url` and `base_path`; write `stripe.webhook.url` if it is another";

/// How long our own address may take.
const WAY: Duration = Duration::from_secs(3);
/// Events are read in any version that knows Checkout Sessions and payment intents.
const FIRST_YEAR: u16 = 2019;

/// The secret that signatures are checked with.
pub(super) fn secret(billing: &Billing) -> Check {
    secrets(
        billing.endpoints.webhook_secrets.len(),
        billing.unset_secrets.len(),
    )
}

/// `there` of them can be used, `unset` are named and not there.
fn secrets(there: usize, unset: usize) -> Check {
    match (there, unset) {
        (0, _) => Check::fail(
            SECRET,
            "there is none, so every event is refused",
            "Run `tollgate bootstrap --write-secret FILE`, or copy the endpoint's signing secret from the Stripe dashboard, and name it as `stripe.webhook.secrets`.",
        ),
        (1, 0) => Check::pass(
            SECRET,
            "one is there; whether it is the endpoint's shows with the first event",
        ),
        (count, 0) => Check::pass(SECRET, format!("{count} are there, each is tried")),
        (there, unset) => Check::fail(
            SECRET,
            format!(
                "{unset} of {} that the file names not there, so `tollgate serve` refuses the file",
                there + unset
            ),
            "Set the variable or write the file that `stripe.webhook.secrets` names, with what `tollgate bootstrap --write-secret FILE` or the Stripe dashboard gives, or take it out of the list.",
        ),
    }
}

/// Whether the address that Stripe sends to leads to a Tollgate that runs. From here it may not, and still be right.
pub(super) async fn address(plain: &Plain, webhook: &Webhook, patience: Patience) -> Check {
    let url = &webhook.url;
    let check = answers(plain, url, patience).await;
    if !webhook.is_guessed {
        return check;
    }
    let found = format!("{} ({GUESSED})", check.found);
    Check { found, ..check }
}

async fn answers(plain: &Plain, url: &str, patience: Patience) -> Check {
    let mend = "Start Tollgate, and check that what stands before it passes this path on; if it is only from here that nobody gets there, all is well.";
    match patience.wait(WAY, plain.post_nothing(url, WAY)).await {
        Some(Ok(answer)) if is_ours(&answer) => {
            Check::pass(ADDRESS, format!("{url} leads to a Tollgate"))
        }
        Some(Ok(answer)) => {
            let status = answer.status.as_u16();
            let found = format!("{url} answered {status}, which is not what Tollgate says");
            Check::warn(ADDRESS, found, mend)
        }
        Some(Err(reason)) => Check::warn(ADDRESS, format!("{url}: {reason}"), mend),
        None => Check::warn(ADDRESS, format!("{url} does not answer in time"), mend),
    }
}

/// The answer to a POST without a signature.
fn is_ours(answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.status == http::StatusCode::BAD_REQUEST && body["request_id"].is_string()
}

/// What Stripe knows of where to send events.
pub(super) async fn endpoints(
    client: &Client,
    wanted: &Webhook,
    arrivals: Arrivals<'_>,
    patience: Patience,
) -> Vec<Check> {
    match patience.wait(CALL, client.webhook_endpoints()).await {
        Some(Ok(endpoints)) => match wanted.best(&endpoints) {
            Some(best) => judge(best, &endpoints, wanted),
            None if arrivals.are_seen().await => vec![by_another_way(&wanted.url)],
            None => vec![nowhere(&endpoints, &wanted.url)],
        },
        other => {
            let error = other.and_then(Result::err);
            let right = "Webhook Endpoints";
            vec![unseen(ENDPOINT, "the list", error.as_ref(), right)]
        }
    }
}

/// Whether events come, whatever the list of endpoints says.
#[derive(Clone, Copy)]
pub(super) struct Arrivals<'a> {
    pub(super) billing: &'a Billing,
    pub(super) ledger: &'a Ledger<'a>,
}

impl Arrivals<'_> {
    /// They are taken in only with a secret.
    async fn are_seen(self) -> bool {
        !self.billing.endpoints.webhook_secrets.is_empty() && self.ledger.had_events_lately().await
    }
}

/// Judges the endpoint that counts, and whether there are more.
fn judge(best: &WebhookEndpoint, endpoints: &[WebhookEndpoint], wanted: &Webhook) -> Vec<Check> {
    let url = &wanted.url;
    let mut checks = vec![if best.enabled {
        Check::pass(ENDPOINT, format!("{} is sent to {url}", best.id))
    } else {
        let mend = "Run `tollgate bootstrap`, or switch it on in the Stripe dashboard, below Developers > Webhooks.";
        let found = format!("{} for {url} is switched off", best.id);
        Check::fail(ENDPOINT, found, mend)
    }];
    let here = wanted.leading_here(endpoints).into_iter();
    let active = here.filter(|known| known.enabled).count();
    if active > 1 {
        let found =
            format!("{active} endpoints point to {url}, so each event comes {active} times");
        let mend = "Delete all but one in the Stripe dashboard, below Developers > Webhooks.";
        checks.push(Check::warn(ENDPOINT, found, mend));
    }
    checks.extend(events(wanted, &wanted.missing(best)));
    checks.push(version(best.api_version.as_deref()));
    checks
}

/// Event destinations that are no webhook endpoints are not among them, and send here all the same.
fn by_another_way(url: &str) -> Check {
    Check::warn(
        ENDPOINT,
        format!("none points to {url}, yet events came in the last 7 days"),
        "Leave it if they come by an event destination, for thin events say, which the list of webhook endpoints does not hold; else write the endpoint's address as `stripe.webhook.url`, or run `tollgate bootstrap`.",
    )
}

fn nowhere(endpoints: &[WebhookEndpoint], url: &str) -> Check {
    let elsewhere = endpoints.iter().find(|known| {
        let path = known.url.split(['?', '#']).next().unwrap_or_default();
        path.trim_end_matches('/').ends_with("/stripe/webhook")
    });
    match elsewhere {
        Some(other) => Check::fail(
            ENDPOINT,
            format!("none points to {url}, one to {}", other.url),
            format!(
                "Write `url: {}` below `stripe.webhook` if that leads here, or run `tollgate bootstrap`.",
                other.url
            ),
        ),
        None => Check::fail(
            ENDPOINT,
            format!("none points to {url}"),
            "Run `tollgate bootstrap`; if events come by another address, write it as `stripe.webhook.url` first.",
        ),
    }
}

/// Those that have to be sent, and those that are worth having beside them.
fn events(wanted: &Webhook, missing: &[&str]) -> Vec<Check> {
    let mend = "Run `tollgate bootstrap`, or add them to the endpoint in the Stripe dashboard.";
    let (needed, others): (Vec<&str>, Vec<&str>) =
        missing.iter().partition(|event| wanted.needs(event));
    let mut checks = vec![if needed.is_empty() {
        let count = wanted.needed.len();
        Check::pass(EVENTS, format!("all {count} that are needed are sent"))
    } else {
        Check::fail(EVENTS, format!("not sent: {}", needed.join(", ")), mend)
    }];
    if !others.is_empty() {
        let found = format!("not sent, and worth having: {}", others.join(", "));
        checks.push(Check::warn(MORE_EVENTS, found, mend));
    }
    checks
}

/// `2026-05-27.dahlia`, or nothing for the account's own.
fn version(version: Option<&str>) -> Check {
    let Some(version) = version else {
        return Check::pass(VERSION, "the account's own; any version is read");
    };
    let year = version
        .split_once('-')
        .and_then(|(year, _)| year.parse::<u16>().ok());
    match year {
        // Nothing is taken from an event but what every version has in the same place.
        Some(FIRST_YEAR..) | None => {
            Check::pass(VERSION, format!("{version}; any version is read"))
        }
        Some(_) => Check::warn(
            VERSION,
            format!("{version} is older than what Tollgate is known to read"),
            "Make the endpoint anew in a version of the last years; `tollgate bootstrap` makes it where there is none.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    const URL: &str = "https://app.example.test/api/stripe/webhook";

    fn endpoint(url: &str, events: &[&str], enabled: bool) -> WebhookEndpoint {
        WebhookEndpoint {
            id: "we_1".into(),
            url: url.into(),
            events: events.iter().map(ToString::to_string).collect(),
            api_version: None,
            enabled,
            live: None,
        }
    }

    fn judged(endpoints: &[WebhookEndpoint]) -> Vec<(Status, String)> {
        let wanted = Webhook {
            url: URL.into(),
            is_guessed: false,
            events: &["invoice.paid", "charge.refunded", "refund.failed"],
            needed: &["invoice.paid", "charge.refunded"],
        };
        let checks = match wanted.best(endpoints) {
            Some(best) => judge(best, endpoints, &wanted),
            None => vec![nowhere(endpoints, URL)],
        };
        let checks = checks.into_iter();
        checks.map(|check| (check.status, check.found)).collect()
    }

    #[test]
    fn an_endpoint_that_points_here_is_on_and_sends_what_is_needed() {
        let all = [
            "invoice.paid",
            "charge.refunded",
            "refund.failed",
            "payout.paid",
        ];
        let statuses = |endpoints: &[WebhookEndpoint]| -> Vec<Status> {
            judged(endpoints)
                .into_iter()
                .map(|(status, _)| status)
                .collect()
        };
        let pass = Status::Pass;
        assert_eq!(statuses(&[endpoint(URL, &all, true)]), [pass; 3]);
        assert_eq!(statuses(&[endpoint(URL, &["*"], true)]), [pass; 3]);
        assert_eq!(statuses(&[endpoint(URL, &all, false)])[0], Status::Fail);
        let some = judged(&[endpoint(URL, &["invoice.paid"], true)]);
        assert_eq!(
            some[1],
            (Status::Fail, "not sent: charge.refunded".to_owned())
        );
        let needed = judged(&[endpoint(URL, &all[..2], true)]);
        assert_eq!((needed[1].0, needed[2].0), (pass, Status::Warn));
        assert!(needed[2].1.ends_with(": refund.failed"), "{needed:?}");
        let twice = [endpoint(URL, &all, true), endpoint(URL, &all, true)];
        assert_eq!(statuses(&twice), [pass, Status::Warn, pass, pass]);
        let on = endpoint(URL, &["invoice.paid"], true);
        let complete_and_off = [endpoint(URL, &all, false), on];
        let judged = judged(&complete_and_off);
        assert_eq!(
            (judged[0].0, judged[1].0),
            (pass, Status::Fail),
            "the one that is on counts"
        );
        let one_off = [endpoint(URL, &all, false), endpoint(URL, &all, true)];
        assert_eq!(statuses(&one_off), [pass; 3]);
    }

    #[test]
    fn a_secret_that_the_file_names_and_that_is_not_there_fails_beside_others_too() {
        for (there, unset, expected) in [
            (1, 0, Status::Pass),
            (2, 0, Status::Pass),
            (0, 0, Status::Fail),
            (0, 1, Status::Fail),
            (1, 1, Status::Fail),
        ] {
            assert_eq!(secrets(there, unset).status, expected, "{there} {unset}");
        }
    }

    #[test]
    fn without_an_endpoint_here_one_that_may_be_meant_is_named() {
        let other = "https://hooks.example.test/stripe/webhook";
        assert_eq!(judged(&[])[0].0, Status::Fail);
        let found = judged(&[endpoint(other, &["*"], true)]);
        assert_eq!((found.len(), found[0].0), (1, Status::Fail));
        assert!(found[0].1.contains(other), "{found:?}");
    }

    #[test]
    fn versions_of_the_last_years_are_read() {
        for (written, expected) in [
            (None, Status::Pass),
            (Some("2026-09-30.endive"), Status::Pass),
            (Some("2019-02-19"), Status::Pass),
            (Some("2016-07-06"), Status::Warn),
            (Some("2031-01-01.later"), Status::Pass),
            (Some("unknown"), Status::Pass),
        ] {
            let check = version(written);
            assert_eq!(check.status, expected, "{written:?}");
            let any = check.found.contains("any version is read");
            assert_eq!(any, expected == Status::Pass, "{check:?}");
        }
    }
}
