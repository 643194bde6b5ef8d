//! How the story is printed.

use std::io::{IsTerminal as _, Stdout, Write as _, stdout};

use crate::support::raw::Reply;

/// Standard output, and whether every answer was the expected one.
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

    /// Whether no answer was another than the expected one.
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

    /// What was sent.
    pub(crate) fn sent(&mut self, request: &str, with: &str) {
        self.line(&format!("   sent   {request:<28} {with}"));
    }

    /// What came back, and whether it is right.
    pub(crate) fn got(&mut self, reply: &Reply, expected: u16) {
        let right = reply.status == expected;
        self.wrong += u32::from(!right);
        let (mark, colour) = if right { ("ok", "32") } else { ("WRONG", "31") };
        let status = http::StatusCode::from_u16(reply.status).ok();
        let reason = status
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let mark = self.paint(colour, mark);
        self.line(&format!("   got    {} {reason:<24} {mark}", reply.status));
        if !right {
            self.line(&format!("          expected {expected}: {}", reply.text()));
        }
    }

    /// A detail of the answer.
    pub(crate) fn detail(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let name = self.paint("2", &format!("{name:<20}"));
            self.line(&format!("          {name} {value}"));
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
