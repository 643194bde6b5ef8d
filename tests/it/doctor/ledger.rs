//! The ledger: it is looked at, and nothing of it is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tollgate::store::{Postgres, Sqlite};

use super::Clinic;
use crate::store::upgrade::TO_THE_FIRST;
use crate::support::postgres::{Database, Server};

const TO_COME: &str =
    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                       VALUES (999, 'to come', TRUE, '', 0)";

/// Doctor's word on the ledger at `url`.
async fn look(clinic: &Clinic, url: &str) -> (String, String) {
    let edit = |yaml: &str| {
        let at = yaml.find("store: { url: ").expect("the store's section");
        let line = yaml[at..].lines().next().expect("its line");
        yaml.replace(line, &format!("store: {{ url: \"{url}\" }}"))
    };
    let report = clinic.doctor(edit).await;
    let found = report.found("ledger ledger");
    assert_eq!(found.len(), 1, "{found:?}");
    (found[0].0.to_owned(), found[0].1.to_owned())
}

/// Every file of the folder, with what is in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder");
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, fs::read(entry.path()).expect("a file"))
    };
    entries
        .map(|entry| read(entry.expect("an entry")))
        .collect()
}

async fn run_in_file(file: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(file);
    let mut connection = options.connect().await.expect("a connection");
    let done = sqlx::raw_sql(sql).execute(&mut connection).await;
    done.expect("it is run");
    connection.close().await.expect("the log is gone");
}

#[tokio::test]
async fn a_file_is_left_as_it_is() {
    let clinic = Clinic::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("old.db");
    let url = format!("sqlite://{}", file.display());
    let absent = look(&clinic, &url).await;
    assert_eq!(absent.0, "PASS", "{absent:?}");
    assert!(files(folder.path()).is_empty(), "none is made");
    fs::write(&file, "").expect("a file");
    let empty = look(&clinic, &url).await;
    assert_eq!(empty.0, "PASS", "{empty:?}");
    assert_eq!(files(folder.path())["old.db"], b"", "nothing is written");
    Sqlite::open(&url).await.expect("a ledger");
    run_in_file(&file, TO_THE_FIRST).await;
    let before = files(folder.path());
    let old = look(&clinic, &url).await;
    assert_eq!(old.0, "WARN", "{old:?}");
    assert!(old.1.contains("an earlier version"), "{old:?}");
    assert!(
        files(folder.path()) == before,
        "nothing is brought up to date"
    );
    run_in_file(&file, TO_COME).await;
    let newer = look(&clinic, &url).await;
    assert_eq!(newer.0, "FAIL", "{newer:?}");
    assert!(newer.1.contains("newer version"), "{newer:?}");
}

#[tokio::test]
async fn a_file_that_holds_no_ledger_fails() {
    let clinic = Clinic::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("notes.txt");
    fs::write(&file, "milk, bread, eggs\n".repeat(100)).expect("a file");
    let found = look(&clinic, &format!("sqlite://{}", file.display())).await;
    assert_eq!(found.0, "FAIL", "{found:?}");
}

/// What has run on the database.
fn versions(database: &Database) -> String {
    database.sql("SELECT string_agg(version::text, ' ' ORDER BY version) FROM _sqlx_migrations")
}

#[tokio::test]
async fn a_database_is_left_as_it_is() {
    let Some(server) = Server::shared() else {
        return;
    };
    let clinic = Clinic::open().await;
    let database = server.database().await;
    let empty = look(&clinic, &database.url).await;
    assert_eq!(empty.0, "PASS", "{empty:?}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(database.sql(tables), "0", "none is made");
    drop(Postgres::open(&database.url).await.expect("a ledger"));
    let now = look(&clinic, &database.url).await;
    assert_eq!(now.0, "PASS", "{now:?}");
    database.sql(TO_THE_FIRST);
    let old = look(&clinic, &database.url).await;
    assert_eq!(old.0, "WARN", "{old:?}");
    assert_eq!(versions(&database), "1", "nothing is brought up to date");
    assert_eq!(database.sql("SELECT to_regclass('looks') IS NULL"), "t");
    database.sql(TO_COME);
    let newer = look(&clinic, &database.url).await;
    assert_eq!(newer.0, "FAIL", "{newer:?}");
    assert!(newer.1.contains("newer version"), "{newer:?}");
}
