//! How the outcome is shown.

use std::collections::HashSet;
use std::io::{self, Write};

use serde::Serialize;

use crate::cli::harmless::harmless;
use crate::store::{Drift, LONGEST_LIST};
use crate::sync::{Failed, Looked, Mended, Taking};

/// Columns between two fields.
const GAP: usize = 2;
/// A wider field is cut off for people; programs get it whole.
const WIDEST: usize = 40;

/// The outcome.
#[derive(Debug, Default, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something else of the run"
)]
pub(super) struct Answer {
    looked_at: u64,
    resumed: bool,
    drift: Vec<Line>,
    failed: Vec<Left>,
    under_way: Vec<String>,
    fixed: usize,
    left: usize,
    not_fixed: Vec<Left>,
    held_back: u64,
    tied: u64,
    notes: Vec<String>,
    /// Every list was to be had, and all of the drift fits in here.
    whole: bool,
    #[serde(skip)]
    was_mended: bool,
    /// --fix would do something.
    #[serde(skip)]
    is_mendable: bool,
}

/// One who differs.
#[derive(Debug, Serialize)]
struct Line {
    subject: String,
    user: Option<String>,
    customer: Option<String>,
    kind: &'static str,
    stripe_says: Option<String>,
    auth0_says: Vec<String>,
    why: String,
    fixed: bool,
}

/// One who was not looked at, or not mended.
#[derive(Debug, Serialize)]
struct Left {
    subject: String,
    why: String,
}

impl From<&Failed> for Left {
    fn from(failed: &Failed) -> Self {
        Self {
            subject: failed.subject.clone(),
            why: failed.why.clone(),
        }
    }
}

impl Line {
    fn new(drift: &Drift, fixed: bool) -> Self {
        Self {
            subject: drift.subject.clone(),
            user: drift.user.clone(),
            customer: drift.customer.clone(),
            kind: drift.kind.word(),
            stripe_says: drift.plan.clone(),
            auth0_says: drift.roles.clone(),
            why: drift.why.clone(),
            fixed,
        }
    }
}

impl Answer {
    /// What a look found, and what became of it where it was to be mended.
    pub(super) fn new(looked: &Looked, mended: Option<&Mended>) -> Self {
        let fixed = mended.iter().flat_map(|mended| &mended.fixed);
        let fixed: HashSet<&str> = fixed.map(|drift| drift.subject.as_str()).collect();
        let is_fixed = |drift: &Drift| fixed.contains(drift.subject.as_str());
        let lines = looked.drift.iter();
        let drift: Vec<Line> = lines
            .map(|drift| Line::new(drift, is_fixed(drift)))
            .collect();
        let fixed = drift.iter().filter(|line| line.fixed).count();
        let not_fixed = mended.iter().flat_map(|mended| &mended.left);
        // Mending waits for them, and tells of those that failed.
        let under_way = match mended {
            Some(_) => Vec::new(),
            None => looked.under_way.clone(),
        };
        Self {
            looked_at: looked.looked_at,
            resumed: looked.is_resumed,
            fixed,
            left: drift.len() - fixed,
            drift,
            failed: looked.failed.iter().map(Left::from).collect(),
            under_way,
            held_back: mended.map_or(0, |mended| mended.held_back),
            not_fixed: not_fixed.map(Left::from).collect(),
            tied: mended.map_or(0, |mended| mended.tied),
            notes: notes(looked, mended),
            whole: looked.is_whole && fits(looked.drift.len()),
            was_mended: mended.is_some(),
            is_mendable: looked.is_mendable(Taking::Asked),
        }
    }

    /// Whether everybody was looked at, and nothing differs any more.
    pub(super) fn is_well(&self) -> bool {
        let is_seen = self.whole && self.failed.is_empty();
        is_seen && self.left == 0 && self.not_fixed.is_empty()
    }
}

fn notes(looked: &Looked, mended: Option<&Mended>) -> Vec<String> {
    let mut notes = looked.notes.clone();
    let held_back = mended.map_or(0, |mended| mended.held_back);
    if held_back > 0 {
        let roles = count(held_back, "user keeps a role", "users keep roles");
        notes.push(format!(
            "{roles} that may be paid for after all: see why; --fix --force takes it all away"
        ));
    }
    if !fits(looked.drift.len()) {
        let again = mended.map_or("", |_| ": run it again");
        notes.push(format!(
            "these are the first {LONGEST_LIST}; there may be more{again}"
        ));
    }
    notes
}

/// Whether so much is all that there is: a list of the longest may be cut off.
fn fits(drift: usize) -> bool {
    drift < LONGEST_LIST as usize
}

/// Prints it for people.
pub(super) fn print_page(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    if answer.resumed {
        writeln!(out, "went on with a run that was cut short\n")?;
    }
    print_table(&answer.drift, out)?;
    print_list("could not be looked at", &answer.failed, out)?;
    if answer.was_mended {
        print_list("not mended", &answer.not_fixed, out)?;
    }
    for user in &answer.under_way {
        let user = harmless(user);
        writeln!(out, "{user} differs, and a job is at it")?;
    }
    for note in &answer.notes {
        writeln!(out, "note: {}", harmless(note))?;
    }
    writeln!(out, "{}", summary(answer))
}

fn summary(answer: &Answer) -> String {
    let users = count(answer.looked_at, "user was", "users were");
    let mut parts = vec![format!("{users} looked at: {}", by_kind(answer))];
    if answer.was_mended {
        parts.push(format!("{} mended, {} left", answer.fixed, answer.left));
        if answer.tied > 0 {
            let users = count(answer.tied, "user was", "users were");
            parts.push(format!(
                "{users} tied to what the ledger did not know of theirs"
            ));
        }
    } else if answer.left > 0 && answer.is_mendable {
        parts.push("--fix mends what a job can mend".to_owned());
    }
    if !answer.failed.is_empty() {
        parts.push(format!("{} could not be looked at", answer.failed.len()));
    }
    parts.join("; ")
}

fn by_kind(answer: &Answer) -> String {
    let kinds = ["missing", "extra", "other", "unmatched"];
    let of = |kind: &str| answer.drift.iter().filter(|line| line.kind == kind).count();
    let kinds = kinds.iter().map(|kind| (of(kind), kind));
    let kinds: Vec<String> = kinds
        .filter(|(number, _)| *number > 0)
        .map(|(number, kind)| format!("{number} {kind}"))
        .collect();
    if kinds.is_empty() {
        let is_all = answer.whole && answer.failed.is_empty() && answer.under_way.is_empty();
        let agrees = if is_all {
            "Auth0 says what Stripe says"
        } else {
            "no drift was found"
        };
        return agrees.to_owned();
    }
    kinds.join(", ")
}

fn print_table(lines: &[Line], out: &mut dyn Write) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let heads = ["USER", "STRIPE SAYS", "AUTH0 SAYS", "WHY"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(heads)
        .chain(lines.iter().map(row))
        .collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0) + GAP
    };
    let widths = [width(0), width(1), width(2)];
    for row in &rows {
        for (field, width) in row.iter().zip(widths) {
            write!(out, "{field:width$}")?;
        }
        writeln!(out, "{}", row[3])?;
    }
    writeln!(out)
}

fn row(line: &Line) -> [String; 4] {
    let nothing = || "-".to_owned();
    let field = |text: &str| cut(&harmless(text));
    let roles = field(&line.auth0_says.join(", "));
    let why = harmless(&line.why);
    [
        field(&line.subject),
        line.stripe_says.as_deref().map_or_else(nothing, field),
        if roles.is_empty() { nothing() } else { roles },
        if line.fixed {
            format!("{why} [mended]")
        } else {
            why
        },
    ]
}

/// The field as a column has room for it.
fn cut(field: &str) -> String {
    if field.chars().count() <= WIDEST {
        return field.to_owned();
    }
    let kept: String = field.chars().take(WIDEST - 1).collect();
    format!("{kept}…")
}

fn print_list(what: &str, list: &[Left], out: &mut dyn Write) -> io::Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(out, "{what}:")?;
    for one in list {
        writeln!(out, "  {}: {}", harmless(&one.subject), harmless(&one.why))?;
    }
    writeln!(out)
}

fn count(number: u64, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{number} {word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_well_only_when_everybody_was_seen_and_nothing_is_left() {
        let one = || {
            vec![Left {
                subject: "auth0|ann".to_owned(),
                why: "away".to_owned(),
            }]
        };
        let seen = || Answer {
            whole: true,
            ..Answer::default()
        };
        assert!(seen().is_well());
        let cut = LONGEST_LIST as usize;
        assert!(fits(cut - 1) && !fits(cut));
        for unwell in [
            Answer::default(),
            Answer { left: 1, ..seen() },
            Answer {
                failed: one(),
                ..seen()
            },
            Answer {
                not_fixed: one(),
                ..seen()
            },
        ] {
            assert!(!unwell.is_well(), "{unwell:?}");
        }
    }

    #[test]
    fn a_field_beyond_its_column_is_cut_off_for_people_and_whole_for_programs() {
        let line = |subject: &str, role: &str| Line {
            subject: subject.to_owned(),
            user: None,
            customer: None,
            kind: "extra",
            stripe_says: None,
            auth0_says: vec![role.to_owned()],
            why: "because".to_owned(),
            fixed: false,
        };
        let (long, fits) = ("ü".repeat(500), "é".repeat(WIDEST));
        let answer = Answer {
            drift: vec![line(&long, &long), line("auth0|ann", &fits)],
            ..Answer::default()
        };
        let mut out = Vec::new();
        print_page(&answer, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let cut = format!("{}…", "ü".repeat(WIDEST - 1));
        let expected = [
            format!("{cut}  -            {cut}  because"),
            format!("{:WIDEST$}  -            {fits}  because", "auth0|ann"),
        ];
        assert_eq!(text.lines().skip(1).take(2).collect::<Vec<_>>(), expected);
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(json["drift"][0]["subject"], long);
    }
}
