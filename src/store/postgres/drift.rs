//! The table `drift`: who is not as Stripe says.

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::super::words::{known, list_of, text};
use super::super::{Drift, DriftKind, LONGEST_LIST, StoreError};

/// Writes what the look found, but of users whose entitlement has changed since; what was known of the same subjects is
/// replaced.
pub(super) async fn found(
    tx: &mut PgConnection,
    look: i64,
    found: &[Drift],
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO drift (subject, kind, user_id, customer, plan, roles, why, found_at, look)
               SELECT $1::TEXT, $2::TEXT, $3::TEXT, $4::TEXT, $5::TEXT, $6::TEXT, $7::TEXT, $8::BIGINT, $9::BIGINT
               WHERE NOT EXISTS (SELECT 1 FROM entitlements WHERE user_id = $3 AND sequence IS DISTINCT FROM $10)
               ON CONFLICT (subject) DO UPDATE SET
                   kind = excluded.kind, user_id = excluded.user_id, customer = excluded.customer,
                   plan = excluded.plan, roles = excluded.roles, why = excluded.why,
                   found_at = excluded.found_at, look = excluded.look";
    for drift in found {
        sqlx::query(sql)
            .bind(&drift.subject)
            .bind(drift.kind.word())
            .bind(&drift.user)
            .bind(&drift.customer)
            .bind(&drift.plan)
            .bind(list_of(&drift.roles))
            .bind(text(&drift.why))
            .bind(drift.found_at)
            .bind(look)
            .bind(drift.sequence)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

pub(super) async fn clear(tx: &mut PgConnection, subjects: &[String]) -> Result<(), StoreError> {
    let sql = "DELETE FROM drift WHERE subject = ANY($1)";
    sqlx::query(sql).bind(subjects).execute(tx).await?;
    Ok(())
}

/// Drops what no look from this one on has found.
pub(super) async fn drop_older(tx: &mut PgConnection, look: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM drift WHERE look < $1";
    sqlx::query(sql).bind(look).execute(tx).await?;
    Ok(())
}

pub(super) async fn list(
    connection: &mut PgConnection,
    limit: u32,
) -> Result<Vec<Drift>, StoreError> {
    let sql = "SELECT * FROM drift ORDER BY subject LIMIT $1";
    let rows = sqlx::query(sql).bind(i64::from(limit.min(LONGEST_LIST)));
    rows.fetch_all(connection).await?.iter().map(read).collect()
}

/// How much there is of each kind.
pub(super) async fn count(
    connection: &mut PgConnection,
) -> Result<Vec<(DriftKind, i64)>, StoreError> {
    let sql = "SELECT kind, COUNT(*) FROM drift GROUP BY kind ORDER BY kind";
    let rows = sqlx::query_as::<_, (String, i64)>(sql).fetch_all(connection);
    let kinds = rows.await?.into_iter();
    kinds.map(|(word, rows)| Ok((kind(&word)?, rows))).collect()
}

fn kind(word: &str) -> Result<DriftKind, StoreError> {
    known("drift", word, DriftKind::from_word(word))
}

fn read(row: &PgRow) -> Result<Drift, StoreError> {
    let roles: &str = row.try_get("roles")?;
    let roles = serde_json::from_str(roles);
    Ok(Drift {
        subject: row.try_get("subject")?,
        kind: kind(row.try_get("kind")?)?,
        user: row.try_get("user_id")?,
        customer: row.try_get("customer")?,
        plan: row.try_get("plan")?,
        roles: roles.map_err(|error| StoreError::Corrupt(format!("roles: {error}")))?,
        why: row.try_get("why")?,
        found_at: row.try_get("found_at")?,
        look: row.try_get("look")?,
        sequence: None,
    })
}
