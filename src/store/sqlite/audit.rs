//! The table `role_changes`, which only grows.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

use super::super::words::{known, text};
use super::super::{Action, Cause, LONGEST_LIST, RoleChange, StoreError};

pub(super) async fn add(tx: &mut SqliteConnection, change: &RoleChange) -> Result<(), StoreError> {
    let sql = "INSERT INTO role_changes (user_id, action, subject, plan, why, event, at, error)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    sqlx::query(sql)
        .bind(&change.user)
        .bind(change.action.word())
        .bind(&change.subject)
        .bind(&change.plan)
        .bind(&change.cause.why)
        .bind(&change.cause.event)
        .bind(change.at)
        .bind(change.error.as_deref().map(text))
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn of_user(
    pool: &SqlitePool,
    user: &str,
    limit: u32,
) -> Result<Vec<RoleChange>, StoreError> {
    let sql = "SELECT * FROM role_changes WHERE user_id = ?1 ORDER BY number DESC LIMIT ?2";
    let rows = sqlx::query(sql).bind(user).bind(limit);
    rows.fetch_all(pool).await?.iter().map(read).collect()
}

pub(super) async fn latest(pool: &SqlitePool, limit: u32) -> Result<Vec<RoleChange>, StoreError> {
    let sql = "SELECT * FROM role_changes ORDER BY number DESC LIMIT ?1";
    let rows = sqlx::query(sql).bind(limit.min(LONGEST_LIST));
    rows.fetch_all(pool).await?.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<RoleChange, StoreError> {
    let action: String = row.try_get("action")?;
    Ok(RoleChange {
        user: row.try_get("user_id")?,
        action: known("action", &action, Action::from_word(&action))?,
        subject: row.try_get("subject")?,
        plan: row.try_get("plan")?,
        cause: Cause {
            why: row.try_get("why")?,
            event: row.try_get("event")?,
        },
        at: row.try_get("at")?,
        error: row.try_get("error")?,
    })
}
