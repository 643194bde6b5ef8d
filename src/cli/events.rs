//! `tollgate events`: what the ledger knows of the events that came, and doing one again.

mod page;

use std::io::{self, Write};
use std::path::Path;

use clap::Subcommand;

use self::page::{DeadJob, Detail, Line, count, print_list, print_one};
use super::check::{print_as_json, report_mistakes};
use super::ledger::{block_on, open};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::store::{Cause, EventFilter, EventState, JobKey, JobState, Priority, Store};

/// Jobs shown or woken at a time.
const DEAD_JOBS: u32 = 1000;
/// Lines of the audit shown with an event.
const AUDIT_LINES: u32 = 20;

/// What to do with events.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// The events that came, the newest first, and the jobs that were given up.
    List {
        /// Only those in this state: queued, processed, ignored, unmatched.
        #[arg(long, value_parser = state)]
        state: Option<EventState>,
        /// Only those of this type.
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// Only those of this user (`sub`).
        #[arg(long, value_name = "SUB")]
        user: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        limit: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// One event, with what became of it.
    Show {
        /// `evt_…`
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Do an event's work again. A running server takes it up within a second.
    Replay {
        /// `evt_…`
        #[arg(required_unless_present = "dead")]
        id: Option<String>,
        /// Take up all jobs that were given up instead.
        #[arg(long, conflicts_with = "id")]
        dead: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Action {
    /// Whether the answer is for programs.
    fn is_json(&self) -> bool {
        match self {
            Self::List { json, .. } | Self::Show { json, .. } | Self::Replay { json, .. } => *json,
        }
    }
}

fn state(word: &str) -> Result<EventState, String> {
    EventState::from_word(word)
        .ok_or_else(|| "write queued, processed, ignored or unmatched".to_owned())
}

/// 0 done, 1 there is no such event, or the ledger cannot be used, 2 the config is wrong.
pub(super) fn run(path: &Path, action: &Action, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match config::load(path, &config::process_env) {
        Ok(config) => config,
        Err(report) => {
            report_mistakes(&report, action.is_json(), out)?;
            return Ok(2);
        }
    };
    let done = block_on(async {
        let store = open(&config).await?;
        match action {
            Action::List {
                state,
                event_type,
                user,
                limit,
                json,
            } => {
                let filter = EventFilter {
                    state: *state,
                    event_type: event_type.clone(),
                    user: user.clone(),
                    limit: *limit,
                };
                list(&*store, &filter, *json, out).await
            }
            Action::Show { id, json } => show(&*store, id, *json, out).await,
            Action::Replay {
                id: Some(id), json, ..
            } => replay(&*store, id, *json, out).await,
            Action::Replay { id: None, json, .. } => replay_dead(&*store, *json, out).await,
        }
    });
    match done {
        Ok(status) => Ok(status),
        Err(error) => {
            if action.is_json() {
                refuse(&error.to_string(), out)?;
            }
            writeln!(io::stderr(), "{error}")?;
            Ok(1)
        }
    }
}

/// Says as JSON why there is no answer.
fn refuse(why: &str, out: &mut dyn Write) -> io::Result<()> {
    print_as_json(&serde_json::json!({ "error": why }), out)
}

async fn list(
    store: &dyn Store,
    filter: &EventFilter,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let events = store.events(filter).await?;
    let dead = store.jobs(JobState::Dead, DEAD_JOBS).await?;
    let lines: Vec<Line> = events.iter().map(Line::from).collect();
    let dead: Vec<DeadJob> = dead.iter().map(DeadJob::from).collect();
    if json {
        let answer = serde_json::json!({ "events": lines, "dead_jobs": dead });
        print_as_json(&answer, out)?;
    } else {
        print_list(&lines, &dead, out)?;
    }
    Ok(0)
}

async fn show(store: &dyn Store, id: &str, json: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(event) = store.event(id).await? else {
        let why = format!("the ledger holds no event {id}");
        if json {
            refuse(&why, out)?;
        } else {
            writeln!(out, "{why}")?;
        }
        return Ok(1);
    };
    let user = event.user.as_deref();
    let (entitlement, changes, job) = match user {
        Some(user) => (
            store.entitlement(user).await?,
            store.role_changes(user, AUDIT_LINES).await?,
            store.job(&JobKey::User(user.to_owned())).await?,
        ),
        None => (None, Vec::new(), None),
    };
    let detail = Detail::new(&event, entitlement.as_ref(), &changes, job.as_ref());
    if json {
        print_as_json(&detail, out)?;
    } else {
        print_one(&detail, out)?;
    }
    Ok(0)
}

async fn replay(
    store: &dyn Store,
    id: &str,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let queued = store.replay(id, now()).await?;
    if json {
        print_as_json(&serde_json::json!({ "id": id, "queued": queued }), out)?;
    } else if queued {
        writeln!(out, "{id} is queued again")?;
    } else {
        let why = "or none that could concern anybody";
        writeln!(
            out,
            "nothing to do again: the ledger holds no event {id}, {why}"
        )?;
    }
    Ok(u8::from(!queued))
}

async fn replay_dead(store: &dyn Store, json: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    let cause = Cause {
        why: "replay".to_owned(),
        event: None,
    };
    let mut woken = 0;
    loop {
        let dead = store.jobs(JobState::Dead, DEAD_JOBS).await?;
        for job in &dead {
            let priority = Priority::Background;
            store.enqueue(&job.key, &cause, priority, now()).await?;
        }
        woken += dead.len();
        // A full page may not be all. Those that die again meanwhile are not woken for ever: each takes a while.
        if dead.len() < DEAD_JOBS as usize {
            break;
        }
    }
    if json {
        print_as_json(&serde_json::json!({ "jobs": woken }), out)?;
    } else {
        writeln!(out, "{} queued again", count(woken, "job"))?;
    }
    Ok(0)
}

fn now() -> i64 {
    SystemClock.unix_millis()
}
