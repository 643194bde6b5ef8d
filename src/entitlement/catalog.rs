//! The plans, lowest first, each with the role it gives and that role's permissions.

use std::collections::BTreeSet;

use serde::Serialize;

/// Everything that can be bought, and what each role may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Catalog {
    plans: Vec<Plan>,
    roles: Vec<Role>,
    /// What some plan brings: asked for each permission of a token, which may hold a thousand.
    managed: BTreeSet<String>,
}

/// One plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Its name: `free`, `monthly`, `lifetime`.
    pub name: String,
    /// The Auth0 role it gives.
    pub role: String,
    /// The permissions of that role.
    pub permissions: Vec<String>,
    /// How it is sold; `None` is not for sale.
    pub sale: Option<Sale>,
    /// Lower plans whose subscriptions end once this one is bought.
    pub replaces: Vec<String>,
}

/// How a plan is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sale {
    /// Again and again, or once.
    pub mode: Mode,
    /// Its prices, the one to sell first.
    pub prices: Vec<String>,
}

/// How a plan is bought (`mode` of a Stripe Checkout Session).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// Again and again.
    Subscription,
    /// Once.
    Payment,
}

/// One Auth0 role, a plan's or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<String>,
}

impl Catalog {
    /// A catalog of `plans`, lowest first, and of what the roles may do.
    #[must_use]
    pub fn new(plans: Vec<Plan>, roles: Vec<Role>) -> Self {
        let brought = plans.iter().flat_map(|plan| &plan.permissions);
        Self {
            managed: brought.cloned().collect(),
            plans,
            roles,
        }
    }

    /// The plans, lowest first.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// All roles that the config describes.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The plan named `name`.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.name == name)
    }

    /// How high the plan named `name` stands; 0 is the lowest.
    #[must_use]
    pub fn rank(&self, name: &str) -> Option<usize> {
        self.plans.iter().position(|plan| plan.name == name)
    }

    /// What everybody has who bought nothing: the lowest plan, where it is not for sale. A higher plan without a price
    /// is one that is sold no more, or not yet, and never everybody's.
    #[must_use]
    pub fn base(&self) -> Option<&Plan> {
        self.plans.first().filter(|plan| plan.sale.is_none())
    }

    /// The plan that `price` buys.
    #[must_use]
    pub fn plan_of_price(&self, price: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.is_sold_at(price))
    }

    /// The plan that gives the Auth0 role `role`; a role that some plan names is a managed one.
    #[must_use]
    pub fn plan_of_role(&self, role: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.role == role)
    }

    /// What the Auth0 role `role` may do; nothing where the config does not describe it.
    #[must_use]
    pub fn permissions_of(&self, role: &str) -> &[String] {
        let known = self.roles.iter().find(|known| known.name == role);
        known.map(|role| &*role.permissions).unwrap_or_default()
    }

    /// Whether some plan brings `permission`.
    #[must_use]
    pub fn manages(&self, permission: &str) -> bool {
        self.managed.contains(permission)
    }

    /// Names of the plans on sale that bring every permission in `missing`, lowest first.
    #[must_use]
    pub fn sold_with(&self, missing: &[String]) -> Vec<String> {
        self.on_sale(|plan| {
            missing
                .iter()
                .all(|permission| plan.permissions.contains(permission))
        })
    }

    /// Names of the plans on sale that bring one permission of `missing` at least, lowest first.
    #[must_use]
    pub fn sold_with_any(&self, missing: &[String]) -> Vec<String> {
        self.on_sale(|plan| {
            missing
                .iter()
                .any(|permission| plan.permissions.contains(permission))
        })
    }

    fn on_sale(&self, fits: impl Fn(&Plan) -> bool) -> Vec<String> {
        self.plans
            .iter()
            .filter(|plan| plan.sale.is_some() && fits(plan))
            .map(|plan| plan.name.clone())
            .collect()
    }
}

impl Plan {
    /// Whether `price` buys it.
    #[must_use]
    pub fn is_sold_at(&self, price: &str) -> bool {
        let sells = |sale: &Sale| sale.prices.iter().any(|known| known == price);
        self.sale.as_ref().is_some_and(sells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, permissions: &[&str], mode: Option<Mode>) -> Plan {
        Plan {
            name: name.into(),
            role: format!("role-{name}"),
            permissions: permissions.iter().map(ToString::to_string).collect(),
            sale: mode.map(|mode| Sale {
                mode,
                prices: vec![format!("price_{name}")],
            }),
            replaces: Vec::new(),
        }
    }

    fn catalog() -> Catalog {
        let mut monthly = plan(
            "monthly",
            &["read:basic", "read:premium"],
            Some(Mode::Subscription),
        );
        if let Some(sale) = &mut monthly.sale {
            sale.prices.push("price_monthly_old".to_owned());
        }
        let role = |name: &str, permissions: &[&str]| Role {
            name: name.to_owned(),
            permissions: permissions.iter().map(ToString::to_string).collect(),
        };
        Catalog::new(
            vec![
                plan("free", &["read:basic"], None),
                monthly,
                plan("lifetime", &["read:premium", "export"], Some(Mode::Payment)),
            ],
            vec![
                role("admin", &["read:premium", "admin"]),
                role("empty", &[]),
            ],
        )
    }

    fn name(plan: Option<&Plan>) -> Option<&str> {
        plan.map(|plan| plan.name.as_str())
    }

    #[test]
    fn who_bought_nothing_has_the_lowest_plan_when_it_is_not_for_sale() {
        let free = plan("free", &[], None);
        let monthly = plan("monthly", &[], Some(Mode::Subscription));
        let lifetime = plan("lifetime", &[], Some(Mode::Payment));
        let retired = Plan {
            sale: None,
            ..lifetime.clone()
        };
        let base = |plans: &[&Plan]| {
            let catalog = Catalog::new(plans.iter().copied().cloned().collect(), vec![]);
            catalog.base().cloned()
        };
        assert_eq!(base(&[&free, &monthly, &lifetime]), Some(free.clone()));
        assert_eq!(base(&[&free, &monthly, &retired]), Some(free));
        assert_eq!(base(&[&monthly, &lifetime]), None);
        assert_eq!(base(&[&monthly, &retired]), None);
        assert_eq!(base(&[]), None);
    }

    #[test]
    fn a_price_buys_one_plan_and_a_plan_may_have_several_prices() {
        let catalog = catalog();
        let cases = [
            ("price_monthly", Some("monthly")),
            ("price_monthly_old", Some("monthly")),
            ("price_lifetime", Some("lifetime")),
            ("price_free", None),
            ("price_month", None),
            ("", None),
        ];
        for (price, expected) in cases {
            assert_eq!(name(catalog.plan_of_price(price)), expected, "{price}");
        }
    }

    #[test]
    fn a_managed_role_is_one_that_a_plan_names() {
        let catalog = catalog();
        assert_eq!(name(catalog.plan_of_role("role-free")), Some("free"));
        assert_eq!(
            name(catalog.plan_of_role("role-lifetime")),
            Some("lifetime")
        );
        assert_eq!(name(catalog.plan_of_role("admin")), None);
        assert_eq!(name(catalog.plan_of_role("lifetime")), None);
    }

    #[test]
    fn plans_are_found_by_name_and_ranked_as_they_are_listed() {
        let catalog = catalog();
        let ranks = ["free", "monthly", "lifetime", "Free"].map(|plan| catalog.rank(plan));
        assert_eq!(ranks, [Some(0), Some(1), Some(2), None]);
        assert_eq!(name(catalog.plan("monthly")), Some("monthly"));
        assert_eq!(name(catalog.plan("yearly")), None);
    }

    #[test]
    fn a_permission_is_managed_when_some_plan_brings_it() {
        let catalog = catalog();
        for permission in ["read:basic", "read:premium", "export"] {
            assert!(catalog.manages(permission), "{permission}");
        }
        for permission in ["admin", "read", "read:premium2", ""] {
            assert!(!catalog.manages(permission), "{permission}");
        }
    }

    #[test]
    fn a_role_may_do_what_the_config_says_and_nothing_when_it_is_silent() {
        let catalog = catalog();
        assert_eq!(catalog.permissions_of("admin"), ["read:premium", "admin"]);
        assert!(catalog.permissions_of("empty").is_empty());
        assert!(catalog.permissions_of("unheard-of").is_empty());
    }

    #[test]
    fn an_upgrade_names_the_plans_on_sale_that_bring_all_that_is_missing() {
        let catalog = catalog();
        let sold = |missing: &[&str]| {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            (catalog.sold_with(&missing), catalog.sold_with_any(&missing))
        };
        let both = vec!["monthly".to_owned(), "lifetime".to_owned()];
        let lifetime = vec!["lifetime".to_owned()];
        assert_eq!(sold(&["read:premium"]), (both.clone(), both.clone()));
        assert_eq!(sold(&["read:premium", "export"]), (lifetime, both));
        assert_eq!(sold(&["admin"]), (vec![], vec![]));
    }
}
