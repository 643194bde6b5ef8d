//! The plans, lowest first, each with the role it gives and that role's permissions.

/// Everything that can be bought, and what each role may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    plans: Vec<Plan>,
}

/// One plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name: `free`, `monthly`, `lifetime`.
    pub name: String,
    /// The Auth0 role it gives.
    pub role: String,
    /// The permissions of that role.
    pub permissions: Vec<String>,
    /// How it is bought; `None` is not for sale.
    pub sale: Option<Mode>,
}

/// How a plan is bought (`mode` of a Stripe Checkout Session).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Again and again.
    Subscription,
    /// Once.
    Payment,
}

impl Catalog {
    /// A catalog of `plans`, lowest first.
    #[must_use]
    pub fn new(plans: Vec<Plan>) -> Self {
        Self { plans }
    }

    /// The plans, lowest first.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.plans
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, permissions: &[&str], sale: Option<Mode>) -> Plan {
        Plan {
            name: name.into(),
            role: format!("role-{name}"),
            permissions: permissions.iter().map(ToString::to_string).collect(),
            sale,
        }
    }

    #[test]
    fn an_upgrade_names_the_plans_on_sale_that_bring_all_that_is_missing() {
        let catalog = Catalog::new(vec![
            plan("free", &["read:basic"], None),
            plan(
                "monthly",
                &["read:basic", "read:premium"],
                Some(Mode::Subscription),
            ),
            plan("lifetime", &["read:premium", "export"], Some(Mode::Payment)),
        ]);
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
