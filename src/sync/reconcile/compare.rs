//! Whether a user's managed roles are what a job would leave, and how they differ if not. Pure.

use crate::auth0::Role;
use crate::entitlement::{Catalog, Entitlement, Plan};
use crate::store::DriftKind;
use crate::sync::worker::roles::Difference;

/// How the roles differ from the plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unlike {
    pub(super) kind: DriftKind,
    pub(super) difference: Difference,
}

/// `None` when a job would leave the roles named in `held` as they are. That somebody never bought anything excuses no
/// role here.
pub(super) fn compare(
    held: &[String],
    entitlement: &Entitlement,
    catalog: &Catalog,
) -> Option<Unlike> {
    let plan = plan_of(entitlement, catalog);
    let target = plan.map(|plan| plan.role.as_str());
    let roles: Vec<Role> = held.iter().map(|name| role(name)).collect();
    let difference = Difference::between(&roles, target, &[], catalog);
    if difference.is_none() {
        return None;
    }
    let is_bought = plan.is_some_and(|plan| plan.sale.is_some());
    let kind = match (&difference.add, difference.takes_what_is_sold(catalog)) {
        (_, true) if is_bought => DriftKind::Other,
        (_, true) | (None, false) => DriftKind::Extra,
        (Some(_), false) => DriftKind::Missing,
    };
    Some(Unlike { kind, difference })
}

pub(super) fn plan_of<'a>(entitlement: &Entitlement, catalog: &'a Catalog) -> Option<&'a Plan> {
    entitlement
        .plan
        .as_deref()
        .and_then(|name| catalog.plan(name))
}

/// Whether a sold role is held that is more than what is paid for.
pub(super) fn loses(held: &[String], plan: Option<&str>, catalog: &Catalog) -> bool {
    let sold = held
        .iter()
        .filter_map(|role| catalog.plan_of_role(role))
        .filter(|plan| plan.sale.is_some());
    let most = sold.filter_map(|plan| catalog.rank(&plan.name)).max();
    most > plan.and_then(|plan| catalog.rank(plan))
}

/// A role of which only the name counts.
fn role(name: &str) -> Role {
    Role {
        id: String::new(),
        name: name.to_owned(),
    }
}

/// Those of `roles` that some plan names, sorted, each once.
pub(super) fn managed(roles: impl IntoIterator<Item = String>, catalog: &Catalog) -> Vec<String> {
    let mut names: Vec<String> = roles
        .into_iter()
        .filter(|name| catalog.plan_of_role(name).is_some())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::{Backing, Mode, Sale};
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    fn catalog() -> Catalog {
        let plan = |name: &str, sold: bool| Plan {
            name: name.to_owned(),
            role: format!("role-{name}"),
            permissions: Vec::new(),
            sale: sold.then(|| Sale {
                mode: Mode::Subscription,
                prices: vec![format!("price_{name}")],
            }),
            replaces: Vec::new(),
        };
        Catalog::new(
            vec![
                plan("free", false),
                plan("monthly", true),
                plan("lifetime", true),
            ],
            Vec::new(),
        )
    }

    fn entitled(plan: &str) -> Entitlement {
        Entitlement {
            plan: (!plan.is_empty()).then(|| plan.to_owned()),
            backing: (plan != "free" && !plan.is_empty())
                .then(|| Backing::Subscription("sub_1".to_owned())),
            changes_at: None,
        }
    }

    fn names(roles: &[&str]) -> Vec<String> {
        roles.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_difference_has_its_kind() {
        use DriftKind::{Extra, Missing, Other};
        for (plan, held, expected) in [
            ("monthly", &["role-monthly"][..], None),
            ("monthly", &["role-monthly", "admin"], None),
            ("free", &["role-free"], None),
            ("", &[], None),
            ("", &["admin"], None),
            ("monthly", &[], Some(Missing)),
            ("monthly", &["role-free"], Some(Missing)),
            ("free", &[], Some(Missing)),
            ("free", &["role-monthly"], Some(Extra)),
            ("free", &["role-monthly", "role-free"], Some(Extra)),
            ("", &["role-free"], Some(Extra)),
            ("monthly", &["role-monthly", "role-free"], Some(Extra)),
            ("lifetime", &["role-monthly"], Some(Other)),
            ("lifetime", &["role-monthly", "role-lifetime"], Some(Other)),
        ] {
            let unlike = compare(&names(held), &entitled(plan), &catalog());
            let kind = unlike.map(|unlike| unlike.kind);
            assert_eq!(kind, expected, "{plan} {held:?}");
        }
    }

    #[test]
    fn who_holds_more_than_they_pay_for_would_lose_it() {
        for (held, plan, expected) in [
            (&["role-monthly"][..], None, true),
            (&["role-monthly"], Some("free"), true),
            (&["role-monthly"], Some("monthly"), false),
            (&["role-monthly"], Some("lifetime"), false),
            (&["role-monthly", "role-lifetime"], Some("monthly"), true),
            (&["role-free"], None, false),
            (&["admin"], None, false),
            (&[], None, false),
        ] {
            let loses = loses(&names(held), plan, &catalog());
            assert_eq!(loses, expected, "{held:?} {plan:?}");
        }
    }

    proptest! {
        /// What is called drift is what a job would change, and once it is changed there is none.
        #[test]
        fn drift_is_exactly_what_a_job_would_change(
            plan in prop::sample::select(vec!["", "free", "monthly", "lifetime"]),
            held in subsequence(vec!["admin", "role-free", "role-lifetime", "role-monthly"], 0..=4),
        ) {
            let (catalog, entitlement, held) = (catalog(), entitled(plan), names(&held));
            let roles: Vec<Role> = held.iter().map(|name| role(name)).collect();
            let target = plan_of(&entitlement, &catalog).map(|plan| plan.role.as_str());
            let job = Difference::between(&roles, target, &[], &catalog);
            let unlike = compare(&held, &entitlement, &catalog);
            prop_assert_eq!(unlike.is_none(), job.is_none());
            if let Some(unlike) = unlike {
                prop_assert_eq!(&unlike.difference, &job);
                let mut after: Vec<String> = held.into_iter().filter(|name| !job.remove.contains(name)).collect();
                after.extend(job.add);
                prop_assert_eq!(compare(&after, &entitlement, &catalog), None);
            }
        }

        #[test]
        fn roles_outside_the_plans_never_count(
            plan in prop::sample::select(vec!["", "free", "monthly", "lifetime"]),
            held in subsequence(vec!["role-free", "role-lifetime", "role-monthly"], 0..=3),
        ) {
            let (catalog, entitlement, held) = (catalog(), entitled(plan), names(&held));
            let mut more = held.clone();
            more.extend(names(&["admin", "editor"]));
            prop_assert_eq!(compare(&held, &entitlement, &catalog), compare(&more, &entitlement, &catalog));
            prop_assert_eq!(managed(more, &catalog), held);
        }
    }
}
