//! Several processes on one database: what one of them learns, the others go by.

use std::process::Command;
use std::time::Duration;

use tokio::time::timeout;

use crate::gate::{Gate, launch};
use crate::shop::{ANN, Shop, setup};
use crate::support::postgres::{Database, Server};
use crate::support::raw::DEADLINE;

/// How soon every replica goes by a change.
const SOON: Duration = Duration::from_secs(1);
/// How often a condition that nobody announces is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A shop behind two replicas; Stripe knows the first.
struct Fleet {
    shop: Shop,
    other: Gate,
    database: Database,
}

impl Fleet {
    async fn open(server: &std::sync::Arc<Server>) -> Self {
        let database = server.database().await;
        let mut shop = Shop::open().await;
        let (one, other) = tokio::join!(replica(&shop, &database), replica(&shop, &database));
        let webhook = format!("http://{}/stripe/webhook", one.address);
        shop.stripe.send_to(&webhook);
        shop.gate = one;
        Self {
            shop,
            other,
            database,
        }
    }

    /// Waits until the other replica answers `token` with this status.
    async fn until_other(&self, token: &str, status: u16) {
        let mut look = tokio::time::interval(LOOK);
        while self.other.get_with_token("/premium", token).await.status != status {
            look.tick().await;
        }
    }
}

async fn replica(shop: &Shop, database: &Database) -> Gate {
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("sqlite://{}/ledger.db", folder.path().display());
    let text = setup(&shop.auth0, &shop.stripe, &shop.backend).yaml_in(folder.path());
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
async fn what_is_bought_at_one_replica_counts_at_the_other_within_a_second() {
    let Some(server) = Server::shared() else {
        return;
    };
    let fleet = Fleet::open(&server).await;
    let shop = &fleet.shop;
    let free = shop.token(ANN);
    assert_eq!(
        fleet.other.get_with_token("/premium", &free).await.status,
        403
    );
    let session = shop.checkout(ANN, "lifetime").await;
    shop.stripe.pay(&session);
    shop.until("/premium", &free, 200).await;
    let followed = timeout(SOON, fleet.until_other(&free, 200)).await;
    followed.expect("the other replica lets Ann in");
    shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
    shop.stripe.refund(&session);
    shop.until("/premium", &free, 403).await;
    let followed = timeout(SOON, fleet.until_other(&free, 403)).await;
    followed.expect("the other replica stops Ann");
}

#[tokio::test]
async fn while_the_database_is_away_tokens_decide_and_afterwards_all_goes_on() {
    let Some(server) = Server::own() else {
        return;
    };
    let fleet = Fleet::open(&server).await;
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
    let followed = timeout(DEADLINE, fleet.until_other(&free, 200)).await;
    followed.expect("the other replica lets Ann in");
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
    let mut fleet = Fleet::open(&server).await;
    fleet.shop.buy(ANN, "monthly").await;
    fleet.other.signal("TERM");
    let status = fleet.other.exit().await;
    let log = fleet.other.log.text();
    assert!(status.success(), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    let config = fleet.shop.gate.folder.path().join("tollgate.yaml");
    let listed = Command::new(env!("CARGO_BIN_EXE_tollgate"))
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
