//! What a user's status is, out of the ledger's row and the roles that Auth0 names. Pure.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::entitlement::{Catalog, Plan};
use crate::policy::Permissions;
use crate::reply::timestamp;
use crate::store::{Derived, Entitlement, UnixMillis};

/// What makes a role an admin's, whatever its name.
const ADMIN_PERMISSION: &str = "access:admin-panel";
/// What makes a role an admin's, whatever it may do.
const ADMIN_ROLE: &str = "admin";
/// What a plan that everybody has is called where the config names none.
const FREE: &str = "free";

/// What is known of a user.
pub(super) struct Reading<'a> {
    /// The ledger's row.
    pub(super) row: Option<&'a Entitlement>,
    /// The roles that Auth0 names; `None` when it is away.
    pub(super) roles: Option<&'a [String]>,
    /// The ledger could not be asked, so that what it knows is seen in the permissions alone.
    pub(super) is_blind: bool,
    /// What the user may do by the token, and by what the ledger knows.
    pub(super) permissions: &'a Permissions,
    pub(super) catalog: &'a Catalog,
    pub(super) now: UnixMillis,
    /// For so long after a change the ledger alone decides.
    pub(super) decisive: UnixMillis,
}

/// `premium_status` of the answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
pub(super) struct Status {
    premium_status: &'static str,
    plan_type: String,
    roles: Vec<String>,
    permissions: Vec<String>,
    premium_activated_at: Option<String>,
    subscription_source: Option<&'static str>,
    role_assigned: Option<String>,
    status: Option<String>,
    cancel_at_period_end: Option<bool>,
    current_period_end: Option<String>,
    /// It may be another one already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) stale: bool,
}

/// What a user is called.
enum Standing<'a> {
    Paid(&'a Plan),
    /// With the name of the role.
    Admin(String),
    Free,
}

impl<'a> Reading<'a> {
    /// The status.
    pub(super) fn status(&self) -> Status {
        let roles = self.shown_roles();
        let standing = self.standing(&roles);
        let (plan_type, role_assigned) = match &standing {
            Standing::Paid(plan) => (plan.name.clone(), Some(plan.role.clone())),
            Standing::Admin(role) => (ADMIN_ROLE.to_owned(), Some(role.clone())),
            Standing::Free => {
                let base = self.catalog.base();
                (base.map_or(FREE.to_owned(), |plan| plan.name.clone()), None)
            }
        };
        // A plan that the ledger does not know of says nothing about when and how it came.
        let row = self.row.filter(|row| match standing {
            Standing::Paid(plan) => row.derived.paid && is_named(plan, row),
            Standing::Admin(_) | Standing::Free => false,
        });
        let derived = row.map(|row| &row.derived);
        let subscription = derived.filter(|derived| derived.status.is_some());
        Status {
            premium_status: match standing {
                Standing::Paid(_) | Standing::Admin(_) => "active",
                Standing::Free => "inactive",
            },
            plan_type,
            permissions: self.permissions(&roles),
            roles,
            premium_activated_at: row.and_then(|row| row.activated_at).map(iso),
            subscription_source: row.map(|_| "stripe"),
            role_assigned,
            status: subscription.and_then(|derived| derived.status.clone()),
            cancel_at_period_end: subscription.map(|derived| derived.ends.unwrap_or_default()),
            current_period_end: subscription
                .and_then(|derived| derived.period_end)
                .map(timestamp),
            stale: self.roles.is_none() || self.is_blind,
        }
    }

    /// The bought plan that the user holds; without Auth0, by the ledger alone.
    pub(super) fn held(&self) -> Option<&'a Plan> {
        match self.standing(self.roles.unwrap_or_default()) {
            Standing::Paid(plan) => Some(plan),
            Standing::Admin(_) | Standing::Free => None,
        }
    }

    fn standing(&self, roles: &[String]) -> Standing<'a> {
        let by_ledger = self.ledger_plan().filter(|plan| is_bought(plan));
        let plan = if self.is_decisive() {
            by_ledger
        } else {
            let held = roles
                .iter()
                .filter_map(|role| self.catalog.plan_of_role(role));
            let bought = held.filter(|plan| is_bought(plan)).chain(by_ledger);
            bought.max_by_key(|plan| self.catalog.rank(&plan.name))
        };
        let admin = || roles.iter().find(|role| self.is_admin(role));
        match (plan, plan.map_or_else(admin, |_| None)) {
            (Some(plan), _) => Standing::Paid(plan),
            (None, Some(role)) => Standing::Admin(role.clone()),
            (None, None) => Standing::Free,
        }
    }

    /// The plan that the ledger gives the user.
    fn ledger_plan(&self) -> Option<&'a Plan> {
        self.catalog.plan(self.row?.derived.plan.as_deref()?)
    }

    /// Whether Auth0 may not have the role yet.
    fn is_unconfirmed(&self) -> bool {
        self.row
            .is_some_and(|row| row.changed_at.is_some() && row.confirmed_at.is_none())
    }

    /// Whether the ledger's word outweighs what the roles say.
    pub(super) fn is_decisive(&self) -> bool {
        let changed_at = self.row.and_then(|row| row.changed_at);
        let is_young =
            changed_at.is_some_and(|changed| self.now.saturating_sub(changed) < self.decisive);
        is_young || self.is_unconfirmed()
    }

    /// The roles, with those of the plans as the ledger has them where Auth0 may be behind, or away.
    fn shown_roles(&self) -> Vec<String> {
        let remembered = || self.row.and_then(|row| row.roles.as_deref());
        let Some(read) = self.roles.or_else(remembered) else {
            return self.guessed_roles();
        };
        if self.is_blind {
            return match self.told_above(read) {
                Some(plan) => self.with_plan(read, Some(plan)),
                None => read.to_vec(),
            };
        }
        if self.roles.is_some() && !self.is_unconfirmed() {
            return read.to_vec();
        }
        self.with_plan(read, self.ledger_plan())
    }

    /// The roles, with that of this plan in place of those of all plans.
    fn with_plan(&self, roles: &[String], plan: Option<&Plan>) -> Vec<String> {
        let is_managed = |role: &&String| self.catalog.plan_of_role(role).is_some();
        let others = roles.iter().filter(|role| !is_managed(role)).cloned();
        others.chain(plan.map(|plan| plan.role.clone())).collect()
    }

    /// A bought plan above those of the roles, which the user can do more by than the roles explain: Auth0 may not have
    /// its role yet, and the ledger, which counts at the gate still, cannot say so.
    fn told_above(&self, roles: &[String]) -> Option<&'a Plan> {
        let held = roles
            .iter()
            .filter_map(|role| self.catalog.plan_of_role(role));
        let held = held.filter_map(|plan| self.catalog.rank(&plan.name)).max();
        let base = self.catalog.base();
        let explained = roles
            .iter()
            .flat_map(|role| self.catalog.permissions_of(role))
            .chain(base.into_iter().flat_map(|plan| &plan.permissions));
        let explained: BTreeSet<&String> = explained.collect();
        let told = self.told_plan(|held| explained.contains(held));
        told.filter(|plan| self.catalog.rank(&plan.name) > held)
    }

    /// The bought plan that what the user can do tells of, apart from what is explained without it.
    fn told_plan(&self, is_explained: impl Fn(&String) -> bool) -> Option<&'a Plan> {
        let is_told = |plan: &&Plan| {
            is_bought(plan)
                && self.holds_all(&plan.permissions)
                && !plan.permissions.iter().all(&is_explained)
        };
        let told = self.catalog.plans().iter().filter(is_told);
        told.reduce(|best, next| {
            let is_more = next.permissions.len() > best.permissions.len();
            if is_more { next } else { best }
        })
    }

    fn holds_all(&self, permissions: &[String]) -> bool {
        let mut permissions = permissions.iter();
        permissions.all(|name| self.permissions.contains(name))
    }

    /// The roles of a user whom neither Auth0 nor the ledger can tell of now: the ledger's plan, else what the token can
    /// do says. Somebody who has paid must not be told otherwise because Auth0 is away.
    fn guessed_roles(&self) -> Vec<String> {
        let admin = self.catalog.roles().iter().find(|role| {
            let is_plans = self.catalog.plan_of_role(&role.name).is_some();
            !is_plans && self.is_admin(&role.name) && self.holds_all(&role.permissions)
        });
        let base = self.catalog.base();
        let is_basic = |held: &String| base.is_some_and(|base| base.permissions.contains(held));
        let told = self.told_plan(is_basic);
        let decided = self
            .ledger_plan()
            .filter(|plan| is_bought(plan) || self.is_decisive());
        let plan = decided.or(told.filter(|_| admin.is_none())).or(base);
        let role = match (decided, admin) {
            (None, Some(admin)) => Some(&admin.name),
            (Some(_), _) | (None, None) => plan.map(|plan| &plan.role),
        };
        role.cloned().into_iter().collect()
    }

    fn permissions(&self, roles: &[String]) -> Vec<String> {
        let all = roles
            .iter()
            .flat_map(|role| self.catalog.permissions_of(role));
        let mut sorted: BTreeSet<&str> = all.map(String::as_str).collect();
        let is_described = |role: &String| {
            let mut described = self.catalog.roles().iter();
            described.any(|known| known.name == *role)
        };
        if !roles.iter().all(is_described) {
            // What such a role may do only the token tells. What plans bring is told above.
            let held = self.permissions.iter();
            sorted.extend(held.filter(|name| !self.catalog.manages(name)));
        }
        sorted.into_iter().map(str::to_owned).collect()
    }

    fn is_admin(&self, role: &str) -> bool {
        let mut permissions = self.catalog.permissions_of(role).iter();
        role == ADMIN_ROLE || permissions.any(|held| held == ADMIN_PERMISSION)
    }
}

/// The row as it will be once the ledger has what is paid for at Stripe.
pub(super) fn with_paid(
    row: Option<Entitlement>,
    paid: &[String],
    catalog: &Catalog,
    now: UnixMillis,
) -> Option<Entitlement> {
    let Some(plan) = paid.iter().max_by_key(|plan| catalog.rank(plan)) else {
        return row;
    };
    let held = row.as_ref().and_then(|row| row.derived.plan.as_deref());
    if held.and_then(|held| catalog.rank(held)) >= catalog.rank(plan) {
        return row;
    }
    Some(Entitlement {
        derived: Derived {
            plan: Some(plan.clone()),
            paid: true,
            ..Derived::default()
        },
        changed_at: Some(now),
        confirmed_at: None,
        activated_at: Some(now),
        ..row.unwrap_or_default()
    })
}

fn is_bought(plan: &Plan) -> bool {
    plan.sale.is_some()
}

fn is_named(plan: &Plan, row: &Entitlement) -> bool {
    row.derived.plan.as_deref() == Some(&*plan.name)
}

fn iso(millis: UnixMillis) -> String {
    timestamp(millis.div_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::catalog;
    use super::*;
    use crate::entitlement::Role;
    use crate::store::Derived;
    use serde_json::{Value, json};

    const NOW: UnixMillis = 1_700_000_000_000;
    const DECISIVE: UnixMillis = 24 * 60 * 60 * 1000;

    fn row(plan: &str, changed: Option<UnixMillis>, confirmed: bool) -> Entitlement {
        let paid = plan != "free";
        Entitlement {
            user: "auth0|1".into(),
            derived: Derived {
                plan: Some(plan.into()),
                paid,
                backing: paid.then(|| "sub_1".into()),
                status: (plan == "monthly").then(|| "active".into()),
                ends: (plan == "monthly").then_some(true),
                period_end: (plan == "monthly").then_some(1_700_086_400),
                recheck_at: None,
                terms: None,
            },
            changed_at: changed.map(|age| NOW - age),
            confirmed_at: confirmed.then_some(NOW),
            activated_at: paid.then_some(NOW),
            ..Entitlement::default()
        }
    }

    fn status(row: Option<&Entitlement>, roles: Option<&[&str]>) -> Value {
        let roles: Option<Vec<String>> =
            roles.map(|roles| roles.iter().map(ToString::to_string).collect());
        let reading = Reading {
            row,
            roles: roles.as_deref(),
            is_blind: false,
            permissions: &Permissions::new([]),
            catalog: &catalog(),
            now: NOW,
            decisive: DECISIVE,
        };
        serde_json::to_value(reading.status()).unwrap()
    }

    #[test]
    fn a_subscriber_sees_the_plan_the_role_and_the_subscription() {
        let status = status(
            Some(&row("monthly", Some(5), true)),
            Some(&["premium-monthly"]),
        );
        let expected = json!({
            "premium_status": "active", "plan_type": "monthly", "roles": ["premium-monthly"],
            "permissions": ["read:basic-content", "read:premium-content"],
            "premium_activated_at": "2023-11-14T22:13:20Z", "subscription_source": "stripe",
            "role_assigned": "premium-monthly", "status": "active", "cancel_at_period_end": true,
            "current_period_end": "2023-11-15T22:13:20Z",
        });
        assert_eq!(status, expected);
    }

    #[test]
    fn a_user_who_never_paid_is_inactive_and_free() {
        let status = status(None, Some(&["free-user"]));
        let expected = json!({
            "premium_status": "inactive", "plan_type": "free", "roles": ["free-user"],
            "permissions": ["read:basic-content"], "premium_activated_at": null, "subscription_source": null,
            "role_assigned": null, "status": null, "cancel_at_period_end": null, "current_period_end": null,
        });
        assert_eq!(status, expected);
    }

    #[test]
    fn lifetime_comes_before_monthly_before_admin_before_free() {
        for (roles, plan, assigned) in [
            (
                &["admin", "premium-monthly", "premium-lifetime"][..],
                "lifetime",
                Some("premium-lifetime"),
            ),
            (
                &["admin", "premium-monthly"],
                "monthly",
                Some("premium-monthly"),
            ),
            (&["free-user", "admin"], "admin", Some("admin")),
            (&["free-user", "other"], "free", None),
            (&[], "free", None),
        ] {
            let status = status(None, Some(roles));
            assert_eq!(status["plan_type"], plan, "{roles:?}");
            assert_eq!(status["role_assigned"], json!(assigned), "{roles:?}");
            let active = if plan == "free" { "inactive" } else { "active" };
            assert_eq!(status["premium_status"], active, "{roles:?}");
            // From before Tollgate: nobody knows how it came.
            assert_eq!(status["subscription_source"], Value::Null, "{roles:?}");
        }
    }

    #[test]
    fn what_a_role_may_do_that_the_config_does_not_describe_the_token_tells() {
        let catalog = catalog();
        let permissions = Permissions::new(["read:premium-content", "write:reports"]);
        let shown = |role: &str| {
            let roles = ["free-user".to_owned(), role.to_owned()];
            let reading = Reading {
                row: None,
                roles: Some(&roles),
                is_blind: false,
                permissions: &permissions,
                catalog: &catalog,
                now: NOW,
                decisive: DECISIVE,
            };
            reading.status().permissions
        };
        assert_eq!(shown("reporter"), ["read:basic-content", "write:reports"]);
        let described = ["access:admin-panel", "read:basic-content"];
        assert_eq!(shown("admin"), described);
    }

    #[test]
    fn a_change_that_auth0_does_not_have_yet_counts() {
        let bought = status(
            Some(&row("lifetime", Some(5), false)),
            Some(&["free-user", "admin"]),
        );
        assert_eq!(bought["plan_type"], "lifetime");
        assert_eq!(bought["roles"], json!(["admin", "premium-lifetime"]));
        let ended = status(
            Some(&row("free", Some(5), false)),
            Some(&["premium-monthly"]),
        );
        assert_eq!(
            (&ended["plan_type"], &ended["premium_status"]),
            (&json!("free"), &json!("inactive"))
        );
        assert_eq!(ended["roles"], json!(["free-user"]));
    }

    #[test]
    fn a_change_of_the_last_day_is_the_ledgers_to_tell_and_later_the_roles_count_too() {
        let roles = Some(&["premium-lifetime"][..]);
        let plan = |age| status(Some(&row("free", age, true)), roles)["plan_type"].clone();
        assert_eq!(plan(Some(DECISIVE - 1)), "free");
        assert_eq!(plan(Some(DECISIVE)), "lifetime");
        assert_eq!(plan(None), "lifetime");
    }

    #[test]
    fn without_auth0_the_ledger_answers_and_says_that_it_may_be_stale() {
        let mut paid = row("monthly", Some(DECISIVE * 9), true);
        paid.roles = Some(vec!["admin".into(), "premium-monthly".into()]);
        let answer = status(Some(&paid), None);
        assert_eq!(
            (&answer["plan_type"], &answer["stale"]),
            (&json!("monthly"), &json!(true))
        );
        assert_eq!(answer["roles"], json!(["admin", "premium-monthly"]));
        let unknown = status(None, None);
        assert_eq!(
            (&unknown["plan_type"], &unknown["stale"]),
            (&json!("free"), &json!(true))
        );
    }

    #[test]
    fn while_auth0_is_away_a_user_of_whom_nothing_is_known_is_what_the_token_says() {
        let catalog = catalog();
        let ask = |row: Option<&Entitlement>, held: &[&str]| {
            let permissions = Permissions::new(held.iter().copied());
            let reading = Reading {
                row,
                roles: None,
                is_blind: false,
                permissions: &permissions,
                catalog: &catalog,
                now: NOW,
                decisive: DECISIVE,
            };
            let status = reading.status();
            assert!(status.stale);
            (status.premium_status, status.plan_type)
        };
        let premium = ["read:basic-content", "read:premium-content"];
        let admin = [&premium[..], &["access:admin-panel"]].concat();
        assert_eq!(ask(None, &premium), ("active", "monthly".to_owned()));
        assert_eq!(ask(None, &admin), ("active", "admin".to_owned()));
        assert_eq!(ask(None, &premium[..1]), ("inactive", "free".to_owned()));
        assert_eq!(ask(None, &[]), ("inactive", "free".to_owned()));
        // A row that says nothing of a change does not outweigh the token; one that does, does.
        let quiet = row("free", None, false);
        assert_eq!(ask(Some(&quiet), &premium).0, "active");
        let refunded = row("free", Some(5), false);
        assert_eq!(ask(Some(&refunded), &premium).0, "inactive");
    }

    #[test]
    fn without_the_ledger_what_the_user_may_do_tells_of_a_plan_above_those_of_the_roles() {
        let catalog = catalog();
        let ask = |roles: &[&str], held: &[&str]| {
            let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
            let permissions = Permissions::new(held.iter().copied());
            let reading = Reading {
                row: None,
                roles: Some(&roles),
                is_blind: true,
                permissions: &permissions,
                catalog: &catalog,
                now: NOW,
                decisive: DECISIVE,
            };
            let status = reading.status();
            assert!(status.stale);
            (status.plan_type, status.roles.join(" "))
        };
        let (basic, premium) = ("read:basic-content", "read:premium-content");
        for (roles, held, plan, shown) in [
            (
                &["free-user"][..],
                &[basic, premium][..],
                "monthly",
                "premium-monthly",
            ),
            (&[], &[basic, premium], "monthly", "premium-monthly"),
            (
                &["free-user", "admin"],
                &[basic, premium],
                "monthly",
                "admin premium-monthly",
            ),
            (
                &["premium-lifetime"],
                &[basic, premium],
                "lifetime",
                "premium-lifetime",
            ),
            (&["premium-monthly"], &[basic], "monthly", "premium-monthly"),
            (
                &["free-user", "admin"],
                &[basic, "access:admin-panel"],
                "admin",
                "free-user admin",
            ),
            (&["free-user"], &[basic], "free", "free-user"),
            (&[], &[], "free", ""),
        ] {
            let expected = (plan.to_owned(), shown.to_owned());
            assert_eq!(ask(roles, held), expected, "{roles:?} {held:?}");
        }
        // What another role lets the user do tells of no plan.
        let mut roles = catalog.roles().to_vec();
        roles.push(Role {
            name: "guest".into(),
            permissions: vec![basic.into(), premium.into()],
        });
        let catalog = Catalog::new(catalog.plans().to_vec(), roles);
        let (permissions, roles) = (Permissions::new([basic, premium]), ["guest".to_owned()]);
        let reading = Reading {
            row: None,
            roles: Some(&roles),
            is_blind: true,
            permissions: &permissions,
            catalog: &catalog,
            now: NOW,
            decisive: DECISIVE,
        };
        assert_eq!(reading.status().plan_type, "free");
    }

    #[test]
    fn a_plan_is_held_by_the_same_reading_and_without_auth0_by_the_ledger_alone() {
        let catalog = catalog();
        let premium = Permissions::new(["read:basic-content", "read:premium-content"]);
        let held = |row: Option<&Entitlement>, roles: Option<&str>| {
            let roles = roles.map(|role| [role.to_owned()]);
            let reading = Reading {
                row,
                roles: roles.as_ref().map(<[String; 1]>::as_slice),
                is_blind: false,
                permissions: &premium,
                catalog: &catalog,
                now: NOW,
                decisive: DECISIVE,
            };
            reading.held().map(|plan| plan.name.clone())
        };
        let (paid, refunded) = (row("monthly", None, true), row("free", Some(5), true));
        assert_eq!(
            held(None, Some("premium-monthly")).as_deref(),
            Some("monthly")
        );
        assert_eq!(
            held(Some(&paid), Some("premium-lifetime")).as_deref(),
            Some("lifetime")
        );
        assert_eq!(held(Some(&paid), None).as_deref(), Some("monthly"));
        assert_eq!(held(Some(&refunded), Some("premium-monthly")), None);
        assert_eq!(held(None, Some("admin")), None);
        assert_eq!(held(None, None), None, "a token may be older than a refund");
    }

    #[test]
    fn what_is_paid_at_stripe_counts_before_the_ledger_has_it() {
        let catalog = catalog();
        let paid = ["monthly".to_owned()];
        let plan = |row: Option<Entitlement>, paid: &[String]| {
            with_paid(row, paid, &catalog, NOW).and_then(|row| row.derived.plan)
        };
        assert_eq!(plan(None, &paid).as_deref(), Some("monthly"));
        assert_eq!(plan(None, &[]), None);
        let free = row("free", None, true);
        assert_eq!(plan(Some(free.clone()), &paid).as_deref(), Some("monthly"));
        assert_eq!(plan(Some(free), &[]).as_deref(), Some("free"));
        let lifetime = row("lifetime", None, true);
        assert_eq!(plan(Some(lifetime), &paid).as_deref(), Some("lifetime"));
    }
}
