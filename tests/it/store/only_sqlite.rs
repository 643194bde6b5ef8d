//! What is true of a ledger in one file.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tempfile::TempDir;
use tollgate::store::{Action, Cause, RoleChange, Sqlite, Store, StoreError};

use super::{START, event, of_user, receive, take};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn open(file: &Path) -> Result<Arc<dyn Store>, StoreError> {
    let ledger = Sqlite::open(&format!("sqlite://{}", file.display())).await?;
    Ok(Arc::new(ledger))
}

/// A connection as another process has it.
async fn other_process(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file);
    options.connect().await.expect("a connection")
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_process() {
    let folder = folder();
    let file = folder.path().join("ledger.db");
    let ledger = open(&file).await.expect("a ledger");
    receive(&ledger, event("evt_1", of_user("auth0|1"))).await;
    let job = take(&ledger, START).await;
    // Nothing is closed: as if the process were killed.
    let again = open(&file).await.expect("the same ledger");
    let kept = again.event("evt_1").await.expect("an answer");
    assert!(kept.is_some_and(|event| event.body.is_some()));
    assert_eq!(again.release_leases().await.expect("released"), 1);
    assert_eq!(take(&again, START).await.key, job.key);
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_of_the_ledger_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder();
    let ledger = open(&folder.path().join("ledger.db")).await;
    let ledger = ledger.expect("a ledger");
    receive(&ledger, event("evt_1", of_user("auth0|1"))).await;
    let copy = folder.path().join("copy.db");
    ledger.backup(&copy).await.expect("a copy");
    let files = std::fs::read_dir(folder.path()).expect("the folder");
    let mut seen = 0;
    for file in files {
        let file = file.expect("a file");
        let mode = file.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
        seen += 1;
    }
    assert!(seen >= 4, "the file, its log, its index, the copy");
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let folder = folder();
    let missing = folder.path().join("missing");
    let error = open(&missing.join("x.db")).await.err();
    let Some(StoreError::Url(text)) = error else {
        panic!("{error:?}");
    };
    assert!(text.contains(&missing.display().to_string()), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_an_error_and_stays_as_it_is() {
    let folder = folder();
    let file = folder.path().join("notes.txt");
    let text = "these are notes, no database\n".repeat(100);
    std::fs::write(&file, &text).expect("written");
    assert!(open(&file).await.is_err());
    let after = std::fs::read_to_string(&file).expect("the notes");
    assert_eq!(after, text);
}

#[tokio::test]
async fn a_lock_of_another_process_is_an_outage_within_seconds_and_reads_go_on() {
    let folder = folder();
    let file = folder.path().join("ledger.db");
    let ledger = open(&file).await.expect("a ledger");
    receive(&ledger, event("evt_1", of_user("auth0|1"))).await;
    let mut other = other_process(&file).await;
    let lock = sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await;
    lock.expect("the lock");
    let began = Instant::now();
    let new = [event("evt_2", of_user("auth0|1"))];
    let refused = ledger.receive(&new).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(4));
    let read = ledger.event("evt_1").await.expect("readers do not wait");
    assert!(read.is_some());
    let unlock = sqlx::query("ROLLBACK").execute(&mut other).await;
    unlock.expect("unlocked");
    ledger.receive(&new).await.expect("as before");
}

#[tokio::test]
async fn a_line_of_the_audit_is_never_changed_or_deleted() {
    let folder = folder();
    let file = folder.path().join("ledger.db");
    let ledger = open(&file).await.expect("a ledger");
    let line = RoleChange {
        user: "auth0|1".to_owned(),
        action: Action::Assign,
        subject: "premium-monthly".to_owned(),
        plan: None,
        cause: Cause::default(),
        at: START,
        error: None,
    };
    ledger.audit(&line).await.expect("kept");
    let mut other = other_process(&file).await;
    for sql in [
        "UPDATE role_changes SET user_id = 'x'",
        "DELETE FROM role_changes",
    ] {
        let refused = sqlx::query(sql).execute(&mut other).await;
        let error = refused.expect_err("it only grows").to_string();
        assert!(error.contains("a line of the audit is never"), "{error}");
    }
    let lines = ledger.role_changes("auth0|1", 10).await.expect("lines");
    assert_eq!(lines, [line]);
}

#[tokio::test]
async fn a_backup_made_while_serving_is_a_whole_ledger_and_never_overwrites() {
    let folder = folder();
    let ledger = open(&folder.path().join("ledger.db")).await;
    let ledger = ledger.expect("a ledger");
    receive(&ledger, event("evt_1", of_user("auth0|1"))).await;
    let copy = folder.path().join("it's a copy.db");
    ledger.backup(&copy).await.expect("a copy");
    receive(&ledger, event("evt_2", of_user("auth0|1"))).await;

    let restored = open(&copy).await.expect("the copy is a ledger");
    assert!(restored.event("evt_1").await.expect("an answer").is_some());
    assert!(restored.event("evt_2").await.expect("an answer").is_none());
    assert_eq!(take(&restored, START).await.since, START);

    let before = std::fs::read(&copy).expect("the copy");
    let refused = ledger.backup(&copy).await;
    assert!(
        matches!(refused, Err(StoreError::File { .. })),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(&copy).expect("the copy"), before);
    let nowhere = folder.path().join("missing").join("copy.db");
    let refused = ledger.backup(&nowhere).await.expect_err("no folder");
    assert!(refused.to_string().contains("missing"), "{refused}");
}

#[tokio::test]
async fn two_processes_may_open_a_new_ledger_at_once() {
    let folder = folder();
    let file = folder.path().join("ledger.db");
    let both = tokio::join!(open(&file), open(&file));
    let (first, second) = (both.0.expect("a ledger"), both.1.expect("a ledger"));
    receive(&first, event("evt_1", of_user("auth0|1"))).await;
    assert_eq!(take(&second, START).await.attempts, 0);
}

#[tokio::test]
async fn of_two_processes_that_begin_a_look_one_does() {
    let folder = folder();
    let file = folder.path().join("ledger.db");
    let first = open(&file).await.expect("a ledger");
    let second = open(&file).await.expect("a ledger");
    let both = tokio::join!(
        first.begin_look(false, START, 1000),
        second.begin_look(true, START, 1000)
    );
    let begun = [both.0.expect("an answer"), both.1.expect("an answer")];
    assert_eq!(begun.iter().flatten().count(), 1, "{begun:?}");
    // The server that starts gives up the jobs' leases alone: a command may be at the look.
    assert_eq!(first.release_leases().await.expect("none"), 0);
    let busy = second.begin_look(false, START + 999, 1000).await;
    assert_eq!(busy.expect("an answer"), None);
}
