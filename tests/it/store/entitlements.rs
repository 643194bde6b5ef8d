//! What each user has a right to.

use std::sync::Arc;

use tollgate::store::{Derived, Entitlement, Job, JobKey, Store, UnixMillis};

use super::{LEASE, START, ask, nothing_due, take, user};

fn plan(name: &str, paid: bool) -> Derived {
    Derived {
        plan: Some(name.to_owned()),
        paid,
        ..Derived::default()
    }
}

/// A running job for the user.
async fn job_for(store: &Arc<dyn Store>, name: &str) -> Job {
    ask(store, &user(name), START).await;
    take(store, START).await
}

async fn derive(
    store: &Arc<dyn Store>,
    job: &Job,
    derived: &Derived,
    changed: bool,
    now: UnixMillis,
) -> Entitlement {
    let row = store.derived(job, derived, changed, now).await;
    let row = row.expect("written");
    assert_eq!(&row.derived, derived);
    let JobKey::User(user) = &job.key else {
        unreachable!("a job of a user");
    };
    let read = store.entitlement(user).await.expect("an answer");
    assert_eq!(read.as_ref(), Some(&row), "what is given is what is there");
    row
}

pub(super) async fn what_was_derived_is_read_back(store: &Arc<dyn Store>) {
    assert_eq!(store.entitlement("auth0|1").await.expect("none"), None);
    let job = job_for(store, "auth0|1").await;
    let full = Derived {
        plan: Some("monthly".to_owned()),
        paid: true,
        backing: Some("sub_1".to_owned()),
        status: Some("past_due".to_owned()),
        ends: Some(false),
        period_end: Some(1_700_086_400),
        recheck_at: Some(START + 500),
        terms: Some("terms".to_owned()),
    };
    let row = derive(store, &job, &full, true, START).await;
    assert_eq!(row.generation, job.generation);
    assert_eq!((row.roles, row.metadata), (None, None));
    let row = derive(store, &job, &Derived::default(), false, START).await;
    assert_eq!(row.changed_at, Some(START), "since the last change");

    let roles = ["admin".to_owned(), "with, \"marks\"".to_owned()];
    let row = store.confirmed(&job, &roles, "{\"a\": 1}", START).await;
    let row = row.expect("written");
    assert_eq!(row.roles.as_deref(), Some(&roles[..]));
    assert_eq!(row.metadata.as_deref(), Some("{\"a\": 1}"));
    let read = store.entitlement("auth0|1").await.expect("an answer");
    assert_eq!(read, Some(row));
    let row = store.confirmed(&job, &[], "{}", START).await;
    assert_eq!(
        row.expect("written").roles,
        Some(Vec::new()),
        "none is read"
    );
}

pub(super) async fn a_change_is_unconfirmed_until_auth0_was_read_and_stays_confirmed_since_then(
    store: &Arc<dyn Store>,
) {
    let job = job_for(store, "auth0|1").await;
    let monthly = plan("monthly", true);
    let row = derive(store, &job, &monthly, true, START + 1).await;
    assert_eq!(row.changed_at, Some(START + 1));
    assert_eq!(row.confirmed_at, None);
    let confirm = async |now| {
        let row = store.confirmed(&job, &[], "{}", now).await;
        row.expect("written")
    };
    let row = confirm(START + 2).await;
    assert_eq!(row.changed_at, Some(START + 1));
    assert_eq!(row.confirmed_at, Some(START + 2));
    assert_eq!(confirm(START + 3).await.confirmed_at, Some(START + 2));
    // Derived again without a change: nothing begins anew.
    let row = derive(store, &job, &monthly, false, START + 4).await;
    assert_eq!(row.changed_at, Some(START + 1));
    assert_eq!(row.confirmed_at, Some(START + 2));
    // A change begins anew.
    let row = derive(store, &job, &plan("free", false), true, START + 5).await;
    assert_eq!((row.changed_at, row.confirmed_at), (Some(START + 5), None));
    assert_eq!(confirm(START + 6).await.confirmed_at, Some(START + 6));
}

pub(super) async fn activated_at_is_when_the_plan_in_force_was_given_first(store: &Arc<dyn Store>) {
    let job = job_for(store, "auth0|1").await;
    for (at, derived, activated_at) in [
        (1, plan("free", false), None),
        (2, plan("monthly", true), Some(2)),
        (3, plan("monthly", true), Some(2)),
        (4, plan("lifetime", true), Some(4)),
        (5, plan("free", false), None),
        (6, plan("lifetime", true), Some(6)),
    ] {
        let row = derive(store, &job, &derived, true, START + at).await;
        assert_eq!(row.activated_at, activated_at.map(|at| START + at), "{at}");
        let row = store.confirmed(&job, &[], "{}", START + at).await;
        let row = row.expect("written");
        assert_eq!(row.activated_at, activated_at.map(|at| START + at), "{at}");
    }
}

pub(super) async fn entitlements_of_many_users_leave_out_those_without(store: &Arc<dyn Store>) {
    for (name, derived) in [
        ("auth0|1", plan("monthly", true)),
        ("auth0|2", plan("lifetime", true)),
        ("auth0|3", plan("monthly", true)),
        ("auth0|4", plan("free", false)),
    ] {
        let job = job_for(store, name).await;
        derive(store, &job, &derived, true, START).await;
        store.finish(&job, START).await.expect("done");
    }
    let asked = ["auth0|2", "auth0|9", "auth0|4"].map(str::to_owned);
    let rows = store.entitlements(&asked).await.expect("rows");
    let mut users: Vec<_> = rows.into_iter().map(|row| row.user).collect();
    users.sort();
    assert_eq!(users, ["auth0|2", "auth0|4"]);
    assert!(store.entitlements(&[]).await.expect("none").is_empty());
    let totals = store.totals().await.expect("totals");
    let paid = [("lifetime".to_owned(), 1), ("monthly".to_owned(), 2)];
    assert_eq!(totals.paid, paid, "the unpaid do not count");
}

/// Two readers follow while many write: each sees the sequence grow, and in the end has seen the last row of each user.
pub(super) async fn a_reader_of_changes_never_misses_one_whoever_writes(store: &Arc<dyn Store>) {
    const USERS: usize = 8;
    const WRITES: usize = 10;
    let mut changed = store.signals().changes();
    let mut jobs = Vec::new();
    for number in 0..USERS {
        ask(store, &user(&format!("auth0|{number}")), START).await;
        let job = store.take(START, LEASE).await.expect("an answer");
        jobs.push(job.expect("a job"));
    }
    let mut writers = tokio::task::JoinSet::new();
    for job in jobs {
        let store = Arc::clone(store);
        writers.spawn(async move {
            for number in 0..WRITES {
                let derived = plan(&number.to_string(), true);
                let row = store.derived(&job, &derived, true, START).await;
                row.expect("written");
            }
        });
    }
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let store = Arc::clone(store);
        readers.spawn(async move {
            let mut seen = 0;
            let mut last = std::collections::HashMap::new();
            while last.values().filter(|plan| *plan == "9").count() < USERS {
                let rows = store.changes_after(seen, 3).await.expect("rows");
                assert!(rows.len() <= 3);
                for row in rows {
                    assert!(row.sequence > seen, "lowest first");
                    seen = row.sequence;
                    last.insert(row.user, row.derived.plan.expect("a plan"));
                }
                tokio::task::yield_now().await;
            }
        });
    }
    writers.join_all().await;
    let followed = tokio::time::timeout(std::time::Duration::from_secs(20), readers.join_all());
    followed.await.expect("every reader saw every user's last");
    assert!(changed.has_changed().expect("the ledger is there"));
    changed.mark_unchanged();
}

pub(super) async fn a_recheck_makes_one_job_when_its_time_has_come(store: &Arc<dyn Store>) {
    for (name, at) in [
        ("auth0|1", Some(100)),
        ("auth0|2", Some(200)),
        ("auth0|3", None),
    ] {
        let job = job_for(store, name).await;
        let mut derived = plan("monthly", true);
        derived.recheck_at = at.map(|at| START + at);
        derive(store, &job, &derived, true, START).await;
        store.finish(&job, START).await.expect("done");
    }
    assert_eq!(store.recheck(START + 99).await.expect("none"), 0);
    assert_eq!(store.recheck(START + 100).await.expect("one"), 1);
    assert_eq!(store.recheck(START + 101).await.expect("there"), 0);
    let job = take(store, START + 101).await;
    assert_eq!(job.key, user("auth0|1"));
    assert_eq!(job.cause.why, "recheck");
    assert_eq!(store.recheck(START + 102).await.expect("it runs"), 0);
    // One that has failed is not hurried.
    store.retry(&job, START + 900, "away").await.expect("again");
    assert_eq!(store.recheck(START + 103).await.expect("it waits"), 0);
    nothing_due(store, START + 103).await;
    let job = take(store, START + 900).await;
    derive(store, &job, &plan("free", false), true, START + 900).await;
    store.finish(&job, START + 900).await.expect("done");
    assert_eq!(store.recheck(START + 900).await.expect("the other"), 1);
    assert_eq!(take(store, START + 900).await.key, user("auth0|2"));
    assert_eq!(store.recheck(START + 901).await.expect("none"), 0);
}

pub(super) async fn users_of_other_terms_are_found_by_their_ids_whatever_their_jobs_are(
    store: &Arc<dyn Store>,
) {
    for (name, terms) in [
        ("auth0|1", Some("old")),
        ("auth0|2", None),
        ("auth0|3", Some("new")),
        ("auth0|4", Some("older")),
        ("auth0|5", Some("old")),
    ] {
        let job = job_for(store, name).await;
        let mut derived = plan("monthly", true);
        derived.terms = terms.map(str::to_owned);
        derive(store, &job, &derived, true, START).await;
        store.finish(&job, START).await.expect("done");
    }
    let found = async |after: &str, limit| {
        let found = store.of_other_terms("new", after, limit);
        found.await.expect("a ledger")
    };
    assert_eq!(
        found("", 9).await,
        ["auth0|1", "auth0|2", "auth0|4", "auth0|5"]
    );
    assert_eq!(found("auth0|1", 2).await, ["auth0|2", "auth0|4"]);
    let job = job_for(store, "auth0|4").await;
    assert_eq!(found("auth0|1", 2).await, ["auth0|2", "auth0|4"]);
    store.park(&job, "broken", START).await.expect("given up");
    assert_eq!(found("auth0|2", 9).await, ["auth0|4", "auth0|5"]);
    assert_eq!(found("auth0|5", 9).await, [""; 0]);
}
