//! What a look may take away: a mistake, of ours or in the config, must not cost the paying users their roles. Pure.

/// How far what was found is to be believed where a role would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// Nobody watches: a role also stays while a customer pays whose user nobody knows, and its holder may be the one.
    Unwatched,
    /// The operator asked, and sees what is left.
    Asked,
    /// The operator has seen why roles were left, and wants them gone.
    Forced,
}

/// So few are mended without a second thought; more than these must not be more than [`PART`] of the holders.
const FEW: usize = 10;
/// One holder in so many.
const PART: usize = 5;

/// Whether so many of the `holders` would lose a role that a mistake is likelier: the key of another account, or a price
/// that is missing in the config.
pub(super) fn is_implausible(losing: usize, holders: usize) -> bool {
    losing > FEW && losing.saturating_mul(PART) > holders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_who_are_a_large_part_are_not_believed() {
        for (losing, holders, expected) in [
            (0, 0, false),
            (10, 10, false),
            (11, 11, true),
            (11, 54, true),
            (11, 55, false),
            (200_000, 1_000_000, false),
            (200_001, 1_000_000, true),
            (usize::MAX, 1, true),
        ] {
            let case = format!("{losing} of {holders}");
            assert_eq!(is_implausible(losing, holders), expected, "{case}");
        }
    }
}
