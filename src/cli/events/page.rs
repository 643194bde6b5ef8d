//! How events are shown.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::cli::harmless::{harmless, harmless_lines};
use crate::reply::timestamp;
use crate::store::{Entitlement, Event, JobStatus, RoleChange};

/// One event in the list.
#[derive(Serialize)]
pub(super) struct Line {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    state: &'static str,
    received_at: String,
    user: Option<String>,
    customer: Option<String>,
    reason: Option<String>,
}

/// One job that was given up.
#[derive(Serialize)]
pub(super) struct DeadJob {
    about: String,
    since: String,
    attempts: u32,
    error: Option<String>,
}

/// One event, with what became of it.
#[derive(Serialize)]
pub(super) struct Detail {
    #[serde(flatten)]
    line: Line,
    livemode: bool,
    created_at: String,
    processed_at: Option<String>,
    plan: Option<String>,
    confirmed_at: Option<String>,
    roles: Option<Vec<String>>,
    job: Option<WaitingJob>,
    role_changes: Vec<Change>,
    /// As it came; text where it is no JSON.
    body: Option<Value>,
}

/// The user's job, where there is one.
#[derive(Serialize)]
struct WaitingJob {
    state: &'static str,
    attempts: u32,
    run_at: String,
    error: Option<String>,
}

/// One line of the audit.
#[derive(Serialize)]
struct Change {
    at: String,
    action: &'static str,
    subject: String,
    plan: Option<String>,
    why: String,
    event: Option<String>,
    error: Option<String>,
}

impl From<&Event> for Line {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id.clone(),
            event_type: event.event_type.clone(),
            state: event.state.word(),
            received_at: moment(event.received_at),
            user: event.user.clone(),
            customer: event.customer.clone(),
            reason: event.reason.clone(),
        }
    }
}

impl From<&JobStatus> for DeadJob {
    fn from(job: &JobStatus) -> Self {
        Self {
            about: job.key.to_string(),
            since: moment(job.since),
            attempts: job.attempts,
            error: job.error.clone(),
        }
    }
}

impl From<&RoleChange> for Change {
    fn from(change: &RoleChange) -> Self {
        Self {
            at: moment(change.at),
            action: change.action.word(),
            subject: change.subject.clone(),
            plan: change.plan.clone(),
            why: change.cause.why.clone(),
            event: change.cause.event.clone(),
            error: change.error.clone(),
        }
    }
}

impl Detail {
    pub(super) fn new(
        event: &Event,
        entitlement: Option<&Entitlement>,
        changes: &[RoleChange],
        job: Option<&JobStatus>,
    ) -> Self {
        let body = event.body.as_ref().map(|body| {
            serde_json::from_slice(body)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body).into_owned()))
        });
        Self {
            line: Line::from(event),
            livemode: event.live,
            created_at: moment(event.created_at),
            processed_at: event.processed_at.map(moment),
            plan: entitlement.and_then(|row| row.derived.plan.clone()),
            confirmed_at: entitlement.and_then(|row| row.confirmed_at).map(moment),
            roles: entitlement.and_then(|row| row.roles.clone()),
            job: job.map(|job| WaitingJob {
                state: job.state.word(),
                attempts: job.attempts,
                run_at: moment(job.run_at),
                error: job.error.clone(),
            }),
            // As they happened: added before removed.
            role_changes: changes.iter().rev().map(Change::from).collect(),
            body,
        }
    }
}

/// Prints the list for people.
pub(super) fn print_list(lines: &[Line], dead: &[DeadJob], out: &mut dyn Write) -> io::Result<()> {
    if lines.is_empty() {
        writeln!(out, "no events")?;
    }
    let wide = |text: fn(&Line) -> usize| lines.iter().map(text).max().unwrap_or_default();
    let (id, kind) = (
        wide(|line| line.id.len()),
        wide(|line| line.event_type.len()),
    );
    for line in lines {
        let about = line.user.as_ref().or(line.customer.as_ref());
        let about = about.or(line.reason.as_ref()).map_or("-", String::as_str);
        let shown = format!(
            "{:20}  {:9}  {:id$}  {:kind$}  {about}",
            line.received_at, line.state, line.id, line.event_type
        );
        writeln!(out, "{}", harmless(&shown))?;
    }
    if !dead.is_empty() {
        writeln!(
            out,
            "\n{} given up; mend the cause, then `tollgate events replay --dead`:",
            count(dead.len(), "job")
        )?;
    }
    for job in dead {
        let error = job.error.as_deref().unwrap_or("-");
        let tries = count(job.attempts as usize, "try");
        let shown = format!("  {}, since {}, {tries}: {error}", job.about, job.since);
        writeln!(out, "{}", harmless(&shown))?;
    }
    Ok(())
}

/// Prints one event for people.
pub(super) fn print_one(detail: &Detail, out: &mut dyn Write) -> io::Result<()> {
    for (name, value) in fields(detail) {
        writeln!(out, "{name:<10} {}", harmless(&value))?;
    }
    if let Some(job) = &detail.job {
        let error = job.error.as_deref().unwrap_or("-");
        let tries = count(job.attempts as usize, "try");
        let (state, run_at) = (job.state, &job.run_at);
        let shown = format!("{state}, {tries}, next {run_at}: {error}");
        writeln!(out, "job        {}", harmless(&shown))?;
    }
    for change in &detail.role_changes {
        let result = change.error.as_deref().unwrap_or("done");
        let cause = change.event.as_ref().unwrap_or(&change.why);
        let (at, action, subject) = (&change.at, change.action, &change.subject);
        let shown = format!("{at}  {action} {subject} ({cause}): {result}");
        writeln!(out, "audit      {}", harmless(&shown))?;
    }
    match &detail.body {
        Some(body) => writeln!(out, "\n{}", harmless_lines(&format!("{body:#}"))),
        None => writeln!(out, "\nthe body is gone: it was kept for `store.retention`"),
    }
}

fn fields(detail: &Detail) -> [(&'static str, String); 13] {
    let line = &detail.line;
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let mode = if detail.livemode { "live" } else { "test" };
    let roles = detail.roles.as_ref().map(|roles| roles.join(", "));
    [
        ("id", line.id.clone()),
        ("type", line.event_type.clone()),
        ("mode", mode.to_owned()),
        ("state", line.state.to_owned()),
        ("reason", or_none(&line.reason)),
        ("created", detail.created_at.clone()),
        ("received", line.received_at.clone()),
        ("processed", or_none(&detail.processed_at)),
        ("customer", or_none(&line.customer)),
        ("user", or_none(&line.user)),
        ("plan now", or_none(&detail.plan)),
        ("confirmed", or_none(&detail.confirmed_at)),
        ("roles", or_none(&roles)),
    ]
}

/// `1 job`, `2 jobs`.
pub(super) fn count(number: usize, what: &str) -> String {
    match (number, what) {
        (1, _) => format!("1 {what}"),
        (_, "try") => format!("{number} tries"),
        _ => format!("{number} {what}s"),
    }
}

/// Milliseconds as ISO 8601, to the second.
fn moment(millis: i64) -> String {
    timestamp(millis.div_euclid(1000))
}
