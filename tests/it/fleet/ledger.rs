//! What the ledger and Auth0 must say in the end.

use std::sync::Arc;

use http::Method;
use tokio::time::timeout;
use tollgate::store::{Action, EventState, Postgres, RoleChange, Store};

use super::{Fleet, LOOK};
use crate::support::auth0::Auth0;
use crate::support::raw::DEADLINE;

/// Lines of one user's audit; more than any story writes.
const LINES: u32 = 10_000;

pub(super) async fn open(fleet: &Fleet) -> Arc<dyn Store> {
    let opened = Postgres::open_existing(&fleet.database.url).await;
    Arc::new(opened.expect("the ledger"))
}

/// Waits until every event that was acknowledged is dealt with, and no job is left; none was given up.
pub(super) async fn until_all_is_done(fleet: &Fleet, ledger: &dyn Store) {
    let mut look = tokio::time::interval(LOOK);
    let done = timeout(DEADLINE, async {
        loop {
            let totals = ledger.totals().await.expect("totals");
            if totals.queued + totals.running == 0 {
                return totals.dead;
            }
            look.tick().await;
        }
    });
    assert_eq!(
        done.await.expect("all jobs are done in time"),
        0,
        "dead jobs"
    );
    for id in fleet.shop.stripe.acknowledged() {
        let event = ledger.event(&id).await.expect("the ledger");
        let event = event.unwrap_or_else(|| unreachable!("{id} was acknowledged and is lost"));
        let done = [EventState::Processed, EventState::Ignored];
        assert!(done.contains(&event.state), "{id} is {:?}", event.state);
    }
}

/// No role was given twice without having been taken away in between, nor taken away twice, and no subscription was
/// ended twice.
///
/// A call may arrive whose worker did not live, or was too late, to write it down. For each such call the next worker may
/// make it once more, where its reading came too early to show it, and a later one undo it: all to no harm.
pub(super) async fn assert_nothing_done_twice(fleet: &Fleet, ledger: &dyn Store, user: &str) {
    let audit = ledger.role_changes(user, LINES).await.expect("the audit");
    for role in ["free-user", "premium-monthly", "premium-lifetime"] {
        let calls = calls(&fleet.shop.auth0, user, &fleet.shop.auth0.role_id(role));
        let again = calls.windows(2).filter(|pair| pair[0] == pair[1]).count();
        let changes = [Action::Assign, Action::Remove];
        let is_noted = |line: &&RoleChange| changes.iter().any(|done| is_done(line, *done, role));
        let cut_off = calls.len() - audit.iter().filter(is_noted).count();
        assert!(
            again <= 2 * cut_off,
            "{user}: {role}, {again} times again, {cut_off} cut off: {calls:?} {audit:#?}"
        );
    }
    let mut ended: Vec<&str> = audit
        .iter()
        .filter(|line| is_done(line, Action::EndSubscription, &line.subject))
        .map(|line| line.subject.as_str())
        .collect();
    let count = ended.len();
    ended.sort_unstable();
    ended.dedup();
    assert_eq!(ended.len(), count, "{user}: ended twice: {audit:#?}");
}

fn is_done(line: &RoleChange, action: Action, subject: &str) -> bool {
    line.action == action && line.subject == subject && line.error.is_none()
}

/// The calls that gave the user this role or took it away, in the order of their arrival.
fn calls(auth0: &Auth0, user: &str, role: &str) -> Vec<Method> {
    let path = format!("/api/v2/users/{}/roles", user.replace('|', "%7C"));
    let seen = auth0.seen().into_iter();
    let of_role = seen.filter(|seen| {
        let mut named = seen.body["roles"].as_array().into_iter().flatten();
        seen.path == path && named.any(|id| *id == *role)
    });
    of_role.map(|seen| seen.method).collect()
}

/// No replica has told of anything but what was done to it.
pub(super) fn assert_logs_are_calm(fleet: &Fleet) {
    for gate in fleet.replicas() {
        let text = gate.log.text();
        assert!(!text.contains("panicked"), "{text}");
        for event in gate.log.events() {
            // While the database is away: told once by each part that uses it.
            let told = event["message"].as_str().unwrap_or_default();
            let is_expected = event["level"] != "ERROR" || told.contains("ledger");
            assert!(is_expected, "{event}");
        }
    }
}
