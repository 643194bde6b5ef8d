//! The table `customers`: which Stripe customers have to do with which users. Written by one who asks for jobs alone.

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::super::{JobKey, Link, LinkKind, StoreError, UnixMillis};
use super::{jobs, matching};

/// Links the two, queues the customer's unmatched events, and says how many jobs were asked for.
pub(super) async fn link(
    tx: &mut PgConnection,
    customer: &str,
    user: &str,
    kind: LinkKind,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    // Stripe brings no deleted customer back, so a new link to one is deleted as the others are.
    let sql = "INSERT INTO customers (customer, user_id, kind, created_at, deleted)
               VALUES ($1, $2, $3, $4, EXISTS (SELECT 1 FROM customers WHERE customer = $1 AND deleted))
               ON CONFLICT (customer, user_id) DO UPDATE SET kind = excluded.kind
               WHERE excluded.kind > customers.kind";
    sqlx::query(sql)
        .bind(customer)
        .bind(user)
        .bind(kind.rank())
        .bind(now)
        .execute(&mut *tx)
        .await?;
    let mut asked = matching::queue_unmatched(tx, customer, user, now).await?;
    // Its search was given up; now there is something to find.
    let search = JobKey::Customer(customer.to_owned());
    asked += jobs::wake(tx, &search, now).await?;
    Ok(asked)
}

pub(super) async fn mark_deleted(tx: &mut PgConnection, customer: &str) -> Result<(), StoreError> {
    let sql = "UPDATE customers SET deleted = TRUE WHERE customer = $1 AND NOT deleted";
    sqlx::query(sql).bind(customer).execute(tx).await?;
    Ok(())
}

pub(super) async fn of_user(
    connection: &mut PgConnection,
    user: &str,
) -> Result<Vec<Link>, StoreError> {
    let sql = "SELECT * FROM customers WHERE user_id = $1 ORDER BY created_at, customer";
    let rows = sqlx::query(sql).bind(user).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn of_customer(
    connection: &mut PgConnection,
    customer: &str,
) -> Result<Vec<Link>, StoreError> {
    let sql = "SELECT * FROM customers WHERE customer = $1 ORDER BY created_at, user_id";
    let rows = sqlx::query(sql).bind(customer);
    rows.fetch_all(connection).await?.iter().map(read).collect()
}

/// The users of the customer, the oldest first.
pub(super) async fn users(
    tx: &mut PgConnection,
    customer: &str,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT user_id FROM customers WHERE customer = $1 ORDER BY created_at, user_id";
    Ok(sqlx::query_scalar(sql).bind(customer).fetch_all(tx).await?)
}

/// All links of some customers.
pub(super) struct Known {
    /// The users of each, the oldest first.
    users: HashMap<String, Vec<String>>,
    kinds: HashMap<(String, String), LinkKind>,
}

impl Known {
    /// Reads the links of these customers.
    pub(super) async fn read(
        tx: &mut PgConnection,
        customers: &HashSet<&str>,
    ) -> Result<Self, StoreError> {
        let mut known = Self {
            users: HashMap::new(),
            kinds: HashMap::new(),
        };
        if customers.is_empty() {
            return Ok(known);
        }
        let customers: Vec<&str> = customers.iter().copied().collect();
        let sql = "SELECT * FROM customers WHERE customer = ANY($1) ORDER BY created_at, user_id";
        for row in &sqlx::query(sql).bind(customers).fetch_all(tx).await? {
            let link = read(row)?;
            let users = known.users.entry(link.customer.clone()).or_default();
            users.push(link.user.clone());
            known.kinds.insert((link.customer, link.user), link.kind);
        }
        Ok(known)
    }

    /// The users of the customer, the oldest first.
    pub(super) fn users(&self, customer: &str) -> &[String] {
        self.users.get(customer).map_or(&[], Vec::as_slice)
    }

    /// Whether the two are linked, and as strongly.
    pub(super) fn has(&self, customer: &str, user: &str, kind: LinkKind) -> bool {
        let pair = (customer.to_owned(), user.to_owned());
        self.kinds.get(&pair).is_some_and(|known| *known >= kind)
    }
}

fn read(row: &PgRow) -> Result<Link, StoreError> {
    Ok(Link {
        customer: row.try_get("customer")?,
        user: row.try_get("user_id")?,
        kind: LinkKind::from_rank(row.try_get("kind")?)?,
        created_at: row.try_get("created_at")?,
        deleted: row.try_get("deleted")?,
    })
}
