//! The first page: what stands out, then how much there is, then what happened last.

use std::time::Duration;

use super::health::{self, Reach};
use super::html::Html;
use super::page::{Page, Section};
use super::parts::{
    Tone, audit, badge, count, event_badge, event_link, maybe_moment, moment, or_dash, section,
    table, user_link,
};
use super::trouble::{Trouble, ask};
use super::{Payments, Visit};
use crate::auth::KeyHealth;
use crate::store::{Event, EventFilter, Look, RoleChange, Totals, UnixMillis};

/// Events and lines of the audit shown.
const LATEST: u32 = 8;
/// A job that has waited longer is worth a word: Auth0 and Stripe answer within seconds when they are well.
const LONG: UnixMillis = 5 * 60 * 1000;

/// What the ledger says.
struct Ledger {
    totals: Totals,
    events: Vec<Event>,
    changes: Vec<RoleChange>,
    look: Option<Look>,
}

/// Something that stands out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alert {
    tone: Tone,
    text: String,
    href: &'static str,
}

/// How things stand beside the ledger.
struct Around {
    needs_keys: bool,
    keys: Option<KeyHealth>,
    keys_fresh: Duration,
    upstream: Reach,
    reload_failed: bool,
    /// Whether webhooks came, and none with a signature that fits.
    webhooks_are_foreign: bool,
}

/// The page.
pub(super) async fn page(visit: &Visit<'_>) -> Page {
    let console = visit.console;
    let sources = &console.sources;
    let reading = async {
        match &sources.payments {
            Some(payments) => read(payments).await.map(Some),
            None => Ok(None),
        }
    };
    let (ledger, upstream) = tokio::join!(reading, health::reach(&sources.upstream));
    let around = Around {
        needs_keys: console.keys.is_some(),
        keys: console.keys.as_ref().and_then(|keys| keys.health()),
        keys_fresh: sources.keys_fresh,
        upstream,
        reload_failed: (sources.reload)().is_some_and(|reload| reload.error.is_some()),
        webhooks_are_foreign: health::webhooks_are_foreign(&console.metrics),
    };
    let mut alerts = outside(&around);
    match ledger {
        Err(trouble) => {
            let away = console.away(&trouble);
            alerts.insert(
                0,
                alert(Tone::Bad, "The ledger does not answer.", "/health"),
            );
            let write = |h: &mut Html| {
                show_alerts(h, &alerts);
                h.append(&away.body);
            };
            let page = Page::new(Section::Overview, "Overview", write).live();
            Page {
                status: away.status,
                ..page
            }
        }
        Ok(ledger) => {
            if let Some(ledger) = &ledger {
                alerts.extend(inside(&ledger.totals, visit.now));
            }
            alerts.sort_by_key(|alert| alert.tone);
            let write = |h: &mut Html| {
                show_alerts(h, &alerts);
                match &ledger {
                    Some(ledger) => show(h, ledger),
                    None => gate_alone(h),
                }
            };
            Page::new(Section::Overview, "Overview", write).live()
        }
    }
}

async fn read(payments: &Payments) -> Result<Ledger, Trouble> {
    let store = &*payments.store;
    let filter = EventFilter {
        limit: LATEST,
        ..EventFilter::default()
    };
    let (totals, events, changes, look) = tokio::try_join!(
        ask(store.totals()),
        ask(store.events(&filter)),
        ask(store.latest_role_changes(LATEST)),
        ask(store.last_look()),
    )?;
    Ok(Ledger {
        totals,
        events,
        changes,
        look,
    })
}

fn alert(tone: Tone, text: impl Into<String>, href: &'static str) -> Alert {
    let text = text.into();
    Alert { tone, text, href }
}

/// What stands out in the ledger.
fn inside(totals: &Totals, now: UnixMillis) -> Vec<Alert> {
    let mut alerts = Vec::new();
    if totals.dead > 0 {
        let text = format!("{} given up.", count(totals.dead, "job was", "jobs were"));
        alerts.push(alert(Tone::Bad, text, "/jobs#dead"));
    }
    let drift: i64 = totals.drift.iter().map(|(_, count)| count).sum();
    if drift > 0 {
        let who = count(drift, "user has", "users have");
        let text = format!("{who} other roles than what they paid for gives.");
        alerts.push(alert(Tone::Bad, text, "/drift"));
    }
    let waited = totals.oldest.map_or(0, |oldest| now.saturating_sub(oldest));
    if waited > LONG {
        let text = format!("A job has waited for {} minutes.", waited / 60_000);
        alerts.push(alert(Tone::Warn, text, "/jobs"));
    }
    alerts
}

/// What stands out beside it.
fn outside(around: &Around) -> Vec<Alert> {
    let mut alerts = Vec::new();
    match around.keys {
        None if around.needs_keys => {
            let text = "There are no keys of Auth0's: nobody with a token gets in.";
            alerts.push(alert(Tone::Bad, text, "/health"));
        }
        // Twice: the fetch itself takes a while, and may be tried again.
        Some(health) if health.age > around.keys_fresh * 2 => {
            let minutes = i64::try_from(health.age.as_secs() / 60).unwrap_or(i64::MAX);
            let age = count(minutes, "minute", "minutes");
            let text = format!("Auth0's keys are {age} old: they cannot be fetched anew.");
            alerts.push(alert(Tone::Warn, text, "/health"));
        }
        None | Some(_) => {}
    }
    match &around.upstream {
        Reach::There(_) => {}
        Reach::Away(why) => {
            let text = format!("The upstream cannot be reached: {why}.");
            alerts.push(alert(Tone::Bad, text, "/health"));
        }
    }
    if around.reload_failed {
        let text = "The config file was changed and has mistakes: the one before it is in force.";
        alerts.push(alert(Tone::Bad, text, "/health"));
    }
    if around.webhooks_are_foreign {
        let text = "Webhooks come, and none is signed with any of `stripe.webhook.secrets`: nothing that is paid is heard of.";
        alerts.push(alert(Tone::Bad, text, "/health"));
    }
    alerts
}

fn show_alerts(h: &mut Html, alerts: &[Alert]) {
    if alerts.is_empty() {
        let attributes = [("class", "notice good")];
        h.line("p", &attributes, "All is well: nothing needs you now.");
        return;
    }
    h.tag(
        "ul",
        &[("class", "alerts"), ("aria-label", "What stands out")],
        |h| {
            for alert in alerts {
                h.tag("li", &[("class", alert.tone.class())], |h| {
                    let word = match alert.tone {
                        Tone::Bad => "Mend",
                        Tone::Warn => "Look",
                        Tone::Good | Tone::Calm => "Note",
                    };
                    badge(h, alert.tone, word);
                    h.line("a", &[("href", alert.href)], &alert.text);
                });
            }
        },
    );
}

fn show(h: &mut Html, ledger: &Ledger) {
    let totals = &ledger.totals;
    h.tag("ul", &[("class", "tiles"), ("aria-label", "Counts")], |h| {
        let paid: i64 = totals.paid.iter().map(|(_, count)| count).sum();
        let plans = totals
            .paid
            .iter()
            .map(|(plan, count)| format!("{count} {plan}"));
        tile(
            h,
            "/users",
            paid,
            "users who paid",
            &plans.collect::<Vec<_>>().join(", "),
        );
        tile(
            h,
            "/jobs",
            totals.queued + totals.running,
            "jobs under way",
            "",
        );
        tile(h, "/jobs#dead", totals.dead, "jobs given up", "");
        let drift: i64 = totals.drift.iter().map(|(_, count)| count).sum();
        tile(h, "/drift", drift, "drifted", "");
    });
    section(h, "Latest events", |h| events(h, &ledger.events));
    section(h, "Latest role changes", |h| {
        audit(h, &ledger.changes, true);
    });
    h.tag("p", &[("class", "hint")], |h| {
        if let Some(look) = &ledger.look {
            h.text("The last comparison of every customer with Auth0 ended: ");
            maybe_moment(h, look.ended_at, "it is under way");
        } else {
            h.text("Customers were never compared with Auth0: run ");
            h.line("code", &[], "tollgate reconcile");
        }
    });
}

fn tile(h: &mut Html, href: &str, number: i64, what: &str, detail: &str) {
    h.tag("li", &[], |h| {
        h.tag("a", &[("href", href)], |h| {
            h.line("b", &[], &number.to_string());
            h.line("span", &[], what);
            h.line("small", &[], detail);
        });
    });
}

/// A short table of events.
pub(super) fn events(h: &mut Html, events: &[Event]) {
    let columns = &["Received", "State", "Type", "Event", "User"];
    table(
        h,
        columns,
        events,
        "No event has come yet.",
        |row, event| {
            row.cell(|h| moment(h, event.received_at));
            row.cell(|h| event_badge(h, event.state));
            row.text(&event.event_type);
            row.cell(|h| event_link(h, &event.id));
            row.cell(|h| match &event.user {
                Some(user) => user_link(h, user),
                None => or_dash(h, event.customer.as_deref()),
            });
        },
    );
}

fn gate_alone(h: &mut Html) {
    let text = "This Tollgate is a gate alone: its config has no `stripe` section, so there is no ledger, and no \
        events, jobs or users to show.";
    h.line("p", &[("class", "lead")], text);
    h.tag("p", &[], |h| {
        h.line("a", &[("href", "/routes")], "See the route table");
        h.text(", or ");
        h.line("a", &[("href", "/health")], "how its neighbours are");
        h.text(".");
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DriftKind;

    fn around() -> Around {
        Around {
            needs_keys: true,
            keys: Some(KeyHealth {
                keys: 2,
                age: Duration::from_secs(60),
            }),
            keys_fresh: Duration::from_secs(600),
            upstream: Reach::There(Duration::from_millis(1)),
            reload_failed: false,
            webhooks_are_foreign: false,
        }
    }

    fn texts(alerts: &[Alert]) -> String {
        alerts.iter().map(|alert| alert.text.as_str()).collect()
    }

    #[test]
    fn nothing_stands_out_where_all_is_well() {
        assert_eq!(outside(&around()), []);
        assert_eq!(inside(&Totals::default(), 0), []);
        let gate_without_tokens = Around {
            needs_keys: false,
            keys: None,
            ..around()
        };
        assert_eq!(outside(&gate_without_tokens), []);
    }

    #[test]
    fn dead_jobs_drift_and_long_waits_stand_out() {
        let totals = Totals {
            dead: 1,
            oldest: Some(0),
            drift: vec![(DriftKind::Missing, 2), (DriftKind::Extra, 1)],
            ..Totals::default()
        };
        let told = texts(&inside(&totals, 6 * 60 * 1000));
        for part in [
            "1 job was given up",
            "3 users have other roles",
            "waited for 6 minutes",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        assert!(!texts(&inside(&totals, LONG)).contains("waited"));
    }

    #[test]
    fn missing_and_stale_keys_a_lost_upstream_and_a_bad_config_stand_out() {
        let missing = Around {
            keys: None,
            ..around()
        };
        assert!(texts(&outside(&missing)).contains("no keys"));
        let stale = Around {
            keys_fresh: Duration::from_secs(29),
            ..around()
        };
        assert!(texts(&outside(&stale)).contains("1 minute old"));
        let away = Around {
            upstream: Reach::Away("connection refused".into()),
            reload_failed: true,
            webhooks_are_foreign: true,
            ..around()
        };
        let told = texts(&outside(&away));
        for part in [
            "connection refused",
            "has mistakes",
            "stripe.webhook.secrets",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }
}
