//! What is received.

use std::sync::Arc;
use std::time::Duration;

use tollgate::store::{
    EventFilter, EventState, Intent, JobKey, JobState, LinkKind, Received, Store,
};

use super::{
    START, customer, event, event_state, job_state, nothing_due, of_customer, of_object, of_user,
    receive, take, user,
};

pub(super) async fn an_event_is_kept_once_and_with_every_byte(store: &Arc<dyn Store>) {
    let mut new = event("evt_1", of_customer("cus_1"));
    new.body = vec![0, 255, b'{', b'\n', 0].into();
    new.live = true;
    assert_eq!(receive(store, new.clone()).await, Received::Queued);

    let kept = store.event("evt_1").await.expect("an answer");
    let kept = kept.expect("the event");
    assert_eq!(kept.body.as_ref(), Some(&new.body));
    assert_eq!(kept.event_type, new.event_type);
    assert_eq!((kept.live, kept.created_at), (true, new.created_at));
    assert_eq!((kept.received_at, kept.processed_at), (START, None));
    assert_eq!(kept.customer.as_deref(), Some("cus_1"));
    assert_eq!((kept.user, kept.reason), (None, None));

    let mut again = event("evt_1", of_user("auth0|2"));
    again.received_at = START + 5000;
    assert_eq!(receive(store, again).await, Received::Duplicate);
    assert_eq!(job_state(store, &user("auth0|2")).await, None, "nothing");
    let kept = store.event("evt_1").await.expect("an answer");
    assert_eq!(kept.map(|event| event.received_at), Some(START));
    assert_eq!(store.event("evt_2").await.expect("an answer"), None);
}

pub(super) async fn an_ignored_event_is_kept_with_its_reason_and_makes_no_job(
    store: &Arc<dyn Store>,
) {
    let mut new = event("evt_1", of_user("auth0|1"));
    new.intent = Intent::Ignore("of the other mode".to_owned());
    assert_eq!(receive(store, new.clone()).await, Received::Ignored);
    let kept = store.event("evt_1").await.expect("an answer");
    let kept = kept.expect("the event");
    assert_eq!(kept.state, EventState::Ignored);
    assert_eq!(kept.reason.as_deref(), Some("of the other mode"));
    assert_eq!(receive(store, new).await, Received::Duplicate);
    nothing_due(store, START).await;
}

pub(super) async fn a_batch_has_an_outcome_for_each_event_in_order(store: &Arc<dyn Store>) {
    receive(store, event("evt_0", of_user("auth0|1"))).await;
    let mut ignored = event("evt_2", of_user("auth0|1"));
    ignored.intent = Intent::Ignore("no".to_owned());
    let batch = [
        event("evt_0", of_user("auth0|1")),
        event("evt_1", of_user("auth0|1")),
        ignored,
        event("evt_1", of_user("auth0|1")),
    ];
    let outcomes = store.receive(&batch).await.expect("they are kept");
    assert_eq!(
        outcomes,
        [
            Received::Duplicate,
            Received::Queued,
            Received::Ignored,
            Received::Duplicate
        ]
    );
    assert!(store.receive(&[]).await.expect("no event").is_empty());
}

pub(super) async fn an_event_asks_for_the_user_then_the_customer_then_the_object(
    store: &Arc<dyn Store>,
) {
    let dispute = JobKey::Object("dispute".into(), "dp_1".into());
    let mut all = of_user("auth0|1");
    all.object = Some(("dispute".into(), "dp_1".into()));
    receive(store, event("evt_1", all)).await;
    assert!(job_state(store, &user("auth0|1")).await.is_some());
    assert_eq!(job_state(store, &dispute).await, None);

    let mut both = of_customer("cus_1");
    both.object = Some(("dispute".into(), "dp_1".into()));
    receive(store, event("evt_2", both)).await;
    assert!(job_state(store, &customer("cus_1")).await.is_some());
    assert_eq!(job_state(store, &dispute).await, None);

    receive(store, event("evt_3", of_object("dispute", "dp_1"))).await;
    assert!(job_state(store, &dispute).await.is_some());

    receive(store, event("evt_4", tollgate::store::Concern::default())).await;
    assert_eq!(event_state(store, "evt_4").await, EventState::Unmatched);
    assert_eq!(event_state(store, "evt_3").await, EventState::Queued);
}

pub(super) async fn events_that_come_while_a_job_waits_are_taken_along(store: &Arc<dyn Store>) {
    for id in ["evt_1", "evt_2", "evt_3"] {
        receive(store, event(id, of_user("auth0|1"))).await;
    }
    let job = take(store, START).await;
    assert_eq!(job.key, user("auth0|1"));
    assert_eq!(job.cause.event.as_deref(), Some("evt_3"));
    assert_eq!(job.cause.why, "customer.subscription.updated");
    assert_eq!((job.since, job.attempts), (START, 0));
    nothing_due(store, START).await;
    store.finish(&job, START + 7).await.expect("done");
    for id in ["evt_1", "evt_2", "evt_3"] {
        let event = store.event(id).await.expect("an answer").expect("it");
        assert_eq!(event.state, EventState::Processed);
        assert_eq!(event.processed_at, Some(START + 7));
    }
    assert_eq!(job_state(store, &job.key).await, None);
}

pub(super) async fn events_are_listed_the_newest_first_and_by_state_type_and_user(
    store: &Arc<dyn Store>,
) {
    receive(store, event("evt_1", of_user("auth0|1"))).await;
    let mut paid = event("evt_2", of_user("auth0|2"));
    paid.event_type = String::from("invoice.paid");
    receive(store, paid).await;
    receive(store, event("evt_3", tollgate::store::Concern::default())).await;
    // A customer of both: each of them sees it.
    for name in ["auth0|1", "auth0|2"] {
        let linked = store.link("cus_1", name, LinkKind::Item, START);
        linked.await.expect("linked");
    }
    receive(store, event("evt_4", of_customer("cus_1"))).await;

    let list = async |filter: EventFilter| -> Vec<String> {
        let events = store.events(&filter).await.expect("events");
        assert!(events.iter().all(|event| event.body.is_none()));
        events.into_iter().map(|event| event.id).collect()
    };
    let all = EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    assert_eq!(
        list(all.clone()).await,
        ["evt_4", "evt_3", "evt_2", "evt_1"]
    );
    let two = EventFilter {
        limit: 2,
        ..all.clone()
    };
    assert_eq!(list(two).await, ["evt_4", "evt_3"]);
    let unmatched = EventFilter {
        state: Some(EventState::Unmatched),
        ..all.clone()
    };
    assert_eq!(list(unmatched).await, ["evt_3"]);
    let paid = EventFilter {
        event_type: Some("invoice.paid".to_owned()),
        ..all.clone()
    };
    assert_eq!(list(paid).await, ["evt_2"]);
    let second = EventFilter {
        user: Some("auth0|2".to_owned()),
        ..all.clone()
    };
    assert_eq!(list(second.clone()).await, ["evt_4", "evt_2"]);
    let narrow = EventFilter {
        state: Some(EventState::Processed),
        ..second
    };
    assert!(list(narrow).await.is_empty());
}

pub(super) async fn replay_queues_an_event_again_and_says_when_there_is_nobody(
    store: &Arc<dyn Store>,
) {
    receive(store, event("evt_1", of_user("auth0|1"))).await;
    let job = take(store, START).await;
    store.finish(&job, START).await.expect("done");

    assert!(store.replay("evt_1", START + 9).await.expect("queued"));
    let event_1 = store.event("evt_1").await.expect("an answer").expect("it");
    assert_eq!(event_1.state, EventState::Queued);
    assert_eq!(event_1.processed_at, None);
    let job = take(store, START + 9).await;
    assert_eq!(job.key, user("auth0|1"));
    assert_eq!(job.cause.why, "replay");
    assert_eq!(job.cause.event.as_deref(), Some("evt_1"));
    store.finish(&job, START + 10).await.expect("done");
    assert_eq!(event_state(store, "evt_1").await, EventState::Processed);

    assert!(!store.replay("evt_9", START).await.expect("no such event"));
    let mut ignored = event("evt_2", of_user("auth0|1"));
    ignored.intent = Intent::Ignore("no".to_owned());
    receive(store, ignored).await;
    assert!(!store.replay("evt_2", START).await.expect("nobody"));
    assert_eq!(event_state(store, "evt_2").await, EventState::Ignored);
    nothing_due(store, START + 10).await;
}

pub(super) async fn prune_drops_bodies_that_are_old_and_done_with_and_nothing_else(
    store: &Arc<dyn Store>,
) {
    receive(store, event("evt_done", of_user("auth0|1"))).await;
    let job = take(store, START).await;
    store.finish(&job, START).await.expect("done");
    let mut ignored = event("evt_ignored", of_user("auth0|1"));
    ignored.intent = Intent::Ignore("no".to_owned());
    receive(store, ignored.clone()).await;
    receive(store, event("evt_queued", of_user("auth0|1"))).await;
    receive(
        store,
        event("evt_unmatched", tollgate::store::Concern::default()),
    )
    .await;
    ignored.id = String::from("evt_new");
    ignored.received_at = START + 1;
    receive(store, ignored).await;

    assert_eq!(store.prune(START).await.expect("pruned"), 0, "not before");
    assert_eq!(store.prune(START + 1).await.expect("pruned"), 2);
    assert_eq!(store.prune(START + 1).await.expect("pruned"), 0);
    for (id, there) in [
        ("evt_done", false),
        ("evt_ignored", false),
        ("evt_queued", true),
        ("evt_unmatched", true),
        ("evt_new", true),
    ] {
        let event = store.event(id).await.expect("an answer").expect("the row");
        assert_eq!(event.body.is_some(), there, "{id}");
    }
    let again = receive(store, event("evt_done", of_user("auth0|1"))).await;
    assert_eq!(again, Received::Duplicate);
}

pub(super) async fn an_event_tells_those_who_wait_for_jobs(store: &Arc<dyn Store>) {
    let told = store.signals().jobs.notified();
    receive(store, event("evt_1", of_user("auth0|1"))).await;
    let told = tokio::time::timeout(Duration::from_secs(5), told);
    told.await.expect("told at once");
    assert_eq!(
        job_state(store, &user("auth0|1")).await,
        Some(JobState::Queued)
    );
}

pub(super) async fn a_batch_of_many_ends_as_its_events_alone_would(store: &Arc<dyn Store>) {
    // More rows than one statement takes; two customers of which the batch itself tells whose they are.
    let mut batch = Vec::new();
    for number in 0..1200 {
        let of = format!("cus_{}", number % 3);
        batch.push(event(&format!("evt_{number}"), of_customer(&of)));
    }
    for number in 0..2 {
        let mut both = of_user(&format!("auth0|{number}"));
        both.customer = Some(format!("cus_{number}"));
        batch.push(event(&format!("evt_link_{number}"), both));
    }
    let outcomes = store.receive(&batch).await.expect("kept");
    assert_eq!(outcomes, vec![Received::Queued; 1202]);
    let waiting = store.jobs(JobState::Queued, 10).await.expect("jobs");
    let mut keys: Vec<String> = waiting.iter().map(|job| job.key.to_string()).collect();
    keys.sort();
    assert_eq!(keys, ["customer:cus_2", "user:auth0|0", "user:auth0|1"]);
    for _ in 0..3 {
        let job = take(store, START).await;
        store.finish(&job, START).await.expect("done");
    }
    let processed = EventFilter {
        state: Some(EventState::Processed),
        limit: 5000,
        ..EventFilter::default()
    };
    let processed = store.events(&processed).await.expect("events");
    assert_eq!(processed.len(), 1202);
    let first = EventFilter {
        user: Some("auth0|0".to_owned()),
        limit: 5000,
        ..EventFilter::default()
    };
    assert_eq!(store.events(&first).await.expect("events").len(), 401);
}
