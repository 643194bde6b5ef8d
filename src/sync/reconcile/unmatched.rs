//! Customers who pay, and whose user nobody knows. Nobody can mend them but the merchant.

use super::gather::Gathered;
use super::patience::patiently;
use super::why::pays;
use super::{Failed, Phase, Reconciler};
use crate::entitlement::{Entitlement, State, Terms, derive};
use crate::store::{Drift, DriftKind, JobKey};
use crate::sync::worker::failure::Failure;
use crate::sync::worker::purpose::{Purpose, Ties};
use crate::sync::worker::read::Owned;

/// So many guests are looked at; who sells to more of them without a name does not sell plans that way.
const GUESTS: usize = 1000;

impl Reconciler {
    /// Looks alone at those of whom the lists leave open whether they are anybody's.
    pub(super) async fn find_unmatched(
        &self,
        found: &mut Gathered,
        terms: &Terms,
        look: i64,
    ) -> Result<(), Failure> {
        let mut customers: Vec<String> = found
            .lots
            .iter()
            .filter(|(_, lot)| lot.may_be_unmatched())
            .map(|(customer, _)| customer.clone())
            .collect();
        customers.sort();
        let mut guests = std::mem::take(&mut found.guests);
        guests.truncate(GUESTS);
        let total = customers.len() + guests.len();
        for (at, customer) in customers.into_iter().enumerate() {
            self.tell(Phase::Stripe, at, total, 0);
            let drift = patiently(|| self.unmatched_customer(&customer, terms, look)).await;
            found.note_unmatched(customer, drift)?;
        }
        for guest in guests {
            let drift = patiently(|| self.unmatched_guest(&guest, terms, look)).await;
            found.note_unmatched(guest, drift)?;
        }
        Ok(())
    }

    async fn unmatched_customer(
        &self,
        customer: &str,
        terms: &Terms,
        look: i64,
    ) -> Result<Option<Drift>, Failure> {
        let store = &self.sync.parts.store;
        let key = JobKey::Customer(customer.to_owned());
        let is_linked = !store.users_of(customer).await?.is_empty();
        // Somebody finds out this moment, perhaps; a search that was given up has found nobody.
        let job = store.job(&key).await?;
        if is_linked || job.is_some_and(|job| super::user::is_under_way(job.state)) {
            return Ok(None);
        }
        let ties = Ties::default();
        let account = self
            .sync
            .account(customer.to_owned(), false, Purpose::Look(&ties))
            .await?;
        if !account.owners().is_empty() {
            return Ok(None);
        }
        let owned = Owned {
            subscriptions: account.subscriptions.iter().collect(),
            sessions: account.sessions.iter().collect(),
        };
        let entitlement = self.derive(&owned.state(), terms);
        let what = pays(&entitlement, &owned, &terms.catalog);
        let why = format!(
            "{what}, and names no user: set auth0_user_id in the metadata of {customer} in Stripe"
        );
        let drift = self.drift_of(customer, &entitlement, why, look);
        Ok(drift.map(|drift| Drift {
            customer: Some(customer.to_owned()),
            ..drift
        }))
    }

    async fn unmatched_guest(
        &self,
        session: &str,
        terms: &Terms,
        look: i64,
    ) -> Result<Option<Drift>, Failure> {
        let parts = &self.sync.parts;
        if parts.store.purchase(session).await?.is_some() {
            return Ok(None);
        }
        let Some(found) = parts.stripe.checkout_session(session).await? else {
            return Ok(None);
        };
        let owned = Owned {
            subscriptions: Vec::new(),
            sessions: vec![&found],
        };
        let entitlement = self.derive(&owned.state(), terms);
        let what = pays(&entitlement, &owned, &terms.catalog);
        let why = format!(
            "{what} as a guest, and names no user: set auth0_user_id in the metadata of {session} in Stripe"
        );
        Ok(self.drift_of(session, &entitlement, why, look))
    }

    /// What Stripe's state gives a right to now.
    pub(super) fn derive(&self, state: &State, terms: &Terms) -> Entitlement {
        derive(state, terms, self.sync.parts.clock.unix_seconds())
    }

    fn drift_of(
        &self,
        subject: &str,
        entitlement: &Entitlement,
        why: String,
        look: i64,
    ) -> Option<Drift> {
        entitlement.backing.as_ref()?;
        Some(Drift {
            subject: subject.to_owned(),
            kind: DriftKind::Unmatched,
            user: None,
            customer: None,
            plan: entitlement.plan.clone(),
            roles: Vec::new(),
            why,
            found_at: self.sync.now(),
            look,
            sequence: None,
        })
    }
}

impl Gathered {
    fn note_unmatched(
        &mut self,
        subject: String,
        drift: Result<Option<Drift>, Failure>,
    ) -> Result<(), Failure> {
        match drift {
            Ok(drift) => self.unmatched.extend(drift),
            Err(Failure::Store(error)) => return Err(error.into()),
            Err(failure) => self.failed.push(Failed {
                subject,
                why: failure.to_string(),
            }),
        }
        Ok(())
    }
}
