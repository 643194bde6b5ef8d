//! From an event to the users it concerns.

use std::sync::Arc;

use tollgate::store::{EventState, JobKey, JobState, LinkKind, Match, Store};

use super::{
    START, ask, customer, event, event_state, job_state, nothing_due, of_customer, of_object,
    of_user, receive, take, user,
};

fn is(user: &str, customer: Option<&str>) -> Match {
    Match::User {
        user: user.to_owned(),
        kind: LinkKind::Owner,
        customer: customer.map(str::to_owned),
    }
}

async fn link(store: &Arc<dyn Store>, customer: &str, user: &str) {
    let linked = store.link(customer, user, LinkKind::Item, START).await;
    linked.expect("linked");
}

pub(super) async fn an_event_of_two_users_is_processed_when_both_are_done(store: &Arc<dyn Store>) {
    link(store, "cus_1", "auth0|1").await;
    link(store, "cus_1", "auth0|2").await;
    let mut concern = of_user("auth0|3");
    concern.customer = Some("cus_1".to_owned());
    receive(store, event("evt_1", concern)).await;
    for left in [3, 2, 1] {
        assert_eq!(event_state(store, "evt_1").await, EventState::Queued);
        assert_eq!(store.totals().await.expect("totals").queued, left);
        let job = take(store, START).await;
        store.finish(&job, START).await.expect("done");
    }
    assert_eq!(event_state(store, "evt_1").await, EventState::Processed);
    nothing_due(store, START).await;
}

pub(super) async fn finish_processes_what_was_there_when_the_job_was_taken(store: &Arc<dyn Store>) {
    receive(store, event("evt_1", of_user("auth0|1"))).await;
    let job = take(store, START).await;
    receive(store, event("evt_2", of_user("auth0|1"))).await;
    store.finish(&job, START).await.expect("done");
    assert_eq!(event_state(store, "evt_1").await, EventState::Processed);
    assert_eq!(event_state(store, "evt_2").await, EventState::Queued);
    let job = take(store, START).await;
    assert_eq!(job.cause.event.as_deref(), Some("evt_2"));
    store.finish(&job, START).await.expect("done");
    assert_eq!(event_state(store, "evt_2").await, EventState::Processed);
}

pub(super) async fn a_customer_that_is_a_users_passes_its_events_on(store: &Arc<dyn Store>) {
    receive(store, event("evt_1", of_customer("cus_1"))).await;
    receive(store, event("evt_2", of_customer("cus_1"))).await;
    let search = take(store, START).await;
    assert_eq!(search.key, customer("cus_1"));
    let found = is("auth0|1", Some("cus_1"));
    store
        .matched(&search, &found, START + 1)
        .await
        .expect("done");

    assert_eq!(job_state(store, &search.key).await, None);
    let links = store.users_of("cus_1").await.expect("links");
    assert_eq!((links.len(), links[0].kind), (1, LinkKind::Owner));
    let kept = store.event("evt_1").await.expect("an answer").expect("it");
    assert_eq!(kept.user.as_deref(), Some("auth0|1"));
    assert_eq!(kept.state, EventState::Queued);
    let job = take(store, START + 1).await;
    assert_eq!(job.key, user("auth0|1"));
    assert_eq!(job.cause, search.cause, "the reason goes with it");
    store.finish(&job, START + 2).await.expect("done");
    for id in ["evt_1", "evt_2"] {
        assert_eq!(event_state(store, id).await, EventState::Processed);
    }
}

pub(super) async fn an_object_that_is_a_customers_is_looked_for_further(store: &Arc<dyn Store>) {
    receive(store, event("evt_1", of_object("dispute", "dp_1"))).await;
    let search = take(store, START).await;
    let found = Match::Customer("cus_1".to_owned());
    store.matched(&search, &found, START).await.expect("done");
    let kept = store.event("evt_1").await.expect("an answer").expect("it");
    assert_eq!(kept.customer.as_deref(), Some("cus_1"));
    assert_eq!(kept.state, EventState::Queued);
    let search = take(store, START).await;
    assert_eq!(search.key, customer("cus_1"));
    let found = is("auth0|1", None);
    store.matched(&search, &found, START).await.expect("done");
    let links = store.users_of("cus_1").await.expect("links");
    assert!(links.is_empty(), "no customer was said to be the user's");
    let job = take(store, START).await;
    store.finish(&job, START).await.expect("done");
    assert_eq!(event_state(store, "evt_1").await, EventState::Processed);
}

pub(super) async fn an_object_of_a_known_customer_goes_to_its_users(store: &Arc<dyn Store>) {
    link(store, "cus_1", "auth0|1").await;
    link(store, "cus_1", "auth0|2").await;
    receive(store, event("evt_1", of_object("dispute", "dp_1"))).await;
    let search = take(store, START).await;
    let found = Match::Customer("cus_1".to_owned());
    store.matched(&search, &found, START).await.expect("done");
    assert_eq!(job_state(store, &customer("cus_1")).await, None);
    for _ in 0..2 {
        let job = take(store, START).await;
        assert!(matches!(job.key, JobKey::User(_)), "{}", job.key);
        store.finish(&job, START).await.expect("done");
    }
    assert_eq!(event_state(store, "evt_1").await, EventState::Processed);
}

pub(super) async fn what_is_nobodys_waits_until_the_customer_is_known(store: &Arc<dyn Store>) {
    receive(store, event("evt_1", of_customer("cus_1"))).await;
    let search = take(store, START).await;
    receive(store, event("evt_2", of_customer("cus_1"))).await;
    let done = store.matched(&search, &Match::Nobody, START).await;
    done.expect("done");
    assert_eq!(event_state(store, "evt_1").await, EventState::Unmatched);
    assert_eq!(event_state(store, "evt_2").await, EventState::Queued);
    let search = take(store, START).await;
    let done = store.matched(&search, &Match::Nobody, START).await;
    done.expect("done");
    nothing_due(store, START).await;

    link(store, "cus_2", "auth0|1").await;
    nothing_due(store, START).await;
    link(store, "cus_1", "auth0|1").await;
    for id in ["evt_1", "evt_2"] {
        let kept = store.event(id).await.expect("an answer").expect("it");
        assert_eq!(kept.state, EventState::Queued);
        assert_eq!(kept.user.as_deref(), Some("auth0|1"));
    }
    let job = take(store, START).await;
    assert_eq!(job.key, user("auth0|1"));
    assert_eq!(job.cause.event.as_deref(), Some("evt_2"));
    store.finish(&job, START).await.expect("done");
    assert_eq!(event_state(store, "evt_1").await, EventState::Processed);
    // To link again makes nothing new.
    link(store, "cus_1", "auth0|1").await;
    nothing_due(store, START).await;
}

pub(super) async fn a_customer_linked_during_the_search_is_not_nobodys(store: &Arc<dyn Store>) {
    receive(store, event("evt_1", of_customer("cus_1"))).await;
    let search = take(store, START).await;
    link(store, "cus_1", "auth0|1").await;
    let done = store.matched(&search, &Match::Nobody, START).await;
    done.expect("done");
    assert_eq!(event_state(store, "evt_1").await, EventState::Queued);
    assert_eq!(take(store, START).await.key, user("auth0|1"));
}

pub(super) async fn a_search_that_leads_to_itself_ends(store: &Arc<dyn Store>) {
    receive(store, event("evt_1", of_customer("cus_1"))).await;
    let search = take(store, START).await;
    let itself = Match::Customer("cus_1".to_owned());
    store.matched(&search, &itself, START).await.expect("done");
    assert_eq!(event_state(store, "evt_1").await, EventState::Unmatched);
    nothing_due(store, START).await;
}

pub(super) async fn a_search_that_was_given_up_begins_again_with_a_link(store: &Arc<dyn Store>) {
    receive(store, event("evt_1", of_customer("cus_1"))).await;
    let search = take(store, START).await;
    store
        .park(&search, "Stripe is away", START)
        .await
        .expect("dead");
    ask(store, &user("auth0|2"), START).await;
    link(store, "cus_1", "auth0|1").await;
    assert_eq!(
        job_state(store, &customer("cus_1")).await,
        Some(JobState::Queued)
    );
}
