//! From what Stripe says to the plan that a user has a right to. Where the state comes from, and what follows from the
//! plan, is not known here.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest;
use serde::Serialize;

use super::catalog::{Catalog, Plan};
use super::state::{Purchase, State, Subscription, SubscriptionStatus};
use crate::clock::UnixSeconds;

/// What is sold, and on which terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// The plans.
    pub catalog: Catalog,
    /// What holds while a renewal is not paid.
    pub past_due: PastDue,
}

impl Terms {
    /// What tells these terms from all others, over restarts and replicas: SHA-256 in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        // Strings and numbers alone: nothing in it can fail to be written.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let hash = digest::digest(&digest::SHA256, &text);
        hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// What holds while a renewal is not paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PastDue {
    /// Access goes on.
    Keep,
    /// Access ends.
    Revoke,
    /// Access goes on for so long after the period began that is not paid.
    Grace(Duration),
}

/// The plan a user has a right to now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entitlement {
    /// The plan's name; `None` when nothing was bought and no plan is free.
    pub plan: Option<String>,
    /// What it rests on; `None` for a plan that everybody has.
    pub backing: Option<Backing>,
    /// When the answer may be another one although nothing happens in Stripe: a time of grace ends.
    pub changes_at: Option<UnixSeconds>,
}

/// What an entitlement rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// The subscription with this id.
    Subscription(String),
    /// The purchase (Checkout Session) with this id.
    Purchase(String),
}

/// Something that gives access.
struct Claim<'a> {
    rank: usize,
    plan: &'a Plan,
    backing: Backing,
    lasting: Lasting,
}

/// How long a claim lasts, as far as Stripe tells. The greater lasts longer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lasting {
    /// Until this moment at the latest: a time of grace.
    Until(UnixSeconds),
    /// Until something happens in Stripe, which is to be expected: the renewal failed, or there will be none.
    ForNow(Option<UnixSeconds>),
    /// Until something happens in Stripe.
    Open(Option<UnixSeconds>),
    /// For ever.
    Bought,
}

/// The highest-ranked plan that is backed by a subscription whose status gives access, or by a purchase whose money
/// is there and stays. The order of what was bought does not matter.
#[must_use]
pub fn derive(state: &State, terms: &Terms, now: UnixSeconds) -> Entitlement {
    let subscribed = state
        .subscriptions
        .iter()
        .filter_map(|subscription| subscribed(subscription, terms, now));
    let bought = state
        .purchases
        .iter()
        .filter_map(|purchase| bought(purchase, &terms.catalog));
    match subscribed
        .chain(bought)
        .max_by(|one, other| one.weight().cmp(&other.weight()))
    {
        Some(claim) => Entitlement {
            plan: Some(claim.plan.name.clone()),
            backing: Some(claim.backing),
            changes_at: claim.lasting.end(),
        },
        None => Entitlement {
            plan: terms.catalog.base().map(|plan| plan.name.clone()),
            backing: None,
            changes_at: None,
        },
    }
}

impl Backing {
    /// The id of the subscription or Checkout Session.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Subscription(id) | Self::Purchase(id) => id,
        }
    }
}

impl Claim<'_> {
    /// Of two that give the same plan, the one that lasts longer; then by id, so that the answer is always one.
    ///
    /// The plan stays as long as the claim that weighs most: every other one of its rank ends no later.
    fn weight(&self) -> (usize, Lasting, &str) {
        (self.rank, self.lasting, self.backing.id())
    }
}

impl Lasting {
    fn end(self) -> Option<UnixSeconds> {
        match self {
            Self::Until(moment) => Some(moment),
            Self::ForNow(_) | Self::Open(_) | Self::Bought => None,
        }
    }
}

fn subscribed<'a>(
    subscription: &Subscription,
    terms: &'a Terms,
    now: UnixSeconds,
) -> Option<Claim<'a>> {
    let lasting = access(subscription, terms.past_due, now)?;
    let (rank, plan) = highest(&subscription.prices, &terms.catalog)?;
    Some(Claim {
        rank,
        plan,
        backing: Backing::Subscription(subscription.id.clone()),
        lasting,
    })
}

fn bought<'a>(purchase: &Purchase, catalog: &'a Catalog) -> Option<Claim<'a>> {
    if !purchase.payment.is_kept() {
        return None;
    }
    let (rank, plan) = highest(&purchase.prices, catalog)?;
    Some(Claim {
        rank,
        plan,
        backing: Backing::Purchase(purchase.id.clone()),
        lasting: Lasting::Bought,
    })
}

/// The highest plan that one of `prices` buys. The price alone says which: a plan may once have been sold in the
/// other mode, and who bought it then has paid for it too.
fn highest<'a>(prices: &[String], catalog: &'a Catalog) -> Option<(usize, &'a Plan)> {
    let sold = |plan: &Plan| {
        let mut prices = prices.iter();
        prices.any(|price| plan.is_sold_at(price))
    };
    let ranked = catalog.plans().iter().enumerate();
    ranked.rev().find(|(_, plan)| sold(plan))
}

/// How long a subscription gives access; `None` when it gives none.
fn access(subscription: &Subscription, past_due: PastDue, now: UnixSeconds) -> Option<Lasting> {
    let period_end = subscription.period_end;
    match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::Trialing if subscription.ends => {
            Some(Lasting::ForNow(period_end))
        }
        SubscriptionStatus::Active | SubscriptionStatus::Trialing => {
            Some(Lasting::Open(period_end))
        }
        SubscriptionStatus::PastDue => match past_due {
            PastDue::Keep => Some(Lasting::ForNow(period_end)),
            PastDue::Revoke => None,
            PastDue::Grace(grace) => match end_of_grace(subscription.period_start, grace) {
                Some(end) => (now < end).then_some(Lasting::Until(end)),
                None => Some(Lasting::ForNow(period_end)),
            },
        },
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::IncompleteExpired
        | SubscriptionStatus::Canceled
        | SubscriptionStatus::Unpaid
        | SubscriptionStatus::Paused
        | SubscriptionStatus::Unknown(_) => None,
    }
}

/// The first moment after the grace for a period that began at `start`; `None` when nobody can say that it is over,
/// because the beginning is not known, or there is no such moment.
fn end_of_grace(start: Option<UnixSeconds>, grace: Duration) -> Option<UnixSeconds> {
    let grace = UnixSeconds::try_from(grace.as_secs()).ok()?;
    start?.checked_add(grace)
}

#[cfg(test)]
mod tests;
