//! Text of others, shown on a terminal: buyers choose their names, and a terminal obeys what it is sent.

use crate::admin::is_trick;

/// The text in one line, without what could move the cursor, or turn the letters round that come after it.
pub(super) fn harmless(text: &str) -> String {
    shown(text, is_trick)
}

/// The same for a text of several lines.
pub(super) fn harmless_lines(text: &str) -> String {
    shown(text, |c| c != '\n' && is_trick(c))
}

fn shown(text: &str, is_trick: impl Fn(char) -> bool) -> String {
    let shown = |c| if is_trick(c) { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_buyer_wrote_plays_no_tricks_on_a_terminal() {
        let written = "Zoë\n\u{9b}31m\u{202e}x\u{7f}\u{61c}";
        assert_eq!(
            harmless_lines(written),
            "Zoë\n\u{fffd}31m\u{fffd}x\u{fffd}\u{fffd}"
        );
        assert_eq!(
            harmless(written),
            "Zoë\u{fffd}\u{fffd}31m\u{fffd}x\u{fffd}\u{fffd}"
        );
    }
}
