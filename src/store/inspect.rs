//! What can be seen of a ledger without changing anything of it, whichever program wrote it.

use sqlx::migrate::{MigrateError, Migration};

use super::{StoreError, UnixMillis};

/// What a look at a ledger found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// There is nothing yet: no file, or a database without tables of ours. The next server makes them.
    Empty {
        /// Whether we may make them, as far as the database says.
        writable: bool,
    },
    /// A ledger.
    There(Contents),
}

/// What a ledger holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Whether an earlier program wrote it: the next server brings it up to date.
    pub older: bool,
    /// Whether we may write to it, as far as the database says.
    pub writable: bool,
    /// Jobs that were given up.
    pub dead: i64,
    /// When the newest event came.
    pub last_event_at: Option<UnixMillis>,
}

/// Whether some of `known` have not run yet; `applied` are those that have, each with its checksum.
///
/// # Errors
///
/// What a server that opens it would say: [`StoreError::Newer`], [`StoreError::Migration`].
pub(super) fn is_older(
    known: &[Migration],
    applied: &[(i64, Vec<u8>)],
) -> Result<bool, StoreError> {
    for (version, checksum) in applied {
        let Some(ours) = known.iter().find(|one| one.version == *version) else {
            return Err(StoreError::Newer { found: *version });
        };
        if ours.checksum.as_ref() != checksum.as_slice() {
            let changed = MigrateError::VersionMismatch(*version);
            return Err(StoreError::Migration(changed));
        }
    }
    Ok(applied.len() < known.len())
}
