//! What doctor says: one line for each check, by area, and how the lines are shown.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::harmless::harmless;
use crate::config::Reported;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    /// As it should be.
    Pass,
    /// It works, or cannot be told; somebody should have a look.
    Warn,
    /// Something that the config promises does not work.
    Fail,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }

    /// Green, yellow, red (ECMA-48, SGR).
    fn colour(self) -> &'static str {
        match self {
            Self::Pass => "32",
            Self::Warn => "33",
            Self::Fail => "31",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What it is about, in a word or two.
    pub(super) name: String,
    /// How it came out.
    pub(super) status: Status,
    /// What was found.
    pub(super) found: String,
    /// One sentence; none where nothing is to be mended.
    pub(super) mend: Option<String>,
}

impl Check {
    /// All is well.
    pub(super) fn pass(name: &str, found: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Pass,
            found: found.into(),
            mend: None,
        }
    }

    /// Somebody should have a look.
    pub(super) fn warn(name: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            status: Status::Warn,
            mend: Some(mend.into()),
            ..Self::pass(name, found)
        }
    }

    /// It does not work.
    pub(super) fn fail(name: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            status: Status::Fail,
            mend: Some(mend.into()),
            ..Self::pass(name, found)
        }
    }
}

/// What belongs together, in the order in which it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Area {
    /// The file itself.
    Config,
    /// The backend.
    Upstream,
    /// The tenant.
    Auth0,
    /// The account.
    Stripe,
    /// The ledger.
    Ledger,
}

impl Area {
    fn title(self) -> &'static str {
        match self {
            Self::Config => "Config",
            Self::Upstream => "Upstream",
            Self::Auth0 => "Auth0",
            Self::Stripe => "Stripe",
            Self::Ledger => "Ledger",
        }
    }
}

/// All lines.
pub(super) struct Report(Vec<(Area, Vec<Check>)>);

/// As `--json` shows it.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    /// No check failed.
    ok: bool,
    /// None: with mistakes in the config nothing is checked, and they are told alone.
    errors: [Reported; 0],
    checks: Vec<Line<'a>>,
    pass: usize,
    warn: usize,
    fail: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    area: Area,
    #[serde(flatten)]
    check: &'a Check,
}

impl Report {
    /// Areas without a check are left out.
    pub(super) fn new(mut areas: Vec<(Area, Vec<Check>)>) -> Self {
        areas.retain(|(_, checks)| !checks.is_empty());
        Self(areas)
    }

    /// Lines that came out so.
    pub(super) fn count(&self, status: Status) -> usize {
        let checks = self.0.iter().flat_map(|(_, checks)| checks);
        checks.filter(|check| check.status == status).count()
    }

    /// For programs.
    pub(super) fn answer(&self) -> Answer<'_> {
        let lines = self.0.iter().flat_map(|(area, checks)| {
            let line = |check| Line { area: *area, check };
            checks.iter().map(line)
        });
        Answer {
            ok: self.count(Status::Fail) == 0,
            errors: [],
            checks: lines.collect(),
            pass: self.count(Status::Pass),
            warn: self.count(Status::Warn),
            fail: self.count(Status::Fail),
        }
    }

    /// For people.
    pub(super) fn print(&self, colours: bool, out: &mut dyn Write) -> io::Result<()> {
        let names = self.0.iter().flat_map(|(_, checks)| checks);
        let width = names.map(|check| check.name.chars().count()).max();
        let width = width.unwrap_or_default();
        for (area, checks) in &self.0 {
            writeln!(out, "{}", area.title())?;
            for check in checks {
                print_line(check, width, colours, out)?;
            }
            writeln!(out)?;
        }
        writeln!(out, "{}", self.summary())
    }

    fn summary(&self) -> String {
        let many = |status, one: &str, more: &str| match self.count(status) {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {more}")),
        };
        let parts = [
            many(Status::Fail, "check failed", "checks failed"),
            many(Status::Warn, "warning", "warnings"),
            many(Status::Pass, "check passed", "checks passed"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ") + "."
    }
}

fn print_line(check: &Check, width: usize, colours: bool, out: &mut dyn Write) -> io::Result<()> {
    let Check {
        name,
        status,
        found,
        mend,
    } = check;
    let word = status.word();
    if colours {
        write!(out, "\u{1b}[{}m{word}\u{1b}[0m", status.colour())?;
    } else {
        write!(out, "{word}")?;
    }
    writeln!(out, "  {name:width$}  {}", harmless(found))?;
    match mend {
        Some(mend) => writeln!(out, "      {:width$}  -> {}", "", harmless(mend)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let stripe = vec![
            Check::pass("key", "is good"),
            Check::warn("portal", "is not set up", "Set it up."),
            Check::fail("price monthly", "is \u{1b}[2Jgone", "Make it."),
        ];
        Report::new(vec![(Area::Upstream, Vec::new()), (Area::Stripe, stripe)])
    }

    #[test]
    fn each_line_begins_with_its_status_and_the_last_one_counts() {
        let mut out = Vec::new();
        report().print(false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        insta::assert_snapshot!(text, @r"
        Stripe
        PASS  key            is good
        WARN  portal         is not set up
                             -> Set it up.
        FAIL  price monthly  is �[2Jgone
                             -> Make it.

        1 check failed, 1 warning, 1 check passed.
        ");
    }

    #[test]
    fn colours_are_around_the_word_alone() {
        let mut out = Vec::new();
        report().print(true, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("\u{1b}[33mWARN\u{1b}[0m  portal "),
            "{text:?}"
        );
    }

    #[test]
    fn programs_get_every_line_with_its_area_and_the_counts() {
        let answer = serde_json::to_value(report().answer()).unwrap();
        assert_eq!(
            answer["checks"][1],
            serde_json::json!({ "area": "stripe", "name": "portal", "status": "WARN",
                "found": "is not set up", "mend": "Set it up." })
        );
        assert_eq!(answer["checks"][0]["mend"], serde_json::Value::Null);
        let counts = [&answer["pass"], &answer["warn"], &answer["fail"]];
        assert_eq!(counts, [1, 1, 1]);
        assert_eq!(
            (&answer["ok"], &answer["errors"]),
            (&false.into(), &serde_json::json!([]))
        );
    }
}
