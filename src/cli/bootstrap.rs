//! `tollgate bootstrap`: what the config wants of Auth0 and Stripe, and what is there; the difference shown, then made.

mod apply;
mod endpoint;
mod look;
mod make;
mod mend;
mod notes;
mod out;
mod page;
mod plan;
mod secret_file;
mod stop;
mod wait;

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;

use self::apply::tell_elsewhere;
use self::look::{Clients, look_in_time};
use self::mend::Problem;
use self::out::Out;
use self::page::{Answer, Line, Trouble, print_plan, print_problem};
use self::plan::{Change, Present, difference};
use super::check::{print_as_json, report_mistakes};
use super::harmless::harmless;
use super::ledger::block_on;
use super::wanted::Wanted;
use crate::config::{self, Billing};

/// What it is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Options {
    /// Show the plan, and change nothing.
    #[arg(long, conflicts_with = "yes")]
    pub(super) dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    pub(super) yes: bool,
    /// Write the signing secret of a new webhook endpoint to this file instead of showing it; a file that is there is not
    /// overwritten, unless it is empty.
    #[arg(long, value_name = "FILE")]
    pub(super) write_secret: Option<PathBuf>,
    /// Print JSON, and do not ask: without --yes the plan alone.
    #[arg(long)]
    pub(super) json: bool,
}

/// A line that is sent along is there at once; more than it needs.
const ANSWER: Duration = Duration::from_secs(1);
const MAX_ANSWER: u64 = 1024;

const AFTER_HELP: &str = "\
The signing secrets in `stripe.webhook.secrets` may be missing still: the endpoint is made here, and its secret told. \
Nothing is ever deleted, nor taken from a role, an API or an endpoint. A second run has nothing to do.

Exit status: 0 when everything is as the config wants it, or --dry-run showed the plan; 1 when something is still to be done, \
could not be looked at or went wrong; 2 when the config is wrong. A note changes no status, nor does what `tollgate doctor` \
only WARNs of.

What the Auth0 application of auth0.management has to be granted for it: read:roles create:roles update:roles \
read:resource_servers update:resource_servers, and create:resource_servers where the API is missing. A restricted key of \
Stripe's needs Webhook Endpoints: Write.";

/// 0 all is there, or the plan is shown that was asked for; 1 something is still to be done or went wrong, 2 the config is wrong.
pub(super) fn run(path: &Path, options: &Options, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match config::load_unfinished(path, &config::process_env) {
        Ok(config) => config,
        Err(report) => {
            report_mistakes(&report, options.json, out)?;
            return Ok(2);
        }
    };
    let wanted = Wanted::of(&config);
    let mut out = Out::new(out);
    let status = match &config.billing {
        Some(billing) => block_on(set_up(wanted, path, billing, options, &mut out))?,
        None => gate_alone(&wanted, options, &mut out)?,
    };
    out.finish()?;
    Ok(status)
}

async fn set_up(
    wanted: Wanted,
    config: &Path,
    billing: &Billing,
    options: &Options,
    out: &mut Out<'_>,
) -> anyhow::Result<u8> {
    let clients = Clients::of(billing)?;
    let (present, problems) = look_in_time(&wanted, &clients).await;
    let file = options.write_secret.as_deref();
    let bootstrap = Bootstrap {
        plan: difference(&wanted, &present),
        unseen: problems
            .iter()
            .map(|problem| problem.what.clone())
            .collect(),
        config,
        unwritten: file.and_then(|file| notes::unwritten(billing, &wanted, &present, file)),
        wanted,
        billing,
        clients,
        present,
        options,
    };
    bootstrap.run(&problems, out).await
}

/// Without payments there is nobody to ask: the client of the Management API comes with them.
fn gate_alone(wanted: &Wanted, options: &Options, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut notes = vec![
        "the config has no `stripe` section, so neither Auth0 nor Stripe is looked at, and nothing is to be done"
            .to_owned(),
    ];
    if !wanted.permissions.is_empty() && !wanted.apis.is_empty() {
        notes.push(format!(
            "by hand in Auth0: the API {} needs RBAC with permissions in the access token, and these permissions: {}",
            wanted.apis.join(", "),
            wanted.permissions.join(", ")
        ));
    }
    if options.json {
        let answer = Answer {
            ok: true,
            notes,
            ..Answer::default()
        };
        print_as_json(&answer, out)?;
    } else {
        for note in notes {
            writeln!(out, "{note}")?;
        }
    }
    Ok(0)
}

/// One run, after the first look.
struct Bootstrap<'a> {
    wanted: Wanted,
    /// The config file.
    config: &'a Path,
    billing: &'a Billing,
    clients: Clients,
    present: Present,
    plan: Vec<Change>,
    /// What the first look could not see, each as it was told.
    unseen: Vec<String>,
    /// Why no secret can be written to the file that was named.
    unwritten: Option<Problem>,
    options: &'a Options,
}

impl Bootstrap<'_> {
    async fn run(&self, problems: &[Problem], out: &mut Out<'_>) -> anyhow::Result<u8> {
        let all = problems.iter().chain(&self.unwritten);
        let mut answer = Answer {
            problems: all.map(Trouble::from).collect(),
            notes: notes::notes(self.billing, &self.wanted, &self.present),
            ..Answer::default()
        };
        if !self.options.json {
            self.show(problems, &answer.notes, out)?;
        }
        let is_written = self.unwritten.is_none() || self.options.dry_run;
        let mut is_good = problems.is_empty() && is_written;
        if self.plan.is_empty() || !self.may_apply(out)? {
            // Whoever asked for the plan alone has it.
            is_good &= self.plan.is_empty() || self.options.dry_run;
            answer.changes = self.untried();
        } else {
            is_good &= self.apply(&mut answer, out).await?;
        }
        if self.options.json {
            answer.ok = is_good;
            print_as_json(&answer, out)?;
            tell_elsewhere(&answer, out);
        }
        Ok(u8::from(!is_good))
    }

    /// The plan, of which nothing was done.
    fn untried(&self) -> Vec<Line> {
        let lines = self.plan.iter().map(|change| Line::of(change, None));
        lines.collect()
    }

    fn show(&self, problems: &[Problem], notes: &[String], out: &mut Out<'_>) -> io::Result<()> {
        let mode = if self.billing.endpoints.live {
            "live"
        } else {
            "test"
        };
        writeln!(
            out,
            "Auth0 {}, Stripe in {mode} mode",
            self.billing.auth0.url
        )?;
        print_plan(&self.wanted, &self.present, &self.plan, out)?;
        for problem in problems {
            print_problem("cannot look at", problem, out)?;
        }
        if let Some(problem) = &self.unwritten {
            print_problem("cannot write", problem, out)?;
        }
        for note in notes {
            writeln!(out, "note: {note}")?;
        }
        if self.plan.is_empty() {
            let is_all = problems.is_empty() && self.unwritten.is_none();
            let rest = if is_all { "" } else { " about the rest" };
            writeln!(out, "Nothing is to be done{rest}.")?;
        }
        Ok(())
    }

    /// Whether the plan is to be made now.
    fn may_apply(&self, out: &mut Out<'_>) -> io::Result<bool> {
        let Options {
            dry_run, yes, json, ..
        } = self.options;
        if *yes || *json {
            return Ok(*yes);
        }
        if *dry_run {
            writeln!(out, "Nothing was changed.")?;
            return Ok(false);
        }
        let stdin = io::stdin();
        let is_terminal = stdin.is_terminal();
        let mut answer = if is_terminal {
            String::new()
        } else {
            piped_line()
        };
        if !is_terminal && answer.is_empty() {
            writeln!(out, "Nothing was changed: `--yes` does it.")?;
            return Ok(false);
        }
        write!(out, "Apply? [y/N] ")?;
        if !out.has_arrived() {
            return Ok(false);
        }
        if is_terminal {
            stdin.read_line(&mut answer)?;
        } else {
            writeln!(out, "{}", harmless(answer.trim()))?;
        }
        let is_yes = ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
        if !is_yes {
            writeln!(out, "Nothing was changed.")?;
        }
        Ok(is_yes)
    }
}

/// The line that somebody sends along as the answer, as `echo y |` does; empty where there is none. What is inherited from
/// elsewhere may stay open without a line for ever.
fn piped_line() -> String {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let mut input = io::BufReader::new(io::stdin().take(MAX_ANSWER));
        // What is no text is no answer.
        if input.read_line(&mut line).is_ok() {
            // Nobody listens any more when it comes late.
            let _ = tell.send(line);
        }
    });
    told.recv_timeout(ANSWER).unwrap_or_default()
}
