//! How the story is printed.

use std::io::{IsTerminal as _, Stdout, Write as _, stdout};
use std::time::Duration;

use crate::support::raw::Reply;

/// Widest request that is shown whole.
const REQUEST: usize = 38;

/// Standard output, and whether everything was as expected.
pub(crate) struct Page {
    out: Stdout,
    colour: bool,
    chapter: u32,
    wrong: u32,
}

impl Page {
    /// An empty page.
    pub(crate) fn new() -> Self {
        Self {
            out: stdout(),
            colour: stdout().is_terminal(),
            chapter: 0,
            wrong: 0,
        }
    }

    /// Whether nothing was other than expected.
    pub(crate) fn all_right(&self) -> bool {
        self.wrong == 0
    }

    /// Prints one line.
    pub(crate) fn line(&mut self, text: &str) {
        // Who reads the demo through a pipe may close it early.
        let _ = writeln!(self.out, "{text}");
    }

    /// Begins a new part.
    pub(crate) fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        let title = self.paint("1", &format!("{}. {title}", self.chapter));
        self.line(&format!("\n{title}"));
    }

    /// What was sent, with what, what came back, and whether that is right.
    pub(crate) fn step(&mut self, request: &str, with: &str, reply: &Reply, expected: u16) {
        self.step_after(request, with, reply, expected, None);
    }

    /// The same, for an answer that was waited for.
    pub(crate) fn step_after(
        &mut self,
        request: &str,
        with: &str,
        reply: &Reply,
        expected: u16,
        waited: Option<Duration>,
    ) {
        let is_right = reply.status == expected;
        let mark = self.mark(is_right);
        let status = http::StatusCode::from_u16(reply.status).ok();
        let reason = status
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let request = shortened(request, REQUEST);
        let waited = waited.map_or(String::new(), |waited| {
            self.paint("2", &format!("  after {} ms", waited.as_millis()))
        });
        self.line(&format!(
            "   {request:<REQUEST$} {with:<30} {:>3} {reason:<12} {mark}{waited}",
            reply.status
        ));
        if !is_right {
            self.line(&format!("       expected {expected}: {}", reply.text()));
        }
    }

    /// A command that was run, and how it ended.
    pub(crate) fn command(&mut self, line: &str, status: Option<i32>, expected: i32) {
        let is_right = status == Some(expected);
        let mark = self.mark(is_right);
        let told = status.map_or("killed".to_owned(), |status| format!("exit {status}"));
        self.line(&format!(
            "   {:<69} {told:>6} {:<9} {mark}",
            format!("$ {line}"),
            ""
        ));
        if !is_right {
            self.line(&format!("       expected exit {expected}"));
        }
    }

    /// Lines that a command printed, at most so many.
    pub(crate) fn quote<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>, most: usize) {
        let lines: Vec<&str> = lines.into_iter().collect();
        for line in lines.iter().take(most) {
            let line = self.paint("2", line);
            self.line(&format!("       {line}"));
        }
        if lines.len() > most {
            let more = self.paint("2", &format!("… and {} more", lines.len() - most));
            self.line(&format!("       {more}"));
        }
    }

    /// A detail of the answer.
    pub(crate) fn detail(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let name = self.paint("2", &format!("{name:<26}"));
            self.line(&format!("       {name} {value}"));
        }
    }

    /// Something that must be `expected`.
    pub(crate) fn told(&mut self, name: &str, value: &str, expected: &str) {
        let is_right = value == expected;
        self.checked(name, value, is_right);
        if !is_right {
            self.line(&format!("       expected {expected}"));
        }
    }

    /// Something that must be so.
    pub(crate) fn checked(&mut self, name: &str, value: &str, is_right: bool) {
        let mark = self.mark(is_right);
        let name = self.paint("2", &format!("{name:<26}"));
        self.line(&format!("       {name} {value:<55} {mark}"));
    }

    /// The end of a part; an error is why it could not go on.
    pub(crate) fn end_part(&mut self, told: anyhow::Result<()>) {
        if let Err(error) = told {
            let mark = self.mark(false);
            self.line(&format!("   {mark}: {error:#}"));
        }
    }

    fn mark(&mut self, is_right: bool) -> String {
        self.wrong += u32::from(!is_right);
        if is_right {
            self.paint("32", "ok")
        } else {
            self.paint("31", "WRONG")
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Leaves out the middle of a long text: ids differ at their end.
fn shortened(text: &str, most: usize) -> String {
    const END: usize = 6;
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let begin: String = text.chars().take(most - END - 1).collect();
    let end: String = text.chars().skip(count - END).collect();
    format!("{begin}…{end}")
}
