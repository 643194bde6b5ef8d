//! Makes the plan, tells the secret, and looks again.

use std::io::{self, Write as _};

use super::Bootstrap;
use super::look::look;
use super::make::Maker;
use super::mend::Problem;
use super::out::Out;
use super::page::{Answer, Line, Trouble, print_problem, print_secret, print_secret_file, what};
use super::plan::{Change, Present, difference};
use super::secret_file::SecretFile;
use super::stop::{PATIENCE, Stop};

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
        let mut maker = Maker::new(&self.clients, &self.present, file);
        let all_done = self.make(&mut maker, &mut stop, answer, out).await?;
        maker.finish();
        self.tell_secret(&maker, answer, out)?;
        let is_good = all_done && self.verify(&mut stop, answer, out).await?;
        if is_good && self.unwritten.is_none() && !self.options.json {
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
            print_secret_file(file, others, out)?;
        }
        if let Some(secret) = secret {
            print_secret(secret, others, out)?;
            tell_elsewhere(answer, out);
        }
        Ok(())
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
            |(present, problems)| self.still_wrong(&present, problems),
        );
        for problem in &problems {
            self.tell_problem("FAILED", problem, out)?;
            answer.problems.push(Trouble::from(problem));
        }
        Ok(problems.is_empty())
    }

    /// The problems of the second look, with what is not as it should be after all.
    fn still_wrong(&self, present: &Present, mut problems: Vec<Problem>) -> Vec<Problem> {
        for change in difference(&self.wanted, present) {
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
    stop.beside(maker.make(change)).await.unwrap_or_else(|| {
        let mend = "run this again: whether it was done shows then";
        Err(Problem::new(what(change), stop.why(), mend))
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
