//! Bringing the roles in Auth0 in line with the plan. Only roles that some plan names are ever added or taken away;
//! added first, so that no failure in the middle takes away what was paid for.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::failure::Failure;
use super::{Job, Sync};
use crate::auth0::{self, Role};
use crate::entitlement::{Catalog, Plan};
use crate::reply::timestamp;
use crate::store::{Action, Entitlement, RoleChange, UnixMillis};

/// A reading of a user's roles may be so late that it does not show our own last change. Generous: what it costs is a
/// call that changes nothing.
pub(super) const LATE_MS: i64 = 120_000;
/// Lines of the audit that can be so young.
const YOUNG: u32 = 50;

/// What is to be done to a user's roles.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::sync) struct Difference {
    /// The role that is missing, or may be.
    pub(in crate::sync) add: Option<String>,
    /// Managed roles that are not the plan's.
    pub(in crate::sync) remove: Vec<String>,
}

/// How a user's roles were left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aligned {
    /// As Stripe says.
    InLine,
    /// As they were: somebody who never bought anything holds what is sold.
    LeftAlone,
}

impl Difference {
    /// `lately` is what was done to the user in the last minutes, the newest first. Where it and the reading disagree,
    /// both may be right: to add or to remove twice does no harm.
    pub(in crate::sync) fn between(
        held: &[Role],
        target: Option<&str>,
        lately: &[RoleChange],
        catalog: &Catalog,
    ) -> Self {
        let is_held = |name: &str| held.iter().any(|role| role.name == name);
        let last = |name: &str| {
            let mut lines = lately.iter().filter(|line| line.subject == name);
            lines.find_map(|line| match line.action {
                Action::Assign | Action::Remove => Some(line.action),
                Action::EndSubscription => None,
            })
        };
        let add = target.filter(|name| !is_held(name) || last(name) == Some(Action::Remove));
        let mut remove: Vec<String> = Vec::new();
        for plan in catalog.plans() {
            let role = plan.role.as_str();
            let may_be_held = is_held(role) || last(role) == Some(Action::Assign);
            if Some(role) != target && may_be_held && !remove.iter().any(|name| name == role) {
                remove.push(role.to_owned());
            }
        }
        Self {
            add: add.map(str::to_owned),
            remove,
        }
    }

    pub(in crate::sync) fn is_none(&self) -> bool {
        self.add.is_none() && self.remove.is_empty()
    }

    /// The names of the user's roles once it is done, sorted.
    fn applied(&self, held: &[Role]) -> Vec<String> {
        let is_kept =
            |name: &&String| !self.remove.contains(*name) && self.add.as_ref() != Some(*name);
        let kept = held.iter().map(|role| &role.name).filter(is_kept);
        let mut roles: Vec<String> = kept.chain(&self.add).cloned().collect();
        roles.sort();
        roles
    }

    /// Whether a role goes that was bought.
    pub(in crate::sync) fn takes_what_is_sold(&self, catalog: &Catalog) -> bool {
        let mut plans = self
            .remove
            .iter()
            .filter_map(|role| catalog.plan_of_role(role));
        plans.any(|plan| plan.sale.is_some())
    }
}

/// Whose roles are changed, and why: what every line of the audit says.
struct Change<'a> {
    job: &'a Job,
    user: &'a str,
    plan: Option<&'a Plan>,
}

impl Sync {
    /// Makes Auth0 say what `row` says, and writes down that it does.
    ///
    /// Of a user who never bought anything, as far as Stripe and the ledger know, a bought plan's role is left alone and
    /// told of: it was given by hand, or paid for under a customer that nobody has linked yet. It is taken away
    /// (`may_take`) from customers, and where the operator asked for it.
    pub(super) async fn align(
        &self,
        job: &Job,
        user: &str,
        (row, may_take): (&Entitlement, bool),
        catalog: &Catalog,
    ) -> Result<Aligned, Failure> {
        let (store, auth0) = (&self.parts.store, &self.parts.auth0);
        let plan = row
            .derived
            .plan
            .as_deref()
            .and_then(|name| catalog.plan(name));
        let target = plan.map(|plan| plan.role.as_str());
        let held = auth0.roles_of(user).await?;
        let lately = self.lately(user).await?;
        let mut difference = Difference::between(&held, target, &lately, catalog);
        let mut aligned = Aligned::InLine;
        if !may_take && difference.takes_what_is_sold(catalog) {
            let roles = difference.remove.join(", ");
            self.notices.unaccounted(user, &roles, &self.parts.metrics);
            difference = Difference::default();
            aligned = Aligned::LeftAlone;
        }
        let is_unconfirmed = row.changed_at.is_some() && row.confirmed_at.is_none();
        // While the roles are wrong, no token is to be believed that was made of them.
        let begins = !difference.is_none() && !is_unconfirmed;
        let mut names: Vec<String> = held.iter().map(|role| role.name.clone()).collect();
        names.sort();
        if begins || row.roles.as_ref() != Some(&names) {
            // Before anything can fail: what the user's other roles give must stay whatever becomes of the change.
            store.roles_read(job, &names, begins, self.now()).await?;
        }
        let change = Change { job, user, plan };
        self.change_roles(&change, &difference, &held, catalog)
            .await?;

        let known = row.metadata.as_deref().unwrap_or_default();
        let wanted = metadata(row, target).to_string();
        let never_paid =
            !row.derived.paid && known.is_empty() && !difference.takes_what_is_sold(catalog);
        let is_written = never_paid || (known == wanted && difference.is_none());
        let patched = if is_written {
            Ok(())
        } else {
            job.must_be_in_time()?;
            auth0.patch_app_metadata(user, &metadata(row, target)).await
        };
        // The roles are right, whatever became of the metadata.
        let now_known = match &patched {
            Ok(()) if !never_paid => &wanted,
            Ok(()) | Err(_) => known,
        };
        let roles = difference.applied(&held);
        store.confirmed(job, &roles, now_known, self.now()).await?;
        patched?;
        Ok(aligned)
    }

    /// Adds, then removes.
    async fn change_roles(
        &self,
        change: &Change<'_>,
        difference: &Difference,
        held: &[Role],
        catalog: &Catalog,
    ) -> Result<(), Failure> {
        let added = match &difference.add {
            Some(name) => self.add(change, name).await?,
            None => Ok(()),
        };
        if let Err(error) = &added {
            // What was paid for must not go before the new role is there. What nobody paid for holds nothing back:
            // a tenant that lacks the free plan's role must not keep a premium one.
            let is_paid = change.plan.is_some_and(|plan| plan.sale.is_some());
            if is_paid || error.is_retryable() {
                return Ok(added?);
            }
        }
        for name in &difference.remove {
            let known = held.iter().find(|role| role.name == *name);
            change.job.must_be_in_time()?;
            let done = self.remove(change.user, name, known).await;
            let plan = catalog.plan_of_role(name);
            self.note(change, Action::Remove, (name, plan), &done)
                .await?;
            done?;
        }
        Ok(added?)
    }

    /// Adds a role. The outer failure is the ledger's.
    async fn add(
        &self,
        change: &Change<'_>,
        name: &str,
    ) -> Result<Result<(), auth0::Error>, Failure> {
        let auth0 = &self.parts.auth0;
        let done = match auth0.role(name).await {
            Ok(role) => {
                change.job.must_be_in_time()?;
                auth0.add_role(change.user, &role).await
            }
            Err(error) => Err(error),
        };
        if let (Ok(()), Some(plan)) = (&done, change.plan.filter(|plan| plan.sale.is_some())) {
            tracing::info!(
                user.id = change.user,
                plan = plan.name,
                role = name,
                why = change.job.cause.why,
                event.id = change.job.cause.event,
                "Premium role assigned to user {} (plan: {})",
                change.user,
                plan.name
            );
        }
        self.note(change, Action::Assign, (name, change.plan), &done)
            .await?;
        Ok(done)
    }

    /// Takes a role away. One that the tenant does not have is held by nobody.
    async fn remove(
        &self,
        user: &str,
        name: &str,
        known: Option<&Role>,
    ) -> Result<(), auth0::Error> {
        let auth0 = &self.parts.auth0;
        let role = match known {
            Some(role) => role.clone(),
            None => match auth0.role(name).await {
                Ok(role) => role,
                Err(error) if matches!(error.kind, auth0::Kind::NoRole(_)) => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        auth0.remove_role(user, &role).await
    }

    /// What was done to the user so lately that a reading may not show it, and what failed last and may have been done.
    async fn lately(&self, user: &str) -> Result<Vec<RoleChange>, Failure> {
        let lines = self.parts.store.role_changes(user, YOUNG).await?;
        Ok(in_doubt(lines, self.now().saturating_sub(LATE_MS)))
    }

    /// Counts a change and adds it to the audit, done or not.
    async fn note(
        &self,
        change: &Change<'_>,
        action: Action,
        (role, of): (&str, Option<&Plan>),
        done: &Result<(), auth0::Error>,
    ) -> Result<(), Failure> {
        let word = match action {
            Action::Assign => "assign",
            Action::Remove => "remove",
            Action::EndSubscription => "end",
        };
        let result = if done.is_ok() { "ok" } else { "error" };
        let plan = of.map_or("none", |plan| plan.name.as_str());
        self.parts.metrics.billing.role_change(plan, word, result);
        let line = RoleChange {
            user: change.user.to_owned(),
            action,
            subject: role.to_owned(),
            plan: change.plan.map(|plan| plan.name.clone()),
            cause: change.job.cause.clone(),
            at: self.now(),
            error: done.as_ref().err().map(ToString::to_string),
        };
        if line.error.is_some() {
            let before = self.parts.store.role_changes(change.user, YOUNG).await?;
            if says_the_same(&before, &line) {
                // However long it fails: the audit is not to grow with every try.
                return Ok(());
            }
        }
        Ok(self.parts.store.audit(&line).await?)
    }
}

/// Of `lines`, the newest first, those since `since`, and of each role the last one where it failed: another try that
/// failed in the same way has no line of its own.
fn in_doubt(mut lines: Vec<RoleChange>, since: UnixMillis) -> Vec<RoleChange> {
    let mut seen = HashSet::new();
    lines.retain(|line| {
        let is_last = is_of_roles(line) && seen.insert(line.subject.clone());
        line.at >= since || (is_last && line.error.is_some())
    });
    lines
}

/// Whether the last of `lines`, the newest first, that was done to the role failed in the same way as `line`.
fn says_the_same(lines: &[RoleChange], line: &RoleChange) -> bool {
    let mut of_role = lines
        .iter()
        .filter(|old| is_of_roles(old) && old.subject == line.subject);
    of_role
        .next()
        .is_some_and(|old| old.action == line.action && old.error == line.error)
}

fn is_of_roles(line: &RoleChange) -> bool {
    match line.action {
        Action::Assign | Action::Remove => true,
        Action::EndSubscription => false,
    }
}

/// Whether a change of the user's began, and Auth0 may not have it yet.
pub(super) fn is_unconfirmed(row: &Entitlement) -> bool {
    row.changed_at.is_some() && row.confirmed_at.is_none()
}

/// What `app_metadata` says of a plan.
fn metadata(row: &Entitlement, role: Option<&str>) -> Value {
    let derived = &row.derived;
    let since = row.activated_at.filter(|_| derived.paid);
    json!({
        "premium_status": if derived.paid { "active" } else { "inactive" },
        "plan_type": derived.plan.as_deref().unwrap_or("free"),
        "premium_activated_at": since.map(|millis| timestamp(millis.div_euclid(1000))),
        "subscription_source": derived.paid.then_some("stripe"),
        "role_assigned": role,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::{Mode, Sale};
    use crate::store::Derived;

    fn catalog() -> Catalog {
        let plan = |name: &str, sold: bool| Plan {
            name: name.to_owned(),
            role: format!("role-{name}"),
            permissions: Vec::new(),
            sale: sold.then(|| Sale {
                mode: Mode::Payment,
                prices: Vec::new(),
            }),
            replaces: Vec::new(),
        };
        let plans = vec![
            plan("free", false),
            plan("monthly", true),
            plan("lifetime", true),
        ];
        Catalog::new(plans, Vec::new())
    }

    fn roles(names: &[&str]) -> Vec<Role> {
        let role = |name: &&str| Role {
            id: format!("id-{name}"),
            name: (*name).to_owned(),
        };
        names.iter().map(role).collect()
    }

    #[test]
    fn one_role_of_the_plans_is_left_and_no_other_is_touched() {
        for (held, target, add, remove) in [
            (&[][..], Some("role-free"), Some("role-free"), &[][..]),
            (&["role-free"], Some("role-free"), None, &[]),
            (
                &["admin", "role-free"],
                Some("role-monthly"),
                Some("role-monthly"),
                &["role-free"],
            ),
            (
                &["role-lifetime", "admin", "role-monthly"],
                Some("role-lifetime"),
                None,
                &["role-monthly"],
            ),
            (&["role-monthly", "admin"], None, None, &["role-monthly"]),
        ] {
            let held = roles(held);
            let difference = Difference::between(&held, target, &[], &catalog());
            let expected = Difference {
                add: add.map(str::to_owned),
                remove: remove.iter().map(ToString::to_string).collect(),
            };
            assert_eq!(difference, expected);
            let after = difference.applied(&held);
            let managed = after.iter().map(String::as_str);
            assert!(managed.filter(|role| role.starts_with("role-")).eq(target));
            let has_admin = held.iter().any(|role| role.name == "admin");
            assert_eq!(after.contains(&"admin".to_owned()), has_admin);
        }
    }

    #[test]
    fn a_reading_that_is_late_does_not_hide_what_was_done() {
        use Action::{Assign, EndSubscription, Remove};
        let lines = |lines: &[(Action, &str, bool)]| {
            let line = |(action, subject, failed): &(Action, &str, bool)| RoleChange {
                user: "ann".to_owned(),
                action: *action,
                subject: (*subject).to_owned(),
                plan: None,
                cause: crate::store::Cause::default(),
                at: 0,
                error: failed.then(String::new),
            };
            lines.iter().map(line).collect::<Vec<_>>()
        };
        for (held, target, lately, add, remove) in [
            // Given a moment ago, and the reading is from before.
            (
                "role-free",
                "role-free",
                lines(&[(Assign, "role-monthly", false)]),
                None,
                vec!["role-monthly"],
            ),
            // The answer was lost; it may be there.
            (
                "role-free",
                "role-free",
                lines(&[(Assign, "role-monthly", true)]),
                None,
                vec!["role-monthly"],
            ),
            // Taken away a moment ago.
            (
                "role-monthly",
                "role-monthly",
                lines(&[(Remove, "role-monthly", false)]),
                Some("role-monthly"),
                vec![],
            ),
            // Only the last thing done to a role counts.
            (
                "role-free",
                "role-free",
                lines(&[
                    (Remove, "role-monthly", false),
                    (Assign, "role-monthly", false),
                ]),
                None,
                vec![],
            ),
            (
                "role-free",
                "role-free",
                lines(&[
                    (EndSubscription, "role-monthly", false),
                    (Assign, "admin", false),
                ]),
                None,
                vec![],
            ),
        ] {
            let difference =
                Difference::between(&roles(&[held]), Some(target), &lately, &catalog());
            let expected = Difference {
                add: add.map(str::to_owned),
                remove: remove.into_iter().map(str::to_owned).collect(),
            };
            assert_eq!(difference, expected, "{lately:?}");
            assert_eq!(difference.applied(&roles(&[held])), [target]);
        }
    }

    fn line(action: Action, subject: &str, at: UnixMillis, error: Option<&str>) -> RoleChange {
        RoleChange {
            user: "ann".to_owned(),
            action,
            subject: subject.to_owned(),
            plan: None,
            cause: crate::store::Cause::default(),
            at,
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn a_try_that_failed_last_stays_in_doubt_however_old_it_is() {
        use Action::{Assign, EndSubscription, Remove};
        let young = line(Assign, "a", 100, None);
        let failed = line(Assign, "b", 50, Some("x"));
        let lines = vec![
            young.clone(),
            line(EndSubscription, "b", 60, None),
            failed.clone(),
            line(Remove, "b", 40, Some("x")),
            line(Remove, "c", 30, None),
            line(Assign, "c", 20, Some("x")),
        ];
        assert_eq!(in_doubt(lines, 100), [young, failed]);
    }

    #[test]
    fn a_try_says_the_same_when_the_last_thing_done_to_the_role_failed_alike() {
        use Action::{Assign, EndSubscription, Remove};
        let this = line(Assign, "a", 9, Some("x"));
        for (before, expected) in [
            (vec![], false),
            (vec![line(Assign, "a", 1, Some("x"))], true),
            (vec![line(Assign, "a", 1, Some("y"))], false),
            (vec![line(Assign, "a", 1, None)], false),
            (vec![line(Remove, "a", 1, Some("x"))], false),
            (
                vec![
                    line(Assign, "b", 3, None),
                    line(EndSubscription, "a", 2, None),
                    line(Assign, "a", 1, Some("x")),
                ],
                true,
            ),
            (
                vec![
                    line(Remove, "a", 2, Some("x")),
                    line(Assign, "a", 1, Some("x")),
                ],
                false,
            ),
        ] {
            assert_eq!(says_the_same(&before, &this), expected, "{before:?}");
        }
    }

    #[test]
    fn app_metadata_says_what_the_old_backend_said() {
        let mut row = Entitlement {
            derived: Derived {
                plan: Some("lifetime".to_owned()),
                paid: true,
                ..Derived::default()
            },
            activated_at: Some(1_700_000_000_999),
            ..Entitlement::default()
        };
        let paid = json!({
            "premium_status": "active", "plan_type": "lifetime", "premium_activated_at": "2023-11-14T22:13:20Z",
            "subscription_source": "stripe", "role_assigned": "role-lifetime",
        });
        assert_eq!(metadata(&row, Some("role-lifetime")), paid);
        row.derived = Derived {
            plan: None,
            ..Derived::default()
        };
        let nothing = json!({
            "premium_status": "inactive", "plan_type": "free", "premium_activated_at": null,
            "subscription_source": null, "role_assigned": null,
        });
        assert_eq!(metadata(&row, None), nothing);
    }
}
