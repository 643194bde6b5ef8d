//! From `store.url` to connections: where the file is, how it is made, and what every connection keeps to.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::error::DatabaseError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use super::super::StoreError;
use super::Sqlite;

/// How long a connection waits for a lock of another process. Short, so that a webhook gets its 503 while Stripe
/// still listens.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a caller waits for a connection: one that waits out a lock, and then some.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often it is looked whether a lock that `SQLite` does not wait for is gone.
const LOCK_LOOK: Duration = Duration::from_millis(10);
/// Connections that only read. Readers never wait for the writer.
const READERS: u32 = 4;

/// How long a server waits for the one before it to let go of the ledger, and how often it looks.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);
const CLAIM_LOOK: Duration = Duration::from_millis(50);

impl Sqlite {
    /// Whether `url` can name a ledger; nothing is opened.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`].
    pub fn check_url(url: &str) -> Result<(), StoreError> {
        Place::parse(url).map(drop)
    }
}

/// Where the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In memory, for tests: gone with the process.
    Memory,
    /// In this file.
    File(PathBuf),
}

impl Place {
    /// Reads `sqlite::memory:`, `sqlite://file`, `sqlite:///absolute/file`.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let wrong = |what: &str| StoreError::Url(format!("{what}; write sqlite://tollgate.db"));
        if url == "sqlite::memory:" {
            return Ok(Self::Memory);
        }
        let path = url
            .strip_prefix("sqlite://")
            .ok_or_else(|| wrong("it does not start with sqlite://"))?;
        if path.is_empty() || path.ends_with('/') {
            return Err(wrong("it names no file"));
        }
        if path.contains(['?', '#']) {
            return Err(wrong("it takes no parameters"));
        }
        Ok(Self::File(path.into()))
    }

    /// The connection that writes: one, because `SQLite` has one writer, and to wait here is cheaper than there.
    pub(super) async fn writer(&self) -> Result<SqlitePool, StoreError> {
        // Never closed for its age or idleness: a ledger in memory would be gone with it.
        let path = match self {
            Self::Memory => {
                let options = common().in_memory(true).filename(":memory:");
                return Ok(pool(1).connect_with(options).await?);
            }
            Self::File(path) => path,
        };
        make(path)?;
        let options = common()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        // A commit that fails for want of room is rolled back by SQLite itself, and the driver still believes to be in
        // the transaction: such a connection could never begin another. The ping lets its own rollback go first.
        let pool = pool(1).after_release(|connection, _| {
            Box::pin(async move {
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        });
        connect(&pool, &options).await
    }

    /// Keeps other servers off this ledger for as long as the file given back lives: they would take each other's jobs.
    /// Waits for one that is about to end. A ledger in memory is nobody else's.
    pub(super) async fn claim(&self) -> Result<Option<File>, StoreError> {
        let Self::File(path) = self else {
            return Ok(None);
        };
        let mut name = path.clone().into_os_string();
        name.push(".lock");
        let lock = PathBuf::from(name);
        let file = |source| StoreError::File {
            path: lock.clone(),
            source,
        };
        let claimed = options().create(true).open(&lock).map_err(file)?;
        let over = Instant::now() + CLAIM_TIMEOUT;
        loop {
            match claimed.try_lock() {
                Ok(()) => return Ok(Some(claimed)),
                Err(TryLockError::WouldBlock) if Instant::now() >= over => {
                    return Err(StoreError::InUse(path.clone()));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(CLAIM_LOOK).await,
                Err(TryLockError::Error(source)) => return Err(file(source)),
            }
        }
    }

    /// The connections that read; in memory it is the writer, which alone sees anything.
    pub(super) fn readers(&self, writer: &SqlitePool) -> SqlitePool {
        match self {
            Self::Memory => writer.clone(),
            Self::File(path) => {
                pool(READERS).connect_lazy_with(common().filename(path).read_only(true))
            }
        }
    }
}

/// A connection that changes nothing, not even by being there. Beside a write-ahead log, which is there while anybody
/// writes, it reads as others do; without one the file is all there is, and whoever opened it as others do would make one.
pub(super) async fn look_at(path: &Path) -> Result<SqliteConnection, StoreError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let options = common().filename(path).read_only(true);
    let options = options.immutable(!Path::new(&log).exists());
    Ok(options.connect().await?)
}

/// Whether the file may be written, which is not done.
pub(super) fn may_write(path: &Path) -> Result<(), StoreError> {
    let opened = options().open(path).map(drop);
    opened.map_err(|source| StoreError::File {
        path: path.to_owned(),
        source,
    })
}

fn common() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // One log line for each request is ours; a line for each statement would bury it.
        .disable_statement_logging()
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
}

/// Connects, and waits for another process that holds a lock. `SQLite` itself does not: the switch to WAL reads before it
/// writes, and whoever has read is refused the lock at once.
async fn connect(
    pool: &SqlitePoolOptions,
    options: &SqliteConnectOptions,
) -> Result<SqlitePool, StoreError> {
    let over = Instant::now() + BUSY_TIMEOUT;
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if is_locked(&error) && Instant::now() < over => {
                tokio::time::sleep(LOCK_LOOK).await;
            }
            result => return Ok(result?),
        }
    }
}

/// BUSY or LOCKED, which the low byte of the code tells.
fn is_locked(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code = code.and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Makes the file when it is missing, for the owner alone: it holds who has paid for what.
fn make(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let what = format!("there is no folder {}", folder.display());
        return Err(StoreError::Url(what));
    }
    match create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StoreError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Makes a file that was not there, with mode 0600 where the system has modes.
pub(super) fn create(path: &Path) -> io::Result<()> {
    options().create_new(true).open(path).map(drop)
}

/// For a file that others need not read.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new file that another process is just writing to, which has not switched it to WAL.
    async fn new_and_locked(path: &Path) -> sqlx::SqliteConnection {
        let other = SqliteConnectOptions::new().create_if_missing(true);
        let other = other.filename(path).connect().await;
        let mut other = other.expect("a connection");
        let lock = sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await;
        lock.expect("the lock");
        other
    }

    #[tokio::test]
    async fn opening_waits_for_a_lock_that_another_process_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.db");
        let mut other = new_and_locked(&path).await;
        let place = Place::File(path);
        let mut opening = std::pin::pin!(place.writer());
        let early = tokio::time::timeout(LOCK_LOOK * 5, &mut opening).await;
        assert!(early.is_err(), "it waits: {early:?}");
        let unlock = sqlx::query("ROLLBACK").execute(&mut other).await;
        unlock.expect("unlocked");
        opening.await.expect("a connection that writes");
    }

    #[tokio::test]
    async fn a_lock_that_is_not_let_go_is_an_outage_after_the_busy_timeout() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.db");
        let other = new_and_locked(&path).await;
        let began = Instant::now();
        let refused = Place::File(path).writer().await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{refused:?}"
        );
        assert!((BUSY_TIMEOUT..BUSY_TIMEOUT * 2).contains(&began.elapsed()));
        drop(other);
    }

    #[test]
    fn a_url_names_a_file_beside_the_process_an_absolute_one_or_memory() {
        for (url, place) in [
            ("sqlite::memory:", Place::Memory),
            ("sqlite://tollgate.db", Place::File("tollgate.db".into())),
            ("sqlite://data/x.db", Place::File("data/x.db".into())),
            ("sqlite:///var/x.db", Place::File("/var/x.db".into())),
        ] {
            assert_eq!(Place::parse(url).expect("a place"), place);
        }
    }

    #[test]
    fn any_other_url_is_an_error_that_says_what_is_right() {
        for url in [
            "",
            "sqlite://",
            "sqlite:x",
            "sqlite://folder/",
            "sqlite://x?mode=ro",
            "x.db",
        ] {
            let error = Place::parse(url).expect_err(url).to_string();
            assert!(error.contains("write sqlite://tollgate.db"), "{error}");
        }
    }
}
