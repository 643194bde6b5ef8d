//! Everything together: the real binary between a stand-in Auth0, a stand-in Stripe and a backend, selling plans.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate::store::{JobKey, JobState, Sqlite, Store as _};

use crate::gate::{Gate, Setup};
use crate::support::auth0::{Auth0, CLIENT_ID, CLIENT_SECRET};
use crate::support::backend::Backend;
use crate::support::raw::{DEADLINE, Reply};
use crate::support::stripe::{KEY, PRICE_LIFETIME, PRICE_MONTHLY, SECRET, Stripe};

/// The user most stories are about.
pub(crate) const ANN: &str = "auth0|ann";
/// Another one.
pub(crate) const BOB: &str = "google-oauth2|bob";
/// Where the frontend is.
pub(crate) const FRONTEND: &str = "https://app.example.test";

/// The routes of the shop.
const ROUTES: &str = r#"
default: deny
routes:
  - { path: /, methods: [GET], access: public }
  - { path: "/me/{*rest}", access: authenticated }
  - { path: /premium, methods: [GET], permissions: [read:premium-content] }
  - { path: "/premium/{*rest}", permissions: [read:premium-content] }
  - { path: "/admin/{*rest}", permissions: [access:admin-panel] }
"#;

/// What each role may do, in the config and in the tenant.
const ROLES: [(&str, &[&str]); 4] = [
    ("free-user", &["read:basic-content"]),
    (
        "premium-monthly",
        &[
            "read:basic-content",
            "read:premium-content",
            "manage:subscription",
        ],
    ),
    (
        "premium-lifetime",
        &[
            "read:basic-content",
            "read:premium-content",
            "manage:subscription",
        ],
    ),
    (
        "admin",
        &[
            "read:basic-content",
            "read:premium-content",
            "manage:subscription",
            "access:admin-panel",
        ],
    ),
];

/// Tollgate with its neighbours.
pub(crate) struct Shop {
    pub(crate) auth0: Auth0,
    pub(crate) stripe: Stripe,
    pub(crate) backend: Backend,
    pub(crate) gate: Gate,
}

impl Shop {
    /// Opens with [`ANN`] and [`BOB`], who have the free plan's role.
    pub(crate) async fn open() -> Self {
        Self::with(|setup| setup).await
    }

    /// Opens with a changed config.
    pub(crate) async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let (auth0, stripe, backend) = (Auth0::start(), Stripe::start(), Backend::start());
        for (role, permissions) in ROLES {
            auth0.create_role(role, permissions);
        }
        for user in [ANN, BOB] {
            auth0.create_user(user, "somebody@example.test", true);
            auth0.give_role(user, "free-user");
        }
        let setup = change(setup(&auth0, &stripe, &backend));
        let gate = setup.start().await;
        stripe.send_to(&format!("http://{}/stripe/webhook", gate.address));
        Self {
            auth0,
            stripe,
            backend,
            gate,
        }
    }

    /// A token of the user with the permissions that the roles give now.
    pub(crate) fn token(&self, user: &str) -> String {
        self.auth0.token_for(user)
    }

    /// A token of the user that was issued `seconds` from now, with these permissions.
    pub(crate) fn token_at(&self, user: &str, permissions: &[&str], seconds: i64) -> String {
        let issued = crate::support::token::now() + seconds;
        self.auth0
            .sign(&self.auth0.draft(user, permissions).claim("iat", issued))
    }

    /// GET as `token` says.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.gate.get_with_token(path, token).await
    }

    /// POST of JSON as `token` says.
    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        self.gate
            .send("POST", path, &headers, &body.to_string())
            .await
    }

    /// Begins a checkout and gives the session's id.
    pub(crate) async fn checkout(&self, user: &str, plan: &str) -> String {
        let token = self.token(user);
        let body = json!({ "plan_type": plan });
        let reply = self
            .post("/stripe/create-checkout-session", &token, &body)
            .await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()["session_id"]
            .as_str()
            .expect("a session")
            .to_owned()
    }

    /// Buys `plan`, and waits until Auth0 has the role.
    pub(crate) async fn buy(&self, user: &str, plan: &str) -> String {
        let session = self.checkout(user, plan).await;
        self.stripe.pay(&session);
        self.auth0
            .until_roles(user, &[&format!("premium-{plan}")])
            .await;
        session
    }

    /// Asks again until the answer to GET `path` has this status.
    pub(crate) async fn until(&self, path: &str, token: &str, status: u16) -> Reply {
        self.until_token(path, status, || token.to_owned()).await
    }

    /// The same with a new token each time.
    pub(crate) async fn until_token(
        &self,
        path: &str,
        status: u16,
        token: impl Fn() -> String,
    ) -> Reply {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(10));
        let asked = tokio::time::timeout(crate::support::raw::DEADLINE, async {
            loop {
                look.tick().await;
                let reply = self.get(path, &token()).await;
                if reply.status == status {
                    return reply;
                }
            }
        });
        let reached = asked.await;
        reached
            .unwrap_or_else(|_| unreachable!("{path} never was {status}\n{}", self.gate.log.text()))
    }

    /// The `premium_status` of the user.
    pub(crate) async fn premium_status(&self, user: &str) -> Value {
        let reply = self.get("/auth/premium-status", &self.token(user)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["premium_status"].clone()
    }

    /// The ledger, as another process sees it.
    pub(crate) async fn ledger(&self) -> Sqlite {
        let file = self.gate.folder.path().join("ledger.db");
        let url = format!("sqlite://{}", file.display());
        Sqlite::open_existing(&url).await.expect("a ledger")
    }

    /// Waits until every event was accepted and no job is under way.
    pub(crate) async fn settled(&self) {
        self.stripe.until_all_acknowledged().await;
        self.until_in_ledger("no job", async |ledger| {
            let totals = ledger.totals().await.expect("the ledger");
            totals.queued + totals.running == 0
        })
        .await;
    }

    /// Waits until the user's job is given up for good: an event still on its way would bring it back to life.
    pub(crate) async fn until_dead(&self, user: &str) {
        self.settled().await;
        let key = JobKey::User(user.to_owned());
        self.until_in_ledger("a dead job", async |ledger| {
            let job = ledger.job(&key).await.expect("the ledger");
            job.is_some_and(|job| job.state == JobState::Dead)
        })
        .await;
    }

    /// Waits until this holds of the ledger.
    pub(crate) async fn until_in_ledger(&self, what: &str, holds: impl AsyncFn(&Sqlite) -> bool) {
        let ledger = self.ledger().await;
        let mut look = tokio::time::interval(Duration::from_millis(10));
        let reached = tokio::time::timeout(DEADLINE, async {
            while !holds(&ledger).await {
                look.tick().await;
            }
        });
        let reached = reached.await.is_ok();
        assert!(reached, "{what} never was\n{}", self.gate.log.text());
    }
}

/// The config of the shop.
pub(crate) fn setup(auth0: &Auth0, stripe: &Stripe, backend: &Backend) -> Setup {
    let mut roles = String::from("roles:\n");
    for (role, permissions) in ROLES {
        let _ = writeln!(roles, "  {role}: [\"{}\"]", permissions.join("\", \""));
    }
    Setup::new(auth0, &backend.url())
        .auth0("leeway: 1s")
        .auth0(&format!(
            "management: {{ client_id: {CLIENT_ID}, client_secret: {CLIENT_SECRET}, rate: 1000/s }}"
        ))
        .section(&format!(
            "stripe:\n  url: {}\n  secret_key: {KEY}\n  publishable_key: pk_test_standin\n  webhook: {{ secrets: [{SECRET}] }}\n  \
             frontend_url: {FRONTEND}",
            stripe.url()
        ))
        .section(&format!(
            "plans:\n  - {{ name: free, role: free-user }}\n  \
             - {{ name: monthly, role: premium-monthly, price: {PRICE_MONTHLY}, mode: subscription }}\n  \
             - {{ name: lifetime, role: premium-lifetime, price: {PRICE_LIFETIME}, mode: payment, replaces: [monthly] }}"
        ))
        .section(&roles)
        .section("store: { url: \"sqlite://DIR/ledger.db\" }")
        .routes(ROUTES)
}
