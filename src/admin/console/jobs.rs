//! The jobs that wait, run, or were given up.

use super::act::job_fields;
use super::hand::{Button, Hand};
use super::html::Html;
use super::page::{Page, Section};
use super::parts::{job_badge, job_link, moment, or_dash, table};
use super::trouble::{Trouble, ask};
use super::{Payments, Visit};
use crate::store::{JobState, JobStatus};

/// Jobs shown of each state.
const LIMIT: u32 = 100;

/// The page.
pub(super) async fn page(visit: &Visit<'_>, payments: &Payments) -> Result<Page, Trouble> {
    let store = &*payments.store;
    let (dead, running, queued, totals) = tokio::try_join!(
        ask(store.jobs(JobState::Dead, LIMIT)),
        ask(store.jobs(JobState::Running, LIMIT)),
        ask(store.jobs(JobState::Queued, LIMIT)),
        ask(store.totals()),
    )?;
    let page = Page::new(Section::Jobs, "Jobs", |h| {
        let text = "A job brings one user's Auth0 roles in line with Stripe, or finds out whose a customer is. What \
            fails is tried again by itself, for days; what was given up waits here for you.";
        h.line("p", &[("class", "lead")], text);
        visit.hand.why_not(h, "retry jobs");
        part(h, ("dead", "Given up", totals.dead), &dead, &visit.hand);
        part(
            h,
            ("running", "Running", totals.running),
            &running,
            &visit.hand,
        );
        part(
            h,
            ("queued", "Waiting", totals.queued),
            &queued,
            &visit.hand,
        );
    });
    Ok(page.live())
}

/// The jobs of one state.
fn part(h: &mut Html, (id, title, all): (&str, &str, i64), jobs: &[JobStatus], hand: &Hand) {
    h.tag("section", &[("class", "card"), ("id", id)], |h| {
        h.tag("header", &[], |h| {
            h.line("h2", &[], &format!("{title} ({all})"));
            if id == "dead" && !jobs.is_empty() {
                let button = Button {
                    label: "Retry all",
                    to: "/jobs/retry-dead",
                    fields: &[],
                    question: None,
                };
                hand.button(h, &button);
            }
        });
        list(h, jobs, hand);
        if i64::try_from(jobs.len()).is_ok_and(|shown| shown < all) {
            let text = format!("The oldest {} are shown.", jobs.len());
            h.line("p", &[("class", "hint")], &text);
        }
    });
}

/// A table of jobs.
pub(super) fn list(h: &mut Html, jobs: &[JobStatus], hand: &Hand) {
    let columns: &'static [&'static str] = if hand.may_act() {
        &["State", "About", "Tries", "Since", "Next", "Error", ""]
    } else {
        &["State", "About", "Tries", "Since", "Next", "Error"]
    };
    table(h, columns, jobs, "None.", |row, job| {
        row.cell(|h| job_badge(h, job.state));
        row.cell(|h| job_link(h, &job.key));
        row.text(&job.attempts.to_string());
        row.cell(|h| moment(h, job.since));
        row.cell(|h| match job.state {
            JobState::Dead => or_dash(h, None),
            JobState::Queued | JobState::Running => moment(h, job.run_at),
        });
        row.cell(|h| match &job.error {
            Some(error) => h.line("span", &[("class", "error")], error),
            None => or_dash(h, None),
        });
        let fields = job_fields(&job.key);
        let button = Button {
            label: "Retry",
            to: "/jobs/retry",
            fields: &fields,
            question: None,
        };
        if hand.may_act() {
            row.cell(|h| match job.state {
                JobState::Running => {}
                JobState::Queued | JobState::Dead => hand.button(h, &button),
            });
        }
    });
}
