//! Mistakes in the file, all of them at once, each with its place and its mend.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Serialize;

use super::secrets;
use super::tree::Place;

/// One mistake, as the reader and the checks find it.
#[derive(Clone, Debug)]
pub(crate) struct Mistake {
    place: Place,
    message: String,
    help: Option<String>,
    /// The file could not be parsed, so it is not known where its secrets are.
    syntax: bool,
}

impl Mistake {
    /// `message` says what is wrong at `place`.
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            help: None,
            syntax: false,
        }
    }

    /// Adds what would be right.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// An error of the YAML itself.
    pub(crate) fn syntax(place: Place, message: impl Into<String>) -> Self {
        Self {
            syntax: true,
            ..Self::new(place, message)
        }
    }
}

/// Collects mistakes, and where the secrets are that no report may show.
#[derive(Default)]
pub(crate) struct Mistakes {
    list: Vec<Mistake>,
    masked: Vec<Range<usize>>,
    hidden: Vec<String>,
}

/// A shorter one would take harmless words out of the messages.
const LEAST_HIDDEN: usize = 4;

impl Mistakes {
    /// Adds one.
    pub(crate) fn add(&mut self, mistake: Mistake) {
        self.list.push(mistake);
    }

    /// Adds one and answers `None`, to be returned by a reader.
    pub(crate) fn none<T>(&mut self, mistake: Mistake) -> Option<T> {
        self.add(mistake);
        None
    }

    /// Adds `advice` to the help of every mistake that starts within `place`.
    pub(crate) fn advise(&mut self, place: Place, advice: &str) {
        let within = place.start..place.end.max(place.start + 1);
        let about = |mistake: &&mut Mistake| within.contains(&mistake.place.start);
        for mistake in self.list.iter_mut().filter(about) {
            mistake.help = Some(match mistake.help.take() {
                Some(help) => format!("{help}; {advice}"),
                None => advice.to_owned(),
            });
        }
    }

    /// Keeps the text at `place` out of every report.
    pub(crate) fn mask(&mut self, place: Place) {
        self.masked.push(place.start..place.end);
    }

    /// Keeps `text`, which does not stand in the file itself, out of every message.
    pub(crate) fn hide(&mut self, text: &str) {
        let text = text.trim();
        if text.len() >= LEAST_HIDDEN {
            self.hidden.push(text.to_owned());
        }
    }

    /// `text` with three stars for everything hidden in it.
    pub(crate) fn censored(&self, text: &str) -> String {
        let hide = |text: String, hidden: &String| text.replace(hidden.as_str(), "***");
        self.hidden.iter().fold(text.to_owned(), hide)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Puts the mistakes beside the lines of `source` that they are about, in the order of the file.
    pub(crate) fn into_report(mut self, file: &Path, source: &str) -> Report {
        let mut list = std::mem::take(&mut self.list);
        for range in &mut self.masked {
            range.start = secrets::start_with_properties(source, range.start);
        }
        list.sort_by_key(|mistake| (mistake.place.line, mistake.place.column));
        // A part that is used twice, by an alias, is wrong once.
        list.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        let lines = Lines::new(source);
        let mistakes = list
            .into_iter()
            .map(|mistake| {
                let mistake = Mistake {
                    message: secrets::without(&self.censored(&mistake.message)),
                    help: mistake.help.map(|help| self.censored(&help)),
                    ..mistake
                };
                lines.reported(mistake, file, &self.masked)
            })
            .collect();
        Report {
            file: file.display().to_string(),
            mistakes,
        }
    }
}

/// Everything that is wrong with a config file.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    file: String,
    mistakes: Vec<Reported>,
}

/// One mistake, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reported {
    /// The file's name, as it was given.
    pub file: String,
    /// Line, from 1; 0 when the mistake has no place.
    pub line: usize,
    /// Column in characters, from 1; 0 when the mistake has no place.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    #[serde(skip)]
    shown: Option<Shown>,
}

/// The offending line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    text: String,
    indent: usize,
    width: usize,
}

impl Report {
    /// A report of one mistake that has no place: the file cannot be read, say.
    #[must_use]
    pub fn without_place(file: &Path, message: String, help: String) -> Self {
        let file = file.display().to_string();
        let mistake = Reported {
            file: file.clone(),
            line: 0,
            column: 0,
            message,
            help: Some(help),
            shown: None,
        };
        Self {
            file,
            mistakes: vec![mistake],
        }
    }

    /// The mistakes, in the order of the file.
    #[must_use]
    pub fn mistakes(&self) -> &[Reported] {
        &self.mistakes
    }
}

impl std::error::Error for Report {}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.mistakes {
            writeln!(f, "{mistake}")?;
        }
        match self.mistakes.len() {
            1 => write!(f, "1 mistake in {}", self.file),
            count => write!(f, "{count} mistakes in {}", self.file),
        }
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => writeln!(f, "{}: {}", self.file, self.message)?,
            line => writeln!(f, "{}:{line}:{}: {}", self.file, self.column, self.message)?,
        }
        if let Some(Shown {
            text,
            indent,
            width,
        }) = &self.shown
        {
            let number = self.line.to_string();
            let margin = number.len();
            writeln!(f, "  {number} | {text}")?;
            writeln!(f, "  {:margin$} | {:indent$}{}", "", "", "^".repeat(*width))?;
        }
        match &self.help {
            Some(help) => writeln!(f, "  help: {help}"),
            None => Ok(()),
        }
    }
}

/// The lines of the file with the byte at which each starts.
struct Lines<'a>(Vec<(usize, &'a str)>);

impl<'a> Lines<'a> {
    fn new(source: &'a str) -> Self {
        let mut start = 0;
        let lines = source.split_inclusive('\n').map(|line| {
            let begin = start;
            start += line.len();
            (begin, line.trim_end_matches(['\n', '\r']))
        });
        Self(lines.collect())
    }

    fn reported(&self, mistake: Mistake, file: &Path, masked: &[Range<usize>]) -> Reported {
        let Mistake {
            mut place,
            mut message,
            mut help,
            syntax,
        } = mistake;
        let line = place
            .line
            .checked_sub(1)
            .and_then(|index| self.0.get(index));
        if let Some((start, text)) = line.filter(|_| syntax) {
            // The parser does not always know the byte.
            let before: usize = text
                .chars()
                .take(place.column.saturating_sub(1))
                .map(char::len_utf8)
                .sum();
            (place.start, place.end) = (start + before, start + before);
            help = Some(syntax_help(text).to_owned());
            if quotes_the_line(&message, text) {
                BROKEN.clone_into(&mut message);
            }
        }
        let shown = line.map(|&(start, text)| {
            let hidden = if syntax {
                secrets::in_broken_line(text)
            } else {
                secrets::in_text(text)
            };
            let within = hidden
                .into_iter()
                .map(|range| start + range.start..start + range.end);
            let all: Vec<_> = masked.iter().cloned().chain(within).collect();
            show(text, start, place, &all)
        });
        Reported {
            file: file.display().to_string(),
            line: place.line,
            column: place.column,
            message,
            help,
            shown,
        }
    }
}

/// One line as it is shown: three stars for a secret of any length, spaces for control characters, and the number of
/// carets that the offending characters need.
fn show(text: &str, start: usize, place: Place, masked: &[Range<usize>]) -> Shown {
    let mut shown = Shown {
        text: String::with_capacity(text.len()),
        indent: 0,
        width: 0,
    };
    let mut in_secret = false;
    for (offset, c) in text.char_indices() {
        let at = start + offset;
        let hidden = masked.iter().any(|range| range.contains(&at));
        let columns = match (hidden, in_secret) {
            (true, true) => 0,
            (true, false) => 3,
            (false, _) => 1,
        };
        in_secret = hidden;
        if columns == 3 {
            shown.text.push_str("***");
        } else if columns == 1 {
            shown.text.push(if c.is_control() { ' ' } else { c });
        }
        if at < place.start {
            shown.indent += columns;
        } else if at < place.end {
            shown.width += columns;
        }
    }
    shown.width = shown.width.max(1);
    shown
}

fn syntax_help(line: &str) -> &'static str {
    if line.contains("${") {
        "put `${…}` in quotes where it stands inside `{ }` or `[ ]`: `{ key: \"${NAME}\" }`"
    } else {
        "check the indentation, the quotes and the brackets here and just above"
    }
}

/// What is said of a file that cannot be parsed, where more would quote it.
const BROKEN: &str = "this is not valid YAML";

/// Whether the parser's `message` repeats a word of `line` that is not shown: the name of an alias, say.
fn quotes_the_line(message: &str, line: &str) -> bool {
    secrets::in_broken_line(line).into_iter().any(|word| {
        let word = line[word].trim_matches(|c: char| !c.is_alphanumeric());
        word.len() >= LEAST_HIDDEN && message.contains(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize, start: usize, end: usize) -> Place {
        Place {
            line,
            column,
            start,
            end,
        }
    }

    #[test]
    fn mistakes_come_in_the_order_of_the_file_with_their_line_and_a_caret() {
        let source = "one: 1\ntwo: 2\n";
        let mut mistakes = Mistakes::default();
        mistakes.add(Mistake::new(place(2, 6, 12, 13), "second"));
        mistakes.add(Mistake::new(place(1, 1, 0, 3), "first").help("mend it"));
        mistakes.add(Mistake::new(place(1, 1, 0, 3), "first").help("mend it"));
        let report = mistakes.into_report("f.yaml".as_ref(), source);
        let expected = "f.yaml:1:1: first\n  1 | one: 1\n    | ^^^\n  help: mend it\n\n\
            f.yaml:2:6: second\n  2 | two: 2\n    |      ^\n\n2 mistakes in f.yaml";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn a_secret_is_never_shown_nor_its_length() {
        let source = "key: sk_live_abc, other: 1\n";
        let mut mistakes = Mistakes::default();
        mistakes.mask(place(1, 6, 5, 16));
        mistakes.add(Mistake::new(place(1, 6, 5, 16), "wrong"));
        mistakes.add(Mistake::new(place(1, 19, 18, 23), "wrong too"));
        let text = mistakes.into_report("f".as_ref(), source).to_string();
        let expected = "f:1:6: wrong\n  1 | key: ***, other: 1\n    |      ^^^\n\n\
            f:1:19: wrong too\n  1 | key: ***, other: 1\n    |           ^^^^^\n\n2 mistakes in f";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_file_that_cannot_be_parsed_shows_no_value_and_no_word_of_one() {
        let mut mistakes = Mistakes::default();
        mistakes.add(Mistake::syntax(place(1, 6, 5, 6), "unknown anchor abcd"));
        let text = mistakes
            .into_report("f".as_ref(), "key: *abcd\n")
            .to_string();
        let expected = "f:1:6: this is not valid YAML\n  1 | key: ***\n    |      ^\n  \
            help: check the indentation, the quotes and the brackets here and just above\n\n1 mistake in f";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_comes_from_elsewhere_is_hidden_in_messages_and_help() {
        let mut mistakes = Mistakes::default();
        mistakes.hide("hunter2\n");
        mistakes.hide("is");
        mistakes.add(Mistake::new(place(1, 1, 0, 1), "`hunter2` is wrong").help("not hunter2"));
        let report = mistakes.into_report("f".as_ref(), "a: ${KEY}\n");
        let [mistake] = report.mistakes() else {
            panic!("{report}")
        };
        assert_eq!(mistake.message, "`***` is wrong");
        assert_eq!(mistake.help.as_deref(), Some("not ***"));
    }
}
