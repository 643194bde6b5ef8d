//! The command, and the look in the background, on `PostgreSQL`, where several servers share the ledger.

use std::sync::Arc;

use futures_util::future::join;
use serde_json::json;
use tollgate::store::{Action, Looks as _, Postgres, Store as _};

use super::resume::{BUYERS, FIRST, asked, buyers, cut_short};
use super::{run_json, subscribe, until};
use crate::gate::{Gate, launch};
use crate::shop::{ANN, BOB, Shop, setup};
use crate::support::postgres::{Database, Server};

/// Two servers of one shop; `shop.gate` is the first.
struct Two {
    shop: Shop,
    other: Gate,
    database: Database,
    server: Arc<Server>,
}

impl Two {
    async fn with(section: &str) -> Option<Self> {
        let server = Server::shared()?;
        let database = server.database().await;
        let mut shop = Shop::open().await;
        let started = join(
            replica(&shop, &database, section),
            replica(&shop, &database, section),
        );
        let (first, other) = started.await;
        shop.gate = first;
        shop.stripe
            .send_to(&format!("http://{}/stripe/webhook", other.address));
        Some(Self {
            shop,
            other,
            database,
            server,
        })
    }

    async fn ledger(&self) -> Postgres {
        let ledger = Postgres::open_existing(&self.database.url).await;
        ledger.expect("the ledger")
    }

    /// Ends both servers, the first without a chance to say so.
    async fn close(&mut self) {
        self.shop.gate.signal("KILL");
        self.shop.gate.exit().await;
        self.other.signal("TERM");
        self.other.exit().await;
    }
}

async fn replica(shop: &Shop, database: &Database, section: &str) -> Gate {
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("sqlite://{}/ledger.db", folder.path().display());
    let setup = setup(&shop.auth0, &shop.stripe, &shop.backend).section(section);
    let text = setup.yaml_in(folder.path());
    assert!(text.contains(&file));
    let config = folder.path().join("tollgate.yaml");
    std::fs::write(&config, text.replace(&file, &database.url)).expect("a config file");
    let gate = launch(folder, &config, false).await;
    gate.until_readyz(200).await;
    gate
}

#[tokio::test]
async fn while_servers_run_the_command_finds_and_mends_and_nothing_is_done_twice() {
    let Some(two) = Two::with("").await else {
        return;
    };
    let shop = &two.shop;
    subscribe(shop, ANN);
    shop.auth0.give_role(BOB, "premium-lifetime");
    let told = run_json(shop, &[]).await;
    assert_eq!(told.kinds(), json!({ ANN: "missing", BOB: "extra" }));
    assert_eq!(shop.auth0.roles_of(ANN), ["free-user"]);
    let told = run_json(shop, &["--fix"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(told.json()["fixed"], 2);
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-monthly"]);
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user"]);
    let audit = two.ledger().await.role_changes(ANN, 10).await;
    let audit = audit.expect("the audit");
    let lines = |action| audit.iter().filter(|line| line.action == action).count();
    assert_eq!((lines(Action::Assign), lines(Action::Remove)), (1, 1));
    let told = run_json(shop, &[]).await;
    assert_eq!((told.status, told.kinds()), (Some(0), json!({})));
}

#[tokio::test]
async fn of_two_servers_one_looks_at_a_time_and_what_differs_is_mended_by_either() {
    let Some(mut two) = Two::with("reconcile: { every: 1s, fix: true }").await else {
        return;
    };
    subscribe(&two.shop, ANN);
    two.shop.auth0.until_roles(ANN, &["premium-monthly"]).await;
    let store = two.ledger().await;
    until("three looks", async || {
        let look = store.last_look().await.expect("a ledger");
        look.is_some_and(|look| look.id >= 3)
    })
    .await;
    two.close().await;
    let sql = "SELECT value FROM counters WHERE name = 'look'";
    let looks = two.server.sql(&two.database.name, sql);
    let looks: usize = looks.parse().expect("a number");
    let calls = two.shop.stripe.calls_of("GET", "/v1/customers");
    let lists = calls.iter().filter(|call| call.path == "/v1/customers");
    let lists = lists.count();
    // The last may have been cut short before it asked.
    let is_once = [looks, looks - 1].contains(&lists);
    assert!(
        is_once,
        "{looks} looks have read the customers {lists} times"
    );
}

#[tokio::test]
async fn the_look_of_a_server_that_was_killed_is_gone_on_with_by_another() {
    let Some(mut two) = Two::with("reconcile: { every: 1s, fix: true }").await else {
        return;
    };
    let hang = crate::support::stripe::Fault::Hang;
    two.shop.stripe.fault("GET", "/v1/customers", hang);
    let before = two.shop.stripe.calls_of("GET", "/v1/customers").len();
    two.shop
        .stripe
        .until_calls(before + 1, "GET", "/v1/customers")
        .await;
    // Whichever is at it, the other takes over, or it does itself after a start.
    two.shop.gate.signal("KILL");
    two.shop.gate.exit().await;
    two.shop.stripe.mend();
    subscribe(&two.shop, ANN);
    two.shop.auth0.until_roles(ANN, &["premium-monthly"]).await;
    let runs = "tollgate_reconcile_runs_total";
    two.other
        .until_metric(runs, &[("result", "drift")], 1.0)
        .await;
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_where_it_was_beside_two_servers() {
    let Some(two) = Two::with("").await else {
        return;
    };
    let customers = buyers(&two.shop);
    let store = two.ledger().await;
    cut_short(&two.shop, &store, &customers, "KILL").await;
    let told = run_json(&two.shop, &[]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    let answer = told.json();
    assert_eq!(answer["resumed"], true);
    assert_eq!(answer["looked_at"], BUYERS + 2);
    let first = asked(&two.shop, &customers[..FIRST]);
    assert_eq!(first, FIRST, "each was looked at once");
}

#[tokio::test]
async fn where_no_server_runs_the_command_does_the_jobs_itself_here_too() {
    let Some(mut two) = Two::with("").await else {
        return;
    };
    two.close().await;
    subscribe(&two.shop, ANN);
    let told = run_json(&two.shop, &["--fix"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(two.shop.auth0.roles_of(ANN), ["premium-monthly"]);
}

#[tokio::test]
async fn of_two_runs_at_once_one_looks_and_the_other_waits_or_says_so() {
    let Some(two) = Two::with("").await else {
        return;
    };
    buyers(&two.shop);
    let (one, other) = join(run_json(&two.shop, &[]), run_json(&two.shop, &[])).await;
    for told in [&one, &other] {
        let is_told_so = told.err.contains("another run is at it");
        assert!(told.status == Some(0) || is_told_so, "{}", told.err);
    }
    assert!([one.status, other.status].contains(&Some(0)));
}
