//! A `SQLite` file from which, or to which, a ledger is copied.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, QueryBuilder, Row, Sqlite as Dialect};

use super::super::{Sqlite as Store, StoreError};
use super::table::{Kind, Table, Value};
use super::{PAGE, Side};

pub(super) struct Sqlite {
    connection: SqliteConnection,
    /// Its claim keeps servers away.
    _store: Store,
}

impl Sqlite {
    pub(super) async fn open(url: &str, side: Side) -> Result<Self, StoreError> {
        let Some(path) = url.strip_prefix("sqlite://") else {
            return Err(StoreError::Url("write sqlite://tollgate.db".to_owned()));
        };
        let store = match side {
            Side::From => Store::open_existing(url).await?,
            Side::To => Store::open(url).await?,
        };
        store.claim().await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let mut connection = options.connect().await?;
        // Also to read: commands may write beside a claim.
        let begin = sqlx::query("BEGIN IMMEDIATE");
        begin.execute(&mut connection).await?;
        Ok(Self {
            connection,
            _store: store,
        })
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
        let commit = sqlx::query("COMMIT");
        commit.execute(&mut self.connection).await?;
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

fn read(table: &Table, row: &SqliteRow) -> Result<Vec<Value>, StoreError> {
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
