//! Words: closed sets of them, and the one that was probably meant.

use super::read::{quoted, wrong_kind};
use super::report::{Mistake, Mistakes};
use super::tree::Node;

/// Reads a word out of a closed set.
pub(crate) fn choose<T: Copy>(
    node: &Node,
    choices: &[(&str, T)],
    mistakes: &mut Mistakes,
) -> Option<T> {
    let words = || choices.iter().map(|(word, _)| *word);
    let Some(text) = node.value.as_text() else {
        return wrong_kind(node, &alternatives(words()), mistakes);
    };
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let help = match nearest(text, words()) {
        Some(word) => format!("did you mean `{word}`? allowed: {}", alternatives(words())),
        None => format!("allowed: {}", alternatives(words())),
    };
    let found = quoted(text, node, mistakes);
    mistakes.none(Mistake::new(node.place, format!("unknown value `{found}`")).help(help))
}

/// Makes a type readable as one word of a closed set.
macro_rules! choice {
    ($name:ty { $($word:literal => $value:expr),+ $(,)? }) => {
        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::tree::Node,
                mistakes: &mut $crate::config::report::Mistakes,
            ) -> Option<Self> {
                $crate::config::words::choose(node, &[$(($word, $value)),+], mistakes)
            }

            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "anyOf": [{ "enum": [$($word),+] }, { "type": "string", "pattern": "\\$\\{" }]
                })
            }
        }
    };
}
pub(crate) use choice;

/// `text` as messages quote it: on one line, and not for ever.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let clean: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        format!("{clean}…")
    } else {
        clean
    }
}

/// The candidate that is nearest to `word`, if any is near enough to have been meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        // Up to a third of the letters may differ, two at least: `jwks_uri` for `jwks_url`, `audiance`, `lsiten`.
        .filter(|(distance, candidate)| {
            *distance
                <= (candidate.len() / 3)
                    .max(2)
                    .min(candidate.len().saturating_sub(1))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` or `c`, for a help line.
pub(crate) fn alternatives<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_when_it_is_near() {
        let keys = ["listen", "audience", "jwks_url", "default"];
        for (written, meant) in [
            ("lsiten", Some("listen")),
            ("Listen", Some("listen")),
            ("audiance", Some("audience")),
            ("jwks_uri", Some("jwks_url")),
            ("frobnicate", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, keys), meant, "{written}");
        }
    }

    #[test]
    fn alternatives_read_as_a_sentence() {
        assert_eq!(alternatives(["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(alternatives(["a"]), "`a`");
    }
}
