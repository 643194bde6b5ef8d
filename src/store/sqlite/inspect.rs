//! A look at a ledger that changes nothing: no migration, no file made.

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::super::inspect::is_older;
use super::super::{Contents, Inspected, StoreError};
use super::open::{self, Place};
use super::{Sqlite, migrate};

const IS_LEDGER: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations')";
const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
const DEAD: &str = "SELECT COUNT(*) FROM jobs WHERE state = 'dead'";
const LAST_EVENT: &str = "SELECT received_at FROM events ORDER BY number DESC LIMIT 1";

impl Sqlite {
    /// Looks at the ledger that `url` names, and changes nothing: a file that is not there is not made, an older one is
    /// not brought up to date.
    ///
    /// # Errors
    ///
    /// As [`Sqlite::open`]; [`StoreError::File`] also when the file may not be written.
    pub async fn inspect(url: &str) -> Result<Inspected, StoreError> {
        let nothing = Inspected::Empty { writable: true };
        let Place::File(path) = Place::parse(url)? else {
            return Ok(nothing);
        };
        if !path.exists() {
            return Ok(nothing);
        }
        open::may_write(&path)?;
        let mut connection = open::look_at(&path).await?;
        let found = look(&mut connection).await;
        // What was seen is seen, however it ends.
        let _ = connection.close().await;
        found
    }
}

async fn look(connection: &mut SqliteConnection) -> Result<Inspected, StoreError> {
    let is_ledger: bool = sqlx::query_scalar(IS_LEDGER)
        .fetch_one(&mut *connection)
        .await?;
    if !is_ledger {
        return Ok(Inspected::Empty { writable: true });
    }
    let applied = sqlx::query_as(APPLIED).fetch_all(&mut *connection).await?;
    let older = is_older(&migrate::known(), &applied)?;
    if applied.is_empty() {
        return Ok(Inspected::Empty { writable: true });
    }
    Ok(Inspected::There(Contents {
        older,
        writable: true,
        dead: sqlx::query_scalar(DEAD).fetch_one(&mut *connection).await?,
        last_event_at: sqlx::query_scalar(LAST_EVENT)
            .fetch_optional(&mut *connection)
            .await?,
    }))
}
