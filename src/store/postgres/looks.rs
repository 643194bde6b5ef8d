//! The table `looks`: how far a look at every user is, and who is at it.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::super::words::unique;
use super::super::{Drift, LONGEST_LIST, Look, Looks, StoreError, UnixMillis};
use super::work::{self, next, once, transaction};
use super::{Postgres, drift};

#[async_trait]
impl Looks for Postgres {
    async fn begin_look(
        &self,
        restart: bool,
        now: UnixMillis,
        lease_ms: i64,
    ) -> Result<Option<Look>, StoreError> {
        transaction!(self, |tx| begin(&mut tx, restart, now, lease_ms).await?)
    }

    async fn look_on(
        &self,
        look: &Look,
        found: &[Drift],
        cleared: &[String],
        now: UnixMillis,
        lease_ms: i64,
    ) -> Result<(), StoreError> {
        transaction!(self, |tx| {
            go_on(&mut tx, look, now.saturating_add(lease_ms)).await?;
            drift::clear(&mut tx, cleared).await?;
            drift::found(&mut tx, look.id, found).await?;
        })
    }

    async fn end_look(&self, look: &Look, now: UnixMillis) -> Result<(), StoreError> {
        transaction!(self, |tx| {
            end(&mut tx, look, now).await?;
            drift::drop_older(&mut tx, look.id).await?;
        })
    }

    async fn leave_look(&self, look: &Look) -> Result<(), StoreError> {
        once!(self, |db| leave(&mut db, look).await)
    }

    async fn last_look(&self) -> Result<Option<Look>, StoreError> {
        once!(self, |db| last(&mut db).await)
    }

    async fn drift(&self, limit: u32) -> Result<Vec<Drift>, StoreError> {
        once!(self, |db| drift::list(&mut db, limit).await)
    }

    async fn mended(&self, subject: &str) -> Result<(), StoreError> {
        let subjects = [subject.to_owned()];
        transaction!(self, |tx| {
            after_notes(&mut tx).await?;
            drift::clear(&mut tx, &subjects).await?;
        })
    }

    async fn known_users(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        once!(self, |db| known_users(&mut db, after, limit).await)
    }
}

/// Takes over the look that was cut short, or begins a new one; nothing while somebody is at it.
async fn begin(
    tx: &mut PgConnection,
    restart: bool,
    now: UnixMillis,
    lease_ms: i64,
) -> Result<Option<Look>, StoreError> {
    // Replicas that begin at once take turns, so that the second sees the look of the first.
    let turn = "SELECT value FROM counters WHERE name = 'look' FOR UPDATE";
    sqlx::query(turn).execute(&mut *tx).await?;
    let until = now.saturating_add(lease_ms);
    let lease = unique();
    if restart {
        let cut_short =
            "DELETE FROM looks WHERE ended_at IS NULL AND COALESCE(lease_until <= $1, TRUE)";
        sqlx::query(cut_short).bind(now).execute(&mut *tx).await?;
    } else {
        let taken = "UPDATE looks SET lease = $2, lease_until = $3
                     WHERE ended_at IS NULL AND COALESCE(lease_until <= $1, TRUE) RETURNING *";
        let taken = sqlx::query(taken).bind(now).bind(&lease).bind(until);
        if let Some(row) = taken.fetch_optional(&mut *tx).await? {
            return read(&row).map(Some);
        }
    }
    let held = sqlx::query("SELECT 1 FROM looks WHERE ended_at IS NULL");
    if held.fetch_optional(&mut *tx).await?.is_some() {
        return Ok(None);
    }
    let id = next(tx, "look", 1).await?.start;
    let new = "INSERT INTO looks (id, started_at, total, checked, drifted, lease, lease_until)
               VALUES ($1, $2, 0, 0, 0, $3, $4) RETURNING *";
    let new = sqlx::query(new).bind(id).bind(now).bind(&lease).bind(until);
    read(&new.fetch_one(tx).await?).map(Some)
}

/// Waits for a look that is writing down what it found: from before the job was done, perhaps, and not to be seen yet.
async fn after_notes(tx: &mut PgConnection) -> Result<(), StoreError> {
    let sql = "SELECT id FROM looks WHERE ended_at IS NULL FOR SHARE";
    sqlx::query(sql).execute(tx).await?;
    Ok(())
}

async fn go_on(tx: &mut PgConnection, look: &Look, until: UnixMillis) -> Result<(), StoreError> {
    let sql =
        "UPDATE looks SET position = $3, total = $4, checked = $5, drifted = $6, lease_until = $7
               WHERE id = $1 AND lease = $2";
    let done = sqlx::query(sql)
        .bind(look.id)
        .bind(&look.lease)
        .bind(&look.position)
        .bind(look.total)
        .bind(look.checked)
        .bind(look.drifted)
        .bind(until)
        .execute(tx)
        .await?;
    one(done.rows_affected())
}

/// Ends the look and drops those before it.
async fn end(tx: &mut PgConnection, look: &Look, now: UnixMillis) -> Result<(), StoreError> {
    let sql = "UPDATE looks SET ended_at = $3, lease = NULL, lease_until = NULL WHERE id = $1 AND lease = $2";
    let ended = sqlx::query(sql).bind(look.id).bind(&look.lease).bind(now);
    one(ended.execute(&mut *tx).await?.rows_affected())?;
    let older = sqlx::query("DELETE FROM looks WHERE id < $1").bind(look.id);
    older.execute(tx).await?;
    Ok(())
}

async fn leave(tx: &mut PgConnection, look: &Look) -> Result<(), StoreError> {
    let sql = "UPDATE looks SET lease = NULL, lease_until = NULL WHERE id = $1 AND lease = $2";
    let left = sqlx::query(sql).bind(look.id).bind(&look.lease);
    one(left.execute(tx).await?.rows_affected())
}

async fn last(connection: &mut PgConnection) -> Result<Option<Look>, StoreError> {
    let sql = "SELECT * FROM looks ORDER BY id DESC LIMIT 1";
    let row = sqlx::query(sql).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// Each table gives its next few from an index, and the first of these are the next of all.
async fn known_users(
    connection: &mut PgConnection,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    let sql = "(SELECT user_id FROM entitlements WHERE user_id > $1 ORDER BY user_id LIMIT $2)
               UNION
               (SELECT DISTINCT user_id FROM customers WHERE user_id > $1 ORDER BY user_id LIMIT $2)
               UNION
               (SELECT DISTINCT user_id FROM purchases WHERE user_id > $1 ORDER BY user_id LIMIT $2)
               ORDER BY user_id LIMIT $2";
    let users = sqlx::query_scalar(sql).bind(after.unwrap_or_default());
    let users = users
        .bind(i64::from(limit.min(LONGEST_LIST)))
        .fetch_all(connection)
        .await?;
    Ok(users)
}

/// The lease held if, and only if, one row was written.
fn one(rows: u64) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}

fn read(row: &PgRow) -> Result<Look, StoreError> {
    let lease: Option<String> = row.try_get("lease")?;
    Ok(Look {
        id: row.try_get("id")?,
        started_at: row.try_get("started_at")?,
        ended_at: row.try_get("ended_at")?,
        position: row.try_get("position")?,
        total: row.try_get("total")?,
        checked: row.try_get("checked")?,
        drifted: row.try_get("drifted")?,
        lease: lease.unwrap_or_default(),
    })
}
