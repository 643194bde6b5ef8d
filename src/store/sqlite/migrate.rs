//! The schema, brought up to date at every start: forward only, and never a database that a newer program wrote.

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;

use super::super::StoreError;

/// Every migration that was ever released, in order. One that has run anywhere is never changed.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "ledger", include_str!("migrations/0001_ledger.sql")),
    (2, "looks", include_str!("migrations/0002_looks.sql")),
    (3, "terms", include_str!("migrations/0003_terms.sql")),
];

/// Runs what has not run yet.
///
/// # Errors
///
/// [`StoreError::Newer`], [`StoreError::Migration`], [`StoreError::Unavailable`].
pub(super) async fn run(writer: &SqlitePool) -> Result<(), StoreError> {
    run_all(&MIGRATIONS, writer).await
}

async fn run_all(
    migrations: &[(i64, &'static str, &'static str)],
    writer: &SqlitePool,
) -> Result<(), StoreError> {
    let migrator = Migrator::with_migrations(all(migrations));
    // One transaction that locks at once: two processes that start together do not both run them, and nothing is
    // half done.
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    migrator.run(&mut *tx).await.map_err(explain)?;
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

#[cfg(test)]
mod tests {
    use super::super::super::Sqlite;
    use super::*;

    const NEXT: &str = "CREATE TABLE next (x TEXT) STRICT";

    /// Those there are, and one more.
    fn and_one_more(sql: &'static str) -> Vec<(i64, &'static str, &'static str)> {
        let last = MIGRATIONS.last().map_or(0, |(number, _, _)| *number);
        let mut all = MIGRATIONS.to_vec();
        all.push((last + 1, "next", sql));
        all
    }

    async fn fresh() -> Sqlite {
        Sqlite::open("sqlite::memory:").await.expect("a ledger")
    }

    #[tokio::test]
    async fn migrations_run_once_and_a_later_one_runs_on_top() {
        let ledger = fresh().await;
        run(&ledger.writer).await.expect("nothing is left to run");
        let later = and_one_more(NEXT);
        run_all(&later, &ledger.writer).await.expect("one more");
        run_all(&later, &ledger.writer).await.expect("and again");
    }

    #[tokio::test]
    async fn a_database_of_a_newer_program_is_refused() {
        let ledger = fresh().await;
        let later = and_one_more(NEXT);
        run_all(&later, &ledger.writer).await.expect("one more");
        let refused = run(&ledger.writer).await.expect_err("newer");
        let number = later.last().expect("one more").0;
        assert!(matches!(refused, StoreError::Newer { found } if found == number));
        let named = format!("migration {number}");
        assert!(refused.to_string().contains(&named), "{refused}");
    }

    #[tokio::test]
    async fn a_migration_that_was_changed_after_it_ran_is_refused() {
        let ledger = fresh().await;
        let mut changed = MIGRATIONS;
        changed[0].2 = "CREATE TABLE other (x TEXT) STRICT";
        let refused = run_all(&changed, &ledger.writer).await;
        assert!(matches!(refused, Err(StoreError::Migration(_))));
    }

    #[tokio::test]
    async fn a_migration_that_fails_leaves_nothing_behind() {
        let ledger = fresh().await;
        let broken = and_one_more("CREATE TABLE half (x TEXT) STRICT; NONSENSE");
        let failed = run_all(&broken, &ledger.writer).await;
        assert!(matches!(failed, Err(StoreError::Migration(_))));
        run(&ledger.writer).await.expect("as before");
        let half = sqlx::query("SELECT 1 FROM half").execute(&ledger.writer);
        assert!(half.await.is_err(), "no half of it is there");
    }
}
