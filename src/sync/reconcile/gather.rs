//! Reading both services in bulk: who is to be looked at, what is known of each, and who paid without being anybody.

use std::collections::{BTreeMap, HashMap};

use super::lot::{Lot, may_be_bought};
use super::patience::patiently;
use super::{Failed, Phase, Reconciler};
use crate::auth0::{self, Role, User};
use crate::entitlement::{Catalog, Terms};
use crate::store::{Drift, LONGEST_LIST, LinkKind, Purchase};
use crate::stripe::{CheckoutSession, Page};
use crate::sync::worker::failure::Failure;
use crate::sync::worker::owner::named;
use crate::sync::worker::purpose::Ties;
use crate::sync::worker::read::purchase;

/// Auth0's most.
const MEMBERS: u32 = 100;

/// What follows from a list that is not to be had.
const UNSEEN: &str = "who is known by nothing else was not looked at";

/// What both services said in bulk.
#[derive(Default)]
pub(super) struct Gathered {
    /// Everybody who is to be looked at.
    pub(super) users: BTreeMap<String, Known>,
    /// What Stripe's lists said, by customer.
    pub(super) lots: HashMap<String, Lot>,
    /// Managed roles, each once.
    pub(super) roles: Vec<String>,
    /// Customers who pay, and whose user nobody knows.
    pub(super) unmatched: Vec<Drift>,
    /// Customers who could not be looked at.
    pub(super) failed: Vec<Failed>,
    /// What the operator should know beside it.
    pub(super) notes: Vec<String>,
    /// Some list was not to be had: nobody is right by the lists alone, and not everybody may be known.
    pub(super) is_partial: bool,
    /// Checkouts that were paid, and name neither a customer nor a user.
    pub(super) guests: Vec<String>,
}

/// What is known of one user.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Managed roles that are held, by their place in [`Gathered::roles`].
    roles: Vec<usize>,
    /// What of Stripe's names the user.
    pub(super) ties: Ties,
    /// A customer who pays, is nobody's, and has the same e-mail.
    like: Option<String>,
    /// What is paid for at a price that no plan names.
    elsewhere: Option<String>,
    /// Nothing in Stripe can name such an id.
    is_unnameable: bool,
}

impl Gathered {
    /// Managed roles that the user holds, sorted.
    pub(super) fn roles_of(&self, known: &Known) -> Vec<String> {
        let mut names: Vec<String> = known
            .roles
            .iter()
            .filter_map(|place| self.roles.get(*place).cloned())
            .collect();
        names.sort();
        names
    }

    /// Why a role that nobody seems to have paid for may be paid for after all, and so stays.
    pub(super) fn doubt(&self, known: &Known) -> Option<String> {
        let like = known.like.as_ref().map(|like| {
            format!(
                "{like}, who pays and names no user, has the same e-mail: set auth0_user_id in its metadata in Stripe, \
                 or take the role away in Auth0"
            )
        });
        let elsewhere = || {
            let elsewhere = known.elsewhere.as_ref()?;
            Some(format!(
                "{elsewhere} is paid for at a price that no plan names: add the price to its plan, or take the role \
                 away in Auth0"
            ))
        };
        let unnameable = "nothing in Stripe can name an id that is not all visible ASCII";
        let unnameable = || known.is_unnameable.then(|| unnameable.to_owned());
        let unseen = "not all that was bought could be read from Stripe";
        let unseen = || self.is_partial.then(|| unseen.to_owned());
        like.or_else(elsewhere).or_else(unnameable).or_else(unseen)
    }

    /// How many users hold a role that is sold.
    pub(super) fn holders(&self, catalog: &Catalog) -> usize {
        let is_sold = |place: &usize| {
            let plan = self.roles.get(*place);
            let plan = plan.and_then(|role| catalog.plan_of_role(role));
            plan.is_some_and(|plan| plan.sale.is_some())
        };
        let users = self.users.values();
        users
            .filter(|known| known.roles.iter().any(is_sold))
            .count()
    }

    /// Whom the lists name is to be looked at.
    fn add_the_named(&mut self, catalog: &Catalog) {
        for (customer, lot) in &self.lots {
            if !lot.is_listed {
                // Stripe may not list by a customer that is deleted what was bought before.
                for purchase in lot.purchases(catalog) {
                    let known = self.users.entry(purchase.user.clone()).or_default();
                    known.ties.purchases.push(purchase);
                }
            }
            for (user, kind) in lot.users() {
                let known = self.users.entry(user.clone()).or_default();
                if known.elsewhere.is_none() {
                    known.elsewhere = lot.elsewhere().map(str::to_owned);
                }
                let kinds = &mut known.ties.customers;
                let best: &mut LinkKind = kinds.entry(customer.clone()).or_insert(*kind);
                *best = (*best).max(*kind);
            }
        }
    }

    /// A list that Stripe does not give is no reason not to ask about each customer alone.
    fn unless_refused(&mut self, what: &str, read: Result<(), Failure>) -> Result<(), Failure> {
        match read {
            Err(Failure::Stripe(error)) if !error.is_retryable() => {
                self.is_partial = true;
                self.notes
                    .push(format!("{what} are not to be listed ({error}): {UNSEEN}"));
                Ok(())
            }
            read => read,
        }
    }

    /// Neither is a list that there is not.
    fn lack(&mut self, what: &str) {
        self.is_partial = true;
        self.notes.push(format!(
            "{what} are not to be listed, Stripe does not know the call: {UNSEEN}"
        ));
    }

    /// The customers who pay and are nobody's, by their e-mail.
    fn emails_of_unmatched(&self) -> HashMap<String, String> {
        let customers = self
            .unmatched
            .iter()
            .filter_map(|drift| drift.customer.as_ref());
        let emails = customers.filter_map(|customer| {
            let email = self.lots.get(customer)?.email.clone()?;
            Some((email, customer.clone()))
        });
        emails.collect()
    }

    fn add_session(&mut self, session: CheckoutSession, catalog: &Catalog) {
        if let Some(customer) = &session.customer {
            let lot = self.lots.entry(customer.clone()).or_default();
            lot.add_session(session, catalog);
            return;
        }
        if !may_be_bought(&session, catalog) {
            return;
        }
        // No customer leads to it: the ledger remembers those.
        match named(&session.owner) {
            Some((user, _)) => {
                let bought: Option<Purchase> = purchase(&session, user, catalog);
                let known = self.users.entry(user.to_owned()).or_default();
                known.ties.purchases.extend(bought);
            }
            None => self.guests.push(session.id),
        }
    }
}

impl Reconciler {
    /// Reads both services, and looks at customers whom nothing connects with a user. `look` is the look's id.
    pub(super) async fn gather(&self, terms: &Terms, look: i64) -> Result<Gathered, Failure> {
        let mut gathered = Gathered::default();
        self.read_stripe(&mut gathered, &terms.catalog).await?;
        gathered.add_the_named(&terms.catalog);
        self.find_unmatched(&mut gathered, terms, look).await?;
        self.read_ledger(&mut gathered).await?;
        self.read_auth0(&mut gathered, &terms.catalog).await?;
        Ok(gathered)
    }

    async fn read_stripe(&self, found: &mut Gathered, catalog: &Catalog) -> Result<(), Failure> {
        let customers = self.read_customers(found).await;
        found.unless_refused("customers", customers)?;
        let subscriptions = self.read_subscriptions(found, catalog).await;
        found.unless_refused("subscriptions", subscriptions)?;
        let sessions = self.read_sessions(found, catalog).await;
        found.unless_refused("checkouts", sessions)
    }

    async fn read_customers(&self, found: &mut Gathered) -> Result<(), Failure> {
        let mut place = Place::default();
        while !place.is_end {
            let stripe = &self.sync.parts.stripe;
            let page = patiently(|| stripe.customers_after(place.after.as_deref())).await?;
            let Some(page) = page else {
                found.lack("customers");
                break;
            };
            for customer in page.items.iter().filter(|customer| !customer.deleted) {
                let lot = found.lots.entry(customer.id.clone()).or_default();
                lot.add_customer(customer.clone());
            }
            self.turn(&mut place, page);
        }
        Ok(())
    }

    async fn read_subscriptions(
        &self,
        found: &mut Gathered,
        catalog: &Catalog,
    ) -> Result<(), Failure> {
        let mut place = Place::default();
        while !place.is_end {
            let stripe = &self.sync.parts.stripe;
            let page = patiently(|| stripe.subscriptions_after(place.after.as_deref())).await?;
            for subscription in &page.items {
                if let Some(customer) = &subscription.customer {
                    let lot = found.lots.entry(customer.clone()).or_default();
                    lot.add_subscription(subscription.clone(), catalog);
                }
            }
            self.turn(&mut place, page);
        }
        Ok(())
    }

    async fn read_sessions(&self, found: &mut Gathered, catalog: &Catalog) -> Result<(), Failure> {
        let mut place = Place::default();
        while !place.is_end {
            let stripe = &self.sync.parts.stripe;
            let page = patiently(|| stripe.sessions_after(place.after.as_deref())).await?;
            let Some(page) = page else {
                found.lack("checkouts");
                break;
            };
            for session in &page.items {
                found.add_session(session.clone(), catalog);
            }
            self.turn(&mut place, page);
        }
        Ok(())
    }

    /// On to the page after this one.
    fn turn<T>(&self, place: &mut Place, page: Page<T>) {
        place.is_end = page.next.is_none();
        place.after = page.next;
        place.read += page.items.len();
        self.tell(Phase::Stripe, place.read, 0, 0);
    }

    async fn read_ledger(&self, found: &mut Gathered) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let store = &self.sync.parts.store;
            let users = store.known_users(after.as_deref(), LONGEST_LIST).await?;
            let Some(last) = users.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for user in users {
                found.users.entry(user).or_default();
            }
        }
    }

    async fn read_auth0(&self, found: &mut Gathered, catalog: &Catalog) -> Result<(), Failure> {
        let emails = found.emails_of_unmatched();
        let mut read = 0;
        let auth0 = &self.sync.parts.auth0;
        let all = patiently(|| auth0.all_roles()).await?;
        for plan in catalog.plans() {
            if found.roles.contains(&plan.role) {
                continue;
            }
            let place = found.roles.len();
            found.roles.push(plan.role.clone());
            // More than one may have this name, and who holds any of them holds it.
            let mut is_there = false;
            for role in all.iter().filter(|role| role.name == plan.role) {
                let read = self.read_members((place, role), found, (&emails, &mut read));
                match read.await {
                    Ok(()) => is_there = true,
                    // Deleted this moment.
                    Err(Failure::Auth0(error)) if is_no_role(&error) => {}
                    Err(failure) => return Err(failure),
                }
            }
            if !is_there {
                found.notes.push(format!(
                    "there is no role named {} in Auth0: nobody can hold it; make it",
                    plan.role
                ));
            }
        }
        Ok(())
    }

    async fn read_members(
        &self,
        (place, role): (usize, &Role),
        found: &mut Gathered,
        (emails, read): (&HashMap<String, String>, &mut usize),
    ) -> Result<(), Failure> {
        let auth0 = &self.sync.parts.auth0;
        let mut from: Option<String> = None;
        loop {
            let page = patiently(|| auth0.members(role, from.as_deref(), MEMBERS)).await?;
            *read += page.users.len();
            for User { id, email, .. } in page.users {
                let is_unnameable = !id.bytes().all(|byte| byte.is_ascii_graphic());
                let known = found.users.entry(id).or_default();
                known.is_unnameable = is_unnameable;
                if !known.roles.contains(&place) {
                    known.roles.push(place);
                }
                let like = email.and_then(|email| emails.get(&email.to_lowercase()));
                known.like = known.like.take().or_else(|| like.cloned());
            }
            self.tell(Phase::Auth0, *read, 0, 0);
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }
}

fn is_no_role(error: &auth0::Error) -> bool {
    matches!(error.kind, auth0::Kind::NoRole(_))
}

/// How far a list is read.
#[derive(Default)]
struct Place {
    after: Option<String>,
    is_end: bool,
    read: usize,
}
