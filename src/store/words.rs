//! The words and numbers by which the ledger's enums stand in a database, the same in every one.

use std::borrow::Cow;
use std::fmt;

use super::{
    Action, DriftKind, EventState, JobKey, JobState, LinkKind, Priority, PurchaseState, StoreError,
};

/// Gives an enum its words. The match is exhaustive: a variant without a word does not compile.
macro_rules! words {
    ($($kind:ident { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        impl $kind {
            /// Its word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The one with this word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    )+};
}

words! {
    EventState { Queued = "queued", Processed = "processed", Ignored = "ignored", Unmatched = "unmatched" }
    PurchaseState { Open = "open", Complete = "complete", Expired = "expired" }
    JobState { Queued = "queued", Running = "running", Dead = "dead" }
    Action { Assign = "assign", Remove = "remove", EndSubscription = "end_subscription" }
    DriftKind { Missing = "missing", Extra = "extra", Other = "other", Unmatched = "unmatched" }
    LinkKind { Reference = "reference", Item = "item", Owner = "owner" }
}

/// The enum behind a word of a row.
pub(super) fn known<T>(what: &str, word: &str, found: Option<T>) -> Result<T, StoreError> {
    found.ok_or_else(|| StoreError::Corrupt(format!("{what} {word:?}")))
}

/// A name that nothing else has: of a lease, of a process.
pub(super) fn unique() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// A list as a column holds it; every database has the same text.
pub(super) fn list_of(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

/// Text of strangers, as an error may hold it. `PostgreSQL` takes no NUL, and all databases are to keep the same.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

impl LinkKind {
    /// Grows with its strength.
    pub(super) fn rank(self) -> i64 {
        match self {
            Self::Reference => 0,
            Self::Item => 1,
            Self::Owner => 2,
        }
    }

    pub(super) fn from_rank(rank: i64) -> Result<Self, StoreError> {
        match rank {
            0 => Ok(Self::Reference),
            1 => Ok(Self::Item),
            2 => Ok(Self::Owner),
            _ => Err(StoreError::Corrupt(format!("link kind {rank}"))),
        }
    }
}

impl Priority {
    /// Grows with its urgency.
    pub(super) fn rank(self) -> i64 {
        match self {
            Self::Background => 0,
            Self::Interactive => 1,
        }
    }
}

/// `user:auth0|1`, `customer:cus_1`, `object:dispute:dp_1`.
impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Customer(customer) => write!(f, "customer:{customer}"),
            Self::Object(kind, id) => write!(f, "object:{kind}:{id}"),
        }
    }
}

impl JobKey {
    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        let parsed = text.split_once(':').and_then(|(about, rest)| match about {
            "user" => Some(Self::User(rest.to_owned())),
            "customer" => Some(Self::Customer(rest.to_owned())),
            "object" => {
                let (kind, id) = rest.split_once(':')?;
                Some(Self::Object(kind.to_owned(), id.to_owned()))
            }
            _ => None,
        });
        known("job key", text, parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_key_is_read_as_it_was_written_whatever_the_id_holds() {
        for (key, text) in [
            (JobKey::User("auth0|a:b".into()), "user:auth0|a:b"),
            (JobKey::Customer("cus_1".into()), "customer:cus_1"),
            (
                JobKey::Object("dispute".into(), "dp:1".into()),
                "object:dispute:dp:1",
            ),
        ] {
            assert_eq!(key.to_string(), text);
            assert_eq!(JobKey::parse(text).expect("a key"), key);
        }
        for text in ["", "user", "object:x", "thing:x"] {
            assert!(matches!(JobKey::parse(text), Err(StoreError::Corrupt(_))));
        }
    }

    #[test]
    fn a_stronger_link_has_a_higher_rank_and_every_rank_is_read() {
        let kinds = [LinkKind::Reference, LinkKind::Item, LinkKind::Owner];
        assert!(kinds.is_sorted_by_key(|kind| kind.rank()) && kinds.is_sorted());
        for kind in kinds {
            assert_eq!(LinkKind::from_rank(kind.rank()).expect("a kind"), kind);
        }
        assert!(LinkKind::from_rank(3).is_err());
    }
}
