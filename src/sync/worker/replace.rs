//! Ending what a bought plan replaces, so that nobody pays on for what they own. Once: who takes it up again by hand
//! is not stopped a second time.

use super::failure::Failure;
use super::read::{Owned, Reading};
use super::{Job, Sync};
use crate::entitlement::{Backing, Catalog, Entitlement, Plan, SubscriptionStatus};
use crate::store::{Action, Cause, RoleChange};
use crate::stripe::{self, IdempotencyKey, Subscription};

/// Lines of a user's audit that are read at first; they are a few for each change of plan.
const LINES: u32 = 1000;
/// Lines that are read at most.
const MAX_LINES: u32 = 256_000;

impl Sync {
    /// Sets the user's subscriptions to end that the plan in force replaces. Not for what anybody may have bought in the
    /// user's name: it is a gift, and no reason to touch what the user pays for.
    pub(super) async fn end_what_is_replaced(
        &self,
        job: &Job,
        user: &str,
        (reading, owned): (&Reading, &Owned<'_>),
        entitlement: &Entitlement,
        catalog: &Catalog,
    ) -> Result<(), Failure> {
        let plan = entitlement
            .plan
            .as_deref()
            .and_then(|name| catalog.plan(name));
        let (Some(plan), Some(backing)) = (plan, &entitlement.backing) else {
            return Ok(());
        };
        if !reading.vouches(backing.id(), user) {
            return Ok(());
        }
        for subscription in replaced(plan, backing, &owned.subscriptions, catalog) {
            let mut line = RoleChange {
                user: user.to_owned(),
                action: Action::EndSubscription,
                subject: subscription.id.clone(),
                plan: Some(plan.name.clone()),
                cause: Cause {
                    why: format!("replaced by {}", backing.id()),
                    event: job.cause.event.clone(),
                },
                at: self.now(),
                error: None,
            };
            let tries = match self.past(&line).await? {
                Past::Done => continue,
                Past::Tried(_) if subscription.ends => {
                    // The answer to an earlier try was lost, and it had worked.
                    self.parts.store.audit(&line).await?;
                    continue;
                }
                Past::Tried(tries) => tries,
                Past::Nothing if subscription.ends => continue,
                Past::Nothing => 0,
            };
            job.must_be_in_time()?;
            let done = self.end(subscription, backing, tries).await;
            if let Err(error) = &done
                && !error.is_retryable()
                && self.is_over(subscription).await?
            {
                // It ended by itself meanwhile, and Stripe refuses to end it again.
                continue;
            }
            line.error = done.as_ref().err().map(ToString::to_string);
            self.parts.store.audit(&line).await?;
            done?;
        }
        Ok(())
    }

    async fn end(
        &self,
        subscription: &Subscription,
        backing: &Backing,
        tries: usize,
    ) -> Result<(), stripe::Error> {
        // Stripe answers a key that has failed with the same failure for a day: each try has a key of its own.
        let key = format!("replace-{}-{}-{tries}", subscription.id, backing.id());
        let key = IdempotencyKey(key);
        let stripe = &self.parts.stripe;
        stripe.cancel_at_period_end(&subscription.id, &key).await?;
        Ok(())
    }

    /// Whether the subscription has ended since it was read.
    async fn is_over(&self, subscription: &Subscription) -> Result<bool, Failure> {
        let now = self.parts.stripe.subscription(&subscription.id).await?;
        Ok(now.is_some_and(|now| !runs_on(&now)))
    }

    /// What the audit says of the same thing.
    async fn past(&self, line: &RoleChange) -> Result<Past, Failure> {
        let mut limit = LINES;
        loop {
            let lines = self.parts.store.role_changes(&line.user, limit).await?;
            let past = past(&lines, line);
            let is_all = u32::try_from(lines.len()).is_ok_and(|read| read < limit);
            if matches!(past, Past::Done) || is_all || limit >= MAX_LINES {
                return Ok(past);
            }
            // It can only be asked for from the newest on.
            limit = limit.saturating_mul(4);
        }
    }
}

/// What `lines` say of the same thing as `line`.
fn past(lines: &[RoleChange], line: &RoleChange) -> Past {
    let is_same = |old: &&RoleChange| {
        old.action == line.action && old.subject == line.subject && old.cause.why == line.cause.why
    };
    let mut tries = 0;
    for old in lines.iter().filter(is_same) {
        if old.error.is_none() {
            return Past::Done;
        }
        tries += 1;
    }
    if tries == 0 {
        Past::Nothing
    } else {
        Past::Tried(tries)
    }
}

/// What was done about a subscription before.
enum Past {
    Nothing,
    /// Tried so often, and failed as far as we know.
    Tried(usize),
    Done,
}

/// The subscriptions that run on, and that `plan` replaces. One that sells anything else too is left alone.
fn replaced<'a>(
    plan: &Plan,
    backing: &Backing,
    subscriptions: &[&'a Subscription],
    catalog: &Catalog,
) -> Vec<&'a Subscription> {
    let is_replaced = |price: &String| {
        let sold = catalog.plan_of_price(price);
        sold.is_some_and(|sold| plan.replaces.contains(&sold.name))
    };
    let chosen = subscriptions.iter().filter(|subscription| {
        subscription.id != backing.id()
            && runs_on(subscription)
            && !subscription.prices.is_empty()
            && subscription.prices.iter().all(is_replaced)
    });
    chosen.copied().collect()
}

fn runs_on(subscription: &Subscription) -> bool {
    match subscription.status {
        SubscriptionStatus::Active
        | SubscriptionStatus::Trialing
        | SubscriptionStatus::PastDue
        | SubscriptionStatus::Unpaid
        | SubscriptionStatus::Paused => true,
        // The first was never paid and ends by itself; of a word that is not known nobody can say what it would do.
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::IncompleteExpired
        | SubscriptionStatus::Canceled
        | SubscriptionStatus::Unknown(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::{Mode, Sale};
    use crate::stripe::Owner;

    fn plan(name: &str, replaces: &[&str]) -> Plan {
        Plan {
            name: name.to_owned(),
            role: name.to_owned(),
            permissions: Vec::new(),
            sale: Some(Sale {
                mode: Mode::Subscription,
                prices: vec![format!("price_{name}")],
            }),
            replaces: replaces.iter().map(ToString::to_string).collect(),
        }
    }

    fn subscription(id: &str, status: &str, prices: &[&str]) -> Subscription {
        Subscription {
            id: id.to_owned(),
            customer: None,
            owner: Owner::default(),
            status: status.into(),
            prices: prices.iter().map(ToString::to_string).collect(),
            amount: None,
            currency: None,
            period_start: None,
            period_end: None,
            ends: false,
        }
    }

    #[test]
    fn only_what_runs_on_and_is_replaced_is_ended() {
        let lifetime = plan("lifetime", &["monthly"]);
        let plans = vec![
            plan("monthly", &[]),
            plan("yearly", &["monthly"]),
            lifetime.clone(),
        ];
        let catalog = Catalog::new(plans, Vec::new());
        let subscriptions = [
            subscription("active", "active", &["price_monthly"]),
            subscription("late", "past_due", &["price_monthly", "price_monthly"]),
            subscription("more", "active", &["price_x", "price_monthly"]),
            subscription("both", "active", &["price_monthly", "price_yearly"]),
            subscription("none", "active", &[]),
            subscription("over", "canceled", &["price_monthly"]),
            subscription("begun", "incomplete", &["price_monthly"]),
            subscription("strange", "hibernating", &["price_monthly"]),
            subscription("yearly", "active", &["price_yearly"]),
            subscription("other", "active", &["price_x"]),
        ];
        let all: Vec<&Subscription> = subscriptions.iter().collect();
        let ended = |plan: &Plan, backing: Backing| {
            let chosen = replaced(plan, &backing, &all, &catalog);
            chosen.iter().map(|one| one.id.clone()).collect::<Vec<_>>()
        };
        let bought = Backing::Purchase("cs_1".into());
        assert_eq!(ended(&lifetime, bought.clone()), ["active", "late"]);
        assert!(ended(&plan("monthly", &[]), bought).is_empty());
        // What the plan rests on is not what it replaces.
        let itself = Backing::Subscription("active".into());
        assert_eq!(ended(&lifetime, itself), ["late"]);
    }
}
