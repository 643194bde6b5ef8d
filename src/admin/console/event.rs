//! One event, and what became of it.

use http::StatusCode;

use super::hand::Button;
use super::html::Html;
use super::page::{Page, Section};
use super::parts::{
    Tone, audit, badge, customer_link, event_badge, event_path, fact, facts, maybe_moment, moment,
    or_dash, section, user_link,
};
use super::trouble::{Trouble, ask};
use super::user::plan_line;
use super::{Payments, Visit, jobs};
use crate::store::{Entitlement, Event, JobKey, JobStatus, RoleChange};

/// Lines of the user's audit looked through.
const AUDIT: u32 = 100;
/// Characters of a body that are shown.
const MAX_BODY: usize = 32 << 10;

/// What the ledger knows of it.
struct Fate {
    event: Event,
    entitlement: Option<Entitlement>,
    job: Option<JobStatus>,
    changes: Vec<RoleChange>,
}

/// The page.
pub(super) async fn page(
    visit: &Visit<'_>,
    payments: &Payments,
    id: &str,
) -> Result<Page, Trouble> {
    let Some(event) = ask(payments.store.event(id)).await? else {
        let text = format!("The ledger holds no event {id}.");
        return Ok(Page::sorry(StatusCode::NOT_FOUND, "No such event", &text).at(Section::Events));
    };
    let fate = fate(payments, event).await?;
    let page = Page::new(Section::Events, "Event", |h| {
        h.line("p", &[("class", "lead id")], &fate.event.id);
        section(h, "What it is", |h| about(h, &fate.event));
        section(h, "What became of it", |h| {
            outcome(h, &fate);
            let button = Button {
                label: "Replay",
                to: &format!("{}/replay", event_path(&fate.event.id)),
                fields: &[],
                question: None,
            };
            visit.hand.button(h, &button);
            visit.hand.why_not(h, "replay this event");
        });
        if let Some(job) = &fate.job {
            section(h, "The job", |h| {
                jobs::list(h, std::slice::from_ref(job), &visit.hand);
            });
        }
        section(h, "The user's role changes since", |h| {
            audit(h, &fate.changes, false);
        });
        section(h, "Body", |h| body(h, &fate.event));
    });
    Ok(page)
}

async fn fate(payments: &Payments, event: Event) -> Result<Fate, Trouble> {
    let store = &*payments.store;
    let key = match (&event.user, &event.customer) {
        (Some(user), _) => Some(JobKey::User(user.clone())),
        (None, Some(customer)) => Some(JobKey::Customer(customer.clone())),
        (None, None) => None,
    };
    let job = match &key {
        Some(key) => ask(store.job(key)).await?,
        None => None,
    };
    let (entitlement, mut changes) = match &event.user {
        Some(user) => tokio::try_join!(
            ask(store.entitlement(user)),
            ask(store.role_changes(user, AUDIT))
        )?,
        None => (None, Vec::new()),
    };
    // Not of this event alone: one job may have done the work of several, and names one of them.
    changes.retain(|change| change.at >= event.received_at);
    Ok(Fate {
        event,
        entitlement,
        job,
        changes,
    })
}

fn about(h: &mut Html, event: &Event) {
    facts(h, |h| {
        fact(h, "Type", |h| h.text(&event.event_type));
        fact(h, "Mode", |h| {
            if event.live {
                badge(h, Tone::Good, "live");
            } else {
                badge(h, Tone::Calm, "test");
            }
        });
        fact(h, "Made by Stripe", |h| moment(h, event.created_at));
        fact(h, "Received", |h| moment(h, event.received_at));
        fact(h, "Customer", |h| match &event.customer {
            Some(customer) => customer_link(h, customer),
            None => or_dash(h, None),
        });
        fact(h, "User", |h| match &event.user {
            Some(user) => user_link(h, user),
            None => or_dash(h, None),
        });
    });
}

fn outcome(h: &mut Html, fate: &Fate) {
    let event = &fate.event;
    facts(h, |h| {
        fact(h, "State", |h| event_badge(h, event.state));
        if let Some(reason) = &event.reason {
            fact(h, "Reason", |h| h.text(reason));
        }
        fact(h, "Done", |h| {
            maybe_moment(h, event.processed_at, "not yet");
        });
        if let Some(entitlement) = &fate.entitlement {
            fact(h, "The user's plan now", |h| plan_line(h, entitlement));
        }
    });
}

fn body(h: &mut Html, event: &Event) {
    let Some(body) = &event.body else {
        let text = "The body is gone: it is kept for `store.retention`.";
        h.line("p", &[("class", "empty")], text);
        return;
    };
    let parsed = serde_json::from_slice::<serde_json::Value>(body).ok();
    let pretty = parsed.and_then(|value| serde_json::to_string_pretty(&value).ok());
    let text = pretty.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let shown = beginning(&text);
    h.tag("details", &[], |h| {
        h.line("summary", &[], "Show what Stripe sent");
        h.line("pre", &[("tabindex", "0")], shown);
        if shown.len() < text.len() {
            let rest = format!("… and {} more bytes", text.len() - shown.len());
            h.line("p", &[("class", "hint")], &rest);
        }
    });
}

/// As much of the text as is shown.
fn beginning(text: &str) -> &str {
    let mut end = text.len().min(MAX_BODY);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_body_is_cut_between_two_characters() {
        assert_eq!(beginning("short"), "short");
        let long = format!("x{}", "é".repeat(MAX_BODY));
        let shown = beginning(&long);
        assert_eq!(shown.len(), MAX_BODY - 1);
        assert!(long.starts_with(shown));
    }
}
