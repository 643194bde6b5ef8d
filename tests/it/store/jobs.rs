//! What is still to be done.

use std::collections::HashSet;
use std::sync::Arc;

use tollgate::store::{JobKey, JobState, Store};

use super::{
    LEASE, START, ask, cause, customer, event, hurry, job_state, nothing_due, of_user, receive,
    take, user,
};

/// A job for `auth0|1` that was given up.
async fn dead(store: &Arc<dyn Store>) {
    receive(store, event("evt_1", of_user("auth0|1"))).await;
    let job = take(store, START).await;
    store.retry(&job, START + 1, "once").await.expect("again");
    let job = take(store, START + 1).await;
    store.park(&job, "no use", START + 2).await.expect("parked");
}

pub(super) async fn a_job_is_asked_for_many_times_and_there_once(store: &Arc<dyn Store>) {
    let key = user("auth0|1");
    let first = ask(store, &key, START).await;
    let second = hurry(store, &key, START + 1).await;
    assert!(second > first);
    let job = take(store, START + 1).await;
    assert_eq!((job.generation, job.since), (second, START));
    assert_eq!(job.cause, cause("hurry"), "why it was asked for last");
    nothing_due(store, START + 1).await;
    assert_eq!(job_state(store, &key).await, Some(JobState::Running));
    store.finish(&job, START + 2).await.expect("done");
    assert_eq!(job_state(store, &key).await, None);
}

pub(super) async fn generations_grow_over_all_keys(store: &Arc<dyn Store>) {
    let keys = [
        user("auth0|1"),
        customer("cus_1"),
        JobKey::Object("charge".into(), "ch_1".into()),
        user("auth0|1"),
    ];
    let mut last = 0;
    for key in keys {
        let generation = ask(store, &key, START).await;
        assert!(generation > last, "{key}");
        last = generation;
    }
    // Not even when the job is gone in between.
    for key in 0..3 {
        let job = take(store, START).await;
        store.finish(&job, START).await.expect("done");
        assert_ne!(key, 3);
    }
    assert!(ask(store, &user("auth0|1"), START).await > last);
}

pub(super) async fn the_interactive_come_first_and_then_the_oldest(store: &Arc<dyn Store>) {
    ask(store, &user("old"), START).await;
    ask(store, &user("new"), START + 2).await;
    ask(store, &user("hurried"), START + 1).await;
    for (key, at) in [("late", 4), ("early", 3), ("hurried", 5)] {
        hurry(store, &user(key), START + at).await;
    }
    for expected in ["hurried", "early", "late", "old", "new"] {
        let job = take(store, START + 10).await;
        assert_eq!(job.key, user(expected));
    }
}

pub(super) async fn a_retry_is_background_again(store: &Arc<dyn Store>) {
    let hurried = user("hurried");
    hurry(store, &hurried, START).await;
    let job = take(store, START).await;
    ask(store, &user("other"), START).await;
    store.retry(&job, START + 5, "away").await.expect("again");
    assert_eq!(take(store, START + 10).await.key, user("other"));
    assert_eq!(take(store, START + 10).await.key, hurried);
}

pub(super) async fn a_job_is_taken_when_it_is_due_and_not_before(store: &Arc<dyn Store>) {
    assert_eq!(store.next_due().await.expect("an answer"), None);
    ask(store, &user("auth0|1"), START).await;
    assert_eq!(store.next_due().await.expect("an answer"), Some(START));
    let job = take(store, START).await;
    let error = "Auth0 answered 500";
    store.retry(&job, START + 100, error).await.expect("again");
    let due = store.next_due().await.expect("an answer");
    assert_eq!(due, Some(START + 100));
    nothing_due(store, START + 99).await;
    let waiting = store.job(&job.key).await.expect("an answer").expect("it");
    assert_eq!(waiting.state, JobState::Queued);
    assert_eq!((waiting.attempts, waiting.since), (1, START));
    assert_eq!(waiting.run_at, START + 100);
    assert_eq!(waiting.error.as_deref(), Some("Auth0 answered 500"));
    let job = take(store, START + 100).await;
    assert_eq!((job.attempts, job.since), (1, START));
    // The lease is what wakes another when this one never ends.
    let due = store.next_due().await.expect("an answer");
    assert_eq!(due, Some(START + 100 + LEASE));
    store.park(&job, "no use", START + 101).await.expect("dead");
    assert_eq!(store.next_due().await.expect("an answer"), None);
}

pub(super) async fn what_is_asked_for_while_a_job_runs_is_not_lost(store: &Arc<dyn Store>) {
    let key = user("auth0|1");
    // Done, but asked for again: queued as a fresh one.
    ask(store, &key, START).await;
    let job = take(store, START).await;
    let wanted = ask(store, &key, START + 1).await;
    nothing_due(store, START + 1).await;
    store.finish(&job, START + 5).await.expect("done");
    let job = take(store, START + 5).await;
    assert_eq!((job.generation, job.attempts), (wanted, 0));
    assert_eq!(job.since, START + 1, "since it was asked for");

    // Failed, and asked for again: tried at once, but it waits since the first.
    ask(store, &key, START + 6).await;
    store.retry(&job, START + 900, "away").await.expect("again");
    let job = take(store, START + 7).await;
    assert_eq!((job.since, job.attempts), (START + 1, 1));

    // Failed for good, and asked for again: queued as a fresh one.
    ask(store, &key, START + 8).await;
    store.park(&job, "no use", START + 9).await.expect("queued");
    let job = take(store, START + 9).await;
    assert_eq!((job.since, job.attempts), (START + 8, 0));
    store.finish(&job, START + 10).await.expect("done");
    assert_eq!(job_state(store, &key).await, None);
}

pub(super) async fn a_job_that_waits_for_its_next_try_is_tried_at_once_when_asked_for(
    store: &Arc<dyn Store>,
) {
    ask(store, &user("auth0|1"), START).await;
    let job = take(store, START).await;
    store.retry(&job, START + 900, "away").await.expect("again");
    nothing_due(store, START + 10).await;
    ask(store, &user("auth0|1"), START + 10).await;
    let job = take(store, START + 10).await;
    assert_eq!((job.since, job.attempts), (START, 1), "it is no new one");
}

pub(super) async fn a_dead_job_is_kept_and_woken_by_event_request_and_replay(
    store: &Arc<dyn Store>,
) {
    let key = user("auth0|1");
    dead(store).await;
    let kept = store.jobs(JobState::Dead, 10).await.expect("jobs");
    assert_eq!(kept.len(), 1);
    assert_eq!((&kept[0].key, kept[0].attempts), (&key, 2));
    assert_eq!(kept[0].error.as_deref(), Some("no use"));
    nothing_due(store, START + 1_000_000).await;
    let later = START + 100;

    receive(store, event("evt_2", of_user("auth0|1"))).await;
    let job = take(store, later).await;
    assert_eq!((&job.key, job.attempts), (&key, 0));
    store.park(&job, "no use", later).await.expect("parked");

    ask(store, &key, later).await;
    let job = take(store, later).await;
    assert_eq!((job.since, job.attempts), (later, 0));
    store.park(&job, "no use", later).await.expect("parked");

    assert!(store.replay("evt_1", later).await.expect("woken"));
    let job = take(store, later).await;
    store.finish(&job, later).await.expect("done");
    // All its events were done with it, also those that came before it was given up.
    for id in ["evt_1", "evt_2"] {
        let event = store.event(id).await.expect("an answer").expect("it");
        assert_eq!(event.processed_at, Some(later), "{id}");
    }
}

pub(super) async fn each_job_is_taken_by_one_worker_only(store: &Arc<dyn Store>) {
    for number in 0..20 {
        ask(store, &user(&format!("auth0|{number}")), START).await;
    }
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(store);
        workers.spawn(async move {
            let mut taken = Vec::new();
            while let Some(job) = store.take(START, LEASE).await.expect("an answer") {
                taken.push(job.key);
            }
            taken
        });
    }
    let taken: Vec<JobKey> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 20);
    assert_eq!(taken.into_iter().collect::<HashSet<_>>().len(), 20);
}

pub(super) async fn totals_count_what_waits_runs_and_is_dead(store: &Arc<dyn Store>) {
    let none = store.totals().await.expect("totals");
    assert_eq!(none, tollgate::store::Totals::default());
    dead(store).await;
    ask(store, &user("auth0|2"), START + 10).await;
    ask(store, &user("auth0|3"), START + 5).await;
    ask(store, &user("auth0|4"), START + 20).await;
    take(store, START + 5).await;
    let totals = store.totals().await.expect("totals");
    assert_eq!((totals.queued, totals.running, totals.dead), (2, 1, 1));
    assert_eq!(totals.oldest, Some(START + 5), "the dead do not wait");
    let waiting = store.jobs(JobState::Queued, 1).await.expect("jobs");
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].key, user("auth0|2"), "the oldest first");
}
