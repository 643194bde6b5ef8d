//! A ledger moved from one database to another.

use std::process::{Command, Output};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::time::timeout;
use tollgate::store::{
    Action, Cause, Copied, CopyError, Derived, Drift, DriftKind, EventFilter, Intent, JobState,
    LinkKind, Postgres, Purchase, PurchaseState, RoleChange, Sqlite, Store, StoreError, copy,
};

use super::looks::drift;
use super::{
    LEASE, START, ask, customer, event, of_customer, of_object, of_user, receive, take, user,
};
use crate::support::postgres::{Database, Server};
use crate::support::raw::DEADLINE;

/// A ledger in a file, which nobody has open.
struct File {
    folder: TempDir,
}

impl File {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn url(&self) -> String {
        format!("sqlite://{}/ledger.db", self.folder.path().display())
    }

    async fn open(&self) -> Arc<dyn Store> {
        let store = Sqlite::open(&self.url()).await;
        Arc::new(store.expect("a ledger"))
    }
}

async fn open(database: &Database) -> Arc<dyn Store> {
    let store = Postgres::open(&database.url).await;
    Arc::new(store.expect("a ledger"))
}

/// Something in every table, and more events than are read at a time.
pub(super) async fn fill(store: &Arc<dyn Store>) {
    for number in 0..250 {
        receive(store, event(&format!("evt_{number}"), of_customer("cus_ä"))).await;
    }
    let mut ignored = event("evt_ignored", of_user("x"));
    ignored.intent = Intent::Ignore("not ours".to_owned());
    ignored.body = vec![0, 255, 0].into();
    receive(store, ignored).await;
    receive(store, event("evt_object", of_object("dispute", "dp_1"))).await;
    receive(store, event("evt_user", of_user("auth0|1"))).await;
    for name in ["auth0|1", "auth0|2"] {
        let linked = store.link("cus_1", name, LinkKind::Owner, START);
        linked.await.expect("linked");
    }
    store.customer_deleted("cus_1").await.expect("marked");
    let purchase = Purchase {
        session: "cs_1".to_owned(),
        user: "auth0|1".to_owned(),
        customer: None,
        plan: "lifetime".to_owned(),
        state: PurchaseState::Open,
        created_at: START,
    };
    store.record_purchase(&purchase).await.expect("recorded");
    ask(store, &user("auth0|1"), START - 1).await;
    let job = take(store, START - 1).await;
    let derived = Derived {
        plan: Some("monthly".to_owned()),
        paid: true,
        ends: Some(false),
        recheck_at: Some(START),
        ..Derived::default()
    };
    let row = store.derived(&job, &derived, true, START).await;
    row.expect("written");
    let row = store
        .confirmed(&job, &["a, \"b\"".to_owned()], "{}", START)
        .await;
    row.expect("written");
    store.park(&job, "no use", START).await.expect("parked");
    let line = RoleChange {
        user: "auth0|1".to_owned(),
        action: Action::Remove,
        subject: "free-user".to_owned(),
        plan: None,
        cause: Cause::default(),
        at: START,
        error: Some("away".to_owned()),
    };
    store.audit(&line).await.expect("kept");
}

/// A look that ended, one that is under way, and the drift of both.
async fn look_twice(store: &Arc<dyn Store>) {
    for ends in [true, false] {
        let look = store.begin_look(false, START, LEASE).await;
        let mut look = look.expect("an answer").expect("nobody is at it");
        look.position = Some("auth0|ä".to_owned());
        (look.total, look.checked, look.drifted) = (3, 2, 1);
        let row = store.entitlement("auth0|1").await.expect("an answer");
        let found = [
            Drift {
                sequence: row.map(|row| row.sequence),
                ..drift("auth0|1", DriftKind::Extra, &look)
            },
            drift("auth0|2", DriftKind::Unmatched, &look),
        ];
        let few = if ends { &found[..] } else { &found[1..] };
        let written = store.look_on(&look, few, &[], START, LEASE).await;
        written.expect("the lease holds");
        if ends {
            store.end_look(&look, START).await.expect("it ends");
        }
    }
}

/// Sees the same by way of both.
async fn agree(one: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let all = EventFilter {
        limit: 1000,
        ..EventFilter::default()
    };
    let events = one.events(&all).await.expect("events");
    assert_eq!(other.events(&all).await.expect("events"), events);
    for event in &events {
        let bodies = [one.event(&event.id).await, other.event(&event.id).await];
        let [one, other] = bodies.map(|event| event.expect("an answer"));
        assert_eq!(one, other);
    }
    for state in [JobState::Queued, JobState::Dead, JobState::Running] {
        let jobs = one.jobs(state, 1000).await.expect("jobs");
        assert_eq!(other.jobs(state, 1000).await.expect("jobs"), jobs);
    }
    let links = one.users_of("cus_1").await.expect("links");
    assert_eq!(other.users_of("cus_1").await.expect("links"), links);
    let purchases = one.purchases_of("auth0|1").await.expect("purchases");
    assert_eq!(
        other.purchases_of("auth0|1").await.expect("purchases"),
        purchases
    );
    let changes = one.changes_after(0, 1000).await.expect("rows");
    assert_eq!(other.changes_after(0, 1000).await.expect("rows"), changes);
    let audit = one.role_changes("auth0|1", 10).await.expect("lines");
    assert_eq!(
        other.role_changes("auth0|1", 10).await.expect("lines"),
        audit
    );
    let look = one.last_look().await.expect("an answer");
    assert_eq!(other.last_look().await.expect("an answer"), look);
    let drift = one.drift(10).await.expect("drift");
    assert_eq!(other.drift(10).await.expect("drift"), drift);
    assert!(look.is_some() && !drift.is_empty());
    assert!(!events.is_empty() && !links.is_empty() && !changes.is_empty() && !audit.is_empty());
}

/// Counters and numbers go on where they were.
async fn goes_on(store: &Arc<dyn Store>) {
    let before = store.changes_after(0, 1000).await.expect("rows");
    let highest = before.last().expect("a row");
    let asked = ask(store, &user("auth0|1"), START - 2).await;
    assert!(asked > highest.generation);
    let job = take(store, START - 2).await;
    assert_eq!(job.key, user("auth0|1"));
    let row = store.derived(&job, &Derived::default(), true, START).await;
    assert!(row.expect("written").sequence > highest.sequence);
    store.finish(&job, START).await.expect("done");
    let before = store.last_look().await.expect("an answer");
    let look = store.begin_look(true, START + LEASE, LEASE).await;
    let look = look.expect("an answer").expect("it was cut short");
    assert!(before.is_some_and(|before| before.id < look.id));
    receive(store, event("evt_new", of_customer("cus_ä"))).await;
    let newest = EventFilter {
        limit: 1,
        ..EventFilter::default()
    };
    let newest = store.events(&newest).await.expect("events");
    assert_eq!(newest[0].id, "evt_new", "numbers grow");
    let job = take(store, START).await;
    assert_eq!(job.key, customer("cus_ä"));
    store.finish(&job, START).await.expect("done");
}

#[tokio::test]
async fn a_ledger_is_copied_to_postgres_and_back_and_goes_on_there() {
    let Some(server) = Server::shared() else {
        return;
    };
    let (file, database, back) = (File::new(), server.database().await, File::new());
    let old = file.open().await;
    fill(&old).await;
    look_twice(&old).await;
    let copied = copy(&file.url(), &database.url).await.expect("copied");
    let rows = |name: &str| {
        let found = copied.iter().find(|Copied { table, .. }| *table == name);
        found.expect("the table").rows
    };
    assert_eq!(
        (rows("events"), rows("role_changes"), rows("customers")),
        (253, 1, 2)
    );
    assert_eq!((rows("looks"), rows("drift")), (2, 2));
    {
        let new = open(&database).await;
        agree(&old, &new).await;
    }
    let again = copy_when_alone(&database.url, &back.url()).await;
    let again = again.expect("copied");
    assert_eq!(again, copied);
    let returned = back.open().await;
    agree(&old, &returned).await;
    goes_on(&returned).await;
    goes_on(&open(&database).await).await;
}

/// Copies once the server has heard that the connections to it were closed.
async fn copy_when_alone(from: &str, to: &str) -> Result<Vec<Copied>, CopyError> {
    let copying = async {
        loop {
            match copy(from, to).await {
                Err(CopyError::InUse(_)) => tokio::task::yield_now().await,
                outcome => return outcome,
            }
        }
    };
    let copied = timeout(DEADLINE, copying).await;
    copied.expect("it is left alone")
}

#[tokio::test]
async fn a_target_that_holds_something_is_refused_and_stays_as_it_is() {
    let Some(server) = Server::shared() else {
        return;
    };
    let (file, database) = (File::new(), server.database().await);
    fill(&file.open().await).await;
    {
        let there = open(&database).await;
        receive(&there, event("evt_there", of_user("auth0|9"))).await;
    }
    let refused = copy_when_alone(&file.url(), &database.url).await;
    assert!(
        matches!(refused, Err(CopyError::NotEmpty(_))),
        "{refused:?}"
    );
    assert_eq!(
        database.sql("SELECT string_agg(id, ' ') FROM events"),
        "evt_there"
    );
    assert!(matches!(
        copy(&file.url(), &file.url()).await,
        Err(CopyError::Same)
    ));
}

#[tokio::test]
async fn a_copy_that_breaks_off_leaves_nothing_behind() {
    let Some(server) = Server::shared() else {
        return;
    };
    let (file, database) = (File::new(), server.database().await);
    let old = file.open().await;
    fill(&old).await;
    // SQLite keeps what PostgreSQL cannot, and it comes in one of the last tables.
    let line = RoleChange {
        user: "auth0|1".to_owned(),
        action: Action::Remove,
        subject: "nul \0".to_owned(),
        plan: None,
        cause: Cause::default(),
        at: START,
        error: None,
    };
    old.audit(&line).await.expect("kept");
    let broken = copy(&file.url(), &database.url).await;
    let Err(CopyError::Ledger { error, .. }) = &broken else {
        panic!("{broken:?}");
    };
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    let rows =
        database.sql("SELECT (SELECT COUNT(*) FROM events) + (SELECT SUM(value) FROM counters)");
    assert_eq!(rows, "0");
}

#[tokio::test]
async fn a_ledger_in_use_is_not_copied() {
    let Some(server) = Server::shared() else {
        return;
    };
    let (file, database) = (File::new(), server.database().await);
    let serving = file.open().await;
    receive(&serving, event("evt_1", of_user("auth0|1"))).await;
    {
        let used = open(&database).await;
        used.totals().await.expect("an answer");
        let refused = copy(&file.url(), &database.url).await;
        assert!(matches!(refused, Err(CopyError::InUse(_))), "{refused:?}");
    }
    take(&serving, START).await;
    let other = server.database().await;
    let refused = copy(&file.url(), &other.url).await.expect_err("refused");
    assert!(matches!(refused, CopyError::Running(1)), "{refused}");
    assert!(refused.to_string().contains("SIGTERM"));
}

fn tollgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .output()
        .expect("the command runs")
}

#[tokio::test]
async fn the_command_copies_says_how_many_rows_and_never_the_password() {
    let Some(server) = Server::shared() else {
        return;
    };
    let (file, database) = (File::new(), server.database().await);
    fill(&file.open().await).await;
    let arguments = [
        "store",
        "copy",
        "--from",
        &file.url(),
        "--to",
        &database.url,
    ];
    let done = tollgate(&arguments);
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}");
    assert!(told.contains("253  events"), "{told}");
    let refused = tollgate(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    let wrong = database.url_with_password("swordfish");
    let denied = tollgate(&["store", "copy", "--from", &file.url(), "--to", &wrong]);
    assert_eq!(denied.status.code(), Some(1));
    for output in [refused, denied] {
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("nothing was copied: --to"), "{told}");
        assert!(
            !told.contains("hunter2") && !told.contains("swordfish"),
            "{told}"
        );
    }
}
