//! The operator's whole story, with the real binary: from an empty tenant and an empty account to a shop that sells, and
//! back to the truth after somebody changed roles by hand.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tollgate::store::{Action, Sqlite, Store as _};

use crate::gate::{Gate, binary, launch};
use crate::shop::{self, ANN, BOB, Shop};
use crate::support::auth0::Auth0;
use crate::support::backend::Backend;
use crate::support::net::Reserved;
use crate::support::raw::DEADLINE;
use crate::support::stripe::{SECRET, Stripe};

/// Before Tollgate runs for the first time.
struct Place {
    auth0: Auth0,
    stripe: Stripe,
    backend: Backend,
    folder: TempDir,
    operator: Operator,
    /// Tollgate's port, so that the address of the webhook endpoint is known before Tollgate listens there.
    _port: Reserved,
}

/// Who runs commands.
struct Operator {
    config: PathBuf,
    secret: PathBuf,
}

/// What a command said.
struct Told {
    status: Option<i32>,
    text: String,
}

impl Place {
    /// Two users, prices, and nothing else.
    fn empty() -> Self {
        let (auth0, stripe, backend) = (
            Auth0::start_empty(),
            Stripe::start_empty(),
            Backend::start(),
        );
        auth0.grant_setup();
        for user in [ANN, BOB] {
            auth0.create_user(user, "somebody@example.test", true);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let operator = Operator {
            config: folder.path().join("tollgate.yaml"),
            secret: folder.path().join("webhook-secret"),
        };
        let port = Reserved::any();
        let text = shop::setup(&auth0, &stripe, &backend).yaml_in(folder.path());
        let (listen, webhook) = ("listen: 127.0.0.1:0", format!("secrets: [{SECRET}]"));
        assert!(text.contains(listen) && text.contains(&webhook), "{text}");
        let secret = format!(
            "secrets: [\"${{file:{}}}\"], url: http://{}/stripe/webhook",
            operator.secret.display(),
            port.address()
        );
        let text = text
            .replacen(listen, &format!("listen: {}", port.address()), 1)
            .replace(&webhook, &secret);
        std::fs::write(&operator.config, text).expect("a config file");
        Self {
            auth0,
            stripe,
            backend,
            folder,
            operator,
            _port: port,
        }
    }

    /// How many requests changed something, or tried to.
    fn writes(&self) -> usize {
        writes(&self.auth0, &self.stripe)
    }

    /// Starts Tollgate.
    async fn serve(self) -> (Shop, Operator) {
        let gate: Gate = launch(self.folder, &self.operator.config, false).await;
        gate.until_readyz(200).await;
        let shop = Shop {
            auth0: self.auth0,
            stripe: self.stripe,
            backend: self.backend,
            gate,
        };
        (shop, self.operator)
    }
}

impl Operator {
    async fn run(&self, command: &str, arguments: &[&str]) -> Told {
        let mut made = Command::new(binary());
        made.arg(command)
            .args(arguments)
            .arg("-c")
            .arg(&self.config)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        // The stand-ins answer on this runtime.
        let running = tokio::task::spawn_blocking(move || made.output());
        let ended = timeout(DEADLINE, running).await.expect("in time");
        let output = ended.expect("a thread").expect("the binary runs");
        Told {
            status: output.status.code(),
            text: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        }
    }

    /// The names of what does not pass, by status.
    async fn doctor(&self, expected: i32) -> (Vec<String>, Vec<String>) {
        let answer = self.run("doctor", &["--json"]).await.with(expected).json();
        let of = |status: &str| {
            let checks = answer["checks"].as_array().expect("a list").iter();
            let found = checks.filter(|check| check["status"] == status);
            found.map(|check| text(&check["name"])).collect()
        };
        (of("FAIL"), of("WARN"))
    }

    /// The kinds of drift by user.
    async fn drift(&self, expected: i32) -> Value {
        let answer = self.run("reconcile", &["--json"]).await;
        let answer = answer.with(expected).json();
        let lines = answer["drift"].as_array().expect("a list").iter();
        let kinds = lines.map(|line| (text(&line["subject"]), line["kind"].clone()));
        Value::Object(kinds.collect())
    }
}

impl Told {
    #[track_caller]
    fn with(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{}", self.text);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| unreachable!("{}", self.text))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn writes(auth0: &Auth0, stripe: &Stripe) -> usize {
    let (auth0, stripe) = (auth0.seen(), stripe.calls());
    let auth0 = auth0.iter().filter(|seen| seen.method != Method::GET);
    let stripe = stripe.iter().filter(|call| call.method != "GET");
    auth0.count() + stripe.count()
}

#[tokio::test]
async fn from_an_empty_tenant_and_an_empty_account_to_a_shop_whose_roles_are_mended() {
    let place = Place::empty();
    set_up(&place).await;
    let (shop, operator) = place.serve().await;
    all_is_green_once_it_runs(&shop, &operator).await;
    a_purchase_gives_role_and_access(&shop).await;
    roles_are_changed_by_hand(&shop, &operator).await;
    they_are_mended(&shop, &operator).await;
}

async fn set_up(place: &Place) {
    let operator = &place.operator;
    let (red, _) = operator.doctor(1).await;
    for name in [
        "api RBAC",
        "api permissions",
        "role premium-monthly",
        "role admin",
        "webhook endpoint",
        "webhook secret",
    ] {
        assert!(red.iter().any(|red| red == name), "{name} in {red:?}");
    }
    let people = operator.run("doctor", &[]).await.with(1);
    assert!(people.text.contains("FAIL"), "{}", people.text);
    let plan = operator.run("bootstrap", &["--dry-run"]).await.with(0);
    assert!(plan.text.contains("+ role admin"), "{}", plan.text);
    assert_eq!(place.writes(), 0, "reads alone so far");
    assert_eq!(place.auth0.role_names(), [""; 0]);
    let secret = operator.secret.display().to_string();
    let arguments = ["--yes", "--write-secret", &secret];
    let made = operator.run("bootstrap", &arguments).await.with(0);
    let written = std::fs::read_to_string(&operator.secret).expect("the secret");
    assert!(!made.text.contains(written.trim()), "not shown");
    assert_eq!(
        place.auth0.role_names(),
        ["admin", "free-user", "premium-lifetime", "premium-monthly"]
    );
    let (red, _) = operator.doctor(0).await;
    assert_eq!(red, [""; 0]);
    let done = place.writes();
    operator.run("bootstrap", &["--yes"]).await.with(0);
    assert_eq!(place.writes(), done, "there was nothing left to do");
}

/// What bootstrap cannot make is a warning, until the operator has made it.
async fn all_is_green_once_it_runs(shop: &Shop, operator: &Operator) {
    let (red, yellow) = operator.doctor(0).await;
    assert_eq!((red, yellow), (vec![], vec!["portal".to_owned()]));
    shop.stripe.set_up_portal(true);
    assert_eq!(operator.doctor(0).await, (vec![], vec![]));
}

async fn a_purchase_gives_role_and_access(shop: &Shop) {
    let token = shop.token(ANN);
    assert_eq!(shop.get("/premium", &token).await.status, 403);
    shop.buy(ANN, "monthly").await;
    shop.until("/premium", &token, 200).await;
    // Nobody told the stand-in where to send events but bootstrap.
    shop.stripe.until_all_acknowledged().await;
    let statuses = shop.stripe.attempts().into_iter();
    let statuses: Vec<_> = statuses.map(|attempt| attempt.status).collect();
    assert!(
        !statuses.is_empty() && statuses.iter().all(|status| *status == Some(200)),
        "{statuses:?}"
    );
    let newer = shop.token(ANN);
    assert_eq!(shop.get("/premium", &newer).await.status, 200);
}

async fn roles_are_changed_by_hand(shop: &Shop, operator: &Operator) {
    until_no_jobs(shop).await;
    operator.run("reconcile", &[]).await.with(0);
    shop.auth0.take_role(ANN, "premium-monthly");
    shop.auth0.give_role(BOB, "premium-lifetime");
    let before = writes(&shop.auth0, &shop.stripe);
    let found = operator.drift(1).await;
    assert_eq!(found, json!({ ANN: "missing", BOB: "extra" }));
    let people = operator.run("reconcile", &[]).await.with(1);
    for part in [ANN, BOB, "premium-lifetime", "--fix"] {
        assert!(people.text.contains(part), "{part}: {}", people.text);
    }
    assert_eq!(writes(&shop.auth0, &shop.stripe), before, "reads alone");
    assert_eq!(shop.auth0.roles_of(BOB), ["premium-lifetime"]);
}

async fn they_are_mended(shop: &Shop, operator: &Operator) {
    operator.run("reconcile", &["--fix"]).await.with(0);
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-monthly"]);
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user"]);
    let store = ledger(shop).await;
    for (user, action, role) in [
        (ANN, Action::Assign, "premium-monthly"),
        (BOB, Action::Remove, "premium-lifetime"),
    ] {
        let audit = store.role_changes(user, 1).await.expect("the audit");
        let last = audit.first().expect("a line");
        assert_eq!(
            (last.cause.why.as_str(), last.action, last.subject.as_str()),
            ("reconcile", action, role),
            "{user}"
        );
    }
    assert_eq!(operator.drift(0).await, json!({}));
    let token = shop.token(BOB);
    assert_eq!(shop.get("/premium", &token).await.status, 403);
}

/// Nothing is under way any more.
async fn until_no_jobs(shop: &Shop) {
    let store = ledger(shop).await;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(10));
    let done = timeout(DEADLINE, async {
        loop {
            let totals = store.totals().await.expect("a ledger");
            if totals.queued + totals.running == 0 {
                return;
            }
            look.tick().await;
        }
    });
    done.await.expect("all jobs are done");
}

async fn ledger(shop: &Shop) -> Sqlite {
    let file = shop.gate.folder.path().join("ledger.db");
    let url = format!("sqlite://{}", file.display());
    Sqlite::open_existing(&url).await.expect("the ledger")
}
