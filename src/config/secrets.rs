//! What no report may show although nothing says that it is a secret: by its look, or by where it stands.

use std::ops::Range;

/// How Stripe's secrets begin.
const PREFIXES: [&str; 6] = [
    "sk_live_", "sk_test_", "sk_org_", "rk_live_", "rk_test_", "whsec_",
];
/// The longest key has 17 letters; a random token has more than this.
const LONGEST_NAME: usize = 24;

/// Whether `text` may be shown as the name of a key: what was meant for a value can end up in its place.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !text.is_empty()
        && text.len() <= LONGEST_NAME
        && text.chars().all(plain)
        && in_text(text).is_empty()
}

/// Where `text` holds one of Stripe's secrets, or a URL's user and password.
pub(crate) fn in_text(text: &str) -> Vec<Range<usize>> {
    let within = |c: char| !c.is_whitespace() && !"\"'`,{}[]".contains(c);
    words(text, within)
        .filter_map(|word| {
            let written = &text[word.clone()];
            let found = secret_key(written).or_else(|| credentials(written))?;
            Some(word.start + found.start..word.start + found.end)
        })
        .collect()
}

/// `text` with three stars for each of them.
pub(crate) fn without(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for range in in_text(text) {
        shown.push_str(&text[end..range.start]);
        shown.push_str("***");
        end = range.end;
    }
    shown.push_str(&text[end..]);
    shown
}

/// Where a line of a file that cannot be parsed may hold a value: everything but names of keys, `${…}` and punctuation.
pub(crate) fn in_broken_line(line: &str) -> Vec<Range<usize>> {
    let within = |c: char| !c.is_whitespace() && !",{}[]".contains(c);
    let end = line.trim_end().len();
    words(line, within)
        .filter(|word| {
            let rest = &line[word.end..];
            let written = &line[word.clone()];
            let before = line[..word.start].trim_end();
            let first = before.trim_start_matches(['-', ' ']).is_empty()
                || before.ends_with('{')
                || (before.ends_with(',') && before.contains('{'));
            let key = first
                && written.strip_suffix(':').is_some_and(is_name)
                && (word.end == end || rest.starts_with(char::is_whitespace));
            let braces = line[..word.start].ends_with("${") && rest.starts_with('}');
            let punctuation = written.chars().all(|c| "-:\"'|>?$".contains(c));
            !(key || punctuation || (braces && is_name(written)))
        })
        .collect()
}

/// Where the tag and the anchor begin that stand before the value at `start`: a password may begin with `!` or `&`.
pub(crate) fn start_with_properties(source: &str, start: usize) -> usize {
    let mut start = start;
    loop {
        let before = source.get(..start).unwrap_or_default();
        let before = before.trim_end_matches([' ', '\t']);
        let mut words = before.rsplit(|c: char| c.is_whitespace() || "[{,".contains(c));
        let word = words.next().unwrap_or_default();
        if !word.starts_with(['&', '!']) {
            return start;
        }
        start = before.len() - word.len();
    }
}

/// From the prefix of one of Stripe's secrets to the word's end.
fn secret_key(word: &str) -> Option<Range<usize>> {
    let starts = PREFIXES.iter().filter_map(|prefix| {
        let start = word.find(prefix)?;
        let rest = &word[start + prefix.len()..];
        // The prefix alone is how people speak of it.
        rest.starts_with(|c: char| c.is_ascii_alphanumeric())
            .then_some(start)
    });
    starts.min().map(|start| start..word.len())
}

/// What stands between `://` and `@`; a password may hold a `/` or an `@` itself.
fn credentials(word: &str) -> Option<Range<usize>> {
    let start = word.find("://")? + "://".len();
    let end = start + word[start..].rfind('@')?;
    Some(start..end)
}

/// The runs of characters that are `within` a word.
fn words(text: &str, within: impl Fn(char) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(&within)?;
        let length = text[start..].find(|c| !within(c));
        at = length.map_or(text.len(), |length| start + length);
        Some(start..at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_stripe_and_credentials_in_urls_are_hidden_by_their_look() {
        for (text, shown) in [
            ("unknown key `whsec_a1`", "unknown key `***`"),
            ("secret_key:sk_live_a1, x", "secret_key:***, x"),
            ("[rk_test_1, pk_test_1]", "[***, pk_test_1]"),
            ("postgres://u:p/w@d@h/x", "postgres://***@h/x"),
            (
                "it starts with `sk_test_` or `whsec_…`",
                "it starts with `sk_test_` or `whsec_…`",
            ),
            ("https://a.example/x, a@b", "https://a.example/x, a@b"),
        ] {
            assert_eq!(without(text), shown);
        }
    }

    #[test]
    fn a_tag_and_an_anchor_belong_to_the_value() {
        for (source, value, start) in [
            ("a: &b !c d", "d", 3),
            ("a: [&b d]", "d", 4),
            ("a: d", "d", 3),
            ("é &é d", "d", 3),
            ("d", "d", 0),
        ] {
            let at = source.find(value).unwrap();
            assert_eq!(start_with_properties(source, at), start, "{source}");
        }
    }

    #[test]
    fn a_broken_line_shows_names_of_keys_and_variables_alone() {
        let shown = |line: &str| {
            let mut hidden = in_broken_line(line);
            let mut line = line.to_owned();
            while let Some(range) = hidden.pop() {
                line.replace_range(range, "*");
            }
            line
        };
        for (line, expected) in [
            ("  secret_key: \"hunter2", "  secret_key: *"),
            ("  - hunter2", "  - *"),
            ("secret_key:hunter2", "*"),
            ("a: { b: ${NAME} }", "a: { b: ${NAME} }"),
            ("a: { b: ${sk_live_1} }", "a: { b: ${*} }"),
            ("a: [hunter2, 'b c'", "a: [*, * *"),
            ("a: \"", "a: \""),
            ("MIGHbGciOi+Jz/x0=:", "*"),
            ("hünter2", "*"),
            ("a: hunter2: b", "a: * *"),
            ("- a: hunter2, b: c", "- a: *, * *"),
            ("a: { b: hunter2, c: d", "a: { b: *, c: *"),
            ("", ""),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }
}
