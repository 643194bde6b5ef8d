//! Makes the plan, tells the secret, and looks again.

use std::io::{self, Write as _};
use std::path::Path;

use super::Bootstrap;
use super::look::look;
use super::make::Maker;
use super::mend::Problem;
use super::notes::of_tokens;
use super::out::Out;
use super::page::{
    Answer, Line, Trouble, is_of, print_problem, print_secret, print_secret_file, what,
};
use super::plan::{Change, Present, difference};
use super::secret_file::SecretFile;
use super::stop::{PATIENCE, Stop};
use super::wait::told;
use crate::config;

impl Bootstrap<'_> {
    /// Makes the plan, looks again, and says whether all is there now.
    pub(super) async fn apply(
        &self,
        answer: &mut Answer,
        out: &mut Out<'_>,
    ) -> anyhow::Result<bool> {
        let mut stop = Stop::after(PATIENCE)?;
        let file = match self.secret_file() {
            Ok(file) => file,
            Err(problem) => {
                self.tell_problem("FAILED", &problem, out)?;
                answer.problems.push(Trouble::from(&problem));
                answer.changes = self.untried();
                return Ok(false);
            }
        };
        if !self.options.json {
            writeln!(out)?;
        }
        let mut maker = Maker::new(&self.clients, &self.wanted, &self.present, file);
        let all_done = self.make(&mut maker, &mut stop, answer, out).await?;
        maker.finish();
        self.tell_secret(&maker, answer, out)?;
        let is_good = all_done && self.verify(&mut stop, answer, out).await?;
        if is_good && !self.options.json {
            let is_all = self.unseen.is_empty() && self.unwritten.is_none();
            let what = if is_all { "Everything" } else { "The rest" };
            writeln!(out, "{what} is as the config wants it.")?;
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

    /// Makes one change after the other; says whether all of them were made.
    async fn make(
        &self,
        maker: &mut Maker<'_>,
        stop: &mut Stop,
        answer: &mut Answer,
        out: &mut Out<'_>,
    ) -> io::Result<bool> {
        let (mut all_done, mut some_left) = (true, false);
        for change in &self.plan {
            let outcome = if stop.is_asked() {
                None
            } else {
                Some(make_one(maker, stop, change).await)
            };
            answer.changes.push(Line::of(change, outcome.as_ref()));
            all_done &= matches!(outcome, Some(Ok(())));
            match outcome {
                None => some_left = true,
                Some(Err(problem)) => self.tell_problem("FAILED", &problem, out)?,
                Some(Ok(())) if self.options.json => {}
                Some(Ok(())) => writeln!(out, "done   {}", what(change))?,
            }
            out.flush()?;
        }
        if some_left && !self.options.json {
            writeln!(out, "Stopped; run this again to go on.")?;
        }
        Ok(all_done)
    }

    /// Says what the new endpoint signs with.
    fn tell_secret(
        &self,
        maker: &Maker<'_>,
        answer: &mut Answer,
        out: &mut Out<'_>,
    ) -> io::Result<()> {
        let file = self.options.write_secret.as_deref();
        let file = file.filter(|_| maker.is_written);
        answer.secret_file = file.map(|file| file.display().to_string());
        let secret = maker.secret.as_ref();
        answer.webhook_secret = secret.map(|secret| secret.expose().to_owned());
        if self.options.json {
            return Ok(());
        }
        let others = self.billing.endpoints.webhook_secrets.len();
        if let Some(file) = file {
            print_secret_file(file, self.is_named(file), others, out)?;
        }
        if let Some(secret) = secret {
            print_secret(secret, &self.billing.unset_secrets, others, out)?;
            tell_elsewhere(answer, out);
        }
        Ok(())
    }

    /// Whether the config leads to the file, in which the secret is now.
    fn is_named(&self, file: &Path) -> bool {
        let Ok(text) = std::fs::read_to_string(file) else {
            return false;
        };
        let config = config::load_unfinished(self.config, &config::process_env);
        let billing = config.ok().and_then(|config| config.billing);
        billing.is_some_and(|billing| {
            let mut secrets = billing.endpoints.webhook_secrets.iter();
            secrets.any(|secret| secret.expose() == text.trim())
        })
    }

    /// Looks again: whether what was done is so now.
    async fn verify(
        &self,
        stop: &mut Stop,
        answer: &mut Answer,
        out: &mut Out<'_>,
    ) -> io::Result<bool> {
        let seen = stop.beside(look(&self.wanted, &self.clients)).await;
        let problems = seen.map_or_else(
            || {
                let what = "the second look, at what was done";
                vec![Problem::new(what, stop.why(), "run this again")]
            },
            |(present, problems)| {
                self.tell_tokens(&present, answer);
                self.still_wrong(&present, problems)
            },
        );
        for problem in &problems {
            self.tell_problem("FAILED", problem, out)?;
            answer.problems.push(Trouble::from(problem));
        }
        Ok(problems.is_empty())
    }

    /// What the first look could not know yet.
    fn tell_tokens(&self, present: &Present, answer: &mut Answer) {
        let notes = of_tokens(&self.wanted, present).into_iter();
        let new: Vec<String> = notes.filter(|note| !answer.notes.contains(note)).collect();
        answer.notes.extend(new);
    }

    /// The problems of the second look that the first one did not have, and what was done and is not so after all. What the
    /// first look did not see was not planned, and is told already.
    fn still_wrong(&self, present: &Present, mut problems: Vec<Problem>) -> Vec<Problem> {
        problems.retain(|problem| !self.unseen.contains(&problem.what));
        let changes = difference(&self.wanted, present).into_iter();
        for change in changes.filter(|change| is_of(change, &self.plan)) {
            let error = "it was done, and is still not so";
            let mend = "run this again, or look at it in the dashboard";
            problems.push(Problem::new(what(&change), error, mend));
        }
        problems
    }

    fn tell_problem(&self, word: &str, problem: &Problem, out: &mut Out<'_>) -> io::Result<()> {
        if self.options.json {
            return Ok(());
        }
        print_problem(word, problem, out)
    }
}

async fn make_one(maker: &mut Maker<'_>, stop: &mut Stop, change: &Change) -> Result<(), Problem> {
    let what = what(change);
    let making = told(&what, maker.make(change));
    stop.beside(making).await.unwrap_or_else(|| {
        let mend = "run this again: whether it was done shows then";
        Err(Problem::new(what.as_str(), stop.why(), mend))
    })
}

/// A secret that did not arrive is told on standard error: Stripe tells it only now.
pub(super) fn tell_elsewhere(answer: &Answer, out: &mut Out<'_>) {
    if let Some(secret) = &answer.webhook_secret
        && !out.has_arrived()
    {
        // When that fails too there is no place left.
        let _ = writeln!(
            io::stderr(),
            "The signing secret of the new webhook endpoint, shown this once: {secret}"
        );
    }
}
