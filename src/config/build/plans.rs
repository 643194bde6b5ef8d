//! `plans` and `roles`.

use crate::config::raw::Document;
use crate::config::raw::billing::{Plan as RawPlan, PriceId};
use crate::config::read::{At, Field, Invalid, List};
use crate::config::report::{Mistake, Mistakes};
use crate::config::words::nearest;
use crate::entitlement::{Catalog, Plan, Role, Sale};

/// What is sold, and what the roles may do.
#[derive(Clone, Debug, Default)]
pub(super) struct Sold {
    pub(super) plans: Vec<Plan>,
    pub(super) roles: Vec<Role>,
}

impl Sold {
    /// The plans with the permissions they bring.
    pub(super) fn catalog(&self) -> Catalog {
        let described = |name: &str| self.roles.iter().find(|role| role.name == name);
        let plans = self.plans.iter().map(|plan| Plan {
            permissions: described(&plan.role)
                .map(|role| role.permissions.clone())
                .unwrap_or_default(),
            ..plan.clone()
        });
        Catalog::new(plans.collect(), self.roles.clone())
    }
}

/// Plans and roles, both empty where the file has none.
pub(super) fn plans(document: &Document, mistakes: &mut Mistakes) -> Option<Sold> {
    if let Some(plans) = document
        .plans
        .get()
        .filter(|plans| plans.items.is_empty() && plans.complete)
    {
        mistakes.add(
            Mistake::new(plans.place, "this list is empty")
                .help("name one plan at least, or take the key away"),
        );
    }
    let raw = document.plans.get().map(|list| &list.value);
    if let Some(list) = raw {
        unique(list, mistakes);
        known_roles(document, list, mistakes);
        known_replaced(list, mistakes);
        given_for_nothing(list, mistakes);
    }
    let items = raw.map(|list| list.items.as_slice()).unwrap_or_default();
    let plans: Vec<_> = items.iter().map(|item| plan(item, mistakes)).collect();
    let named = document
        .roles
        .optional()
        .ok()?
        .map(|named| named.0)
        .unwrap_or_default();
    let roles = named.into_iter().map(|(name, permissions)| {
        let permissions = permissions?
            .values()
            .map(|permission| permission.0.clone())
            .collect();
        Some(Role {
            name: name.value,
            permissions,
        })
    });
    Some(Sold {
        roles: roles.collect::<Option<_>>()?,
        plans: plans.into_iter().collect::<Option<_>>()?,
    })
}

fn plan(raw: &At<RawPlan>, mistakes: &mut Mistakes) -> Option<Plan> {
    let sale = sale(raw, mistakes);
    let name = raw.name.get();
    if let Some(name) = name.filter(|name| name.value.0 == "free" && matches!(sale, Ok(Some(_)))) {
        mistakes.add(
            Mistake::new(name.place, "the plan `free` is not for sale")
                .help("take its price away, or rename it"),
        );
    }
    let replaces = raw.replaces.optional().ok()?;
    Some(Plan {
        name: name?.0.clone(),
        role: raw.role.value()?,
        permissions: Vec::new(),
        sale: sale.ok()?,
        replaces: replaces
            .map(|list| list.0.values().cloned().collect())
            .unwrap_or_default(),
    })
}

/// Only the lowest plan can be everybody's: nobody would ever get a higher one that is not for sale.
fn given_for_nothing(list: &List<RawPlan>, mistakes: &mut Mistakes) {
    for plan in list.items.iter().skip(1) {
        if plan.price.is_absent() && plan.prices.is_absent() && plan.mode.is_absent() {
            let message = "this plan has no price, and only the lowest may have none";
            let help = "add `price: price_…` and `mode: …`, move it to the top, or take it away";
            mistakes.add(Mistake::new(plan.place, message).help(help));
        }
    }
}

/// How a plan is sold, if it is for sale.
fn sale(raw: &At<RawPlan>, mistakes: &mut Mistakes) -> Result<Option<Sale>, Invalid> {
    if let (Field::Given(_), Field::Given(prices)) = (&raw.price, &raw.prices) {
        let message = "`price` and `prices` both say what this plan costs";
        mistakes.add(Mistake::new(prices.place, message).help("keep one of them"));
    }
    let (one, many) = (raw.price.optional()?, raw.prices.optional()?);
    let many = many.iter().flat_map(|prices| prices.0.values().cloned());
    let prices: Vec<String> = one.into_iter().chain(many).map(|price| price.0).collect();
    let mistake = match (&raw.mode, prices.is_empty()) {
        (Field::Absent, true) => return Ok(None),
        (Field::Given(mode), false) => {
            let mode = mode.value;
            return Ok(Some(Sale { mode, prices }));
        }
        (Field::Given(mode), true) => {
            Mistake::new(mode.place, "this plan has a `mode` but no price").help(
                "add `price: price_…`, or take `mode` away: a plan without a price is not for sale",
            )
        }
        (Field::Absent, false) => Mistake::new(raw.place, "this plan has a price but no `mode`")
            .help("add `mode: subscription` or `mode: payment`"),
        (Field::Invalid, _) => return Err(Invalid),
    };
    mistakes.add(mistake);
    Err(Invalid)
}

/// Names, roles and prices belong to one plan each: what a user has must say which plan is meant.
fn unique(list: &List<RawPlan>, mistakes: &mut Mistakes) {
    let mut names = Seen::new("the name");
    let mut roles = Seen::new("the role");
    let mut prices = Seen::new("the price");
    for (index, plan) in list.items.iter().enumerate() {
        if let Some(name) = plan.name.get() {
            names.add(index, &name.value.0, name, mistakes);
        }
        if let Some(role) = plan.role.get() {
            roles.add(index, &role.value, role, mistakes);
        }
        for price in priced(plan) {
            prices.add(index, &price.value.0, &price, mistakes);
        }
    }
}

fn priced(plan: &RawPlan) -> Vec<At<PriceId>> {
    let many = plan
        .prices
        .get()
        .map(|prices| prices.0.items.clone())
        .unwrap_or_default();
    plan.price.get().cloned().into_iter().chain(many).collect()
}

/// What was said so far.
struct Seen {
    what: &'static str,
    /// The word, the plan it belongs to, and its line.
    seen: Vec<(String, usize, usize)>,
}

impl Seen {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            seen: Vec::new(),
        }
    }

    fn add<T>(&mut self, plan: usize, word: &str, at: &At<T>, mistakes: &mut Mistakes) {
        let what = self.what;
        let mistake = match self.seen.iter().find(|(seen, _, _)| seen == word) {
            Some((_, owner, _)) if *owner == plan => {
                let message = format!("{what} `{word}` stands twice in this plan");
                Mistake::new(at.place, message).help("keep one of the two")
            }
            Some((_, _, line)) => {
                let message =
                    format!("{what} `{word}` belongs to another plan already (line {line})");
                Mistake::new(at.place, message).help("each plan has its own name, role and prices")
            }
            None => {
                self.seen.push((word.to_owned(), plan, at.place.line));
                return;
            }
        };
        mistakes.add(mistake);
    }
}

fn known_roles(document: &Document, list: &List<RawPlan>, mistakes: &mut Mistakes) {
    let names: Vec<String> = match &document.roles {
        Field::Given(named) => named.0.iter().map(|(name, _)| name.value.clone()).collect(),
        Field::Absent => Vec::new(),
        Field::Invalid => return,
    };
    for role in list
        .items
        .iter()
        .filter_map(|plan| plan.role.get())
        .filter(|role| !names.contains(&role.value))
    {
        let help = match nearest(&role.value, names.iter().map(String::as_str)) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!(
                "add it under `roles`, with what it may do: `{}: […]`",
                role.value
            ),
        };
        mistakes.add(
            Mistake::new(
                role.place,
                format!("the role `{}` is not under `roles`", role.value),
            )
            .help(help),
        );
    }
}

fn known_replaced(list: &List<RawPlan>, mistakes: &mut Mistakes) {
    let names: Vec<Option<String>> = list
        .items
        .iter()
        .map(|plan| plan.name.value().map(|name| name.0))
        .collect();
    // A plan that could not be read may be the one that is meant.
    if !list.complete || names.contains(&None) {
        return;
    }
    for (index, plan) in list.items.iter().enumerate() {
        let Some(replaced) = plan.replaces.get() else {
            continue;
        };
        for name in &replaced.0.items {
            let found = names
                .iter()
                .position(|known| known.as_deref() == Some(name.as_str()));
            if found.is_none_or(|found| found >= index) {
                let message = format!("`{}` is no lower plan", name.value);
                let help =
                    "name plans that stand above this one in the list: it starts with the lowest";
                mistakes.add(Mistake::new(name.place, message).help(help));
            }
        }
    }
}
