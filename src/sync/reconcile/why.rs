//! Why somebody is told of, in one plain sentence. Pure.

use super::compare::{Unlike, plan_of};
use super::lot::sells;
use crate::entitlement::{Backing, Catalog, DisputeStatus, Entitlement, Payment};
use crate::store::DriftKind;
use crate::stripe::{CheckoutSession, SessionMode, SessionStatus};
use crate::sync::worker::read::Owned;

/// So many things that were bought are named; more would be no sentence.
const NAMED: usize = 2;

/// Why the user's roles are not right.
pub(super) fn why(
    unlike: &Unlike,
    entitlement: &Entitlement,
    owned: &Owned<'_>,
    catalog: &Catalog,
) -> String {
    let says = says(entitlement, owned, catalog);
    let difference = &unlike.difference;
    let held = difference.remove.join(", ");
    match (&difference.add, unlike.kind) {
        (Some(role), DriftKind::Missing) if entitlement.backing.is_none() => {
            format!("lacks the role {role}, and {says}")
        }
        (Some(role), DriftKind::Missing) => format!("{says}, and lacks the role {role}"),
        (Some(_), DriftKind::Other) => format!("{says}, and holds {held} instead"),
        (None, DriftKind::Other) => format!("{says}, and holds {held} besides"),
        _ if entitlement.backing.is_some() => format!("{says}, and holds {held} besides"),
        _ => format!("holds {held}, and {says}"),
    }
}

/// Why somebody who is no user any more is told of.
pub(super) fn why_gone(entitlement: &Entitlement, owned: &Owned<'_>, catalog: &Catalog) -> String {
    let says = says(entitlement, owned, catalog);
    format!("{says}, and does not exist in Auth0 any more; if Stripe still bills, cancel there")
}

/// What a customer pays for whose user nobody knows.
pub(super) fn pays(entitlement: &Entitlement, owned: &Owned<'_>, catalog: &Catalog) -> String {
    says(entitlement, owned, catalog)
}

/// What Stripe says.
fn says(entitlement: &Entitlement, owned: &Owned<'_>, catalog: &Catalog) -> String {
    let plan = plan_of(entitlement, catalog).map_or("a plan", |plan| &plan.name);
    match &entitlement.backing {
        Some(Backing::Subscription(id)) => {
            let mut subscriptions = owned.subscriptions.iter();
            let status = subscriptions.find(|one| one.id == *id);
            let status = status.map_or("active", |one| one.status.as_str());
            format!("pays for {plan} ({id} {status})")
        }
        Some(Backing::Purchase(id)) => format!("bought {plan} ({id})"),
        None => over(owned, catalog),
    }
}

/// What was bought, and gives no access.
fn over(owned: &Owned<'_>, catalog: &Catalog) -> String {
    let subscriptions = owned
        .subscriptions
        .iter()
        .filter(|one| sells(&one.prices, catalog))
        .map(|one| format!("{} is {}", one.id, one.status.as_str()));
    let sessions = owned
        .sessions
        .iter()
        .filter(|one| one.mode == SessionMode::Payment && one.status == SessionStatus::Complete)
        .filter(|one| sells(&one.prices, catalog))
        .map(|one| money(one));
    let all: Vec<String> = subscriptions.chain(sessions).take(NAMED).collect();
    if all.is_empty() {
        "Stripe knows of no purchase".to_owned()
    } else {
        all.join(" and ")
    }
}

fn money(session: &CheckoutSession) -> String {
    let id = &session.id;
    match &session.payment {
        Payment::Unpaid => format!("{id} is not paid"),
        Payment::Paid { refunded: true, .. } => format!("{id} was refunded"),
        Payment::Paid { disputes, .. } if disputes.iter().any(DisputeStatus::takes_back) => {
            format!("{id} is disputed")
        }
        Payment::Paid { .. } | Payment::NotRequired => format!("{id} sells it no more"),
        Payment::Unknown(word) => format!("{id} is {word}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::{Mode, Plan, Sale, SubscriptionStatus};
    use crate::stripe::{Owner, Subscription};
    use crate::sync::reconcile::compare::compare;

    fn catalog() -> Catalog {
        let plan = |name: &str, price: Option<&str>| Plan {
            name: name.to_owned(),
            role: format!("role-{name}"),
            permissions: Vec::new(),
            sale: price.map(|price| Sale {
                mode: Mode::Subscription,
                prices: vec![price.to_owned()],
            }),
            replaces: Vec::new(),
        };
        let plans = vec![plan("free", None), plan("monthly", Some("price_m"))];
        Catalog::new(plans, Vec::new())
    }

    fn subscription(status: SubscriptionStatus) -> Subscription {
        Subscription {
            id: "sub_1".to_owned(),
            customer: None,
            owner: Owner::default(),
            status,
            prices: vec!["price_m".to_owned()],
            amount: None,
            currency: None,
            period_start: None,
            period_end: None,
            ends: false,
        }
    }

    #[test]
    fn the_sentence_says_what_stripe_says_and_what_is_wrong_with_the_roles() {
        let pays = Entitlement {
            plan: Some("monthly".to_owned()),
            backing: Some(Backing::Subscription("sub_1".to_owned())),
            changes_at: None,
        };
        let free = Entitlement {
            plan: Some("free".to_owned()),
            backing: None,
            changes_at: None,
        };
        let (active, ended) = (
            subscription(SubscriptionStatus::Active),
            subscription(SubscriptionStatus::Canceled),
        );
        for (entitlement, bought, held, expected) in [
            (
                &pays,
                Some(&active),
                &[][..],
                "pays for monthly (sub_1 active), and lacks the role role-monthly",
            ),
            (
                &pays,
                Some(&active),
                &["role-free", "role-monthly"],
                "pays for monthly (sub_1 active), and holds role-free besides",
            ),
            (
                &free,
                Some(&ended),
                &["role-monthly"],
                "holds role-monthly, and sub_1 is canceled",
            ),
            (
                &free,
                None,
                &["role-monthly"],
                "holds role-monthly, and Stripe knows of no purchase",
            ),
            (
                &free,
                None,
                &[],
                "lacks the role role-free, and Stripe knows of no purchase",
            ),
        ] {
            let owned = Owned {
                subscriptions: bought.into_iter().collect(),
                sessions: Vec::new(),
            };
            let held: Vec<String> = held.iter().map(ToString::to_string).collect();
            let unlike = compare(&held, entitlement, &catalog());
            let unlike = unlike.unwrap_or_else(|| unreachable!("{held:?} differs"));
            assert_eq!(why(&unlike, entitlement, &owned, &catalog()), expected);
        }
    }
}
