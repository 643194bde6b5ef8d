//! Who works on a job, and who no longer does.

use std::sync::Arc;

use tollgate::store::{Derived, EventState, Job, JobState, LinkKind, Match, Store, StoreError};

use super::{
    LEASE, START, ask, customer, event, event_state, job_state, nothing_due, of_user, receive,
    take, user,
};

/// Tries every write that needs the job, and sees each refused.
async fn everything_is_refused(store: &Arc<dyn Store>, job: &Job, now: i64) {
    let plan = Derived {
        plan: Some("lifetime".to_owned()),
        paid: true,
        ..Derived::default()
    };
    let found = Match::User {
        user: "auth0|7".to_owned(),
        kind: LinkKind::Owner,
        customer: Some("cus_7".to_owned()),
    };
    let refused = [
        store.finish(job, now).await,
        store.matched(job, &found, now).await,
        store.matched(job, &Match::Nobody, now).await,
        store.retry(job, now, "x").await,
        store.park(job, "x", now).await,
        store.derived(job, &plan, true, now).await.map(drop),
        store.confirmed(job, &[], "{}", now).await.map(drop),
    ];
    for (number, outcome) in refused.iter().enumerate() {
        assert!(
            matches!(outcome, Err(StoreError::LeaseLost)),
            "write {number}: {outcome:?}"
        );
    }
    let links = store.users_of("cus_7").await.expect("links");
    assert!(links.is_empty(), "nothing of it has happened");
    assert_eq!(job_state(store, &user("auth0|7")).await, None);
    assert_eq!(store.entitlement("auth0|1").await.expect("none"), None);
}

pub(super) async fn a_lease_that_ran_out_is_taken_by_another_and_the_first_writes_nothing(
    store: &Arc<dyn Store>,
) {
    receive(store, event("evt_1", of_user("auth0|1"))).await;
    let first = take(store, START).await;
    nothing_due(store, START + LEASE - 1).await;
    let second = take(store, START + LEASE).await;
    assert_eq!(second.key, first.key);
    assert_ne!(second.lease, first.lease);
    assert_eq!((second.attempts, second.since), (1, START));

    everything_is_refused(store, &first, START + LEASE).await;
    assert_eq!(event_state(store, "evt_1").await, EventState::Queued);
    assert_eq!(job_state(store, &first.key).await, Some(JobState::Running));

    let done = store.finish(&second, START + LEASE).await;
    done.expect("the second still has it");
    assert_eq!(event_state(store, "evt_1").await, EventState::Processed);
    everything_is_refused(store, &second, START + LEASE).await;
}

pub(super) async fn a_lease_that_ran_out_and_nobody_took_still_holds(store: &Arc<dyn Store>) {
    ask(store, &user("auth0|1"), START).await;
    let job = take(store, START).await;
    let late = START + 10 * LEASE;
    let row = store.derived(&job, &Derived::default(), false, late).await;
    assert_eq!(row.expect("written").generation, job.generation);
    store.finish(&job, late).await.expect("done");
}

pub(super) async fn released_leases_are_due_at_once(store: &Arc<dyn Store>) {
    ask(store, &user("auth0|1"), START).await;
    ask(store, &user("auth0|2"), START).await;
    let first = take(store, START).await;
    let second = take(store, START).await;
    ask(store, &user("auth0|3"), START).await;
    let parked = take(store, START).await;
    store.park(&parked, "no use", START).await.expect("parked");
    assert_eq!(store.release_leases().await.expect("released"), 2);
    everything_is_refused(store, &first, START).await;
    let again = [take(store, START).await, take(store, START).await];
    for old in [first, second] {
        let new = again.iter().find(|job| job.key == old.key);
        let new = new.expect("it is taken again");
        assert_eq!((new.generation, new.attempts), (old.generation, 1));
        store.finish(new, START).await.expect("done");
    }
    assert_eq!(store.release_leases().await.expect("none"), 0);
}

pub(super) async fn a_job_about_a_customer_may_not_write_an_entitlement(store: &Arc<dyn Store>) {
    ask(store, &customer("auth0|1"), START).await;
    let job = take(store, START).await;
    let derived = store.derived(&job, &Derived::default(), true, START).await;
    assert!(matches!(derived, Err(StoreError::LeaseLost)));
    assert_eq!(store.entitlement("auth0|1").await.expect("none"), None);
}
