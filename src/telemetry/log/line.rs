//! How an event becomes a line.

use std::cell::RefCell;
use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::clock::{Clock, SystemClock};

thread_local! {
    /// One buffer a thread, so that a line costs no allocation.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    /// The last whole second that was formatted, and its text.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Formats `event` and hands the line, its newline included, to `write`.
pub(super) fn with_line(event: &Event<'_>, pretty: bool, colour: bool, write: impl FnOnce(&str)) {
    LINE.with(|line| {
        // An event inside the formatting of another would be a value's `Debug` that logs: it is left out.
        let Ok(mut line) = line.try_borrow_mut() else {
            return;
        };
        line.clear();
        // Writing to a text cannot fail.
        let _ = if pretty {
            pretty_line(&mut line, event, colour)
        } else {
            json_line(&mut line, event)
        };
        line.push('\n');
        write(&line);
    });
}

fn json_line(line: &mut String, event: &Event<'_>) -> fmt::Result {
    line.push_str("{\"timestamp\":\"");
    push_timestamp(line)?;
    let metadata = event.metadata();
    // Piece by piece: this is done for every request, and the formatting machinery costs more than the text.
    for part in [
        "\",\"level\":\"",
        metadata.level().as_str(),
        "\",\"target\":\"",
        metadata.target(),
        "\"",
    ] {
        line.push_str(part);
    }
    event.record(&mut JsonFields(line));
    line.push('}');
    Ok(())
}

fn pretty_line(line: &mut String, event: &Event<'_>, colour: bool) -> fmt::Result {
    push_timestamp(line)?;
    let level = *event.metadata().level();
    let code = match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        _ => "2",
    };
    if colour {
        write!(line, " \u{1b}[{code}m{level:>5}\u{1b}[0m")?;
    } else {
        write!(line, " {level:>5}")?;
    }
    event.record(&mut PrettyFields { line, colour });
    Ok(())
}

/// RFC 3339 with microseconds.
fn push_timestamp(line: &mut String) -> fmt::Result {
    let now = SystemClock.since_epoch();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_secs() {
            *second = now.as_secs();
            *text = crate::reply::timestamp(i64::try_from(now.as_secs()).unwrap_or(0));
        }
        line.push_str(text.trim_end_matches('Z'));
    });
    write!(line, ".{:06}Z", now.subsec_micros())
}

struct JsonFields<'a>(&'a mut String);

impl JsonFields<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push_str(",\"");
        self.0.push_str(field.name());
        self.0.push_str("\":");
    }

    fn display(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        let _ = write!(self.0, "{value}");
    }
}

impl Visit for JsonFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        push_json_text(self.0, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.display(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.display(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.display(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.display(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push('"');
        let _ = write!(Escaped::all(self.0), "{value:?}");
        self.0.push('"');
    }
}

fn push_json_text(out: &mut String, text: &str) {
    out.push('"');
    let _ = Escaped::all(out).write_str(text);
    out.push('"');
}

/// Escapes what is written through it for a JSON text (RFC 8259, section 7), and every control character, those of
/// eight bits included: a terminal takes U+009B for the start of a command, as it does ESC `[`.
struct Escaped<'a> {
    out: &'a mut String,
    quotes: bool,
}

/// First bytes of what may have to be escaped. 0xc2 begins U+0080 to U+00BF in UTF-8.
static SUSPECT: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte < 0x20 || matches!(byte, 0x22 | 0x5c | 0x7f | 0xc2);
        byte += 1;
    }
    table
};

impl<'a> Escaped<'a> {
    fn all(out: &'a mut String) -> Self {
        Self { out, quotes: true }
    }

    fn push(&mut self, c: char) -> fmt::Result {
        match c {
            '"' if self.quotes => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            '\n' => self.out.push_str("\\n"),
            c if c.is_control() => write!(self.out, "\\u{:04x}", u32::from(c))?,
            c => self.out.push(c),
        }
        Ok(())
    }
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| SUSPECT[usize::from(byte)]) {
            let (clean, suspect) = rest.split_at(at);
            self.out.push_str(clean);
            let mut chars = suspect.chars();
            chars.next().map_or(Ok(()), |c| self.push(c))?;
            rest = chars.as_str();
        }
        self.out.push_str(rest);
        Ok(())
    }
}

struct PrettyFields<'a> {
    line: &'a mut String,
    colour: bool,
}

impl PrettyFields<'_> {
    fn pair(&mut self, field: &Field, value: impl fmt::Display) {
        let (before, name, after, quotes) = match (field.name(), self.colour) {
            ("message", _) => (" ", "", "", false),
            (name, true) => (" \u{1b}[2m", name, "=\u{1b}[0m", true),
            (name, false) => (" ", name, "=", true),
        };
        for part in [before, name, after] {
            self.line.push_str(part);
        }
        // Control characters of a client must not steer a terminal.
        let _ = write!(
            Escaped {
                out: self.line,
                quotes
            },
            "{value}"
        );
    }
}

impl Visit for PrettyFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.pair(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.pair(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    struct Capture(Arc<Mutex<String>>, bool);

    impl<S: tracing::Subscriber> Layer<S> for Capture {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            with_line(event, self.1, false, |line| {
                self.0.lock().unwrap().push_str(line);
            });
        }
    }

    fn logged(pretty: bool, emit: impl FnOnce()) -> String {
        let text = Arc::new(Mutex::new(String::new()));
        let subscriber = tracing_subscriber::registry().with(Capture(Arc::clone(&text), pretty));
        tracing::subscriber::with_default(subscriber, emit);
        let text = text.lock().unwrap();
        text.clone()
    }

    #[test]
    fn a_json_line_is_one_object_with_its_fields() {
        let line = logged(false, || {
            tracing::info!(
                request.id = "r1",
                status = 200_u16,
                ratio = 0.5,
                ok = true,
                gone = None::<&str>,
                "hello \"you\""
            );
        });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], "hello \"you\"");
        assert_eq!(value["level"], "INFO");
        assert_eq!(
            (&value["request.id"], &value["status"], &value["ratio"]),
            (&"r1".into(), &200.into(), &0.5.into())
        );
        assert!(value.get("gone").is_none());
        assert!(value["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_pretty_line_does_not_pass_control_characters_on() {
        let line = logged(true, || tracing::warn!(path = "/\u{1b}[31m", "careful"));
        assert!(line.contains(" WARN careful path=/\\u001b[31m"), "{line}");
    }

    proptest! {
        #[test]
        fn any_text_makes_a_line_that_parses(text in any::<String>()) {
            let line = logged(false, || tracing::info!(value = text.as_str(), debug = ?text, "{text}"));
            prop_assert_eq!(line.matches('\n').count(), 1);
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(value["value"].as_str(), Some(text.as_str()));
        }
    }

    #[test]
    fn no_line_passes_eight_bit_control_characters_on() {
        for pretty in [false, true] {
            let line = logged(pretty, || {
                tracing::warn!(path = "/\u{9b}31m\u{80}é\u{9f}\u{a0}", "careful \u{85}");
            });
            assert!(line.contains("/\\u009b31m\\u0080é\\u009f\u{a0}"), "{line}");
            assert!(line.contains("careful \\u0085"), "{line}");
        }
    }

    #[test]
    fn a_pretty_message_keeps_its_quotes_and_a_field_does_not() {
        let line = logged(true, || tracing::warn!(said = "\"no\"", "\"yes\""));
        assert!(line.ends_with(" WARN \"yes\" said=\\\"no\\\"\n"), "{line}");
    }
}
