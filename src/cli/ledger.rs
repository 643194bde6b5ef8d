//! Opening the ledger for a command, beside a running server or without one.

use std::sync::Arc;

use anyhow::bail;

use crate::config::{self, Config};
use crate::store::{Postgres, Sqlite, Store};

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

/// Runs `work` to its end on a small runtime.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
