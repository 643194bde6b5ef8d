//! The schema, brought up to date at every start: forward only, and never a database that a newer program wrote.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, SqlSafeStr};

use super::super::StoreError;

/// Every migration that was ever released, in order. One that has run anywhere is never changed.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "ledger", include_str!("migrations/0001_ledger.sql")),
    (2, "looks", include_str!("migrations/0002_looks.sql")),
    (3, "terms", include_str!("migrations/0003_terms.sql")),
];

/// The number of the advisory lock under which replicas that start together take turns: `tollgate` in ASCII.
const LOCK: i64 = 0x746f_6c6c_6761_7465;
/// A migration may take longer than any other statement; the others wait for it.
const PATIENCE: &str = "SET LOCAL statement_timeout = '5min'; SET LOCAL lock_timeout = '5min';
                        SET LOCAL idle_in_transaction_session_timeout = '5min'";

/// Runs what has not run yet.
///
/// # Errors
///
/// [`StoreError::Newer`], [`StoreError::Migration`], [`StoreError::Unavailable`].
pub(super) async fn run(connection: &mut PgConnection) -> Result<(), StoreError> {
    run_all(&MIGRATIONS, connection).await
}

async fn run_all(
    migrations: &[(i64, &'static str, &'static str)],
    connection: &mut PgConnection,
) -> Result<(), StoreError> {
    let mut migrator = Migrator::with_migrations(all(migrations));
    // Ours ends with the transaction, whatever happens to the process.
    migrator.set_locking(false);
    let mut tx = connection.begin().await?;
    sqlx::raw_sql(PATIENCE).execute(&mut *tx).await?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
    lock.execute(&mut *tx).await?;
    // Not `run`, whose future no task could be given: its connection is borrowed for a lifetime that the compiler loses.
    let done = migrator.run_direct(None, &mut *tx, false).await;
    done.map_err(explain)?;
    tx.commit().await?;
    Ok(())
}

/// What this program knows, in order.
pub(super) fn known() -> Vec<Migration> {
    all(&MIGRATIONS)
}

fn all(migrations: &[(i64, &'static str, &'static str)]) -> Vec<Migration> {
    let migrations = migrations.iter().map(|(version, name, sql)| {
        let sql = sql.into_sql_str();
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    });
    migrations.collect()
}

fn explain(error: MigrateError) -> StoreError {
    if let MigrateError::VersionMissing(found) = error {
        StoreError::Newer { found }
    } else if let MigrateError::Execute(error) = error {
        StoreError::from(error)
    } else {
        StoreError::Migration(error)
    }
}
