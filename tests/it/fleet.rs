//! Several processes on one database behind a load balancer: what one of them learns the others go by, and whatever
//! happens to one of them, or to the database, nothing is lost.
//!
//! The processes are those of the build under test, or of the binary that `TOLLGATE_BINARY` names.

mod crowd;
mod ledger;
mod perils;
mod stopped;
mod watch;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::gate::{Gate, binary, launch};
use crate::shop::{ANN, Shop, setup};
use crate::support::balancer::Balancer;
use crate::support::postgres::{Database, Server};
use crate::support::raw::DEADLINE;

/// How soon every replica goes by a change.
const SOON: Duration = Duration::from_secs(1);
/// How often a condition that nobody announces is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long one try at a job may take; a lease lasts twice as long.
const TRY: Duration = Duration::from_secs(2);

/// A shop behind several replicas, of which `shop.gate` is the first. Stripe knows the balancer alone.
struct Fleet {
    shop: Shop,
    others: Vec<Gate>,
    balancer: Balancer,
    database: Database,
}

impl Fleet {
    /// So many replicas, which start together on an empty database.
    async fn of(replicas: usize, server: &Arc<Server>) -> Self {
        let database = server.database().await;
        let mut shop = Shop::open().await;
        let started = (0..replicas).map(|_| replica(&shop, &database));
        let mut others = join_all(started).await;
        shop.gate = others.remove(0);
        let balancer = Balancer::start();
        shop.stripe
            .send_to(&format!("http://{}/stripe/webhook", balancer.address));
        let fleet = Self {
            shop,
            others,
            balancer,
            database,
        };
        fleet.balance();
        fleet
    }

    /// One more replica.
    async fn grow(&mut self) {
        self.others.push(replica(&self.shop, &self.database).await);
        self.balance();
    }

    /// The balancer sends to all replicas, wherever they are now.
    fn balance(&self) {
        self.balancer
            .send_to(self.replicas().map(|gate| gate.address));
    }

    /// The balancer leaves the first replica out, as one does that looks at `/readyz`.
    fn leave_out_the_first(&self) {
        self.balancer
            .send_to(self.others.iter().map(|gate| gate.address));
    }

    fn replicas(&self) -> impl Iterator<Item = &Gate> {
        std::iter::once(&self.shop.gate).chain(&self.others)
    }

    /// How long after the first replica the others have answered `token` with this status.
    async fn followed(&self, token: &str, status: u16) -> Duration {
        self.shop.until("/premium", token, status).await;
        let began = Instant::now();
        timeout(DEADLINE, self.until_others(token, status))
            .await
            .expect("the others follow");
        began.elapsed()
    }

    /// Waits until every other replica answers `token` with this status.
    async fn until_others(&self, token: &str, status: u16) {
        let mut look = tokio::time::interval(LOOK);
        for gate in &self.others {
            while gate.get_with_token("/premium", token).await.status != status {
                look.tick().await;
            }
        }
    }
}

async fn replica(shop: &Shop, database: &Database) -> Gate {
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("sqlite://{}/ledger.db", folder.path().display());
    let setup = setup(&shop.auth0, &shop.stripe, &shop.backend)
        .section(&format!("sync: {{ deadline: {}s }}", TRY.as_secs()));
    let text = setup.yaml_in(folder.path());
    assert!(text.contains(&file));
    let config = folder.path().join("tollgate.yaml");
    std::fs::write(&config, text.replace(&file, &database.url)).expect("a config file");
    let gate = launch(folder, &config, false).await;
    gate.until_readyz(200).await;
    gate
}

/// Waits until the metric says whether the ledger can be read.
async fn ledger_is(gate: &Gate, up: f64) {
    let told = async {
        let mut look = tokio::time::interval(LOOK);
        while (gate.metric("tollgate_ledger_up", &[]).await - up).abs() > 0.5 {
            look.tick().await;
        }
    };
    timeout(DEADLINE, told).await.expect("the metric follows");
}

#[tokio::test]
async fn three_replicas_that_start_together_go_by_what_one_of_them_learns_within_a_second() {
    let Some(server) = Server::shared() else {
        return;
    };
    let fleet = Fleet::of(3, &server).await;
    let shop = &fleet.shop;
    let free = shop.token(ANN);
    for gate in fleet.replicas() {
        assert_eq!(gate.get_with_token("/premium", &free).await.status, 403);
    }
    // The quickest of a few rounds, which a busy machine does not disturb all.
    let (mut let_in, mut stopped) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let session = shop.checkout(ANN, "lifetime").await;
        shop.stripe.pay(&session);
        let_in = let_in.min(fleet.followed(&free, 200).await);
        shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
        shop.stripe.refund(&session);
        stopped = stopped.min(fleet.followed(&free, 403).await);
        shop.auth0.until_roles(ANN, &["free-user"]).await;
        if let_in.max(stopped) < SOON {
            break;
        }
    }
    assert!(let_in < SOON, "let in after {let_in:?}");
    assert!(stopped < SOON, "stopped after {stopped:?}");
}

#[tokio::test]
async fn while_the_database_is_away_tokens_decide_and_afterwards_all_goes_on() {
    let Some(server) = Server::own() else {
        return;
    };
    let fleet = Fleet::of(3, &server).await;
    let shop = &fleet.shop;
    let free = shop.token(ANN);
    let premium = shop.token_at(ANN, &["read:premium-content"], 0);
    server.end();
    assert_eq!(shop.get("/", &free).await.status, 200);
    assert_eq!(shop.get("/premium", &free).await.status, 403);
    assert_eq!(shop.get("/premium", &premium).await.status, 200);
    let refused = shop.get("/stripe/subscriptions", &free).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    ledger_is(&shop.gate, 0.0).await;
    server.begin();
    ledger_is(&shop.gate, 1.0).await;
    shop.buy(ANN, "lifetime").await;
    shop.until("/premium", &free, 200).await;
    let followed = timeout(DEADLINE, fleet.until_others(&free, 200)).await;
    followed.expect("the other replicas let Ann in");
    assert!(
        !shop.gate.log.text().contains("hunter2"),
        "no password in the log"
    );
}

#[tokio::test]
async fn a_replica_that_is_stopped_leaves_nothing_behind_and_commands_run_beside_the_others() {
    let Some(server) = Server::shared() else {
        return;
    };
    let mut fleet = Fleet::of(2, &server).await;
    fleet.shop.buy(ANN, "monthly").await;
    let mut other = fleet.others.remove(0);
    other.signal("TERM");
    let status = other.exit().await;
    let log = other.log.text();
    assert!(status.success(), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    let config = fleet.shop.gate.folder.path().join("tollgate.yaml");
    let listed = Command::new(binary())
        .args(["events", "list", "-c"])
        .arg(&config)
        .output()
        .expect("the command runs");
    let told = String::from_utf8_lossy(&listed.stdout);
    assert!(listed.status.success(), "{told}");
    assert!(
        told.contains(ANN),
        "the event that brought the role: {told}"
    );
    let premium = fleet.shop.token(ANN);
    fleet.shop.until("/premium", &premium, 200).await;
    // The one that lives, and nobody else.
    let places = "SELECT COUNT(*) <= 11 FROM pg_stat_activity
                  WHERE application_name = 'tollgate' AND datname = current_database()";
    let alone = async {
        let mut look = tokio::time::interval(LOOK);
        while fleet.database.sql(places) != "t" {
            look.tick().await;
        }
    };
    timeout(DEADLINE, alone)
        .await
        .expect("its connections are closed");
}
