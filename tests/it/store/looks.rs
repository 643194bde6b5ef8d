//! Looks at every user: how far they are, who is at them, what they find.

use std::sync::Arc;

use futures_util::future::join_all;
use tollgate::store::{Drift, DriftKind, Look, Store, StoreError, UnixMillis};

use super::users::entitle;
use super::{LEASE, START};

/// A drift of `subject` as the look `look` finds it.
pub(super) fn drift(subject: &str, kind: DriftKind, look: &Look) -> Drift {
    Drift {
        subject: subject.to_owned(),
        kind,
        user: Some(subject.to_owned()),
        customer: None,
        plan: Some("monthly".to_owned()),
        roles: vec!["free-user".to_owned(), "a, \"b\" ä".to_owned()],
        why: "sub_1 is active".to_owned(),
        found_at: START,
        look: look.id,
        sequence: None,
    }
}

/// A customer who paid and whose user nobody knows.
fn unmatched(customer: &str, look: &Look) -> Drift {
    Drift {
        user: None,
        customer: Some(customer.to_owned()),
        plan: None,
        roles: Vec::new(),
        ..drift(customer, DriftKind::Unmatched, look)
    }
}

async fn try_begin(store: &Arc<dyn Store>, restart: bool, now: UnixMillis) -> Option<Look> {
    let begun = store.begin_look(restart, now, LEASE).await;
    begun.expect("the ledger answers")
}

async fn begin(store: &Arc<dyn Store>, now: UnixMillis) -> Look {
    try_begin(store, false, now).await.expect("nobody is at it")
}

async fn find(store: &Arc<dyn Store>, look: &Look, found: &[Drift], now: UnixMillis) {
    let written = store.look_on(look, found, &[], now, LEASE).await;
    written.expect("the lease holds");
}

/// The subjects that differ.
async fn subjects(store: &Arc<dyn Store>) -> Vec<String> {
    let drift = store.drift(100).await.expect("drift");
    drift.into_iter().map(|drift| drift.subject).collect()
}

/// Tries every write that needs the look, and sees each refused.
async fn everything_is_refused(store: &Arc<dyn Store>, look: &Look, now: UnixMillis) {
    let before = store.last_look().await.expect("an answer");
    let lost = [drift("auth0|lost", DriftKind::Extra, look)];
    let cleared = subjects(store).await;
    let refused = [
        store.look_on(look, &lost, &cleared, now, LEASE).await,
        store.end_look(look, now).await,
        store.leave_look(look).await,
    ];
    for (number, outcome) in refused.iter().enumerate() {
        assert!(
            matches!(outcome, Err(StoreError::LeaseLost)),
            "write {number}: {outcome:?}"
        );
    }
    assert_eq!(subjects(store).await, cleared, "nothing of it has happened");
    assert_eq!(store.last_look().await.expect("an answer"), before);
}

pub(super) async fn a_look_is_followed_from_its_beginning_to_its_end(store: &Arc<dyn Store>) {
    assert_eq!(store.last_look().await.expect("none yet"), None);
    let mut look = begin(store, START).await;
    let new = Look {
        id: look.id,
        started_at: START,
        ended_at: None,
        position: None,
        total: 0,
        checked: 0,
        drifted: 0,
        lease: look.lease.clone(),
    };
    assert_eq!(look, new);
    assert!(!look.lease.is_empty());

    look.position = Some("auth0|2".to_owned());
    (look.total, look.checked, look.drifted) = (5, 2, 2);
    let found = [
        unmatched("cus_1", &look),
        drift("auth0|2", DriftKind::Missing, &look),
        drift("auth0|1", DriftKind::Extra, &look),
    ];
    find(store, &look, &found, START).await;
    let under_way = store.last_look().await.expect("an answer");
    assert_eq!(under_way, Some(look.clone()));
    let [customer, second, first] = found;
    let known = store.drift(100).await.expect("drift");
    assert_eq!(known, [first.clone(), second.clone(), customer]);
    let few = store.drift(2).await.expect("drift");
    assert_eq!(few, [first, second.clone()]);

    // The second time it is another drift, and the customer has a user now.
    let wrong = Drift {
        kind: DriftKind::Other,
        found_at: START + 1,
        ..second
    };
    let cleared = ["cus_1".to_owned(), "auth0|unknown".to_owned()];
    let written = store
        .look_on(&look, std::slice::from_ref(&wrong), &cleared, START, LEASE)
        .await;
    written.expect("the lease holds");
    let known = store.drift(100).await.expect("drift");
    assert_eq!(known.last(), Some(&wrong));
    assert_eq!(subjects(store).await, ["auth0|1", "auth0|2"]);

    store.end_look(&look, START + 9).await.expect("it ends");
    let ended = Look {
        ended_at: Some(START + 9),
        lease: String::new(),
        ..look.clone()
    };
    assert_eq!(store.last_look().await.expect("an answer"), Some(ended));
    everything_is_refused(store, &look, START + 9).await;
    let next = begin(store, START + 10).await;
    assert!(next.id > look.id);
    assert_eq!((next.started_at, next.position), (START + 10, None));
}

pub(super) async fn of_many_who_begin_at_once_one_does(store: &Arc<dyn Store>) {
    let all = (0..8).map(|number| try_begin(store, number % 2 == 0, START));
    let begun = join_all(all).await;
    assert_eq!(begun.iter().flatten().count(), 1, "{begun:?}");
    // Not even a new one may begin beside it.
    let nearly = START + LEASE - 1;
    assert_eq!(try_begin(store, false, nearly).await, None);
    assert_eq!(try_begin(store, true, nearly).await, None);
}

pub(super) async fn a_look_cut_short_is_gone_on_with_where_it_was(store: &Arc<dyn Store>) {
    let mut first = begin(store, START).await;
    first.position = Some("auth0|1".to_owned());
    (first.total, first.checked, first.drifted) = (9, 1, 1);
    let found = [drift("auth0|1", DriftKind::Missing, &first)];
    // The lease begins anew with every step.
    find(store, &first, &found, START + LEASE).await;
    let nearly = START + 2 * LEASE - 1;
    assert_eq!(try_begin(store, false, nearly).await, None);

    let second = begin(store, START + 2 * LEASE).await;
    assert_ne!(second.lease, first.lease);
    let same = Look {
        lease: first.lease.clone(),
        ..second.clone()
    };
    assert_eq!(same, first, "its place, its counts and when it began");
    assert_eq!(subjects(store).await, ["auth0|1"]);
    everything_is_refused(store, &first, START + 2 * LEASE).await;
    find(store, &second, &[], START + 2 * LEASE).await;
    let ended = store.end_look(&second, START + 2 * LEASE).await;
    ended.expect("the second has it");
    assert_eq!(subjects(store).await, ["auth0|1"], "one look found it");
}

pub(super) async fn a_look_that_was_left_is_gone_on_with_at_once(store: &Arc<dyn Store>) {
    let mut look = begin(store, START).await;
    look.position = Some("auth0|1".to_owned());
    find(store, &look, &[], START).await;
    store.leave_look(&look).await.expect("it is left");
    let left = store.last_look().await.expect("an answer");
    let left = left.expect("it is there");
    assert_eq!((left.ended_at, left.lease.as_str()), (None, ""));
    everything_is_refused(store, &look, START).await;
    // What was read has no right to write either.
    everything_is_refused(store, &left, START).await;
    let again = begin(store, START).await;
    assert_eq!((again.id, again.position), (look.id, look.position));
}

pub(super) async fn a_look_whose_lease_ran_out_and_nobody_took_goes_on(store: &Arc<dyn Store>) {
    let look = begin(store, START).await;
    find(store, &look, &[], START + 10 * LEASE).await;
    let late = START + 11 * LEASE - 1;
    assert_eq!(try_begin(store, false, late).await, None);
    store.end_look(&look, late).await.expect("it ends");
}

pub(super) async fn a_restart_gives_a_look_cut_short_up_and_begins_anew(store: &Arc<dyn Store>) {
    let mut first = begin(store, START).await;
    first.position = Some("auth0|7".to_owned());
    first.checked = 7;
    let found = [
        drift("auth0|1", DriftKind::Missing, &first),
        drift("auth0|2", DriftKind::Missing, &first),
    ];
    find(store, &first, &found, START).await;
    let now = START + LEASE;
    let second = try_begin(store, true, now).await.expect("a new one");
    assert!(second.id > first.id);
    assert_eq!((second.position.as_deref(), second.checked), (None, 0));
    everything_is_refused(store, &first, now).await;
    let known = subjects(store).await;
    assert_eq!(known, ["auth0|1", "auth0|2"], "until it is looked at again");

    let found = [drift("auth0|2", DriftKind::Missing, &second)];
    find(store, &second, &found, now).await;
    store.end_look(&second, now).await.expect("it ends");
    assert_eq!(subjects(store).await, ["auth0|2"]);
    // With nothing cut short it is as without.
    let third = try_begin(store, true, now).await.expect("a new one");
    assert!(third.id > second.id);
}

pub(super) async fn the_end_of_a_look_drops_what_it_did_not_find_again(store: &Arc<dyn Store>) {
    let first = begin(store, START).await;
    let found = ["auth0|1", "auth0|2", "auth0|3"];
    let found = found.map(|user| drift(user, DriftKind::Extra, &first));
    find(store, &first, &found, START).await;
    store.end_look(&first, START).await.expect("it ends");
    assert_eq!(subjects(store).await.len(), 3);

    let second = begin(store, START + 1).await;
    let again = [drift("auth0|2", DriftKind::Extra, &second)];
    find(store, &second, &again, START + 1).await;
    assert_eq!(subjects(store).await.len(), 3, "the old stays until then");
    store.end_look(&second, START + 1).await.expect("it ends");
    assert_eq!(subjects(store).await, ["auth0|2"]);
    assert_eq!(store.drift(1).await.expect("drift"), again);
}

pub(super) async fn mended_drift_is_gone_and_counted_no_more(store: &Arc<dyn Store>) {
    let look = begin(store, START).await;
    let found = [
        drift("auth0|1", DriftKind::Missing, &look),
        drift("auth0|2", DriftKind::Extra, &look),
        drift("auth0|3", DriftKind::Extra, &look),
        unmatched("cus_1", &look),
    ];
    find(store, &look, &found, START).await;
    let counted = async || store.totals().await.expect("totals").drift;
    let all = [
        (DriftKind::Extra, 2),
        (DriftKind::Missing, 1),
        (DriftKind::Unmatched, 1),
    ];
    assert_eq!(counted().await, all);
    for subject in ["auth0|1", "auth0|2", "auth0|nobody"] {
        store.mended(subject).await.expect("it is gone");
    }
    assert_eq!(subjects(store).await, ["auth0|3", "cus_1"]);
    let rest = [(DriftKind::Extra, 1), (DriftKind::Unmatched, 1)];
    assert_eq!(counted().await, rest);
}

pub(super) async fn a_subject_found_twice_at_once_is_as_found_last(store: &Arc<dyn Store>) {
    let look = begin(store, START).await;
    let found = [DriftKind::Missing, DriftKind::Other];
    let found = found.map(|kind| drift("auth0|1", kind, &look));
    let cleared = ["auth0|1".to_owned()];
    let written = store.look_on(&look, &found, &cleared, START, LEASE).await;
    written.expect("the lease holds");
    assert_eq!(store.drift(9).await.expect("drift"), found[1..]);
}

pub(super) async fn what_was_found_of_a_user_before_a_job_was_done_is_left_out(
    store: &Arc<dyn Store>,
) {
    let look = begin(store, START).await;
    let user = "auth0|1";
    let mut found = drift(user, DriftKind::Missing, &look);
    let row = entitle(store, user, None).await;
    find(store, &look, std::slice::from_ref(&found), START).await;
    assert!(subjects(store).await.is_empty(), "there was no row before");

    found.sequence = Some(row.sequence);
    find(store, &look, std::slice::from_ref(&found), START).await;
    assert_eq!(subjects(store).await, [user], "nothing has happened since");
    store.mended(user).await.expect("it is gone");
    entitle(store, user, None).await;
    let other = drift("auth0|2", DriftKind::Missing, &look);
    find(
        store,
        &look,
        &[found, other, unmatched("cus_1", &look)],
        START,
    )
    .await;
    assert_eq!(subjects(store).await, ["auth0|2", "cus_1"]);
}

pub(super) async fn what_strangers_wrote_into_a_reason_is_kept_without_nul(store: &Arc<dyn Store>) {
    let look = begin(store, START).await;
    let found = Drift {
        why: "it said \0 to us".to_owned(),
        ..drift("auth0|1", DriftKind::Extra, &look)
    };
    find(store, &look, &[found], START).await;
    let known = store.drift(9).await.expect("drift");
    assert_eq!(known[0].why, "it said \u{fffd} to us");
}
