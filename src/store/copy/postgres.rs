//! A `PostgreSQL` database from which, or to which, a ledger is copied.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres as Dialect, QueryBuilder, Row};

use super::super::{Postgres as Store, StoreError};
use super::table::{Kind, Table, Value};
use super::{PAGE, Side};

/// A large ledger takes longer than what a server may do at a time.
const PATIENCE: &str =
    "SET LOCAL statement_timeout = '5min'; SET LOCAL idle_in_transaction_session_timeout = '5min'";
/// Nobody else writes; readers are not kept out.
const LOCK: &str = "LOCK TABLE counters, events, jobs, event_jobs, customers, purchases, entitlements, role_changes,
                    looks, drift IN EXCLUSIVE MODE";
/// The next numbers are given after those that were copied.
const NUMBERS: &str = "SELECT setval(pg_get_serial_sequence('events', 'number'), MAX(number)) FROM events;
                       SELECT setval(pg_get_serial_sequence('role_changes', 'number'), MAX(number)) FROM role_changes";

pub(super) struct Postgres {
    connection: PgConnection,
    side: Side,
}

impl Postgres {
    pub(super) async fn open(url: &str, side: Side) -> Result<Self, StoreError> {
        let mut connection = Store::connect(url).await?;
        sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
        sqlx::raw_sql(PATIENCE).execute(&mut connection).await?;
        sqlx::raw_sql(LOCK).execute(&mut connection).await?;
        Ok(Self { connection, side })
    }

    /// How many other connections of servers there are.
    pub(super) async fn others(&mut self) -> Result<i64, StoreError> {
        self.count(
            "SELECT COUNT(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'tollgate' AND pid <> pg_backend_pid()",
        )
        .await
    }

    pub(super) async fn count(&mut self, sql: &'static str) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(sql)
            .fetch_one(&mut self.connection)
            .await?)
    }

    /// The rows after this key, in the order of their keys.
    pub(super) async fn page(
        &mut self,
        table: &Table,
        after: Option<&[Value]>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let mut query = QueryBuilder::<Dialect>::new("SELECT ");
        query
            .push(table.column_list())
            .push(" FROM ")
            .push(table.name);
        if let Some(after) = after {
            query.push(" WHERE (").push(table.key_list()).push(") > (");
            for (place, value) in after.iter().enumerate() {
                query.push(if place == 0 { "" } else { ", " });
                bind(&mut query, value.clone());
            }
            query.push(")");
        }
        query.push(" ORDER BY ").push(table.key_list());
        query.push(" LIMIT ").push(PAGE);
        let rows = query.build().fetch_all(&mut self.connection).await?;
        rows.iter().map(|row| read(table, row)).collect()
    }

    pub(super) async fn write(
        &mut self,
        table: &Table,
        rows: Vec<Vec<Value>>,
    ) -> Result<(), StoreError> {
        if table.name == "counters" {
            // A new ledger has them, at zero.
            let old = sqlx::query("DELETE FROM counters");
            old.execute(&mut self.connection).await?;
        }
        let mut query = QueryBuilder::<Dialect>::new("INSERT INTO ");
        query
            .push(table.name)
            .push(" (")
            .push(table.column_list())
            .push(") VALUES ");
        for (number, row) in rows.into_iter().enumerate() {
            query.push(if number == 0 { "(" } else { "), (" });
            for (place, value) in row.into_iter().enumerate() {
                query.push(if place == 0 { "" } else { ", " });
                bind(&mut query, value);
            }
        }
        query.push(")");
        query.build().execute(&mut self.connection).await?;
        Ok(())
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        if self.side == Side::To {
            sqlx::raw_sql(NUMBERS).execute(&mut self.connection).await?;
        }
        sqlx::raw_sql("COMMIT")
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

fn bind(query: &mut QueryBuilder<Dialect>, value: Value) {
    match value {
        Value::Text(value) => query.push_bind(value),
        Value::Integer(value) => query.push_bind(value),
        Value::Flag(value) => query.push_bind(value),
        Value::Bytes(value) => query.push_bind(value),
    };
}

fn read(table: &Table, row: &PgRow) -> Result<Vec<Value>, StoreError> {
    let values = table.columns.iter().enumerate();
    let values = values.map(|(place, (_, kind))| {
        Ok(match kind {
            Kind::Text => Value::Text(row.try_get(place)?),
            Kind::Integer => Value::Integer(row.try_get(place)?),
            Kind::Flag => Value::Flag(row.try_get(place)?),
            Kind::Bytes => Value::Bytes(row.try_get(place)?),
        })
    });
    values.collect()
}
