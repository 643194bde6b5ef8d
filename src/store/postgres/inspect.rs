//! A look at a ledger that changes nothing: no migration, and every transaction reads only.

use sqlx::postgres::PgConnection;

use super::super::inspect::is_older;
use super::super::{Contents, Inspected, StoreError};
use super::{Postgres, migrate, open};

const IS_LEDGER: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
/// Others than the owner may make no tables in the schema `public` since `PostgreSQL` 15.
const MAY_MAKE: &str = "SELECT NOT pg_is_in_recovery()
                               AND COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)";
const MAY_WRITE: &str = "SELECT NOT pg_is_in_recovery() AND has_table_privilege('jobs', 'INSERT')
                                AND has_table_privilege('jobs', 'UPDATE')";
const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
const DEAD: &str = "SELECT COUNT(*) FROM jobs WHERE state = 'dead'";
const LAST_EVENT: &str = "SELECT received_at FROM events ORDER BY number DESC LIMIT 1";

impl Postgres {
    /// Looks at the ledger that `url` names, and changes nothing: an empty database stays empty, an older ledger is not
    /// brought up to date.
    ///
    /// # Errors
    ///
    /// As [`Postgres::open_existing`].
    pub async fn inspect(url: &str) -> Result<Inspected, StoreError> {
        let options = open::options(url)?.options([("default_transaction_read_only", "on")]);
        let mut connection = open::first(&options, open::COMMAND_PATIENCE).await?;
        let found = look(&mut connection).await;
        open::close(connection).await;
        found
    }
}

async fn look(connection: &mut PgConnection) -> Result<Inspected, StoreError> {
    if !says(connection, IS_LEDGER).await? {
        let writable = says(connection, MAY_MAKE).await?;
        return Ok(Inspected::Empty { writable });
    }
    let applied = sqlx::query_as(APPLIED).fetch_all(&mut *connection).await?;
    let older = is_older(&migrate::known(), &applied)?;
    if applied.is_empty() {
        let writable = says(connection, MAY_MAKE).await?;
        return Ok(Inspected::Empty { writable });
    }
    Ok(Inspected::There(Contents {
        older,
        writable: says(connection, MAY_WRITE).await?,
        dead: sqlx::query_scalar(DEAD).fetch_one(&mut *connection).await?,
        last_event_at: sqlx::query_scalar(LAST_EVENT)
            .fetch_optional(&mut *connection)
            .await?,
    }))
}

async fn says(connection: &mut PgConnection, sql: &'static str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}
