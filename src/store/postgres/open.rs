//! From `store.url` to connections: how a server is reached, and what every connection keeps to.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::super::words::unique;
use super::super::{Outage, Signals, StoreError};
use super::{Postgres, listen, migrate};

/// Connections of one process. Workers, webhooks and readers hold one for some milliseconds each; a server takes a
/// hundred by default, which is to do for several replicas.
const CONNECTIONS: u32 = 10;
/// How long a caller waits for a connection, and how long one may take to be made.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a start waits for a database that is not there yet: containers of one composition start in any order.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long a command does.
pub(super) const COMMAND_PATIENCE: Duration = Duration::from_secs(3);
/// How often a server that is not there yet is tried.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// What holds for every statement, as the server sees it. A process that stalls within a transaction must not hold up
/// the others: it loses the transaction, and its locks with it. What was acknowledged is durable, also where the
/// server's own setting would be quicker.
const SETTINGS: [(&str, &str); 4] = [
    ("statement_timeout", "5s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("synchronous_commit", "on"),
];

/// Parameters of the URL that mean something. Others are refused here: the driver would log them, values included.
const PARAMETERS: [&str; 17] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "options",
    "statement-cache-capacity",
];

impl Postgres {
    /// Whether `url` can name a ledger; nothing is opened.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`], which never holds a part of a password.
    pub fn check_url(url: &str) -> Result<(), StoreError> {
        options(url).map(drop)
    }

    /// Opens the ledger that `url` names, and brings its schema up to date; replicas may do so at once. A database that
    /// does not answer is waited for, 20 seconds at most. The runtime that this runs on must live as long as the store.
    ///
    /// `postgres://user:password@host:port/database?sslmode=verify-full`; what is left out is taken from the environment
    /// as other clients do (`PGPASSWORD`, `~/.pgpass`).
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`] when it is no such URL, [`StoreError::Newer`] and [`StoreError::Migration`] when the schema
    /// is not ours, [`StoreError::Unavailable`] when the database cannot be used.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let options = options(url)?;
        let first = ready(&options, START_PATIENCE).await?;
        Ok(Self::new(&options, first).await)
    }

    /// Opens a ledger for a command, which does not wait for long.
    ///
    /// # Errors
    ///
    /// As [`Postgres::open`].
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        let options = options(url)?;
        let first = ready(&options, COMMAND_PATIENCE).await?;
        Ok(Self::new(&options, first).await)
    }

    async fn new(options: &PgConnectOptions, first: PgConnection) -> Self {
        close(first).await;
        let signals = Arc::<Signals>::default();
        let me = unique();
        let hear = listen::listen(options.clone(), Arc::clone(&signals), me.clone());
        let mut listener = JoinSet::new();
        listener.spawn(hear);
        Self {
            pool: pool(options),
            home: Handle::current(),
            signals,
            me,
            _listener: listener,
        }
    }

    /// A connection of its own to a ledger that is brought up to date, for who moves the whole of it.
    pub(in crate::store) async fn connect(url: &str) -> Result<PgConnection, StoreError> {
        ready(&options(url)?, COMMAND_PATIENCE).await
    }
}

/// Reads `postgres://user:password@host:port/database?sslmode=verify-full`.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let wrong = |what: String| {
        StoreError::Url(format!(
            "{what}; write postgres://user:password@host/database"
        ))
    };
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        return Err(wrong("it does not start with postgres://".to_owned()));
    }
    if url.contains('#') {
        return Err(wrong("it holds a #, which is written %23".to_owned()));
    }
    let (_, query) = url.split_once('?').unwrap_or((url, ""));
    // It may be the rest of a password.
    if query.contains('@') {
        return Err(wrong(
            "it holds an @ after a ?; in a password these are written %40 and %3F".to_owned(),
        ));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
        if !PARAMETERS.contains(&name) {
            return Err(wrong(format!("`{name}` is no parameter of it")));
        }
    }
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| {
            wrong(format!(
                "it cannot be read ({error}); in a user or a password : / ? @ are written %3A %2F %3F %40"
            ))
        })?;
    Ok(options
        .application_name("tollgate")
        .options(SETTINGS)
        // One log line for each request is ours; a line for each statement would bury it.
        .disable_statement_logging())
}

/// A first connection to a ledger that is brought up to date.
pub(super) async fn ready(
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<PgConnection, StoreError> {
    let mut first = first(options, patience).await?;
    migrate::run(&mut first).await?;
    Ok(first)
}

/// The first connection. A server that is not there, or is just starting, is waited for as long as `patience`; one that
/// refuses us is not.
pub(super) async fn first(
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<PgConnection, StoreError> {
    let began = Instant::now();
    let mut told = false;
    loop {
        let error = match timeout(ACQUIRE_TIMEOUT, options.connect()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) if !may_pass(&error) => return Err(error.into()),
            Ok(Err(error)) => StoreError::from(error),
            Err(_) => Outage::Slow(ACQUIRE_TIMEOUT).into(),
        };
        if began.elapsed() + TRY_AGAIN >= patience {
            return Err(error);
        }
        if !told {
            tracing::warn!(
                host = options.get_host(),
                port = options.get_port(),
                error = %error,
                patience_s = patience.as_secs(),
                "the ledger's database does not answer; waiting for it"
            );
            told = true;
        }
        sleep(TRY_AGAIN).await;
    }
}

/// Whether a server that starts, or a network that comes up, would mend it.
fn may_pass(error: &sqlx::Error) -> bool {
    if let sqlx::Error::Io(_) = error {
        return true;
    }
    let code = error.as_database_error().and_then(DatabaseError::code);
    // It starts or stops; it has no connection left.
    code.is_some_and(|code| ["57P01", "57P02", "57P03", "53300"].contains(&&*code))
}

/// The connections of the process, made when they are needed. One that broke while it lay idle is found out before it is
/// given away.
pub(super) fn pool(options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(true)
        .connect_lazy_with(options.clone())
}

/// Closes a connection in good order; if that is not to be had in time, in bad.
pub(super) async fn close(connection: PgConnection) {
    // The server notices either way.
    let _ = timeout(ACQUIRE_TIMEOUT, connection.close()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_server_a_user_and_a_database() {
        let url = "postgres://me:it%23s@db.example:5433/ledger?sslmode=verify-full";
        let options = options(url).expect("options");
        assert_eq!(options.get_host(), "db.example");
        assert_eq!(options.get_port(), 5433);
        assert_eq!(options.get_username(), "me");
        assert_eq!(options.get_database(), Some("ledger"));
        let settings = options.get_options().expect("settings");
        for (name, value) in SETTINGS {
            assert!(
                settings.contains(&format!("-c {name}={value}")),
                "{settings}"
            );
        }
    }

    #[test]
    fn any_other_url_is_an_error_that_says_what_is_right_and_never_the_password() {
        for url in [
            "mysql://me:hunter2@h/d",
            "postgres://me:hunter2@h:99999/d",
            "postgres://me:hunter2@h/d?passwort=hunter2",
            "postgres://me:hunter2@h/d?sslmode=hunter",
            "postgres://me:a#hunter2@h/d",
            "postgres://me:hunter2/x@h/d",
            "postgres://me:a?hunter2@h/d",
            "postgres://me:a?b=hunter2@h/d",
        ] {
            let error = options(url).expect_err(url).to_string();
            assert!(error.contains("write postgres://user:"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
