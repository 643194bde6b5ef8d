//! The table `purchases`: Checkout Sessions.

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::super::words::known;
use super::super::{Purchase, PurchaseState, StoreError};

/// Whose it is and what is bought stay as they were written first; the state only goes from open to closed, and from
/// expired to complete, so that a late reading cannot hide that somebody paid.
pub(super) async fn record(tx: &mut PgConnection, purchase: &Purchase) -> Result<(), StoreError> {
    let sql = "INSERT INTO purchases (session, user_id, customer, plan, state, created_at)
               VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (session) DO UPDATE SET
                   customer = COALESCE(purchases.customer, excluded.customer),
                   state = CASE
                       WHEN purchases.state = 'complete' OR excluded.state = 'open' THEN purchases.state
                       ELSE excluded.state
                   END";
    sqlx::query(sql)
        .bind(&purchase.session)
        .bind(&purchase.user)
        .bind(&purchase.customer)
        .bind(&purchase.plan)
        .bind(purchase.state.word())
        .bind(purchase.created_at)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn of_user(
    connection: &mut PgConnection,
    user: &str,
) -> Result<Vec<Purchase>, StoreError> {
    let sql = "SELECT * FROM purchases WHERE user_id = $1 ORDER BY created_at, session";
    let rows = sqlx::query(sql).bind(user).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn by_id(
    connection: &mut PgConnection,
    id: &str,
) -> Result<Option<Purchase>, StoreError> {
    let sql = "SELECT * FROM purchases WHERE session = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &PgRow) -> Result<Purchase, StoreError> {
    let state: String = row.try_get("state")?;
    Ok(Purchase {
        session: row.try_get("session")?,
        user: row.try_get("user_id")?,
        customer: row.try_get("customer")?,
        plan: row.try_get("plan")?,
        state: known("purchase state", &state, PurchaseState::from_word(&state))?,
        created_at: row.try_get("created_at")?,
    })
}
