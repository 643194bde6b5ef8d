//! How Tollgate and its neighbours are.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::html::Html;
use super::page::{Page, Section};
use super::parts::{Tone, badge, count, fact, facts, moment, section, table};
use super::sources::Upstream;
use super::trouble::{Trouble, ask};
use super::{Payments, Visit};
use crate::telemetry::{Metrics, Sample};
use crate::types::format_duration;

/// A connection to a neighbour that takes longer is as good as none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Counts webhooks by type and by what became of them.
const WEBHOOKS: &str = "tollgate_webhook_events_total";
/// What the metric says of one whose signature does not fit.
const UNVERIFIED: &str = "unverified";
/// What it says of those that Stripe has signed and the ledger has taken.
const VERIFIED: [&str; 3] = ["queued", "ignored", "duplicate"];

/// Whether a connection to the upstream could be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Yes, in this time.
    There(Duration),
    /// No, for this reason.
    Away(String),
}

/// Opens a connection to the upstream, and closes it.
pub(super) async fn reach(upstream: &Upstream) -> Reach {
    let began = Instant::now();
    let address = (upstream.host.as_str(), upstream.port);
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Reach::There(began.elapsed()),
        Ok(Err(error)) => Reach::Away(error.to_string()),
        Err(_) => Reach::Away(format!(
            "no connection within {}",
            format_duration(PATIENCE)
        )),
    }
}

/// The page.
pub(super) async fn page(visit: &Visit<'_>) -> Page {
    let sources = &visit.console.sources;
    let (upstream, ledger) =
        tokio::join!(reach(&sources.upstream), read(sources.payments.as_ref()));
    if let Some(Err(trouble)) = &ledger {
        tracing::warn!(error = %trouble, "console: the ledger cannot be read");
    }
    Page::new(Section::Health, "Health", |h| {
        h.tag("div", &[("class", "grid")], |h| {
            section(h, "Upstream", |h| {
                about_upstream(h, &sources.upstream, &upstream);
            });
            section(h, "Auth0's keys", |h| about_keys(h, visit));
            section(h, "Ledger", |h| about_ledger(h, ledger.as_ref()));
            section(h, "This process", |h| about_process(h, visit));
        });
        if sources.payments.is_some() {
            let metrics = &visit.console.metrics;
            let answers = |name| metrics.samples(name);
            section(h, "Auth0's Management API", |h| {
                calls(h, &answers("tollgate_auth0_requests_total"));
            });
            section(h, "Stripe", |h| {
                calls(h, &answers("tollgate_stripe_requests_total"));
            });
            section(h, "Webhooks", |h| webhooks(h, &answers(WEBHOOKS)));
        }
        h.tag("p", &[("class", "hint")], |h| {
            h.text("What is wrong and how to mend it says ");
            h.line("code", &[], &format!("tollgate doctor -c {}", sources.file));
            h.text(": it asks all of them now.");
        });
    })
    .live()
}

/// How long the ledger took to count.
async fn read(payments: Option<&Payments>) -> Option<Result<Duration, Trouble>> {
    let store = &*payments?.store;
    let began = Instant::now();
    let totals = ask(store.totals()).await;
    Some(totals.map(|_| began.elapsed()))
}

fn about_upstream(h: &mut Html, upstream: &Upstream, reach: &Reach) {
    facts(h, |h| {
        fact(h, "Address", |h| {
            h.line("span", &[("class", "id")], &upstream.url);
        });
        fact(h, "Connection", |h| match reach {
            Reach::There(took) => {
                badge(h, Tone::Good, "there");
                h.text(&format!(" in {} ms", took.as_millis()));
            }
            Reach::Away(why) => {
                badge(h, Tone::Bad, "away");
                h.line("span", &[("class", "error")], why);
            }
        });
    });
}

fn about_keys(h: &mut Html, visit: &Visit<'_>) {
    let Some(keys) = &visit.console.keys else {
        h.line("p", &[("class", "empty")], "No route needs a token.");
        return;
    };
    let fetches = visit.console.metrics.samples("tollgate_jwks_refresh_total");
    facts(h, |h| {
        match keys.health() {
            Some(health) => {
                let is_fresh = health.age <= visit.console.sources.keys_fresh * 2;
                fact(h, "In force", |h| {
                    let tone = if is_fresh { Tone::Good } else { Tone::Warn };
                    let number = i64::try_from(health.keys).unwrap_or(i64::MAX);
                    badge(h, tone, &count(number, "key", "keys"));
                });
                fact(h, "Fetched", |h| {
                    let age = i64::try_from(health.age.as_millis()).unwrap_or(i64::MAX);
                    moment(h, visit.now.saturating_sub(age));
                });
            }
            None => fact(h, "In force", |h| badge(h, Tone::Bad, "none")),
        }
        fact(h, "Fetches", |h| {
            let told = fetches.iter().map(|sample| {
                let result = sample.label("result").unwrap_or_default();
                format!("{:.0} {result}", sample.value)
            });
            h.text(&told.collect::<Vec<_>>().join(", "));
        });
    });
}

fn about_ledger(h: &mut Html, ledger: Option<&Result<Duration, Trouble>>) {
    facts(h, |h| {
        fact(h, "State", |h| match ledger {
            None => h.text("There is none: this is a gate alone."),
            Some(Ok(took)) => {
                badge(h, Tone::Good, "there");
                h.text(&format!(" in {} ms", took.as_millis()));
            }
            Some(Err(_)) => {
                badge(h, Tone::Bad, "away");
                h.text(" The log says why.");
            }
        });
    });
}

fn about_process(h: &mut Html, visit: &Visit<'_>) {
    let sources = &visit.console.sources;
    facts(h, |h| {
        fact(h, "Version", |h| h.text(env!("CARGO_PKG_VERSION")));
        fact(h, "Started", |h| moment(h, visit.console.started));
        fact(h, "Config", |h| {
            h.line("span", &[("class", "id")], &sources.file);
        });
        fact(h, "Last reload", |h| match (sources.reload)() {
            None => h.line("span", &[("class", "quiet")], "none since the start"),
            Some(reload) => {
                match &reload.error {
                    None => badge(h, Tone::Good, "done"),
                    Some(_) => badge(h, Tone::Bad, "failed"),
                }
                h.text(" ");
                moment(h, reload.at);
                h.text(&format!(" ({})", reload.why));
                if let Some(error) = &reload.error {
                    h.line("pre", &[("tabindex", "0")], error);
                }
            }
        });
    });
}

/// Answers that a neighbour gave, by call and status.
fn calls(h: &mut Html, samples: &[Sample]) {
    let columns = &["Call", "Answer", "Times"];
    table(
        h,
        columns,
        samples,
        "Nothing was asked since the start.",
        |row, sample| {
            row.text(sample.label("endpoint").unwrap_or_default());
            row.cell(|h| {
                let status = sample.label("status").unwrap_or_default();
                let tone = match status.as_bytes().first() {
                    Some(b'2') => Tone::Good,
                    Some(b'3' | b'4') => Tone::Warn,
                    Some(_) | None => Tone::Bad,
                };
                badge(h, tone, status);
            });
            row.text(&format!("{:.0}", sample.value));
        },
    );
}

/// Whether webhooks came since the start, and none of them with a signature that fits. One that does not fit says
/// nothing: anybody can send it.
pub(super) fn webhooks_are_foreign(metrics: &Metrics) -> bool {
    let samples = metrics.samples(WEBHOOKS);
    let came = |result: &str| {
        samples
            .iter()
            .any(|one| one.label("result") == Some(result))
    };
    came(UNVERIFIED) && !VERIFIED.into_iter().any(came)
}

/// What became of the webhooks that were received.
fn webhooks(h: &mut Html, samples: &[Sample]) {
    let columns = &["Type", "Outcome", "Times"];
    let empty = "None came since the start.";
    table(h, columns, samples, empty, |row, sample| {
        row.text(sample.label("type").unwrap_or_default());
        row.cell(|h| {
            let result = sample.label("result").unwrap_or_default();
            let tone = match result {
                "queued" => Tone::Good,
                _ if VERIFIED.contains(&result) => Tone::Calm,
                _ => Tone::Bad,
            };
            badge(h, tone, result);
            if result == UNVERIFIED {
                h.line("small", &[], "no secret of stripe.webhook.secrets fits");
            }
        });
        row.text(&format!("{:.0}", sample.value));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_stand_out_when_none_of_them_fits_the_secret() {
        let metrics = Metrics::new().unwrap();
        assert!(!webhooks_are_foreign(&metrics));
        metrics.billing.webhook_event("other", "invalid");
        assert!(!webhooks_are_foreign(&metrics));
        metrics.billing.webhook_event("other", "unverified");
        assert!(webhooks_are_foreign(&metrics));
        metrics.billing.webhook_event("invoice.paid", "queued");
        assert!(!webhooks_are_foreign(&metrics));
    }
}
