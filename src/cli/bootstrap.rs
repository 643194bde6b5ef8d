//! `tollgate bootstrap`: what the config wants of Auth0 and Stripe, and what is there; the difference shown, then made.

mod endpoint;
mod look;
mod make;
mod mend;
mod page;
mod plan;
mod secret_file;

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use self::look::{Clients, look};
use self::make::Maker;
use self::mend::Problem;
use self::page::{Answer, Line, Trouble, print_plan, print_problem};
use self::plan::{Change, Present, difference, endpoint_of};
use self::secret_file::SecretFile;
use super::check::{print_as_json, report_mistakes};
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

const AFTER_HELP: &str = "\
The signing secrets in `stripe.webhook.secrets` may be missing still: the endpoint is made here, and its secret told. \
Nothing is ever deleted, nor taken from a role, an API or an endpoint. A second run has nothing to do.

Exit status: 0 when everything is as the config wants it, or --dry-run showed the plan; 1 when something is still to be done \
or went wrong; 2 when the config is wrong.

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
    match &config.billing {
        Some(billing) => block_on(async {
            let clients = Clients::of(billing)?;
            let (present, problems) = look(&wanted, &clients).await;
            let bootstrap = Bootstrap {
                plan: difference(&wanted, &present),
                wanted,
                billing,
                clients,
                present,
                options,
            };
            bootstrap.run(problems, out).await
        }),
        None => gate_alone(&wanted, options, out),
    }
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
    billing: &'a Billing,
    clients: Clients,
    present: Present,
    plan: Vec<Change>,
    options: &'a Options,
}

impl Bootstrap<'_> {
    async fn run(&self, problems: Vec<Problem>, out: &mut dyn Write) -> anyhow::Result<u8> {
        let mut answer = Answer {
            problems: problems.iter().map(Trouble::from).collect(),
            notes: self.notes(),
            ..Answer::default()
        };
        if !self.options.json {
            self.show(&problems, out)?;
        }
        let mut is_good = problems.is_empty();
        if self.plan.is_empty() || !self.may_apply(out)? {
            // Whoever asked for the plan alone has it.
            is_good &= self.plan.is_empty() || self.options.dry_run;
            let lines = self.plan.iter().map(|change| Line::of(change, None));
            answer.changes = lines.collect();
        } else {
            is_good &= self.apply(&mut answer, out).await?;
        }
        if self.options.json {
            print_as_json(&answer, out)?;
        }
        Ok(u8::from(!is_good))
    }

    /// What should be known, though nothing can be done about it here.
    fn notes(&self) -> Vec<String> {
        let (Some(webhook), Some(endpoints)) = (&self.wanted.webhook, &self.present.endpoints)
        else {
            return Vec::new();
        };
        let has_none = self.billing.endpoints.webhook_secrets.is_empty();
        let there = endpoint_of(webhook, endpoints).next().filter(|_| has_none);
        let note = there.map(|endpoint| {
            format!(
                "the config has no signing secret, and that of the webhook endpoint {} ({}) cannot be read: Stripe shows it in \
                 its dashboard, under Developers > Webhooks",
                endpoint.url, endpoint.id
            )
        });
        note.into_iter().collect()
    }

    fn show(&self, problems: &[Problem], out: &mut dyn Write) -> io::Result<()> {
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
        for note in self.notes() {
            writeln!(out, "note: {note}")?;
        }
        if self.plan.is_empty() {
            let rest = if problems.is_empty() {
                ""
            } else {
                " about the rest"
            };
            writeln!(out, "Nothing is to be done{rest}.")?;
        }
        Ok(())
    }

    /// Whether the plan is to be made now.
    fn may_apply(&self, out: &mut dyn Write) -> io::Result<bool> {
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
        if !stdin.is_terminal() {
            writeln!(out, "Nothing was changed: `--yes` does it.")?;
            return Ok(false);
        }
        write!(out, "Apply? [y/N] ")?;
        out.flush()?;
        let mut answer = String::new();
        stdin.read_line(&mut answer)?;
        let is_yes = ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
        if !is_yes {
            writeln!(out, "Nothing was changed.")?;
        }
        Ok(is_yes)
    }

    /// Makes the plan, looks again, and says whether all is there now.
    async fn apply(&self, answer: &mut Answer, out: &mut dyn Write) -> anyhow::Result<bool> {
        let file = match self.secret_file() {
            Ok(file) => file,
            Err(problem) => {
                self.tell_problem("FAILED", &problem, out)?;
                answer.problems.push(Trouble::from(&problem));
                let lines = self.plan.iter().map(|change| Line::of(change, None));
                answer.changes = lines.collect();
                return Ok(false);
            }
        };
        if !self.options.json {
            writeln!(out)?;
        }
        let mut maker = Maker::new(&self.clients, &self.present, file);
        let all_done = self.make(&mut maker, answer, out).await?;
        maker.finish();
        self.tell_secret(&maker, answer, out)?;
        let is_good = all_done && self.verify(answer, out).await?;
        if is_good && !self.options.json {
            writeln!(out, "Everything is as the config wants it.")?;
        }
        Ok(is_good)
    }

    /// The file for the secret of a new endpoint, opened before anything is changed.
    fn secret_file(&self) -> Result<Option<SecretFile>, Problem> {
        let makes_one = |change: &Change| matches!(change, Change::MakeEndpoint { .. });
        let path = self.options.write_secret.as_deref();
        let Some(path) = path.filter(|_| self.plan.iter().any(makes_one)) else {
            return Ok(None);
        };
        SecretFile::open(path).map(Some).map_err(|error| {
            let what = format!("the file {} for the signing secret", path.display());
            let mend = "nothing was changed: name another file with --write-secret";
            Problem::new(what, error.to_string(), mend)
        })
    }

    /// Makes one change after the other. After Ctrl-C the one at hand is finished, so that no secret is lost.
    async fn make(
        &self,
        maker: &mut Maker<'_>,
        answer: &mut Answer,
        out: &mut dyn Write,
    ) -> anyhow::Result<bool> {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let (mut all_done, mut stopped) = (true, false);
        for change in &self.plan {
            if stopped {
                answer.changes.push(Line::of(change, None));
                all_done = false;
                continue;
            }
            let outcome = {
                let mut making = std::pin::pin!(maker.make(change));
                tokio::select! {
                    biased;
                    outcome = &mut making => outcome,
                    _ = &mut interrupt => {
                        stopped = true;
                        making.await
                    }
                }
            };
            answer.changes.push(Line::of(change, Some(&outcome)));
            match outcome {
                Ok(()) if self.options.json => {}
                Ok(()) => writeln!(out, "done   {}", page::what(change))?,
                Err(problem) => {
                    all_done = false;
                    self.tell_problem("FAILED", &problem, out)?;
                }
            }
            out.flush()?;
        }
        if stopped && !self.options.json {
            writeln!(out, "Stopped; run this again to go on.")?;
        }
        Ok(all_done)
    }

    /// Says what the new endpoint signs with.
    fn tell_secret(
        &self,
        maker: &Maker<'_>,
        answer: &mut Answer,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let file = self
            .options
            .write_secret
            .as_deref()
            .filter(|_| maker.is_written);
        answer.secret_file = file.map(|file| file.display().to_string());
        answer.webhook_secret = maker
            .secret
            .as_ref()
            .map(|secret| secret.expose().to_owned());
        if self.options.json {
            return Ok(());
        }
        let and_old = if self.billing.endpoints.webhook_secrets.is_empty() {
            ""
        } else {
            ", beside those that are there"
        };
        if let Some(file) = file {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
            writeln!(
                out,
                "\nThe signing secret of the new endpoint is in the file. In the config{and_old}:\n\n  \
                 stripe: {{ webhook: {{ secrets: [\"${{file:{}}}\"] }} }}\n",
                file.display()
            )?;
        }
        if let Some(secret) = &maker.secret {
            writeln!(
                out,
                "\nThe signing secret of the new endpoint, shown this once:\n\n  {}\n\nSet it as the variable or the file that \
                 stripe.webhook.secrets names{and_old}; for example with\n\n  \
                 stripe: {{ webhook: {{ secrets: [\"${{STRIPE_WEBHOOK_SECRET}}\"] }} }}\n",
                secret.expose()
            )?;
        }
        Ok(())
    }

    /// Looks again: whether what was done is so now.
    async fn verify(&self, answer: &mut Answer, out: &mut dyn Write) -> io::Result<bool> {
        let (present, mut problems) = look(&self.wanted, &self.clients).await;
        for change in difference(&self.wanted, &present) {
            let error = "it was done, and is still not so";
            let mend = "run this again, or look at it in the dashboard";
            problems.push(Problem::new(page::what(&change), error, mend));
        }
        for problem in &problems {
            self.tell_problem("FAILED", problem, out)?;
            answer.problems.push(Trouble::from(problem));
        }
        Ok(problems.is_empty())
    }

    fn tell_problem(&self, word: &str, problem: &Problem, out: &mut dyn Write) -> io::Result<()> {
        if self.options.json {
            return Ok(());
        }
        print_problem(word, problem, out)
    }
}
