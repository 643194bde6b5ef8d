//! Who a token speaks for.

use std::sync::Arc;

use crate::clock::UnixSeconds;

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `sub`: visible ASCII.
    pub subject: Box<str>,
    /// The `permissions` claim.
    pub permissions: Permissions,
    /// `iat`, where the token has one.
    pub issued_at: Option<UnixSeconds>,
    /// `exp`.
    pub expires_at: UnixSeconds,
}

/// Permission names, each visible ASCII without spaces, kept as one text with a space between them.
///
/// One text however many there are, and shared by all who hold the same: a cached token costs little memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permissions(Arc<str>);

impl Permissions {
    /// Joins names that hold no space.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        for name in names {
            debug_assert!(!name.contains(' '), "{name}");
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(name);
        }
        Self(text.into())
    }

    /// All names, a space between them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` is among them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        let mut rest = self.0.as_bytes();
        loop {
            let (held, more) = match memchr::memchr(b' ', rest) {
                Some(at) => (&rest[..at], Some(&rest[at + 1..])),
                None => (rest, None),
            };
            match more {
                _ if held == name.as_bytes() && !held.is_empty() => return true,
                Some(more) => rest = more,
                None => return false,
            }
        }
    }

    /// One name after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_permission_is_held_when_it_is_one_of_the_names(names in prop::collection::vec("[a-c]{1,2}", 0..6), asked in "[a-c ]{0,3}") {
            let permissions = Permissions::new(names.iter().map(String::as_str));
            prop_assert_eq!(permissions.contains(&asked), names.contains(&asked));
            prop_assert_eq!(permissions.iter().collect::<Vec<_>>(), names);
        }
    }
}
