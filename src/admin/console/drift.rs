//! What the last look over all customers found: users whose Auth0 roles differ from what Stripe says.

use super::act::{is_id, job_fields};
use super::hand::{Button, Hand};
use super::html::Html;
use super::page::{Page, Section};
use super::parts::{
    Tone, badge, count, customer_link, fact, facts, moment, or_dash, section, table, user_link,
};
use super::trouble::{Trouble, ask};
use super::{Payments, Visit};
use crate::store::{Drift, DriftKind, JobKey, Look};

/// Rows shown.
const LIMIT: u32 = 200;

/// The page.
pub(super) async fn page(visit: &Visit<'_>, payments: &Payments) -> Result<Page, Trouble> {
    let store = &*payments.store;
    let (look, drift) = tokio::try_join!(ask(store.last_look()), ask(store.drift(LIMIT)))?;
    let page = Page::new(Section::Drift, "Drift", |h| {
        let text = "Drift is a user whose Auth0 roles differ from what Stripe says: somebody changed a role by hand, or \
            an event was never made.";
        h.line("p", &[("class", "lead")], text);
        section(h, "The last look", |h| match &look {
            Some(look) => told(h, look),
            None => never(h),
        });
        section(h, "What it found", |h| {
            visit.hand.why_not(h, "fix drift");
            list(h, &drift, &visit.hand);
            if drift.len() >= LIMIT as usize {
                let text = format!("The first {LIMIT} are shown.");
                h.line("p", &[("class", "hint")], &text);
            }
        });
    });
    Ok(page.live())
}

fn never(h: &mut Html) {
    h.tag("p", &[("class", "empty")], |h| {
        h.text("Nobody has looked yet. Run ");
        h.line("code", &[], "tollgate reconcile");
        h.text(", or set ");
        h.line("code", &[], "reconcile: { every: 24h }");
        h.text(" in the config.");
    });
}

fn told(h: &mut Html, look: &Look) {
    facts(h, |h| {
        fact(h, "Begun", |h| moment(h, look.started_at));
        fact(h, "Ended", |h| match look.ended_at {
            Some(at) => moment(h, at),
            None => badge(h, Tone::Warn, "under way, or cut short"),
        });
        fact(h, "Looked at", |h| {
            h.text(&format!(
                "{} of {}",
                look.checked,
                count(look.total, "user", "users")
            ));
            if look.ended_at.is_none() {
                let (value, max) = (look.checked.to_string(), look.total.max(1).to_string());
                let attributes = [
                    ("value", value.as_str()),
                    ("max", max.as_str()),
                    ("aria-label", "Users looked at"),
                ];
                h.tag("progress", &attributes, |_| {});
            }
        });
        fact(h, "Drifted", |h| {
            let tone = if look.drifted > 0 {
                Tone::Bad
            } else {
                Tone::Good
            };
            badge(h, tone, &look.drifted.to_string());
        });
    });
}

fn list(h: &mut Html, drift: &[Drift], hand: &Hand) {
    let columns: &'static [&'static str] = if hand.may_act() {
        &["User", "Stripe says", "Auth0 says", "Why", "Found", ""]
    } else {
        &["User", "Stripe says", "Auth0 says", "Why", "Found"]
    };
    table(h, columns, drift, "No drift is known.", |row, drift| {
        row.cell(|h| match (&drift.user, &drift.customer) {
            (Some(user), _) => user_link(h, user),
            (None, Some(customer)) => customer_link(h, customer),
            (None, None) => h.text(&drift.subject),
        });
        row.cell(|h| or_dash(h, drift.plan.as_deref()));
        row.cell(|h| {
            if drift.roles.is_empty() {
                h.line("span", &[("class", "quiet")], "no role of a plan");
            }
            h.text(&drift.roles.join(", "));
        });
        row.cell(|h| {
            badge(h, Tone::Warn, kind(drift.kind));
            h.line("small", &[], &drift.why);
        });
        row.cell(|h| moment(h, drift.found_at));
        if hand.may_act() {
            row.cell(|h| fix(h, drift, hand));
        }
    });
}

fn fix(h: &mut Html, drift: &Drift, hand: &Hand) {
    let key = match (drift.kind, &drift.user) {
        (DriftKind::Unmatched, None) => JobKey::Customer(drift.subject.clone()),
        (
            DriftKind::Unmatched | DriftKind::Missing | DriftKind::Extra | DriftKind::Other,
            Some(user),
        ) => JobKey::User(user.clone()),
        (DriftKind::Missing | DriftKind::Extra | DriftKind::Other, None) => {
            JobKey::User(drift.subject.clone())
        }
    };
    let fields = job_fields(&key);
    // A holder whom nothing in Stripe can name: the reason beside it says so, and no job takes the role away.
    if !fields.iter().all(|(_, value)| is_id(value)) {
        return;
    }
    let question = format!("Bring the roles of {} in line with Stripe?", drift.subject);
    let button = Button {
        label: "Fix",
        to: "/drift/fix",
        fields: &fields,
        question: Some(&question),
    };
    hand.button(h, &button);
}

fn kind(kind: DriftKind) -> &'static str {
    match kind {
        DriftKind::Missing => "role missing",
        DriftKind::Extra => "role too many",
        DriftKind::Other => "other role",
        DriftKind::Unmatched => "unknown user",
    }
}
