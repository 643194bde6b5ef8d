//! What was done to users.

use std::sync::Arc;

use tollgate::store::{Action, Cause, RoleChange, Store};

use super::START;

fn line(user: &str, action: Action, subject: &str) -> RoleChange {
    RoleChange {
        user: user.to_owned(),
        action,
        subject: subject.to_owned(),
        plan: Some("monthly".to_owned()),
        cause: Cause {
            why: "invoice.paid".to_owned(),
            event: Some("evt_1".to_owned()),
        },
        at: START,
        error: None,
    }
}

pub(super) async fn the_audit_keeps_every_line_the_newest_first(store: &Arc<dyn Store>) {
    let added = line("auth0|1", Action::Assign, "premium-monthly");
    let mut removed = line("auth0|1", Action::Remove, "free-user");
    removed.error = Some("Auth0 is away".to_owned());
    removed.plan = None;
    let ended = line("auth0|1", Action::EndSubscription, "sub_1");
    let other = line("auth0|2", Action::Assign, "premium-monthly");
    // The same line twice is two lines.
    for change in [&added, &removed, &other, &ended, &ended] {
        store.audit(change).await.expect("kept");
    }
    let lines = store.role_changes("auth0|1", 10).await.expect("lines");
    assert_eq!(lines, [ended.clone(), ended.clone(), removed, added]);
    let newest = store.role_changes("auth0|1", 1).await.expect("lines");
    assert_eq!(newest, [ended]);
}
