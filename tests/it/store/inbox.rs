//! Many events at once, each durable before it is acknowledged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tollgate::store::{Inbox, Outage, Received, StoreError};

use super::{Ledger, event, of_user, sqlite_file};

/// A ledger on disk and the door to it.
struct House {
    ledger: Ledger,
    inbox: Inbox,
    tasks: TaskTracker,
    stop: CancellationToken,
}

async fn house() -> House {
    let ledger = sqlite_file().await;
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    House {
        inbox: Inbox::start(Arc::clone(&ledger.store), &tasks, stop.clone()),
        ledger,
        tasks,
        stop,
    }
}

impl House {
    /// A connection as another process has it.
    async fn other_process(&self) -> SqliteConnection {
        let folder = self.ledger.folder.as_ref().expect("a folder");
        let options = SqliteConnectOptions::new().filename(folder.path().join("ledger.db"));
        options.connect().await.expect("a connection")
    }

    async fn is_kept(&self, id: &str) -> bool {
        let kept = self.ledger.store.event(id).await.expect("an answer");
        kept.is_some()
    }
}

async fn run(connection: &mut SqliteConnection, sql: &'static str) {
    let done = sqlx::query(sql).execute(connection).await;
    done.expect("the statement runs");
}

#[tokio::test]
async fn what_is_acknowledged_is_in_the_ledger_and_each_event_once() {
    let house = house().await;
    let many = (0..100).map(|number| {
        let new = event(&format!("evt_{}", number % 50), of_user("auth0|1"));
        house.inbox.receive(new)
    });
    let outcomes = join_all(many).await;
    let queued = outcomes
        .iter()
        .filter(|one| matches!(one, Ok(Received::Queued)));
    assert_eq!(queued.count(), 50);
    let twice = outcomes
        .iter()
        .filter(|one| matches!(one, Ok(Received::Duplicate)));
    assert_eq!(twice.count(), 50);
    for number in 0..50 {
        assert!(house.is_kept(&format!("evt_{number}")).await);
    }
}

#[tokio::test]
async fn one_event_that_the_ledger_refuses_harms_no_other() {
    let house = house().await;
    let refusing = "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.id = 'evt_bad'
                    BEGIN SELECT RAISE(ABORT, 'bad'); END";
    run(&mut house.other_process().await, refusing).await;
    let names = ["evt_1", "evt_bad", "evt_2", "evt_3"];
    let many = names.map(|id| house.inbox.receive(event(id, of_user("auth0|1"))));
    for (id, outcome) in names.into_iter().zip(join_all(many).await) {
        if id == "evt_bad" {
            assert!(
                matches!(outcome, Err(StoreError::Refused(_))),
                "{outcome:?}"
            );
        } else {
            assert!(matches!(outcome, Ok(Received::Queued)), "{outcome:?}");
        }
        assert_eq!(house.is_kept(id).await, id != "evt_bad");
    }
}

#[tokio::test]
async fn a_locked_ledger_refuses_soon_and_a_full_queue_at_once() {
    let house = house().await;
    let mut other = house.other_process().await;
    run(&mut other, "BEGIN EXCLUSIVE").await;
    let began = Instant::now();
    // More than wait and are written at a time.
    let many = (0..600).map(|number| {
        let new = event(&format!("evt_{number}"), of_user("auth0|1"));
        house.inbox.receive(new)
    });
    let outcomes = join_all(many).await;
    assert!(began.elapsed() < Duration::from_secs(8), "soon");
    let mut busy = 0;
    for outcome in outcomes {
        match outcome {
            Err(StoreError::Unavailable(Outage::Busy)) => busy += 1,
            Err(StoreError::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(busy > 0, "some were refused at the door");
    run(&mut other, "ROLLBACK").await;
    let again = house.inbox.receive(event("evt_1", of_user("auth0|1")));
    assert!(matches!(again.await, Ok(Received::Queued)), "as before");
}

#[tokio::test]
async fn at_the_end_what_waits_is_written_and_nothing_more_is_taken() {
    let house = house().await;
    let mut other = house.other_process().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    // Sent, and waiting, before the wish to stop.
    let mut waiting: Vec<_> = (0..5)
        .map(|number| {
            let new = event(&format!("evt_{number}"), of_user("auth0|1"));
            Box::pin(house.inbox.receive(new))
        })
        .collect();
    for one in &mut waiting {
        assert!(futures_util::poll!(one).is_pending());
    }
    house.stop.cancel();
    house.tasks.close();
    run(&mut other, "ROLLBACK").await;
    house.tasks.wait().await;
    for outcome in join_all(waiting).await {
        assert!(matches!(outcome, Ok(Received::Queued)), "{outcome:?}");
    }
    for number in 0..5 {
        assert!(house.is_kept(&format!("evt_{number}")).await);
    }
    let late = house
        .inbox
        .receive(event("evt_9", of_user("auth0|1")))
        .await;
    assert!(matches!(
        late,
        Err(StoreError::Unavailable(Outage::Stopping))
    ));
}

/// Not a test of the machine: says what it measured, and fails only when something is plainly wrong.
#[tokio::test]
async fn an_event_alone_and_one_among_fifty_take_little_time() {
    let house = house().await;
    let mut alone = Vec::new();
    for number in 0..100 {
        let began = Instant::now();
        let kept = house
            .inbox
            .receive(event(&format!("evt_a{number}"), of_user("auth0|1")));
        kept.await.expect("kept");
        alone.push(began.elapsed());
    }
    let mut together = Vec::new();
    for round in 0..10 {
        let many = (0..50).map(|number| {
            let name = format!("auth0|{number}");
            let new = event(&format!("evt_{round}_{number}"), of_user(&name));
            let inbox = house.inbox.clone();
            async move {
                let began = Instant::now();
                inbox.receive(new).await.expect("kept");
                began.elapsed()
            }
        });
        together.extend(join_all(many).await);
    }
    alone.sort();
    together.sort();
    let (alone, together) = (alone[50], together[250]);
    println!("median: alone {alone:?}, among fifty {together:?}");
    assert!(alone < Duration::from_secs(1) && together < Duration::from_secs(2));
}
