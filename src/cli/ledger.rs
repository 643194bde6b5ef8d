//! Opening the ledger for a command, beside a running server or without one.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use crate::config::{self, Config};
use crate::store::{Inspected, Postgres, Sqlite, Store, StoreError};

/// Opens the ledger that the config names; it must be there already.
pub(super) async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let Some(billing) = &config.billing else {
        bail!("the config has no `stripe` section, so there is no ledger");
    };
    match &billing.store {
        config::Store::Sqlite(url) => Ok(Arc::new(Sqlite::open_existing(url.expose()).await?)),
        config::Store::Postgres(url) => Ok(Arc::new(Postgres::open_existing(url.expose()).await?)),
    }
}

/// Looks at the ledger, and changes nothing of it.
pub(super) async fn inspect(config: &config::Store) -> Result<Inspected, StoreError> {
    match config {
        config::Store::Sqlite(url) => Sqlite::inspect(url.expose()).await,
        config::Store::Postgres(url) => Postgres::inspect(url.expose()).await,
    }
}

/// A ledger of which it counts who works on its jobs.
pub(super) enum Ledger {
    /// One process works on them.
    Sqlite(Arc<Sqlite>),
    /// Leases keep workers apart.
    Postgres(Arc<Postgres>),
}

impl Ledger {
    /// Opens the ledger; `None` where there is none. It is not made: the name may be a wrong one, and a second ledger says
    /// nothing of a server that works on the first.
    pub(super) async fn open(config: &config::Store) -> Result<Option<Self>, StoreError> {
        match inspect(config).await? {
            Inspected::Empty { .. } => return Ok(None),
            Inspected::There(_) => {}
        }
        Ok(Some(match config {
            config::Store::Sqlite(url) => {
                Self::Sqlite(Arc::new(Sqlite::open_existing(url.expose()).await?))
            }
            config::Store::Postgres(url) => {
                Self::Postgres(Arc::new(Postgres::open_existing(url.expose()).await?))
            }
        }))
    }

    /// Opens the ledger, and makes it where there is none.
    pub(super) async fn make(config: &config::Store) -> Result<Self, StoreError> {
        Ok(match config {
            config::Store::Sqlite(url) => Self::Sqlite(Arc::new(Sqlite::open(url.expose()).await?)),
            config::Store::Postgres(url) => {
                Self::Postgres(Arc::new(Postgres::open(url.expose()).await?))
            }
        })
    }

    /// An empty one that nobody else sees, and that ends with this process.
    pub(super) async fn passing() -> Result<Self, StoreError> {
        let store = Sqlite::open("sqlite::memory:").await?;
        Ok(Self::Sqlite(Arc::new(store)))
    }

    /// The ledger.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Postgres(store) => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// Waits until this process may work on jobs, and says so; `false` when a server does.
    pub(super) async fn may_work(&self) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => match store.claim().await {
                Ok(()) => {
                    // Whatever is leased was left by a server that was killed.
                    store.release_leases().await?;
                    Ok(true)
                }
                Err(StoreError::InUse(_)) => Ok(false),
                Err(error) => Err(error),
            },
            Self::Postgres(_) => Ok(true),
        }
    }
}

/// Whether the ledger's name means another file in another folder.
pub(super) fn depends_on_folder(config: &config::Store) -> bool {
    match config {
        config::Store::Sqlite(url) => {
            let url = url.expose();
            !url.strip_prefix("sqlite://")
                .is_some_and(|file| file.starts_with('/'))
        }
        config::Store::Postgres(_) => false,
    }
}

/// Where the ledger should be, without what is secret of it.
pub(super) fn place(config: &config::Store) -> String {
    match config {
        config::Store::Sqlite(url) => {
            let url = url.expose();
            let file = Path::new(url.strip_prefix("sqlite://").unwrap_or(url));
            let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
            format!("at {}", file.display())
        }
        config::Store::Postgres(_) => "in the database of `store.url`".to_owned(),
    }
}

/// Runs `work` to its end on a small runtime.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
