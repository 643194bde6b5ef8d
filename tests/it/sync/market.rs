//! A market without a gate: Stripe, Auth0 and a ledger, with the real clients and the worker between them, driven step by
//! step. Buyers buy at the stand-in; its events enter the ledger as the webhook would put them there.
//!
//! Time stands still until [`Market::pass`], or until nothing is left to do now and [`Market::settle`] goes on to when the
//! next job is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;
use tollgate::clock::{Clock, ManualClock, SystemClock};
use tollgate::endpoints::intent::{Ours, new_event};
use tollgate::entitlement::{Catalog, Mode, PastDue, Plan, Role, Sale, Terms};
use tollgate::store::{
    Action, Cause, Entitlement, JobKey, JobStatus, LinkKind, Priority, Purchase, PurchaseState,
    Received, RoleChange, Sqlite, Store, UnixMillis,
};
use tollgate::stripe::{Envelope, IdempotencyKey, NewCheckout, SessionMode};
use tollgate::sync::{Config, Parts, Stepped, Sync};
use tollgate::telemetry::Metrics;
use tollgate::types::{Rate, Secret};
use tollgate::{auth0, stripe};

use crate::support::auth0::{Auth0, CLIENT_ID, CLIENT_SECRET};
use crate::support::stripe::{
    Event, Form, KEY, PRICE_LIFETIME, PRICE_MONTHLY, Stripe as StripeStandIn,
};

/// The user most stories are about.
pub(crate) const ANN: &str = "auth0|ann";
/// Another one.
pub(crate) const BOB: &str = "google-oauth2|bob";

/// More steps than any story takes: a worker that runs in circles is found out.
const TOO_MANY: usize = 500;

/// The market.
pub(crate) struct Market {
    pub(crate) stripe: StripeStandIn,
    pub(crate) auth0: Auth0,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sync: Sync,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) parts: Parts,
    /// Events of the outbox that were delivered.
    delivered: AtomicUsize,
    /// Where the ledger is, until the story ends; `None` is in memory.
    folder: Option<TempDir>,
}

impl Market {
    /// Opens with [`ANN`] and [`BOB`], who have the free plan's role, and with every role of the plans, and `admin`.
    pub(crate) async fn open() -> Self {
        Self::with(PastDue::Keep).await
    }

    /// The same on other terms.
    pub(crate) async fn with(past_due: PastDue) -> Self {
        let folder = TempDir::new().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
        Self::at(past_due, Some(folder), &url).await
    }

    /// The same with a ledger in memory, which is quicker, and which a restart finds as it was.
    pub(crate) async fn in_memory() -> Self {
        Self::at(PastDue::Keep, None, "sqlite::memory:").await
    }

    async fn at(past_due: PastDue, folder: Option<TempDir>, url: &str) -> Self {
        let (stripe, auth0) = (StripeStandIn::start(), Auth0::start());
        for role in catalog().roles() {
            auth0.create_role(&role.name, &[]);
        }
        for user in [ANN, BOB] {
            auth0.create_user(user, "somebody@example.test", true);
            auth0.give_role(user, "free-user");
        }
        let now = SystemClock.since_epoch().as_secs();
        let clock = Arc::new(ManualClock::at(now));
        stripe.set_time(i64::try_from(now).ok());
        let store = Arc::new(Sqlite::open(url).await.expect("a ledger"));
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let parts = Parts {
            stripe: Arc::new(stripe_client(&stripe, &metrics)),
            auth0: Arc::new(auth0_client(&auth0, &clock, &metrics)),
            store: Arc::clone(&store) as Arc<dyn Store>,
            terms: Arc::new(ArcSwap::from_pointee(Terms {
                catalog: catalog(),
                past_due,
            })),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            metrics: Arc::clone(&metrics),
        };
        Self {
            sync: Sync::new(parts.clone(), config()),
            stripe,
            auth0,
            store,
            clock,
            metrics,
            parts,
            delivered: AtomicUsize::new(0),
            folder,
        }
    }

    /// The process ends at whatever it was at, and starts again with the same ledger.
    pub(crate) async fn restart(&mut self) {
        let store: Arc<dyn Store> = match &self.folder {
            Some(folder) => {
                let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
                Arc::new(Sqlite::open(&url).await.expect("the ledger"))
            }
            None => Arc::clone(&self.store),
        };
        store.release_leases().await.expect("leases");
        self.parts.store = Arc::clone(&store);
        self.parts.stripe = Arc::new(stripe_client(&self.stripe, &self.metrics));
        self.parts.auth0 = Arc::new(auth0_client(&self.auth0, &self.clock, &self.metrics));
        self.store = store;
        self.sync = Sync::new(self.parts.clone(), config());
    }

    /// Where the ledger is.
    pub(crate) fn url(&self) -> String {
        let folder = self.folder.as_ref().expect("a ledger in a file");
        format!("sqlite://{}", folder.path().join("ledger.db").display())
    }

    /// From now on the worker asks this Stripe.
    pub(crate) fn ask_another(&mut self, stripe: stripe::Client) {
        self.parts.stripe = Arc::new(stripe);
        self.sync = Sync::new(self.parts.clone(), config());
    }

    /// From now on the worker asks an account that knows nothing of what was bought here.
    pub(crate) fn change_account(&mut self) {
        self.stripe = StripeStandIn::start();
        self.delivered = AtomicUsize::default();
        self.ask_another(stripe_client(&self.stripe, &self.metrics));
    }

    // ---- time

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis::try_from(self.clock.since_epoch().as_millis()).expect("a date")
    }

    /// Time passes, here and at Stripe.
    pub(crate) fn pass(&self, time: Duration) {
        let now = self.clock.since_epoch() + time;
        self.set_time(now.as_secs() + u64::from(now.subsec_nanos() > 0));
    }

    fn set_time(&self, seconds: u64) {
        self.clock.set(seconds);
        self.stripe.set_time(i64::try_from(seconds).ok());
    }

    // ---- what users do

    /// The user's customer, made as the checkout makes it.
    pub(crate) async fn customer(&self, user: &str) -> String {
        let own = self.store.customers_of(user).await.expect("links");
        if let Some(link) = own.iter().find(|link| !link.deleted) {
            return link.customer.clone();
        }
        let key = IdempotencyKey(format!("customer-{user}-{}", own.len()));
        let made = self.parts.stripe.create_customer(user, None, &key).await;
        let customer = made.expect("a customer").id;
        let linked = self
            .store
            .link(&customer, user, LinkKind::Owner, self.now());
        linked.await.expect("a link");
        customer
    }

    /// Begins a checkout as the endpoint does; gives the session's id.
    pub(crate) async fn checkout(&self, user: &str, plan: &str) -> String {
        let customer = self.customer(user).await;
        let (mode, price) = match plan {
            "monthly" => (SessionMode::Subscription, PRICE_MONTHLY),
            _ => (SessionMode::Payment, PRICE_LIFETIME),
        };
        let checkout = NewCheckout {
            mode,
            price: price.to_owned(),
            customer: customer.clone(),
            user: user.to_owned(),
            plan: plan.to_owned(),
            success_url: "https://app.example.test/?session_id={CHECKOUT_SESSION_ID}".to_owned(),
            cancel_url: "https://app.example.test/".to_owned(),
        };
        let count = self.stripe.ids("checkout.session").len();
        let key = IdempotencyKey(format!("checkout-{user}-{count}"));
        let begun = self.parts.stripe.create_checkout_session(&checkout, &key);
        let session = begun.await.expect("a session").id;
        let purchase = Purchase {
            session: session.clone(),
            user: user.to_owned(),
            customer: Some(customer),
            plan: plan.to_owned(),
            state: PurchaseState::Open,
            created_at: self.now(),
        };
        let recorded = self.store.record_purchase(&purchase).await;
        recorded.expect("a purchase");
        session
    }

    /// Checks out and pays; nothing is delivered yet. Gives the session's id.
    pub(crate) async fn pay(&self, user: &str, plan: &str) -> String {
        let session = self.checkout(user, plan).await;
        self.stripe.pay(&session);
        session
    }

    /// Buys, and all is settled. Gives the session's id.
    pub(crate) async fn buy(&self, user: &str, plan: &str) -> String {
        let session = self.pay(user, plan).await;
        self.deliver().await;
        self.settle().await;
        session
    }

    // ---- events

    /// The events that happened since this was asked last.
    pub(crate) fn news(&self) -> Vec<Event> {
        let news = self
            .stripe
            .outbox_after(self.delivered.load(Ordering::SeqCst));
        self.delivered.fetch_add(news.len(), Ordering::SeqCst);
        news
    }

    /// Every new event enters the ledger.
    pub(crate) async fn deliver(&self) {
        for event in self.news() {
            self.receive(&event).await;
        }
    }

    /// The new events are lost on their way.
    pub(crate) fn lose_events(&self) {
        self.news();
    }

    /// One event enters the ledger.
    pub(crate) async fn receive(&self, event: &Event) -> Received {
        self.receive_as(event, Form::Snapshot).await
    }

    /// One event in this form.
    pub(crate) async fn receive_as(&self, event: &Event, form: Form) -> Received {
        self.receive_body(&event.body(form, false)).await
    }

    /// An event with this body.
    pub(crate) async fn receive_body(&self, body: &Value) -> Received {
        let body = Bytes::from(body.to_string());
        let envelope = Envelope::parse(&body).expect("an event");
        let ours = Ours {
            live: false,
            account: None,
        };
        let event = new_event(&envelope, body, self.now(), ours);
        let received = self.store.receive(&[event]).await;
        received.expect("a ledger")[0]
    }

    // ---- the worker

    /// Somebody wants to know how things stand with the user.
    pub(crate) async fn ask(&self, user: &str) {
        let key = JobKey::User(user.to_owned());
        let cause = Cause {
            why: "a question".to_owned(),
            event: None,
        };
        let asked = self
            .store
            .enqueue(&key, &cause, Priority::Background, self.now());
        asked.await.expect("a job");
    }

    /// One step.
    pub(crate) async fn step(&self) -> Stepped {
        self.sync.step().await.expect("the ledger can be used")
    }

    /// Works until nothing is due now.
    pub(crate) async fn work(&self) -> Vec<Stepped> {
        let mut done = Vec::new();
        loop {
            let stepped = self.step().await;
            if stepped == Stepped::Idle {
                return done;
            }
            done.push(stepped);
            assert!(done.len() < TOO_MANY, "the worker runs in circles");
        }
    }

    /// Works until nothing is left to do, however long that takes.
    pub(crate) async fn settle(&self) -> Vec<Stepped> {
        let mut done = Vec::new();
        loop {
            done.extend(self.work().await);
            assert!(done.len() < TOO_MANY, "the worker runs in circles");
            let Some(due) = self.store.next_due().await.expect("jobs") else {
                return done;
            };
            let due = u64::try_from(due).expect("a date").div_ceil(1000);
            self.set_time(due.max(self.clock.since_epoch().as_secs()));
        }
    }

    /// Users whose time has come are looked at again.
    pub(crate) async fn recheck(&self) -> u64 {
        self.store.recheck(self.now()).await.expect("rechecks")
    }

    // ---- what is to be seen

    /// The ledger's row of the user.
    pub(crate) async fn row(&self, user: &str) -> Entitlement {
        let row = self.store.entitlement(user).await.expect("a ledger");
        row.expect("an entitlement")
    }

    /// The plan that the ledger says the user has.
    pub(crate) async fn plan(&self, user: &str) -> String {
        self.row(user).await.derived.plan.expect("a plan")
    }

    /// The user's job.
    pub(crate) async fn job(&self, user: &str) -> Option<JobStatus> {
        let key = JobKey::User(user.to_owned());
        self.store.job(&key).await.expect("a ledger")
    }

    /// The user's audit, the oldest first.
    pub(crate) async fn audit(&self, user: &str) -> Vec<RoleChange> {
        let mut lines = self
            .store
            .role_changes(user, 1000)
            .await
            .expect("the audit");
        lines.reverse();
        lines
    }

    /// What was done to the user, the oldest first: `assign premium-monthly`, with `!` when it failed.
    pub(crate) async fn deeds(&self, user: &str) -> Vec<String> {
        let deed = |line: &RoleChange| {
            let word = match line.action {
                Action::Assign => "assign",
                Action::Remove => "remove",
                Action::EndSubscription => "end",
            };
            let failed = if line.error.is_some() { "!" } else { "" };
            format!("{word} {}{failed}", line.subject)
        };
        self.audit(user).await.iter().map(deed).collect()
    }
}

/// What is sold: as in the example config.
pub(crate) fn catalog() -> Catalog {
    let roles = [
        ("free-user", &["read:basic-content"][..]),
        (
            "premium-monthly",
            &["read:basic-content", "read:premium-content"],
        ),
        (
            "premium-lifetime",
            &["read:basic-content", "read:premium-content"],
        ),
        ("admin", &["read:premium-content", "access:admin-panel"]),
    ];
    let roles = roles.iter().map(|(name, permissions)| Role {
        name: (*name).to_owned(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
    });
    let roles: Vec<Role> = roles.collect();
    let plan = |name: &str, at: usize, sale: Option<(Mode, &str)>, replaces: &[&str]| Plan {
        name: name.to_owned(),
        role: roles[at].name.clone(),
        permissions: roles[at].permissions.clone(),
        sale: sale.map(|(mode, price)| Sale {
            mode,
            prices: vec![price.to_owned()],
        }),
        replaces: replaces.iter().map(ToString::to_string).collect(),
    };
    let plans = vec![
        plan("free", 0, None, &[]),
        plan("monthly", 1, Some((Mode::Subscription, PRICE_MONTHLY)), &[]),
        plan(
            "lifetime",
            2,
            Some((Mode::Payment, PRICE_LIFETIME)),
            &["monthly"],
        ),
    ];
    Catalog::new(plans, roles)
}

/// How the worker works.
pub(crate) fn config() -> Config {
    Config {
        workers: 2,
        max_age: Duration::from_secs(24 * 3600),
        deadline: Duration::from_secs(60),
        retention: Duration::from_secs(30 * 24 * 3600),
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(300),
    }
}

fn stripe_client(stripe: &StripeStandIn, metrics: &Arc<Metrics>) -> stripe::Client {
    let config = stripe::Config {
        url: stripe.url(),
        secret_key: Secret::new(KEY.to_owned()),
        timeout: Duration::from_secs(2),
        // What goes wrong is to be seen by the worker.
        retries: 0,
    };
    stripe::Client::new(config, Arc::clone(metrics)).expect("a client of Stripe")
}

fn auth0_client(auth0: &Auth0, clock: &Arc<ManualClock>, metrics: &Arc<Metrics>) -> auth0::Client {
    let config = auth0::Config {
        url: auth0.url().to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(CLIENT_SECRET.to_owned()),
        audience: format!("{}api/v2/", auth0.url()),
        timeout: Duration::from_secs(2),
        rate: "10000/s".parse::<Rate>().expect("a rate"),
    };
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    auth0::Client::new(config, clock, Arc::clone(metrics)).expect("a client of Auth0")
}
