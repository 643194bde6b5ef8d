//! Forms as browsers send them (`application/x-www-form-urlencoded`, URL standard, section 5), queries included, and
//! the segments of a path.

use std::fmt::Write as _;

/// Fields looked at; no form of ours has more.
const MAX_FIELDS: usize = 32;

/// The fields of a form, or of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads what a browser sent.
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let read = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let field = |text: &str| decode(&text.replace('+', " "));
            (field(name), field(value))
        };
        Self(pairs.take(MAX_FIELDS).map(read).collect())
    }

    /// The field `name`, without the spaces around it; nothing where it is empty. Of several, the first counts.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }
}

/// Percent-decoded; what is no UTF-8 then becomes a replacement character, which names nothing. So does NUL, which
/// no ledger takes in a text.
pub(super) fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |at: usize| char::from(*after.get(at)?).to_digit(16);
        if let (b'%', Some(high), Some(low)) = (byte, hex(0), hex(1)) {
            decoded.extend(u8::try_from(high * 16 + low));
            rest = &after[2..];
        } else {
            decoded.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&decoded).replace('\0', "\u{fffd}")
}

/// `text` as one segment of a path, or as a value in a query.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // A String takes whatever is written to it.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let form = Form::parse("q=auth0%7Cann&text=a+b%2Bc&empty=&flag&q=second&broken=%4");
        let found = ["q", "text", "empty", "flag", "none", "broken"].map(|name| form.field(name));
        let expected = [
            Some("auth0|ann"),
            Some("a b+c"),
            None,
            None,
            None,
            Some("%4"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_no_ledger_takes_in_a_text_is_replaced() {
        assert_eq!(decode("a%00b%FFc"), "a\u{fffd}b\u{fffd}c");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_one_segment_and_comes_back(text in "[^\\x00]*") {
            let encoded = encode(&text);
            prop_assert!(!encoded.contains(['/', '?', '#', '&', '=', '"', '<', ' ']));
            prop_assert_eq!(decode(&encoded), text);
        }

        #[test]
        fn no_form_is_too_odd_to_be_read(text in ".*") {
            let _ = Form::parse(&text);
        }
    }
}
