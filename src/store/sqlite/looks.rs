//! The table `looks`: how far a look at every user is, and who is at it.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

use super::super::words::unique;
use super::super::{Drift, LONGEST_LIST, Look, Looks, StoreError, UnixMillis};
use super::{Sqlite, drift, next};

#[async_trait]
impl Looks for Sqlite {
    async fn begin_look(
        &self,
        restart: bool,
        now: UnixMillis,
        lease_ms: i64,
    ) -> Result<Option<Look>, StoreError> {
        let mut tx = self.begin().await?;
        let look = begin(&mut tx, restart, now, lease_ms).await?;
        tx.commit().await?;
        Ok(look)
    }

    async fn look_on(
        &self,
        look: &Look,
        found: &[Drift],
        cleared: &[String],
        now: UnixMillis,
        lease_ms: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        go_on(&mut tx, look, now.saturating_add(lease_ms)).await?;
        drift::clear(&mut tx, cleared).await?;
        drift::found(&mut tx, look.id, found).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn end_look(&self, look: &Look, now: UnixMillis) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        end(&mut tx, look, now).await?;
        drift::drop_older(&mut tx, look.id).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn leave_look(&self, look: &Look) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        leave(&mut tx, look).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn last_look(&self) -> Result<Option<Look>, StoreError> {
        last(&self.readers).await
    }

    async fn drift(&self, limit: u32) -> Result<Vec<Drift>, StoreError> {
        drift::list(&self.readers, limit).await
    }

    async fn mended(&self, subject: &str) -> Result<(), StoreError> {
        // Every job that went well says so, and mostly in vain: that is no reason to wait for the lock.
        if !drift::is_known(&self.readers, subject).await? {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        drift::clear(&mut tx, &[subject.to_owned()]).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn known_users(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        known_users(&self.readers, after, limit).await
    }
}

/// Takes over the look that was cut short, or begins a new one; nothing while somebody is at it.
async fn begin(
    tx: &mut SqliteConnection,
    restart: bool,
    now: UnixMillis,
    lease_ms: i64,
) -> Result<Option<Look>, StoreError> {
    let until = now.saturating_add(lease_ms);
    let lease = unique();
    if restart {
        let cut_short =
            "DELETE FROM looks WHERE ended_at IS NULL AND COALESCE(lease_until <= ?1, 1)";
        sqlx::query(cut_short).bind(now).execute(&mut *tx).await?;
    } else {
        let taken = "UPDATE looks SET lease = ?2, lease_until = ?3
                     WHERE ended_at IS NULL AND COALESCE(lease_until <= ?1, 1) RETURNING *";
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
               VALUES (?1, ?2, 0, 0, 0, ?3, ?4) RETURNING *";
    let new = sqlx::query(new).bind(id).bind(now).bind(&lease).bind(until);
    read(&new.fetch_one(tx).await?).map(Some)
}

async fn go_on(
    tx: &mut SqliteConnection,
    look: &Look,
    until: UnixMillis,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE looks SET position = ?3, total = ?4, checked = ?5, drifted = ?6, lease_until = ?7
               WHERE id = ?1 AND lease = ?2";
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
async fn end(tx: &mut SqliteConnection, look: &Look, now: UnixMillis) -> Result<(), StoreError> {
    let sql = "UPDATE looks SET ended_at = ?3, lease = NULL, lease_until = NULL WHERE id = ?1 AND lease = ?2";
    let ended = sqlx::query(sql).bind(look.id).bind(&look.lease).bind(now);
    one(ended.execute(&mut *tx).await?.rows_affected())?;
    let older = sqlx::query("DELETE FROM looks WHERE id < ?1").bind(look.id);
    older.execute(tx).await?;
    Ok(())
}

async fn leave(tx: &mut SqliteConnection, look: &Look) -> Result<(), StoreError> {
    let sql = "UPDATE looks SET lease = NULL, lease_until = NULL WHERE id = ?1 AND lease = ?2";
    let left = sqlx::query(sql).bind(look.id).bind(&look.lease);
    one(left.execute(tx).await?.rows_affected())
}

async fn last(pool: &SqlitePool) -> Result<Option<Look>, StoreError> {
    let sql = "SELECT * FROM looks ORDER BY id DESC LIMIT 1";
    let row = sqlx::query(sql).fetch_optional(pool).await?;
    row.as_ref().map(read).transpose()
}

/// Each table gives its next few from an index, and the first of these are the next of all.
async fn known_users(
    pool: &SqlitePool,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT user_id FROM (SELECT user_id FROM entitlements WHERE user_id > ?1
                                    ORDER BY user_id LIMIT ?2)
               UNION
               SELECT user_id FROM (SELECT DISTINCT user_id FROM customers WHERE user_id > ?1
                                    ORDER BY user_id LIMIT ?2)
               UNION
               SELECT user_id FROM (SELECT DISTINCT user_id FROM purchases WHERE user_id > ?1
                                    ORDER BY user_id LIMIT ?2)
               ORDER BY user_id LIMIT ?2";
    let users = sqlx::query_scalar(sql).bind(after.unwrap_or_default());
    let users = users.bind(limit.min(LONGEST_LIST)).fetch_all(pool).await?;
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

fn read(row: &SqliteRow) -> Result<Look, StoreError> {
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
