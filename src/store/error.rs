//! Why the ledger did not do what it was asked to.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::{DatabaseError, ErrorKind};

/// Why the ledger did not do what it was asked to. Nothing of it has happened then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be used now: locked, full, gone. The same call may work later.
    #[error("the ledger cannot be used: {0}")]
    Unavailable(#[source] Outage),
    /// The database was written by a newer version.
    #[error(
        "the ledger is of a newer version than this program (migration {found} is not known here); \
         use the newer program, or a backup from before"
    )]
    Newer {
        /// The number of the first migration that this program does not know.
        found: i64,
    },
    /// A migration failed, or was changed after it had run.
    #[error("the ledger cannot be brought up to date: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The URL in the config cannot be used.
    #[error("store.url: {0}")]
    Url(String),
    /// Somebody else has taken the job over, because its lease had run out. What was to be written is not.
    #[error("the lease of this job has run out")]
    LeaseLost,
    /// A row that this version cannot read.
    #[error("the ledger holds a row that cannot be read: {0}")]
    Corrupt(String),
    /// What was to be written can never be: it is too large, or breaks a rule of the schema.
    #[error("the ledger refuses this: {0}")]
    Refused(#[source] sqlx::Error),
    /// Another server keeps its ledger there.
    #[error("another server uses the ledger {0}; one process serves a SQLite ledger at a time")]
    InUse(PathBuf),
    /// A file could not be made or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Why the ledger cannot be used now.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Outage {
    /// The database says so.
    #[error(transparent)]
    Database(Arc<sqlx::Error>),
    /// More waits to be written than may wait.
    #[error("too much waits to be written")]
    Busy,
    /// It took too long. It may still have been written.
    #[error("no answer within {0:?}")]
    Slow(Duration),
    /// The process ends.
    #[error("the process is stopping")]
    Stopping,
}

impl From<Outage> for StoreError {
    fn from(outage: Outage) -> Self {
        Self::Unavailable(outage)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_) = &error
        {
            return Self::Corrupt(error.to_string());
        }
        if error.as_database_error().is_some_and(is_refusal) {
            return Self::Refused(error);
        }
        Self::Unavailable(Outage::Database(Arc::new(error)))
    }
}

/// Whether the fault is in what was to be written, so that to try again is no use.
fn is_refusal(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    let by_code = match code.len() {
        // SQLSTATE: data exception, integrity constraint violation, program limit exceeded (a key too long for an index).
        5 => ["22", "23", "54"]
            .iter()
            .any(|class| code.starts_with(class)),
        // SQLite, whose low byte is the kind: TOOBIG, CONSTRAINT (also of a trigger or a type), MISMATCH.
        _ => (code.parse::<u32>()).is_ok_and(|code| matches!(code & 0xff, 18..=20)),
    };
    by_code || !matches!(error.kind(), ErrorKind::Other)
}
