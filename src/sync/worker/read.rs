//! Reading the present from Stripe: everything that was bought under the user's customers, and what the ledger
//! remembers beside it.

use std::collections::HashSet;

use super::failure::Failure;
use super::owner::{Account, named};
use super::purpose::Purpose;
use super::stray::expired;
use super::{Job, Sync};
use crate::entitlement::{
    Catalog, Mode, Purchase as Bought, State, Subscription as Subscribed, SubscriptionStatus,
};
use crate::store::{Cause, JobKey, LinkKind, Priority, Purchase, PurchaseState, UnixMillis};
use crate::stripe::{CheckoutSession, SessionMode, SessionStatus, Subscription};

/// Everything that may be the user's.
pub(in crate::sync) struct Reading {
    pub(in crate::sync) accounts: Vec<Account>,
    /// Sessions that the ledger knows as the user's, and no customer lists: the customer is deleted, or there was none.
    strays: Vec<CheckoutSession>,
    /// Sessions that are open as far as the ledger knows, and that Stripe does not know.
    gone: Vec<Purchase>,
    /// What the ledger remembers of the user's sessions.
    known: Vec<Purchase>,
}

/// What is the user's.
pub(in crate::sync) struct Owned<'a> {
    pub(in crate::sync) subscriptions: Vec<&'a Subscription>,
    pub(in crate::sync) sessions: Vec<&'a CheckoutSession>,
}

impl Reading {
    /// What Stripe's lists said of these accounts, without a question about any of them.
    pub(in crate::sync) fn of_accounts(accounts: Vec<Account>) -> Self {
        Self {
            accounts,
            strays: Vec::new(),
            gone: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Whether Stripe knows every customer and every completed checkout that the ledger does.
    pub(in crate::sync) fn is_of_this_account(&self) -> bool {
        let mut known = self.known.iter();
        let is_shown =
            |known: &Purchase| known.state != PurchaseState::Complete || self.shows(&known.session);
        self.unknown_customer().is_none() && known.all(is_shown)
    }

    /// A customer that the ledger knows, and Stripe does not, not even as deleted.
    pub(in crate::sync) fn unknown_customer(&self) -> Option<&str> {
        let mut accounts = self.accounts.iter();
        let unknown = accounts.find(|account| account.is_unknown)?;
        Some(&unknown.customer)
    }

    /// Whether Stripe knows the subscription or Checkout Session.
    pub(in crate::sync) fn shows(&self, id: &str) -> bool {
        let mut accounts = self.accounts.iter();
        accounts.any(|account| account.shows(id)) || self.strays.iter().any(|stray| stray.id == id)
    }

    /// Whether the merchant says that the subscription or Checkout Session is `user`'s, and not only who bought it.
    pub(in crate::sync) fn vouches(&self, id: &str, user: &str) -> bool {
        let is_users =
            |stray: &CheckoutSession| named(&stray.owner) == Some((user, LinkKind::Item));
        let mut accounts = self.accounts.iter();
        accounts.any(|account| account.vouches(id, user))
            || self
                .strays
                .iter()
                .any(|stray| stray.id == id && is_users(stray))
    }

    /// Whether the ledger knows the Checkout Session as completed.
    pub(in crate::sync) fn remembers(&self, id: &str) -> bool {
        let mut known = self.known.iter();
        known.any(|known| known.session == id && known.state == PurchaseState::Complete)
    }

    /// What was bought once, where Stripe does not say at which price: what the ledger knows the checkout to be for.
    fn price_by_ledger(&mut self, catalog: &Catalog) {
        let Self {
            accounts,
            strays,
            known,
            gone: _,
        } = self;
        let sessions = accounts
            .iter_mut()
            .flat_map(|account| &mut account.sessions);
        for session in sessions.chain(strays) {
            let is_bought = session.mode == SessionMode::Payment
                && session.status == SessionStatus::Complete
                && session.prices.is_empty();
            let known = known.iter().find(|known| known.session == session.id);
            if let (true, Some(known)) = (is_bought, known) {
                session.prices.extend(price_of(&known.plan, catalog));
            }
        }
    }

    /// What is `user`'s.
    pub(in crate::sync) fn of(&self, user: &str) -> Owned<'_> {
        let mut owned = Owned {
            subscriptions: Vec::new(),
            sessions: Vec::new(),
        };
        for account in &self.accounts {
            let subscriptions = account.subscriptions.iter();
            owned.subscriptions.extend(
                subscriptions.filter(|item| account.owner_of_subscription(item) == Some(user)),
            );
            let sessions = account.sessions.iter();
            owned
                .sessions
                .extend(sessions.filter(|item| account.owner_of_session(item) == Some(user)));
        }
        // The ledger says whose a stray is, unless it names somebody itself.
        let is_own = |session: &&CheckoutSession| {
            named(&session.owner).is_none_or(|(named, _)| named == user)
        };
        owned.sessions.extend(self.strays.iter().filter(is_own));
        owned
    }

    /// What the ledger should remember of the user's sessions, and does not yet.
    fn news(&self, user: &str, owned: &Owned<'_>, catalog: &Catalog) -> Vec<Purchase> {
        let mut news = Vec::new();
        for session in &owned.sessions {
            let Some(purchase) = purchase(session, user, catalog) else {
                continue;
            };
            let known = self.known.iter().find(|known| known.session == session.id);
            if known.is_none_or(|known| known.state != purchase.state) {
                news.push(purchase);
            }
        }
        // Nobody will pay what does not exist.
        news.extend(self.gone.iter().map(expired));
        news
    }
}

impl Owned<'_> {
    /// Whether any plan was ever bought, as far as Stripe can tell. Other things may be sold beside the plans, and
    /// nothing was bought while the money is on its way.
    pub(in crate::sync) fn has_bought(&self, catalog: &Catalog) -> bool {
        let is_plans = |prices: &[String]| {
            let mut prices = prices.iter();
            prices.any(|price| catalog.plan_of_price(price).is_some())
        };
        let began = |status: &SubscriptionStatus| match status {
            SubscriptionStatus::Incomplete | SubscriptionStatus::IncompleteExpired => false,
            SubscriptionStatus::Trialing
            | SubscriptionStatus::Active
            | SubscriptionStatus::PastDue
            | SubscriptionStatus::Canceled
            | SubscriptionStatus::Unpaid
            | SubscriptionStatus::Paused
            | SubscriptionStatus::Unknown(_) => true,
        };
        let went_through = |session: &CheckoutSession| {
            session.status == SessionStatus::Complete && session.payment_status != "unpaid"
        };
        let mut subscriptions = self.subscriptions.iter();
        let mut sessions = self.sessions.iter();
        subscriptions.any(|one| began(&one.status) && is_plans(&one.prices))
            || sessions.any(|session| went_through(session) && is_plans(&session.prices))
    }

    /// What counts of it for access.
    pub(in crate::sync) fn state(&self) -> State {
        let subscriptions = self.subscriptions.iter().map(|subscription| Subscribed {
            id: subscription.id.clone(),
            status: subscription.status.clone(),
            prices: subscription.prices.clone(),
            period_start: subscription.period_start,
            period_end: subscription.period_end,
            ends: subscription.ends,
        });
        let bought = self.sessions.iter().filter(|session| {
            session.mode == SessionMode::Payment && session.status == SessionStatus::Complete
        });
        State {
            subscriptions: subscriptions.collect(),
            purchases: bought
                .map(|session| Bought {
                    id: session.id.clone(),
                    prices: session.prices.clone(),
                    payment: session.payment.clone(),
                })
                .collect(),
        }
    }
}

impl Sync {
    /// Reads everything that may be `user`'s.
    pub(in crate::sync) async fn read(
        &self,
        user: &str,
        catalog: &Catalog,
        purpose: Purpose<'_>,
    ) -> Result<Reading, Failure> {
        let links = self.parts.store.customers_of(user).await?;
        let mut known = self.parts.store.purchases_of(user).await?;
        let mut customers: Vec<(String, bool)> = links
            .into_iter()
            .map(|link| (link.customer, link.deleted))
            .collect();
        if let Purpose::Look(ties) = purpose {
            ties.add_to(&mut customers, &mut known);
        }
        let mut accounts = Vec::new();
        for (customer, deleted) in customers {
            accounts.push(self.account(customer, deleted, purpose).await?);
        }
        let (strays, gone) = self.strays(&accounts, &known, purpose).await?;
        let mut reading = Reading {
            accounts,
            strays,
            gone,
            known,
        };
        reading.price_by_ledger(catalog);
        Ok(reading)
    }

    /// Reads what Stripe says about one customer.
    pub(in crate::sync) async fn account(
        &self,
        id: String,
        known_deleted: bool,
        purpose: Purpose<'_>,
    ) -> Result<Account, Failure> {
        let stripe = &self.parts.stripe;
        let (customer, mut subscriptions, sessions) = tokio::try_join!(
            stripe.customer(&id),
            stripe.subscriptions(&id),
            stripe.checkout_sessions(&id),
        )?;
        let is_gone = customer.as_ref().is_some_and(|customer| customer.deleted);
        if is_gone && !known_deleted && purpose.writes() {
            self.parts.store.customer_deleted(&id).await?;
        }
        let is_seen = customer
            .as_ref()
            .is_some_and(|customer| !customer.is_withheld);
        if is_gone || (known_deleted && !is_seen) {
            end_all(&mut subscriptions);
        }
        let is_listed = !subscriptions.is_empty() || !sessions.is_empty();
        let mut account = Account {
            is_unknown: customer.is_none() && !known_deleted && !is_listed,
            named: customer.and_then(|customer| customer.user),
            links: self.parts.store.users_of(&id).await?,
            customer: id,
            subscriptions,
            sessions,
        };
        if !purpose.writes() {
            // A job would write these down first, and go by them.
            account.link_all();
        }
        Ok(account)
    }

    /// Lets others know of what `user`'s job found to be theirs.
    pub(super) async fn share(
        &self,
        job: &Job,
        user: &str,
        accounts: &[Account],
    ) -> Result<(), Failure> {
        for account in accounts {
            let owners: Vec<&str> = account.owners().into_iter().collect();
            if owners.len() > 1 {
                let metrics = &self.parts.metrics;
                self.notices.shared(&account.customer, &owners, metrics);
            }
            for (other, kind) in account.unlinked() {
                self.tell(job, user, account, (other, kind)).await?;
            }
        }
        Ok(())
    }

    /// Links one more user with a customer, who may inherit what named nobody: its heir by now must learn of it.
    async fn tell(
        &self,
        job: &Job,
        user: &str,
        account: &Account,
        (other, kind): (&str, LinkKind),
    ) -> Result<(), Failure> {
        let (store, now) = (&self.parts.store, self.now());
        // Jobs first: the link is what keeps this from being done again.
        let mut concerned: HashSet<&str> = HashSet::new();
        if !account.is_linked(other, LinkKind::Reference) {
            concerned.insert(other);
        }
        if kind > LinkKind::Reference {
            concerned.insert(other);
            concerned.extend(account.links.iter().map(|link| link.user.as_str()));
        }
        concerned.remove(user);
        for concerned in concerned {
            let cause = Cause {
                why: "shared customer".to_owned(),
                event: job.cause.event.clone(),
            };
            let key = JobKey::User(concerned.to_owned());
            store
                .enqueue(&key, &cause, Priority::Background, now)
                .await?;
        }
        store.link(&account.customer, other, kind, now).await?;
        Ok(())
    }

    /// Writes down what has become of the user's sessions.
    pub(super) async fn record(
        &self,
        user: &str,
        reading: &Reading,
        owned: &Owned<'_>,
        catalog: &Catalog,
    ) -> Result<(), Failure> {
        for purchase in reading.news(user, owned, catalog) {
            self.parts.store.record_purchase(&purchase).await?;
        }
        Ok(())
    }
}

/// To delete a customer ends all subscriptions at once, whatever a list from before says.
fn end_all(subscriptions: &mut [Subscription]) {
    for subscription in subscriptions {
        if !subscription.status.is_ended() {
            subscription.status = SubscriptionStatus::Canceled;
        }
    }
}

/// A price at which the plan is bought once.
fn price_of(plan: &str, catalog: &Catalog) -> Option<String> {
    let sale = catalog.plan(plan)?.sale.as_ref()?;
    match sale.mode {
        Mode::Payment => sale.prices.first().cloned(),
        Mode::Subscription => None,
    }
}

/// The session as the ledger remembers it; `None` when it is in a state that is not known.
pub(in crate::sync) fn purchase(
    session: &CheckoutSession,
    user: &str,
    catalog: &Catalog,
) -> Option<Purchase> {
    let state = match session.status {
        SessionStatus::Open => PurchaseState::Open,
        SessionStatus::Complete => PurchaseState::Complete,
        SessionStatus::Expired => PurchaseState::Expired,
        SessionStatus::Unknown(_) => return None,
    };
    let by_price = session
        .prices
        .iter()
        .find_map(|price| catalog.plan_of_price(price))
        .map(|plan| plan.name.clone());
    let plan = by_price.or_else(|| session.metadata.get("plan_type").cloned());
    Some(Purchase {
        session: session.id.clone(),
        user: user.to_owned(),
        customer: session.customer.clone(),
        plan: plan.unwrap_or_else(|| "unknown".to_owned()),
        state,
        created_at: UnixMillis::saturating_mul(session.created, 1000),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::{Payment, Plan, Sale};
    use crate::stripe::Owner;

    fn session(id: &str, user: Option<&str>, status: SessionStatus) -> CheckoutSession {
        CheckoutSession {
            id: id.to_owned(),
            customer: None,
            owner: Owner {
                metadata: user.map(str::to_owned),
                reference: None,
            },
            mode: SessionMode::Payment,
            status,
            payment_status: "paid".to_owned(),
            payment: Payment::NotRequired,
            prices: vec!["price_x".to_owned()],
            metadata: [("plan_type".to_owned(), "gold".to_owned())].into(),
            url: None,
            subscription: None,
            created: 1_700_000_000,
        }
    }

    fn known(id: &str, state: PurchaseState) -> Purchase {
        Purchase {
            session: id.to_owned(),
            user: "ann".to_owned(),
            customer: None,
            plan: "gold".to_owned(),
            state,
            created_at: 1_700_000_000_000,
        }
    }

    fn catalog(price: &str) -> Catalog {
        let plan = Plan {
            name: "silver".to_owned(),
            role: "silver".to_owned(),
            permissions: Vec::new(),
            sale: Some(Sale {
                mode: Mode::Payment,
                prices: vec![price.to_owned()],
            }),
            replaces: Vec::new(),
        };
        Catalog::new(vec![plan], Vec::new())
    }

    #[test]
    fn the_ledger_learns_what_has_become_of_each_session() {
        use PurchaseState::{Complete, Expired, Open};
        let reading = Reading {
            accounts: Vec::new(),
            strays: vec![
                session("cs_paid", Some("ann"), SessionStatus::Complete),
                session("cs_old", Some("ann"), SessionStatus::Complete),
                session("cs_open", None, SessionStatus::Open),
                session("cs_odd", None, SessionStatus::Unknown("x".into())),
                session("cs_bobs", Some("bob"), SessionStatus::Complete),
            ],
            gone: vec![known("cs_gone", Open)],
            known: vec![
                known("cs_paid", Open),
                known("cs_old", Complete),
                known("cs_open", Open),
                known("cs_odd", Open),
                known("cs_gone", Open),
                known("cs_not_asked_about", Open),
                known("cs_long_gone", Complete),
            ],
        };
        let owned = reading.of("ann");
        let ids = |sessions: &[&CheckoutSession]| {
            let ids = sessions.iter().map(|session| session.id.clone());
            ids.collect::<Vec<_>>()
        };
        assert_eq!(
            ids(&owned.sessions),
            ["cs_paid", "cs_old", "cs_open", "cs_odd"]
        );
        let news = reading.news("ann", &owned, &catalog("price_other"));
        assert_eq!(
            news,
            [known("cs_paid", Complete), known("cs_gone", Expired)]
        );
    }

    #[test]
    fn the_plan_of_a_session_is_told_by_its_price_before_its_metadata() {
        let session = session("cs_1", None, SessionStatus::Complete);
        let plan = |session: &CheckoutSession, price: &str| {
            purchase(session, "ann", &catalog(price)).unwrap().plan
        };
        assert_eq!(plan(&session, "price_x"), "silver");
        assert_eq!(plan(&session, "price_y"), "gold");
        let nameless = CheckoutSession {
            metadata: std::collections::BTreeMap::new(),
            ..session
        };
        assert_eq!(plan(&nameless, "price_y"), "unknown");
    }

    #[test]
    fn only_what_a_plan_is_sold_at_and_what_is_not_unpaid_was_bought() {
        use SessionStatus::{Complete, Expired, Open};
        let catalog = catalog("price_x");
        let session = |status, payment_status: &str, prices: &[&str]| CheckoutSession {
            payment_status: payment_status.to_owned(),
            prices: prices.iter().map(ToString::to_string).collect(),
            ..session("cs_1", None, status)
        };
        let has_bought = |session: &CheckoutSession| {
            let owned = Owned {
                subscriptions: Vec::new(),
                sessions: vec![session],
            };
            owned.has_bought(&catalog)
        };
        for (session, expected) in [
            (session(Complete, "paid", &["price_x"]), true),
            (session(Complete, "no_payment_required", &["price_x"]), true),
            (session(Complete, "paid", &["price_shirt", "price_x"]), true),
            (session(Complete, "paid", &["price_shirt"]), false),
            (session(Complete, "no_payment_required", &[]), false),
            (session(Complete, "unpaid", &["price_x"]), false),
            (session(Open, "unpaid", &["price_x"]), false),
            (session(Expired, "paid", &["price_x"]), false),
        ] {
            assert_eq!(has_bought(&session), expected, "{session:?}");
        }
    }

    #[test]
    fn only_completed_payments_count_as_purchases() {
        let all = [
            session("cs_1", None, SessionStatus::Complete),
            session("cs_2", None, SessionStatus::Open),
            session("cs_3", None, SessionStatus::Expired),
            CheckoutSession {
                mode: SessionMode::Subscription,
                ..session("cs_4", None, SessionStatus::Complete)
            },
        ];
        let owned = Owned {
            subscriptions: Vec::new(),
            sessions: all.iter().collect(),
        };
        let state = owned.state();
        assert_eq!(state.purchases.len(), 1);
        assert_eq!(state.purchases[0].id, "cs_1");
    }
}
