//! A ledger moved from one database to another: table by table into an empty one, in one transaction, and read again
//! before it counts.

mod postgres;
mod sqlite;
mod table;

use super::StoreError;
use postgres::Postgres;
use sqlite::Sqlite;
use table::{Seal, TABLES, Table, Value};

/// Rows that are read and written at a time; a body has up to 1 MiB.
const PAGE: usize = 100;

/// A table that was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
}

/// Why a ledger was not copied. The other database holds nothing of it then.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two databases cannot be used.
    #[error("{side}: {error}")]
    Ledger {
        /// Which.
        side: Side,
        /// Why not.
        #[source]
        error: StoreError,
    },
    /// Both are the same.
    #[error("--from and --to are the same ledger")]
    Same,
    /// A server uses one of the two.
    #[error("{0} is in use: stop every `tollgate serve` first")]
    InUse(Side),
    /// Jobs are leased.
    #[error(
        "{0} jobs are being worked on, or were when a server was killed: start `tollgate serve` on --from, let it \
         finish them, and stop it with SIGTERM"
    )]
    Running(i64),
    /// The target holds something.
    #[error("--to is not empty: it has rows in `{0}`")]
    NotEmpty(&'static str),
    /// What was written is not what was read.
    #[error("the copy of `{0}` is not the same as the original")]
    Differs(&'static str),
}

/// One of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where it is read.
    From,
    /// Where it is written.
    To,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::From => "--from",
            Self::To => "--to",
        })
    }
}

/// Copies the ledger at the URL `from` to the empty one at `to`, which is made ready first. No server may use either.
///
/// # Errors
///
/// See [`CopyError`].
pub async fn copy(from: &str, to: &str) -> Result<Vec<Copied>, CopyError> {
    if from == to {
        return Err(CopyError::Same);
    }
    let mut source = End::open(from, Side::From).await?;
    source.check_idle().await?;
    let mut target = End::open(to, Side::To).await?;
    target.check_empty().await?;
    let mut seals = Vec::new();
    for table in &TABLES {
        seals.push(pass(table, &mut source, Some(&mut target)).await?);
    }
    let mut copied = Vec::new();
    for (table, seal) in TABLES.iter().zip(seals) {
        let rows = seal.rows;
        if pass(table, &mut target, None).await? != seal {
            return Err(CopyError::Differs(table.name));
        }
        copied.push(Copied {
            table: table.name,
            rows,
        });
    }
    target.commit().await?;
    Ok(copied)
}

/// Reads a table to its end, writes it to `target` if there is one, and seals what was read.
async fn pass(
    table: &'static Table,
    from: &mut End,
    mut target: Option<&mut End>,
) -> Result<Seal, CopyError> {
    let mut seal = Seal::default();
    let mut after: Option<Vec<Value>> = None;
    loop {
        let rows = from.page(table, after.as_deref()).await?;
        let Some(last) = rows.last() else {
            return Ok(seal);
        };
        after = Some(table.key(last));
        for row in &rows {
            seal.add(row);
        }
        if let Some(target) = target.as_deref_mut() {
            target.write(table, rows).await?;
        }
    }
}

/// A database within a transaction that nobody else can write in.
struct End {
    side: Side,
    ledger: Ledger,
}

enum Ledger {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl End {
    async fn open(url: &str, side: Side) -> Result<Self, CopyError> {
        let opened = if url.starts_with("sqlite:") {
            Sqlite::open(url, side).await.map(Ledger::Sqlite)
        } else {
            Postgres::open(url, side).await.map(Ledger::Postgres)
        };
        let ledger = opened.map_err(|error| CopyError::at(side, error))?;
        let mut end = Self { side, ledger };
        if let Ledger::Postgres(postgres) = &mut end.ledger
            && postgres
                .others()
                .await
                .map_err(|error| CopyError::at(side, error))?
                > 0
        {
            return Err(CopyError::InUse(side));
        }
        Ok(end)
    }

    async fn check_idle(&mut self) -> Result<(), CopyError> {
        let sql = "SELECT COUNT(*) FROM jobs WHERE state = 'running'";
        match self.count(sql).await? {
            0 => Ok(()),
            running => Err(CopyError::Running(running)),
        }
    }

    async fn check_empty(&mut self) -> Result<(), CopyError> {
        for table in &TABLES {
            if self.count(table.occupied).await? > 0 {
                return Err(CopyError::NotEmpty(table.name));
            }
        }
        Ok(())
    }

    async fn count(&mut self, sql: &'static str) -> Result<i64, CopyError> {
        let counted = match &mut self.ledger {
            Ledger::Sqlite(ledger) => ledger.count(sql).await,
            Ledger::Postgres(ledger) => ledger.count(sql).await,
        };
        counted.map_err(|error| CopyError::at(self.side, error))
    }

    async fn page(
        &mut self,
        table: &Table,
        after: Option<&[Value]>,
    ) -> Result<Vec<Vec<Value>>, CopyError> {
        let page = match &mut self.ledger {
            Ledger::Sqlite(ledger) => ledger.page(table, after).await,
            Ledger::Postgres(ledger) => ledger.page(table, after).await,
        };
        page.map_err(|error| CopyError::at(self.side, error))
    }

    async fn write(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), CopyError> {
        let written = match &mut self.ledger {
            Ledger::Sqlite(ledger) => ledger.write(table, rows).await,
            Ledger::Postgres(ledger) => ledger.write(table, rows).await,
        };
        written.map_err(|error| CopyError::at(self.side, error))
    }

    async fn commit(self) -> Result<(), CopyError> {
        let committed = match self.ledger {
            Ledger::Sqlite(ledger) => ledger.commit().await,
            Ledger::Postgres(ledger) => ledger.commit().await,
        };
        committed.map_err(|error| CopyError::at(self.side, error))
    }
}

impl CopyError {
    fn at(side: Side, error: StoreError) -> Self {
        if let StoreError::InUse(_) = error {
            return Self::InUse(side);
        }
        Self::Ledger { side, error }
    }
}
