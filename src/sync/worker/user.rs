//! The way of a user's job: read, derive, write down, change the roles that differ, confirm.

use super::failure::{Failure, LEASE_LOST};
use super::purpose::Purpose;
use super::read::{Owned, Reading};
use super::roles::{Aligned, LATE_MS, is_unconfirmed};
use super::{Job, Sync};
use crate::clock::UnixSeconds;
use crate::entitlement::{Backing, Catalog, Entitlement, Terms, derive, oddities};
use crate::store::{self, Derived, UnixMillis};
use crate::sync::RECONCILE;

/// After the end of a period, Stripe takes up to an hour to finish the invoice of the next; an event that is lost then
/// is made up for by looking.
const AFTER_PERIOD: UnixSeconds = 60 * 60;

impl Sync {
    /// Brings `user`'s roles in line with what Stripe says now.
    pub(super) async fn bring_in_line(&self, job: &Job, user: &str) -> Result<(), Failure> {
        let terms = self.parts.terms.load_full();
        let reading = self.read(user, &terms.catalog, Purpose::Job).await?;
        self.share(job, user, &reading.accounts).await?;
        let owned = reading.of(user);
        let entitlement = self.entitlement(user, &owned, &terms);
        self.must_not_lose(user, &reading, &entitlement, &terms.catalog)
            .await?;
        let row = self
            .write_down(job, user, &owned, &entitlement, &terms)
            .await?;
        // After it: a checkout that is closed is not looked at any more, so what it gave must stand by then.
        self.record(user, &reading, &owned, &terms.catalog).await?;
        let is_customer = row.changed_at.is_some() || owned.has_bought(&terms.catalog);
        // Whoever asks for all roles to be as Stripe says means those too that nobody ever paid for; unless this may be
        // another account's Stripe.
        let is_asked = job.cause.why == RECONCILE && reading.is_of_this_account();
        // Side by side: trouble with Auth0 must not let somebody pay on for what they own, nor trouble with Stripe keep
        // them from their role.
        let (aligned, ended) = tokio::join!(
            self.align(job, user, (&row, is_customer || is_asked), &terms.catalog),
            self.end_what_is_replaced(job, user, (&reading, &owned), &entitlement, &terms.catalog),
        );
        match both(aligned, ended)? {
            Aligned::InLine => self.parts.store.mended(user).await?,
            Aligned::LeftAlone => {}
        }
        Ok(self.parts.store.finish(job, self.now()).await?)
    }

    fn entitlement(&self, user: &str, owned: &Owned<'_>, terms: &Terms) -> Entitlement {
        let state = owned.state();
        for oddity in oddities(&state, &terms.catalog) {
            self.notices.oddity(user, &oddity, &self.parts.metrics);
        }
        derive(&state, terms, self.parts.clock.unix_seconds())
    }

    /// Stripe never forgets a customer or a checkout: one it does not know is another account's, or of the other mode.
    /// That is no reason to take from anybody what they paid for. What it does know may end as it says.
    async fn must_not_lose(
        &self,
        user: &str,
        reading: &Reading,
        entitlement: &Entitlement,
        catalog: &Catalog,
    ) -> Result<(), Failure> {
        let before = self.parts.store.entitlement(user).await?;
        match distrust(before.as_ref(), reading, entitlement, catalog) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// From here on the overlay knows, whatever Auth0 does.
    async fn write_down(
        &self,
        job: &Job,
        user: &str,
        owned: &Owned<'_>,
        entitlement: &Entitlement,
        terms: &Terms,
    ) -> Result<store::Entitlement, Failure> {
        let store = &self.parts.store;
        let before = store.entitlement(user).await?;
        let now = self.now();
        let mut derived = derived(entitlement, owned, now.div_euclid(1000));
        let soon = now.saturating_add(LATE_MS);
        let recheck_at = if is_in_doubt(job, before.as_ref()) {
            Some(soon)
        } else {
            // What was in doubt before may still be.
            let known = before.as_ref().and_then(|row| row.derived.recheck_at);
            known.filter(|at| (now + 1..=soon).contains(at))
        };
        derived.recheck_at = derived.recheck_at.into_iter().chain(recheck_at).min();
        derived.terms = Some(terms.fingerprint());
        let changed = is_another(before.as_ref(), &derived, &terms.catalog);
        Ok(store.derived(job, &derived, changed, now).await?)
    }
}

/// Why the entitlement is not to be believed, if it is less than what the ledger says (`before`).
pub(in crate::sync) fn distrust(
    before: Option<&store::Entitlement>,
    reading: &Reading,
    entitlement: &Entitlement,
    catalog: &Catalog,
) -> Option<Failure> {
    let before = before.filter(|row| loses(&row.derived, entitlement, catalog))?;
    let backing = before.derived.backing.clone().unwrap_or_default();
    if reading.shows(&backing) {
        return None;
    }
    match reading.unknown_customer() {
        Some(customer) => Some(Failure::UnknownCustomer(customer.to_owned())),
        None if reading.remembers(&backing) => Some(Failure::UnknownCheckout(backing)),
        None => None,
    }
}

/// Both went well, or what is to be told of the failures. As long as one may pass, the job is not given up for the other.
fn both<T>(first: Result<T, Failure>, second: Result<(), Failure>) -> Result<T, Failure> {
    match (first, second) {
        (Err(first), Err(second)) if !first.is_retryable() && second.is_retryable() => Err(second),
        (first, second) => first.and_then(|done| second.map(|()| done)),
    }
}

/// What the ledger keeps of an entitlement.
fn derived(entitlement: &Entitlement, owned: &Owned<'_>, now: UnixSeconds) -> Derived {
    let backing = entitlement.backing.as_ref();
    let subscription = match backing {
        Some(Backing::Subscription(id)) => {
            let mut subscriptions = owned.subscriptions.iter();
            subscriptions.find(|subscription| subscription.id == *id)
        }
        Some(Backing::Purchase(_)) | None => None,
    };
    let period_end = subscription.and_then(|subscription| subscription.period_end);
    Derived {
        plan: entitlement.plan.clone(),
        paid: backing.is_some(),
        backing: backing.map(|backing| backing.id().to_owned()),
        status: subscription.map(|subscription| subscription.status.as_str().to_owned()),
        ends: subscription.map(|subscription| subscription.ends),
        period_end,
        recheck_at: recheck_at(entitlement.changes_at, period_end, now),
        terms: None,
    }
}

/// When to look again although nothing happens: at the end of a time of grace, and some time after a period's end, so
/// that a lost event heals.
fn recheck_at(
    changes_at: Option<UnixSeconds>,
    period_end: Option<UnixSeconds>,
    now: UnixSeconds,
) -> Option<UnixMillis> {
    let after_period = period_end.map(|end| end.saturating_add(AFTER_PERIOD));
    let moments = changes_at.into_iter().chain(after_period);
    let next = moments.filter(|moment| *moment > now).min();
    next.map(|moment| moment.saturating_mul(1000))
}

/// Whether an earlier try may have changed roles and ended before it wrote that down, or another replica may have a call
/// on its way. The reading that this one goes by may be too early to show it: a later one will.
fn is_in_doubt(job: &Job, before: Option<&store::Entitlement>) -> bool {
    job.cause.why == LEASE_LOST || job.attempts > 0 && before.is_some_and(is_unconfirmed)
}

/// Whether what is paid for by now is less than what the ledger says.
fn loses(before: &Derived, now: &Entitlement, catalog: &Catalog) -> bool {
    let rank = |plan: &Option<String>| plan.as_deref().and_then(|plan| catalog.rank(plan));
    before.paid && (now.backing.is_none() || rank(&now.plan) < rank(&before.plan))
}

/// Whether the plan is another one than the ledger says. A user it does not know has what everybody has.
fn is_another(before: Option<&store::Entitlement>, now: &Derived, catalog: &Catalog) -> bool {
    match before {
        Some(row) => row.derived.plan != now.plan,
        None => now.plan.as_deref() != catalog.base().map(|plan| plan.name.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_failures_the_first_is_told_unless_the_second_alone_may_pass() {
        let (last, passes) = (
            || Failure::UnknownCustomer("cus_1".into()),
            || Failure::Late(std::time::Duration::from_secs(60)),
        );
        let told = |first: Result<(), Failure>, second| {
            both(first, second).map_err(|failure| failure.to_string())
        };
        let (final_text, late_text) = (last().to_string(), passes().to_string());
        assert_eq!(told(Ok(()), Ok(())), Ok(()));
        assert_eq!(told(Err(last()), Ok(())), Err(final_text.clone()));
        assert_eq!(told(Ok(()), Err(last())), Err(final_text.clone()));
        assert_eq!(told(Err(last()), Err(passes())), Err(late_text.clone()));
        assert_eq!(told(Err(passes()), Err(last())), Err(late_text));
        let other = Failure::UnknownCheckout("cs_1".into());
        assert_eq!(told(Err(last()), Err(other)), Err(final_text));
    }

    #[test]
    fn the_next_look_is_at_the_earliest_moment_to_come() {
        let hour = AFTER_PERIOD;
        for (changes_at, period_end, expected) in [
            (None, None, None),
            (Some(1_500), None, Some(1_500_000)),
            (None, Some(2_000), Some((2_000 + hour) * 1000)),
            (Some(1_500), Some(2_000), Some(1_500_000)),
            (Some(9_999_999), Some(2_000), Some((2_000 + hour) * 1000)),
            // What is over is not looked at again and again.
            (Some(1_000), None, None),
            (None, Some(1_000 - hour), None),
            (Some(900), Some(2_000), Some((2_000 + hour) * 1000)),
            (None, Some(i64::MAX), Some(i64::MAX)),
        ] {
            assert_eq!(
                recheck_at(changes_at, period_end, 1_000),
                expected,
                "{changes_at:?} {period_end:?}"
            );
        }
    }
}
