//! A copy of the whole ledger, made while it is in use.

use std::io;
use std::path::Path;

use sqlx::sqlite::SqlitePool;
use tokio::fs;

use super::super::StoreError;
use super::open;

/// Writes the copy to a file that was not there. What is half written is taken away again.
pub(super) async fn write(pool: &SqlitePool, to: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::File {
        path: to.to_owned(),
        source,
    };
    let Some(name) = to.to_str() else {
        return Err(failed(io::ErrorKind::InvalidFilename.into()));
    };
    // Made here, and not by SQLite, for its mode, and so that a file of somebody else is never written over.
    open::create(to).map_err(failed)?;
    let copied = sqlx::query("VACUUM INTO ?1").bind(name).execute(pool).await;
    // SQLite does not sync what it copies to.
    let done = match copied {
        Ok(_) => sync(to).await.map_err(failed),
        Err(error) => Err(error.into()),
    };
    if done.is_err() {
        // What failed first is what matters.
        let _ = fs::remove_file(to).await;
    }
    done
}

/// To the disk: the file, and its name in the folder.
async fn sync(path: &Path) -> io::Result<()> {
    fs::File::open(path).await?.sync_all().await?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = fs::File::open(folder.unwrap_or(Path::new("."))).await?;
    folder.sync_all().await
}
