//! `${NAME}`, `${NAME:-default}`, `${file:/run/secrets/x}` and `$$` in text.
//!
//! It runs over the parsed tree, so a value can never turn into YAML structure.

use std::fs::File;
use std::io::Read as _;

use super::report::{Mistake, Mistakes};
use super::tree::{Node, Place, Text, Value};

/// The environment, as a parameter.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A file with a secret holds a line or a key, not more.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A variable of this process.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Replaces every `${…}` below `node`; where that fails the value becomes invalid, and the mistake is reported.
pub(crate) fn expand(node: &mut Node, source: &str, env: Env<'_>, mistakes: &mut Mistakes) {
    match &mut node.value {
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| expand(item, source, env, mistakes)),
        Value::Map(entries) => entries
            .iter_mut()
            .for_each(|entry| expand(&mut entry.node, source, env, mistakes)),
        Value::Text(text) if text.text.contains('$') => {
            let scalar = Scalar {
                place: node.place,
                source,
                env,
            };
            node.value = match scalar.expanded(&text.text, mistakes) {
                Some(text) => Value::Text(text),
                None => Value::Invalid,
            };
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Invalid => {}
    }
}

/// One text scalar: its place, for the mistakes in it.
struct Scalar<'a> {
    place: Place,
    source: &'a str,
    env: Env<'a>,
}

impl Scalar<'_> {
    fn expanded(&self, text: &str, mistakes: &mut Mistakes) -> Option<Text> {
        let mut out = String::new();
        let mut rest = text;
        let mut valid = true;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let Some(end) = after.find('}') else {
                    let message = "this `${` has no closing `}`";
                    return mistakes.none(
                        Mistake::new(self.place, message).help("write `$$` for a plain `$`"),
                    );
                };
                match self.value(&after[..end]) {
                    Ok(value) => {
                        if holds_a_secret(&after[..end]) {
                            mistakes.hide(&value);
                        }
                        out.push_str(&value);
                    }
                    Err(mistake) => {
                        mistakes.add(mistake);
                        valid = false;
                    }
                }
                rest = &after[end + 1..];
            } else {
                out.push('$');
            }
        }
        out.push_str(rest);
        let replaced = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
        valid.then_some(Text {
            text: out,
            replaced,
        })
    }

    /// What `${inner}` stands for.
    fn value(&self, inner: &str) -> Result<String, Mistake> {
        let place = self.place_of(inner);
        if let Some(path) = inner.strip_prefix("file:") {
            return read_file(path).map_err(|reason| {
                Mistake::new(place, format!("cannot read the file `{path}`: {reason}"))
                    .help("name a file of text, 1 MiB at most, that this user may read")
            });
        }
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        if !is_name(name) || inner.contains('$') {
            let help =
                "write `${NAME}`, `${NAME:-default}`, `${file:/path}`, or `$$` for a plain `$`";
            // Not quoted: it may be the secret itself.
            return Err(Mistake::new(place, "this `${…}` names no variable").help(help));
        }
        match ((self.env)(name), default) {
            // As in the shell, an empty variable counts as unset beside a default, and as set without one.
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(Mistake::new(
                place,
                format!("the environment variable `{name}` is not set"),
            )
            .help(if is_secret(name) {
                "set it".to_owned()
            } else {
                format!("set it, or give a default: `${{{name}:-default}}`")
            })),
        }
    }

    /// Where `${inner}` stands in the file; the scalar's own place where it is written with escapes.
    fn place_of(&self, inner: &str) -> Place {
        let scalar = self
            .source
            .get(self.place.start..self.place.end)
            .unwrap_or_default();
        let written = format!("${{{inner}}}");
        match scalar.find(&written) {
            Some(at) if !scalar[..at].contains('\n') => Place {
                line: self.place.line,
                column: self.place.column + scalar[..at].chars().count(),
                start: self.place.start + at,
                end: self.place.start + at + written.len(),
            },
            _ => self.place,
        }
    }
}

/// Whether what `${inner}` stands for is shown to nobody, wherever it was put by mistake. What files hold mostly is secret.
fn holds_a_secret(inner: &str) -> bool {
    let name = inner.split_once(":-").map_or(inner, |(name, _)| name);
    inner.starts_with("file:") || is_secret(name)
}

/// Whether a variable of this name holds a secret, which nobody should write down as a default.
fn is_secret(name: &str) -> bool {
    ["SECRET", "KEY", "PASSWORD", "TOKEN"]
        .iter()
        .any(|word| name.to_ascii_uppercase().contains(word))
}

/// Whether `${inner}` leads to nothing: a variable that is unset or empty, a file that does not exist or is empty.
pub(crate) fn is_nothing(inner: &str, env: Env<'_>) -> bool {
    if let Some(path) = inner.strip_prefix("file:") {
        return match std::fs::metadata(path) {
            Ok(file) => file.is_file() && file.len() == 0,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
    }
    let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
    let value = env(name).filter(|value| !value.is_empty());
    is_name(name) && value.is_none() && default.is_empty()
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The text of a file without its last line break, which an editor or `echo` put there.
fn read_file(path: &str) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if read as u64 > MAX_FILE_BYTES {
        return Err("it is larger than 1 MiB".to_owned());
    }
    let trimmed = text.strip_suffix('\n').unwrap_or(&text);
    Ok(trimmed.strip_suffix('\r').unwrap_or(trimmed).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("example.com".into()),
            "EMPTY" => Some(String::new()),
            "YAML" => Some("[a, b]: {c".into()),
            _ => None,
        }
    }

    fn expanded(source: &str) -> Result<String, Vec<(usize, usize, String)>> {
        let mut mistakes = Mistakes::default();
        let mut node = tree::parse(source, &mut mistakes).unwrap();
        expand(&mut node, source, &env, &mut mistakes);
        let entries = node.value.as_map().unwrap();
        if let Some(text) = entries[0].node.value.as_text() {
            return Ok(text.to_owned());
        }
        let report = mistakes.into_report("f".as_ref(), source);
        Err(report
            .mistakes()
            .iter()
            .map(|m| (m.line, m.column, m.message.clone()))
            .collect())
    }

    #[test]
    fn variables_defaults_files_and_dollars_are_replaced() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from a file\n").unwrap();
        for (written, value) in [
            ("a: ${HOST}", "example.com"),
            (
                "a: \"https://${HOST}/${HOST}\"",
                "https://example.com/example.com",
            ),
            ("a: ${NONE:-x}", "x"),
            ("a: ${NONE:-}", ""),
            ("a: ${EMPTY:-x}", "x"),
            ("a: ${EMPTY}", ""),
            ("a: $$HOST $5 $${HOST}", "$HOST $5 ${HOST}"),
            ("a: ${YAML}", "[a, b]: {c"),
            (
                &format!("a: ${{file:{}}}", file.path().display()),
                "from a file",
            ),
        ] {
            assert_eq!(expanded(written), Ok(value.to_owned()), "{written}");
        }
    }

    #[test]
    fn every_unset_variable_is_reported_with_its_name_and_place() {
        let mistakes = expanded("a: x${ONE}${TWO}\n").unwrap_err();
        assert_eq!(
            mistakes,
            [
                (1, 5, "the environment variable `ONE` is not set".to_owned()),
                (
                    1,
                    11,
                    "the environment variable `TWO` is not set".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn what_is_no_interpolation_says_how_to_write_one() {
        for written in [
            "a: ${",
            "a: x${HOST",
            "a: ${}",
            "a: ${A B}",
            "a: ${A:-${B}}",
            "a: ${file:/no/such/file}",
        ] {
            assert!(expanded(&format!("{written}\n")).is_err(), "{written}");
        }
    }
}
