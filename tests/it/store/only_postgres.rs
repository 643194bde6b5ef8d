//! What is true of a ledger in `PostgreSQL`, which several processes share.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tollgate::store::{
    Action, Cause, Derived, Drift, EventState, JobKey, Postgres, Received, RoleChange, Sqlite,
    Store, StoreError,
};

use super::{
    LEASE, START, ask, event, event_state, job_state, nothing_due, of_customer, of_user, receive,
    take, user,
};
use crate::gate::Certificate;
use crate::support::net::Reserved;
use crate::support::postgres::{Database, Server};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A new database of the shared server, or the end of the test where there is none.
macro_rules! database {
    () => {
        match Server::shared() {
            Some(server) => server.database().await,
            None => return,
        }
    };
}

/// A replica's way to the ledger.
async fn open(database: &Database) -> Arc<dyn Store> {
    let store = Postgres::open(&database.url).await;
    Arc::new(store.expect("a ledger"))
}

async fn two(database: &Database) -> [Arc<dyn Store>; 2] {
    [open(database).await, open(database).await]
}

/// A replica that hears the others: hearing begins with one signal of each kind.
async fn listening(database: &Database) -> Arc<dyn Store> {
    let store = open(database).await;
    hears_change(&store, || async {}).await;
    store.signals().jobs.notified().await;
    store
}

/// Sees that `store` hears of a change that comes with `act`, or is under way.
async fn hears_change<F: Future<Output = ()>>(store: &Arc<dyn Store>, act: impl FnOnce() -> F) {
    let mut changes = store.signals().changes();
    act().await;
    let heard = timeout(PATIENCE, changes.changed()).await;
    heard.expect("it is heard").expect("the ledger is there");
}

fn plan(name: &str) -> Derived {
    Derived {
        plan: Some(name.to_owned()),
        paid: true,
        ..Derived::default()
    }
}

#[tokio::test]
async fn five_replicas_may_start_at_once_on_a_new_database() {
    let database = database!();
    let stores = join_all((0..5).map(|_| open(&database))).await;
    for (number, store) in stores.iter().enumerate() {
        receive(store, event(&format!("evt_{number}"), of_user("auth0|1"))).await;
    }
    let runs = database.sql("SELECT COUNT(*) = MAX(version) FROM _sqlx_migrations");
    assert_eq!(runs, "t", "one of them made the tables");
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let database = database!();
    drop(open(&database).await);
    database.sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (1000, 'next', TRUE, '', 0)",
    );
    let refused = Postgres::open(&database.url).await;
    assert!(matches!(refused, Err(StoreError::Newer { found: 1000 })));
}

#[tokio::test]
async fn who_is_refused_is_told_why_at_once_and_never_the_password() {
    let database = database!();
    let began = Instant::now();
    let wrong = database.url_with_password("swordfish");
    let refused = Postgres::open(&wrong).await.expect_err("refused");
    let told = format!("{refused} {refused:?}");
    assert!(told.contains("password authentication failed"), "{told}");
    assert!(!told.contains("swordfish"), "{told}");
    let missing = database.url.replace(&database.name, "no_such_database");
    let refused = Postgres::open(&missing).await.expect_err("refused");
    assert!(
        refused.to_string().contains("no_such_database"),
        "{refused}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
    let store = Postgres::open(&database.url).await.expect("a ledger");
    assert!(!format!("{store:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_two_replicas_get_at_once_is_queued_by_one() {
    let database = database!();
    let [one, other] = two(&database).await;
    for round in 0..30 {
        let batch = |first: usize| {
            let ids = (first..first + 3).map(|number| format!("evt_{round}_{number}"));
            ids.map(|id| event(&id, of_user("auth0|1")))
                .collect::<Vec<_>>()
        };
        let (ones, others) = (batch(0), batch(1));
        let (ones, others) = tokio::join!(one.receive(&ones), other.receive(&others));
        let (ones, others) = (ones.expect("kept"), others.expect("kept"));
        assert_eq!(ones[0], Received::Queued);
        assert_eq!(others[2], Received::Queued);
        for pair in [(ones[1], others[0]), (ones[2], others[1])] {
            let queued = [pair.0, pair.1].map(|one| one == Received::Queued);
            assert_ne!(queued[0], queued[1], "round {round}: {pair:?}");
        }
    }
    let events = database.sql("SELECT COUNT(*) FROM events");
    assert_eq!(events, "120");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_takers_of_two_replicas_take_each_job_once() {
    const JOBS: usize = 60;
    let database = database!();
    let stores = two(&database).await;
    for number in 0..JOBS {
        ask(&stores[0], &user(&format!("auth0|{number}")), START).await;
    }
    let mut takers = JoinSet::new();
    for number in 0..12 {
        let store = Arc::clone(&stores[number % 2]);
        takers.spawn(async move {
            let mut taken = Vec::new();
            while let Some(job) = store.take(START, LEASE).await.expect("an answer") {
                taken.push(job.key);
            }
            taken
        });
    }
    let taken: Vec<JobKey> = takers.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), JOBS);
    assert_eq!(taken.into_iter().collect::<HashSet<_>>().len(), JOBS);
}

#[tokio::test]
async fn no_two_replicas_work_on_one_user_and_a_dead_one_loses_its_lease() {
    let database = database!();
    let [dead, living] = two(&database).await;
    receive(&dead, event("evt_1", of_user("auth0|1"))).await;
    let lost = take(&dead, START).await;
    // What comes meanwhile waits for the one who has the user.
    receive(&living, event("evt_2", of_user("auth0|1"))).await;
    nothing_due(&living, START + LEASE - 1).await;
    let job = take(&living, START + LEASE).await;
    assert_eq!((&job.key, job.attempts), (&lost.key, 1));
    let late = dead
        .derived(&lost, &plan("monthly"), true, START + LEASE)
        .await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    let late = dead.finish(&lost, START + LEASE).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    living.finish(&job, START + LEASE).await.expect("done");
    for id in ["evt_1", "evt_2"] {
        assert_eq!(event_state(&dead, id).await, EventState::Processed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_that_begin_a_look_at_once_one_does() {
    let database = database!();
    let [one, other] = two(&database).await;
    for round in 0..30 {
        // A new look, one cut short that is taken over, and one that is given up.
        let (restart, now) = (round % 3 == 2, START + round * LEASE);
        let (first, second) = tokio::join!(
            one.begin_look(restart, now, LEASE),
            other.begin_look(restart, now, LEASE)
        );
        let begun = [first.expect("an answer"), second.expect("an answer")];
        let mut winners = begun.iter().flatten();
        let (winner, second) = (winners.next().expect("one"), winners.next());
        assert_eq!(second, None, "round {round}");
        if round % 3 == 0 {
            one.end_look(winner, now).await.expect("it ends");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_cannot_be_lost_between_the_look_at_it_and_the_write() {
    let database = database!();
    let [one, other] = two(&database).await;
    ask(&one, &user("auth0|1"), START).await;
    let job = take(&one, START).await;
    // The writer has looked at its lease, and waits for its number.
    let mut stalled = connect(&database).await;
    let numbers = "BEGIN; SELECT 1 FROM counters WHERE name = 'sequence' FOR UPDATE";
    run(&mut stalled, numbers).await;
    let derived = plan("monthly");
    let writing = one.derived(&job, &derived, true, START);
    let meanwhile = async {
        let blocked = "SELECT COUNT(*) FROM pg_stat_activity
                       WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while database.sql(blocked) == "0" {
            tokio::task::yield_now().await;
        }
        nothing_due(&other, START + LEASE).await;
        run(&mut stalled, "ROLLBACK").await;
    };
    let (written, ()) = tokio::join!(writing, meanwhile);
    written.expect("the lease held to the end");
    assert_eq!(take(&other, START + LEASE).await.key, job.key);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_has_mended_is_gone_also_when_a_look_writes_it_this_moment() {
    for _ in 0..5 {
        let database = database!();
        if let Some(drift) = mended_while_a_look_writes(&database).await {
            assert_eq!(drift, []);
            return;
        }
    }
    unreachable!("it never waited for the look");
}

/// Another replica writes down what it found of a user before the job was done, and nobody sees that yet. Gives what is
/// left of it after the job; `None` when the job was not seen to wait in the two seconds in which it may.
async fn mended_while_a_look_writes(database: &Database) -> Option<Vec<Drift>> {
    let store = open(database).await;
    let begun = store.begin_look(false, START, LEASE).await;
    begun.expect("an answer").expect("nobody is at it");
    let mut noting = connect(database).await;
    let notes = "BEGIN; UPDATE looks SET checked = checked + 1;
                 INSERT INTO drift (subject, kind, user_id, roles, why, found_at, look)
                 VALUES ('auth0|1', 'missing', 'auth0|1', '[]', 'as it was', 1, 1)";
    run(&mut noting, notes).await;
    let meanwhile = async {
        let blocked = "SELECT COUNT(*) FROM pg_stat_activity
                       WHERE wait_event_type = 'Lock' AND datname = current_database()";
        let waits = async {
            while database.sql(blocked) == "0" {
                tokio::task::yield_now().await;
            }
        };
        let waited = timeout(Duration::from_secs(2), waits).await;
        run(&mut noting, "COMMIT").await;
        waited
    };
    let (mended, waited) = tokio::join!(store.mended("auth0|1"), meanwhile);
    mended.ok().and(waited.ok())?;
    Some(store.drift(9).await.expect("drift"))
}

/// Events of two users, whose jobs end on two replicas at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_two_users_is_processed_however_their_jobs_end() {
    let database = database!();
    let stores = two(&database).await;
    for round in 0..40 {
        let customer = format!("cus_{round}");
        for name in ["auth0|1", "auth0|2"] {
            let kind = tollgate::store::LinkKind::Item;
            stores[0]
                .link(&customer, name, kind, START)
                .await
                .expect("linked");
        }
        let id = format!("evt_{round}");
        receive(&stores[0], event(&id, of_customer(&customer))).await;
        let (first, second) = (take(&stores[0], START).await, take(&stores[1], START).await);
        let ended = tokio::join!(
            stores[0].finish(&first, START),
            stores[1].finish(&second, START)
        );
        ended.0.expect("done");
        ended.1.expect("done");
        assert_eq!(
            event_state(&stores[0], &id).await,
            EventState::Processed,
            "{round}"
        );
    }
}

/// What is asked for just as the job ends is done by it, or by the next: never by none.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_as_a_job_ends_elsewhere_is_not_lost() {
    let database = database!();
    let stores = two(&database).await;
    for round in 0..40 {
        let first = format!("evt_{round}_a");
        let second = format!("evt_{round}_b");
        receive(&stores[0], event(&first, of_user("auth0|1"))).await;
        let job = take(&stores[0], START).await;
        let (ended, kept) = tokio::join!(
            stores[0].finish(&job, START),
            receive(&stores[1], event(&second, of_user("auth0|1")))
        );
        ended.expect("done");
        assert_eq!(kept, Received::Queued);
        assert_eq!(event_state(&stores[0], &first).await, EventState::Processed);
        assert_eq!(event_state(&stores[0], &second).await, EventState::Queued);
        let job = take(&stores[1], START).await;
        stores[1].finish(&job, START).await.expect("done");
        assert_eq!(
            event_state(&stores[0], &second).await,
            EventState::Processed
        );
        assert_eq!(job_state(&stores[0], &user("auth0|1")).await, None);
    }
}

/// Sequences become visible in their order, whoever writes where.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_skips_a_change_of_another_replica() {
    const WRITES: usize = 25;
    let database = database!();
    let stores = [
        open(&database).await,
        open(&database).await,
        open(&database).await,
    ];
    let mut writers = JoinSet::new();
    for number in 0..8 {
        let store = Arc::clone(&stores[number % 2]);
        ask(&store, &user(&format!("auth0|{number}")), START).await;
        let job = take(&store, START).await;
        writers.spawn(async move {
            for number in 0..WRITES {
                let row = store
                    .derived(&job, &plan(&number.to_string()), true, START)
                    .await;
                row.expect("written");
            }
        });
    }
    let reader = Arc::clone(&stores[2]);
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        let (mut seen, mut last) = (0, HashMap::new());
        let is_last = |plan: &&String| **plan == (WRITES - 1).to_string();
        while last.values().filter(is_last).count() < 8 {
            for row in reader.changes_after(seen, 2).await.expect("rows") {
                assert!(row.sequence > seen, "lowest first");
                seen = row.sequence;
                last.insert(row.user, row.derived.plan.expect("a plan"));
            }
        }
        seen
    });
    writers.join_all().await;
    let seen = timeout(PATIENCE, reading.join_all()).await;
    let seen = seen.expect("every last change is seen");
    assert_eq!(seen, [200], "every write has its number");
}

#[tokio::test]
async fn a_replica_hears_of_jobs_and_changes_of_another_and_not_of_its_own_twice() {
    let database = database!();
    let (one, other) = (listening(&database).await, listening(&database).await);
    ask(&one, &user("auth0|1"), START).await;
    let heard = timeout(PATIENCE, other.signals().jobs.notified()).await;
    heard.expect("the other hears of the job");
    let job = take(&other, START).await;
    let mut own = other.signals().changes();
    hears_change(&one, || async {
        let row = other.derived(&job, &plan("monthly"), true, START).await;
        row.expect("written");
    })
    .await;
    own.changed().await.expect("its own it hears directly");
    // What comes after it has come is behind it.
    hears_change(&other, || async {
        let row = other.roles_read(&job, &[], false, START).await;
        row.expect("written");
    })
    .await;
    own.borrow_and_update();
    other.finish(&job, START).await.expect("done");
    ask(&one, &user("auth0|2"), START).await;
    timeout(PATIENCE, other.signals().jobs.notified())
        .await
        .expect("it hears");
    assert!(!own.has_changed().expect("the ledger is there"), "no echo");
}

#[tokio::test]
async fn the_end_of_every_connection_is_survived() {
    let database = database!();
    let (one, other) = (listening(&database).await, listening(&database).await);
    receive(&one, event("evt_1", of_user("auth0|1"))).await;
    hears_change(&other, || async {
        database.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        // The first that is done after it goes well: a broken connection is found out before it is used.
        for store in [&one, &other] {
            assert_eq!(event_state(store, "evt_1").await, EventState::Queued);
        }
    })
    .await;
    // Both hear again, and were told to look at what they may have missed.
    let job = take(&one, START).await;
    hears_change(&other, || async {
        let row = one.derived(&job, &plan("monthly"), true, START).await;
        row.expect("written");
    })
    .await;
}

#[tokio::test]
async fn a_restart_of_the_server_loses_nothing_that_was_acknowledged() {
    let Some(server) = Server::own() else { return };
    let database = server.database().await;
    let store = listening(&database).await;
    receive(&store, event("evt_1", of_user("auth0|1"))).await;
    let job = take(&store, START).await;
    server.end();
    let began = Instant::now();
    let away = store.receive(&[event("evt_2", of_user("auth0|1"))]).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "soon enough for a 503"
    );
    hears_change(&store, || async { server.begin() }).await;
    let kept = store.event("evt_1").await.expect("the ledger is back");
    assert!(kept.is_some_and(|event| event.body.is_some()));
    assert_eq!(
        receive(&store, event("evt_2", of_user("auth0|1"))).await,
        Received::Queued
    );
    let row = store.derived(&job, &plan("monthly"), true, START).await;
    row.expect("the lease is still ours");
}

#[tokio::test]
async fn a_start_waits_for_a_database_that_comes_up_and_a_command_does_not_for_long() {
    let Some(server) = Server::own() else { return };
    let database = server.database().await;
    server.end();
    let began = Instant::now();
    let refused = Postgres::open_existing(&database.url).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
    let beginning = tokio::task::spawn_blocking(move || server.begin());
    let (opened, server) = tokio::join!(Postgres::open(&database.url), beginning);
    server.expect("it is there");
    opened.expect("a ledger");
}

#[tokio::test]
async fn one_who_stalls_while_asking_for_jobs_holds_the_others_up_for_seconds_only() {
    let database = database!();
    let store = open(&database).await;
    let mut stalled = connect(&database).await;
    run(
        &mut stalled,
        "SET idle_in_transaction_session_timeout = '10s'",
    )
    .await;
    run(&mut stalled, "BEGIN; SELECT 1 FROM counters FOR UPDATE").await;
    let began = Instant::now();
    let new = [event("evt_1", of_user("auth0|1"))];
    let refused = store.receive(&new).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "soon enough for a 503"
    );
    store.event("evt_1").await.expect("readers do not wait");
    // The stalled transaction is ended by the server, as every replica's would be.
    let kept = async { while store.receive(&new).await.is_err() {} };
    timeout(PATIENCE, kept).await.expect("the others go on");
}

#[tokio::test]
async fn every_connection_has_its_limits() {
    let database = database!();
    let store = listening(&database).await;
    store.totals().await.expect("an answer");
    let set = database.sql(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'tollgate' AND datname = current_database()",
    );
    assert_eq!(set, "2", "the listener, and one of the pool");
    let mut busy = JoinSet::new();
    for _ in 0..40 {
        let store = Arc::clone(&store);
        busy.spawn(async move { store.totals().await.map(drop) });
    }
    for answered in busy.join_all().await {
        answered.expect("who waits for a connection gets one");
    }
    let used = database.sql(
        "SELECT COUNT(*) <= 11 FROM pg_stat_activity WHERE application_name = 'tollgate' AND datname = current_database()",
    );
    assert_eq!(used, "t");
}

#[tokio::test]
async fn an_error_with_a_nul_in_it_is_kept_like_any_other() {
    let database = database!();
    let store = open(&database).await;
    ask(&store, &user("auth0|1"), START).await;
    let job = take(&store, START).await;
    store.retry(&job, START, "a\0b").await.expect("kept");
    let kept = store.job(&job.key).await.expect("an answer").expect("it");
    assert_eq!(kept.error.as_deref(), Some("a\u{fffd}b"));
    // An event that cannot be kept is refused for good, so that the door tries the others of its batch alone.
    let refused = store.receive(&[event("evt_\0", of_user("auth0|1"))]).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );
    let long = fastrand_text(10_000);
    let refused = store.receive(&[event(&long, of_user("auth0|1"))]).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );
}

/// Text that does not get shorter when it is packed.
fn fastrand_text(length: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(length)
        .collect()
}

#[tokio::test]
async fn a_line_of_the_audit_is_never_changed_or_deleted() {
    let database = database!();
    let store = open(&database).await;
    let line = RoleChange {
        user: "auth0|1".to_owned(),
        action: Action::Assign,
        subject: "premium-monthly".to_owned(),
        plan: None,
        cause: Cause::default(),
        at: START,
        error: None,
    };
    store.audit(&line).await.expect("kept");
    let mut other = connect(&database).await;
    for sql in [
        "UPDATE role_changes SET user_id = 'x'",
        "DELETE FROM role_changes",
        "TRUNCATE role_changes",
    ] {
        let refused = sqlx::raw_sql(sql).execute(&mut other).await;
        let error = refused.expect_err("it only grows").to_string();
        assert!(error.contains("a line of the audit is never"), "{error}");
    }
    let lines = store.role_changes("auth0|1", 10).await.expect("lines");
    assert_eq!(lines, [line]);
}

#[tokio::test]
async fn a_backup_is_for_the_servers_own_tool() {
    let database = database!();
    let store = open(&database).await;
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("copy.db");
    let refused = store.backup(&to).await.expect_err("refused");
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
    assert!(!to.exists());
}

/// A search without an index would slow every webhook down as the ledger grows.
#[tokio::test]
async fn what_is_asked_often_is_found_by_an_index() {
    let database = database!();
    drop(open(&database).await);
    for sql in [
        "SELECT key FROM jobs WHERE state <> 'dead' AND priority = 1 AND run_at <= 5 ORDER BY run_at, key LIMIT 1",
        "SELECT MIN(run_at) FROM jobs WHERE state <> 'dead' AND priority = 0",
        "SELECT * FROM jobs WHERE state = 'dead' ORDER BY since, key LIMIT 5",
        "SELECT number FROM events WHERE body IS NOT NULL AND state IN ('processed', 'ignored') AND received_at < 5
         ORDER BY received_at LIMIT 1000",
        "SELECT id FROM events WHERE state = 'unmatched' ORDER BY number DESC LIMIT 5",
        "SELECT id FROM events WHERE event_type = 'x' ORDER BY number DESC LIMIT 5",
        "SELECT number FROM events WHERE customer = 'x' AND state = 'unmatched' ORDER BY number DESC LIMIT 1",
        "SELECT id FROM events WHERE id = ANY(ARRAY['x', 'y'])",
        "DELETE FROM event_jobs WHERE job = 'x' AND generation <= 5",
        "SELECT 1 FROM event_jobs WHERE event = 5 AND job <> 'x'",
        "SELECT * FROM entitlements WHERE sequence > 5 ORDER BY sequence LIMIT 5",
        "SELECT user_id FROM entitlements WHERE recheck_at <= 5 ORDER BY recheck_at LIMIT 5",
        "SELECT * FROM customers WHERE user_id = 'x' ORDER BY created_at, customer",
        "SELECT * FROM purchases WHERE user_id = 'x' ORDER BY created_at, session",
        "SELECT * FROM role_changes WHERE user_id = 'x' ORDER BY number DESC LIMIT 5",
        "SELECT * FROM role_changes ORDER BY number DESC LIMIT 5",
        "SELECT * FROM entitlements ORDER BY sequence DESC LIMIT 5",
        "SELECT user_id FROM entitlements WHERE user_id > 'x' ORDER BY user_id LIMIT 5",
        "SELECT DISTINCT user_id FROM customers WHERE user_id > 'x' ORDER BY user_id LIMIT 5",
        "SELECT DISTINCT user_id FROM purchases WHERE user_id > 'x' ORDER BY user_id LIMIT 5",
        "SELECT * FROM drift ORDER BY subject LIMIT 5",
        "DELETE FROM drift WHERE subject = ANY(ARRAY['x', 'y'])",
        "SELECT id FROM looks WHERE ended_at IS NULL",
        "SELECT * FROM looks ORDER BY id DESC LIMIT 1",
    ] {
        // Empty tables are read whole unless that is forbidden.
        let plan = database.sql(&format!("SET enable_seqscan = off; EXPLAIN {sql}"));
        assert!(plan.contains("Index"), "{sql}: {plan}");
        assert!(!plan.contains("Seq Scan"), "{sql}: {plan}");
    }
}

#[tokio::test]
async fn tls_is_what_the_url_says_and_trusts_what_the_system_does() {
    let certificate = Certificate::new();
    // Kept to the end, so that nobody else is given the port before the server listens there.
    let reserved = Reserved::any();
    let port = reserved.address().port();
    let Some(server) = Server::with_tls(port, &certificate.chain, &certificate.key) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, &certificate.chain).expect("the roots");
    let database = server.database().await;
    let named = format!("sslmode=verify-full&sslrootcert={}", roots.display());
    for (parameters, encrypted) in [
        ("sslmode=disable", "f"),
        ("sslmode=require", "t"),
        (&named, "t"),
    ] {
        let store = Postgres::open_existing(&database.url_over_tcp(parameters)).await;
        let store = store.expect("a ledger");
        store.totals().await.expect("an answer");
        let is = database.sql(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE application_name = 'tollgate' AND datname = current_database()",
        );
        assert_eq!(is, encrypted, "{parameters}");
        drop(store);
        until_alone(&database).await;
    }
    let unknown = database.url_over_tcp("sslmode=verify-full");
    let refused = Postgres::open_existing(&unknown).await;
    assert!(refused.is_err(), "nobody vouches for the server");
    // What the system trusts is read once in a process, so in another one.
    let ledger = folder.path().join("ledger.db");
    let ledger = format!("sqlite://{}", ledger.display());
    drop(Sqlite::open(&ledger).await.expect("a ledger"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(["store", "copy", "--from", &ledger, "--to", &unknown]);
    let refused = command.output().expect("the command runs");
    assert_eq!(refused.status.code(), Some(1));
    let trusted = command.env("SSL_CERT_FILE", &roots);
    let done = trusted.output().expect("the command runs");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}");
}

/// The server hears a little later that a connection was closed.
async fn until_alone(database: &Database) {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity
               WHERE application_name = 'tollgate' AND datname = current_database()";
    let alone = async {
        while database.sql(sql) != "0" {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, alone)
        .await
        .expect("the others have gone");
}

/// Each thread that serves requests has a runtime of its own, which may be busy or gone when others need the ledger.
#[tokio::test]
async fn a_connection_does_not_depend_on_the_thread_that_asked_for_it() {
    let database = database!();
    let store = open(&database).await;
    let (served, serving) = tokio::sync::oneshot::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let asked = Arc::clone(&store);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            asked.totals().await.expect("an answer");
            // Until the connection lies idle again.
            tokio::time::sleep(Duration::from_millis(100)).await;
            served.send(()).expect("somebody waits");
            // The thread is busy: what lives on its runtime does not move.
            ended.recv().expect("the end");
        });
    });
    serving.await.expect("it was served");
    let answered = timeout(Duration::from_secs(2), store.totals()).await;
    answered.expect("at once").expect("an answer");
    end.send(()).expect("the thread is there");
    thread.join().expect("it ended well");
    for _ in 0..20 {
        store.totals().await.expect("an answer");
    }
}

/// A connection as another process has it.
async fn connect(database: &Database) -> PgConnection {
    let connected = PgConnection::connect(&database.url).await;
    connected.expect("a connection")
}

async fn run(connection: &mut PgConnection, sql: &'static str) {
    let done = sqlx::raw_sql(sql).execute(connection).await;
    done.expect("the statement runs");
}
