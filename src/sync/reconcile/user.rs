//! Looking at one user: by the lists first, which is enough for those who are right, then alone and fresh.

use super::Reconciler;
use super::compare::{compare, loses, managed};
use super::gather::{Gathered, Known};
use super::patience::patiently;
use super::why::{why, why_gone};
use crate::auth0::{self, Role};
use crate::entitlement::{Entitlement, Terms};
use crate::store::{Drift, DriftKind, JobKey, JobState, JobStatus, LinkKind, UnixMillis};
use crate::sync::worker::failure::Failure;
use crate::sync::worker::purpose::Purpose;
use crate::sync::worker::read::Reading;
use crate::sync::worker::user::distrust;

/// A user whose job ends while we look is looked at so often.
const TRIES: usize = 3;
/// A job that has waited for so long, in milliseconds, is no reason to keep quiet about what it should have mended.
const STUCK: UnixMillis = 60 * 1000;

/// What a look at a user showed.
#[derive(Debug)]
pub(super) enum Seen {
    /// The roles are what a job would leave.
    Right,
    /// They are not.
    Unlike(Box<Drift>),
    /// There is no such user any more, and somebody pays.
    Gone(Box<Drift>),
    /// They are not, and a job is at it that has not failed.
    UnderWay,
}

impl Reconciler {
    /// Looks at `user`, and says whether Stripe ties the user to anything that is new to the ledger.
    pub(super) async fn look_at(
        &self,
        user: &str,
        gathered: &Gathered,
        terms: &Terms,
        look: i64,
    ) -> Result<(Seen, bool), Failure> {
        let Some(known) = gathered.users.get(user) else {
            return Ok((Seen::Right, false));
        };
        let is_untied = self.is_untied(user, known).await?;
        if let Some(entitlement) = self.by_the_lists(user, known, gathered, terms).await? {
            let held = gathered.roles_of(known);
            if compare(&held, &entitlement, &terms.catalog).is_none() {
                return Ok((Seen::Right, is_untied));
            }
        }
        let seen = patiently(|| self.look_alone(user, (known, gathered), terms, look)).await?;
        Ok((seen, is_untied))
    }

    /// What the lists say the user has a right to; `None` where they are not enough to say.
    async fn by_the_lists(
        &self,
        user: &str,
        known: &Known,
        gathered: &Gathered,
        terms: &Terms,
    ) -> Result<Option<Entitlement>, Failure> {
        if gathered.is_partial || !known.ties.purchases.is_empty() {
            return Ok(None);
        }
        let store = &self.sync.parts.store;
        let mut customers: Vec<String> = known.ties.customers.keys().cloned().collect();
        for link in store.customers_of(user).await? {
            if !customers.contains(&link.customer) {
                customers.push(link.customer);
            }
        }
        let mut accounts = Vec::new();
        for customer in customers {
            // One that is not in the list is deleted, or another account's.
            let Some(lot) = gathered.lots.get(&customer).filter(|lot| lot.is_listed) else {
                return Ok(None);
            };
            let links = store.users_of(&customer).await?;
            accounts.push(lot.account(&customer, links));
        }
        let reading = Reading::of_accounts(accounts);
        let owned = reading.of(user);
        // What became of the money of a purchase is in no list.
        if !owned.sessions.is_empty() || self.remembers_more(user, &reading).await? {
            return Ok(None);
        }
        Ok(Some(self.derive(&owned.state(), terms)))
    }

    /// Whether the ledger knows a checkout of the user's that may count, and is in no list.
    async fn remembers_more(&self, user: &str, reading: &Reading) -> Result<bool, Failure> {
        use crate::store::PurchaseState::{Complete, Expired, Open};
        let purchases = self.sync.parts.store.purchases_of(user).await?;
        let mut purchases = purchases.iter();
        Ok(purchases.any(|purchase| match purchase.state {
            Open | Complete => !reading.shows(&purchase.session),
            Expired => false,
        }))
    }

    /// Looks at the user as a job would, and at the job, if there is one.
    async fn look_alone(
        &self,
        user: &str,
        (known, gathered): (&Known, &Gathered),
        terms: &Terms,
        look: i64,
    ) -> Result<Seen, Failure> {
        for _ in 0..TRIES {
            let before = self.sequence(user).await?;
            let held = match self.sync.parts.auth0.roles_of(user).await {
                Ok(roles) => Some(roles),
                Err(error) if error.kind == auth0::Kind::NoUser => None,
                Err(error) => return Err(error.into()),
            };
            let reading = self
                .sync
                .read(user, &terms.catalog, Purpose::Look(&known.ties))
                .await?;
            let drift = self
                .drift(user, held.as_deref(), &reading, terms, look)
                .await?;
            let Some(mut drift) = drift else {
                return Ok(Seen::Right);
            };
            let job = self.job(user).await?;
            let young = self.sync.now().saturating_sub(STUCK);
            let is_at_it =
                |job: &JobStatus| is_under_way(job.state) && job.attempts == 0 && job.since > young;
            if job.as_ref().is_some_and(is_at_it) {
                return Ok(Seen::UnderWay);
            }
            if before == self.sequence(user).await? {
                drift.sequence = before;
                if held.is_none() {
                    // No job can help, and of one that was given up for it there is nothing more to say.
                    return Ok(Seen::Gone(Box::new(drift)));
                }
                if let Some(doubt) = gathered.doubt(known)
                    && loses(&drift.roles, drift.plan.as_deref(), &terms.catalog)
                {
                    drift.why = format!("{}; but {doubt}", drift.why);
                }
                if let Some(job) = job {
                    drift.why = format!("{}; its job {}", drift.why, became(job));
                }
                return Ok(Seen::Unlike(Box::new(drift)));
            }
        }
        // It changes as fast as we look.
        Ok(Seen::UnderWay)
    }

    /// How the user's roles differ from what the reading says. `held` is `None` for a user who is no more.
    async fn drift(
        &self,
        user: &str,
        held: Option<&[Role]>,
        reading: &Reading,
        terms: &Terms,
        look: i64,
    ) -> Result<Option<Drift>, Failure> {
        let catalog = &terms.catalog;
        let owned = reading.of(user);
        let entitlement = self.derive(&owned.state(), terms);
        let names = held
            .unwrap_or_default()
            .iter()
            .map(|role| role.name.clone());
        let roles = managed(names, catalog);
        let (kind, why) = if held.is_none() {
            if entitlement.backing.is_none() {
                return Ok(None);
            }
            let why = why_gone(&entitlement, &owned, catalog);
            (DriftKind::Missing, why)
        } else {
            let Some(unlike) = compare(&roles, &entitlement, catalog) else {
                return Ok(None);
            };
            let takes = unlike.difference.takes_what_is_sold(catalog);
            self.must_be_believed(user, reading, &entitlement, (takes, terms))
                .await?;
            let why = why(&unlike, &entitlement, &owned, catalog);
            (unlike.kind, why)
        };
        let customer = reading.accounts.first();
        Ok(Some(Drift {
            subject: user.to_owned(),
            kind,
            user: Some(user.to_owned()),
            customer: customer.map(|account| account.customer.clone()),
            plan: entitlement.plan,
            roles,
            why,
            found_at: self.sync.now(),
            look,
            sequence: None,
        }))
    }

    /// A Stripe that does not know what the ledger knows may be another account's.
    async fn must_be_believed(
        &self,
        user: &str,
        reading: &Reading,
        entitlement: &Entitlement,
        (takes_what_is_sold, terms): (bool, &Terms),
    ) -> Result<(), Failure> {
        let before = self.sync.parts.store.entitlement(user).await?;
        if let Some(failure) = distrust(before.as_ref(), reading, entitlement, &terms.catalog) {
            return Err(failure);
        }
        match reading.unknown_customer() {
            Some(customer) if takes_what_is_sold => {
                Err(Failure::UnknownCustomer(customer.to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the ledger lacks something that ties the user to Stripe, and that the merchant vouches for.
    async fn is_untied(&self, user: &str, known: &Known) -> Result<bool, Failure> {
        let ties = &known.ties;
        if ties.customers.is_empty() && ties.purchases.is_empty() {
            return Ok(false);
        }
        let store = &self.sync.parts.store;
        let links = store.customers_of(user).await?;
        let is_linked = |customer: &str| links.iter().any(|link| link.customer == customer);
        let mut customers = ties.customers.iter();
        if customers.any(|(id, kind)| *kind > LinkKind::Reference && !is_linked(id)) {
            return Ok(true);
        }
        for purchase in &ties.purchases {
            if store.purchase(&purchase.session).await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn sequence(&self, user: &str) -> Result<Option<i64>, Failure> {
        let row = self.sync.parts.store.entitlement(user).await?;
        Ok(row.map(|row| row.sequence))
    }

    pub(super) async fn job(&self, user: &str) -> Result<Option<JobStatus>, Failure> {
        let key = JobKey::User(user.to_owned());
        Ok(self.sync.parts.store.job(&key).await?)
    }
}

/// What has become of a job that did not mend what differs.
fn became(job: JobStatus) -> String {
    match (is_under_way(job.state), job.error) {
        (true, Some(error)) => format!("fails, and is tried on: {error}"),
        (true, None) => "waits: see that a server runs".to_owned(),
        (false, error) => {
            let error = error.unwrap_or_else(|| "no reason is known".to_owned());
            format!("was given up: {error}")
        }
    }
}

/// Whether somebody works on a job, or will.
pub(super) fn is_under_way(state: JobState) -> bool {
    match state {
        JobState::Queued | JobState::Running => true,
        JobState::Dead => false,
    }
}
