//! Form encoding of nested parameters, as Stripe reads them: `line_items[0][price]=…`, `metadata[k]=v`,
//! `expand[]=…`; booleans are `true` and `false`.

use std::fmt::Write as _;

/// The parameters of a call, in the order they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// None.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// Adds `path[0][path[1]]…` with this value; an empty word is a list's next place.
    pub(super) fn with(mut self, path: &[&str], value: &str) -> Self {
        let mut words = path.iter();
        let mut name = words.next().copied().unwrap_or_default().to_owned();
        for word in words {
            name.push('[');
            name.push_str(word);
            name.push(']');
        }
        self.0.push((name, value.to_owned()));
        self
    }

    /// Asks for the object itself where its id would stand.
    pub(super) fn expand(self, field: &str) -> Self {
        self.with(&["expand", ""], field)
    }

    /// The value of the parameter `name`.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let mut params = self.0.iter();
        let found = params.find(|(known, _)| known == name)?;
        Some(&found.1)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a query or a body of type `application/x-www-form-urlencoded`.
    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            if !text.is_empty() {
                text.push('&');
            }
            percent_encode(name, &mut text);
            text.push('=');
            percent_encode(value, &mut text);
        }
        text
    }
}

/// Writes `text` with everything but the unreserved characters of RFC 3986, section 2.3, percent-encoded: right in a
/// path, a query and a form alike.
pub(super) fn percent_encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first == b'%' {
                let (digits, tail) = rest.split_at(2);
                let digits = std::str::from_utf8(digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = tail;
            } else {
                bytes.push(*first);
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn nested_parameters_are_written_with_brackets() {
        let params = Params::none()
            .with(&["line_items", "0", "price"], "price_1")
            .with(&["line_items", "0", "quantity"], "1")
            .with(&["metadata", "auth0_user_id"], "auth0|1")
            .with(&["cancel_at_period_end"], "true")
            .expand("data.line_items");
        assert_eq!(
            decode(&params.encode()),
            "line_items[0][price]=price_1&line_items[0][quantity]=1&metadata[auth0_user_id]=auth0|1\
             &cancel_at_period_end=true&expand[]=data.line_items"
        );
        assert!(
            params
                .encode()
                .contains("metadata%5Bauth0_user_id%5D=auth0%7C1")
        );
        assert_eq!(Params::none().encode(), "");
    }

    #[test]
    fn what_separates_parameters_is_encoded_inside_them() {
        let text = "a&b=c+d e%f#g?h/i[j]{K}é";
        let encoded = Params::none().with(&["x"], text).encode();
        assert_eq!(
            encoded,
            "x=a%26b%3Dc%2Bd%20e%25f%23g%3Fh%2Fi%5Bj%5D%7BK%7D%C3%A9"
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(name in "\\PC{1,8}", value in any::<String>()) {
            let encoded = Params::none().with(&[&name], &value).encode();
            prop_assert!(encoded.is_ascii());
            let (read, rest) = encoded.split_once('=').unwrap();
            prop_assert_eq!(decode(read), name);
            prop_assert_eq!(decode(rest), value);
        }
    }
}
