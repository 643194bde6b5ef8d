//! What is sold in the tests of these files.

use crate::entitlement::{Catalog, Mode, Plan, Role, Sale};

fn plan(name: &str, role: &str, permissions: &[&str], mode: Option<Mode>) -> Plan {
    Plan {
        name: name.into(),
        role: role.into(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
        sale: mode.map(|mode| Sale {
            mode,
            prices: vec![format!("price_{name}"), format!("price_{name}_old")],
        }),
        replaces: Vec::new(),
    }
}

/// `free`, `monthly` and `lifetime`, as in the example of the config.
pub(super) fn catalog() -> Catalog {
    let premium = ["read:basic-content", "read:premium-content"];
    let plans = vec![
        plan("free", "free-user", &premium[..1], None),
        plan(
            "monthly",
            "premium-monthly",
            &premium,
            Some(Mode::Subscription),
        ),
        plan(
            "lifetime",
            "premium-lifetime",
            &premium,
            Some(Mode::Payment),
        ),
    ];
    let of_plans = plans.iter().map(|plan| Role {
        name: plan.role.clone(),
        permissions: plan.permissions.clone(),
    });
    let admin = Role {
        name: "admin".into(),
        permissions: vec!["access:admin-panel".into()],
    };
    let roles = of_plans.chain([admin]).collect();
    Catalog::new(plans, roles)
}
