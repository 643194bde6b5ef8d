//! Writing HTML. What comes from outside goes in as text or as an attribute's value and is escaped there; there is no
//! way to write it as it is.

use crate::admin::trick::is_trick;

/// Attributes: names are ours, values anybody's.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

/// HTML in the making.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// What `write` writes.
    pub(super) fn of(write: impl FnOnce(&mut Self)) -> Self {
        let mut html = Self::default();
        write(&mut html);
        html
    }

    /// The first line of a page.
    pub(super) fn doctype(&mut self) {
        self.0.push_str("<!doctype html>\n");
    }

    /// An element and what is inside it.
    pub(super) fn tag(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        inside: impl FnOnce(&mut Self),
    ) {
        self.void(name, attributes);
        inside(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
        if is_block(name) {
            self.0.push('\n');
        }
    }

    /// An element with text inside it.
    pub(super) fn line(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.tag(name, attributes, |h| h.text(text));
    }

    /// An element that has no end: `input`, `meta`.
    pub(super) fn void(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
        self.0.push('>');
    }

    /// Text.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                c if is_trick(c) => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
    }

    /// What was written elsewhere.
    pub(super) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// The whole.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Whether the source reads better with a new line after it, and the page is no other for it.
fn is_block(name: &str) -> bool {
    matches!(
        name,
        "tr" | "p" | "section" | "header" | "nav" | "main" | "footer" | "head" | "form" | "dl"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_attributes_and_text_are_written_in_order() {
        let html = Html::of(|h| {
            h.tag("a", &[("href", "/x?a=1&b=2")], |h| h.text("1 < 2"));
            h.void("input", &[("value", "say \"hi\" it's")]);
        });
        let expected =
            "<a href=\"/x?a=1&amp;b=2\">1 &lt; 2</a><input value=\"say &quot;hi&quot; it&#39;s\">";
        assert_eq!(html.finish(), expected);
    }

    #[test]
    fn what_a_buyer_wrote_plays_no_tricks() {
        let html = Html::of(|h| h.text("Zoë\n\t\u{9b}31m\u{202e}x\0\u{61c}"));
        assert_eq!(html.finish(), "Zoë\n\t\u{fffd}31m\u{fffd}x\u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn no_text_and_no_value_opens_or_closes_anything(text in ".*") {
            let html = Html::of(|h| h.line("b", &[("title", &text)], &text)).finish();
            prop_assert_eq!(html.matches('<').count(), 2);
            prop_assert_eq!(html.matches('>').count(), 2);
            prop_assert_eq!(html.matches('"').count(), 2);
            prop_assert!(!html.contains('\''));
        }
    }
}
