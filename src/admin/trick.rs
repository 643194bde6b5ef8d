//! Letters that are no letters: one judgement, for a page of the console and for a terminal.

/// Control characters, and the marks that set the direction of writing (UAX #9, section 2): buyers choose their names.
pub(crate) fn is_trick(c: char) -> bool {
    let is_mark = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || is_mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_of_direction_and_every_control_character_is_a_trick_and_no_letter_is() {
        let marks = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        assert!(
            marks
                .chars()
                .chain("\0\n\t\u{7f}\u{9b}".chars())
                .all(is_trick)
        );
        assert!(!"Zoë שלום مرحبا 7 😀|@".chars().any(is_trick));
    }
}
