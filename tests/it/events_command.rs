//! `tollgate events` and `tollgate store`, beside a running server.

use std::process::{Command, Output};

use serde_json::Value;
use tollgate::store::{Sqlite, Store as _};

use crate::shop::{ANN, Shop};

/// Runs a command of the binary with the shop's config.
fn run(shop: &Shop, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .arg("-c")
        .arg(shop.gate.folder.path().join("tollgate.yaml"))
        .output()
        .expect("the binary runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| unreachable!("{}", text(output)))
}

#[tokio::test]
async fn events_list_and_show_tell_what_came_and_what_became_of_it() {
    let shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    // The last line of the audit is written after Auth0 has answered.
    shop.settled().await;
    let listed = run(&shop, &["events", "list", "--json", "--user", ANN]);
    assert_eq!(listed.status.code(), Some(0));
    let listed = json(&listed);
    let events = listed["events"].as_array().expect("a list");
    let completed = events
        .iter()
        .find(|event| event["type"] == "checkout.session.completed")
        .expect("the checkout");
    assert_eq!(
        (&completed["user"], &listed["dead_jobs"]),
        (&Value::from(ANN), &Value::from([(); 0].to_vec()))
    );
    let id = completed["id"].as_str().expect("an id");
    let shown = json(&run(&shop, &["events", "show", id, "--json"]));
    assert_eq!(shown["plan"], "monthly");
    assert_eq!(shown["body"]["id"], id);
    let deeds: Vec<String> = shown["role_changes"]
        .as_array()
        .expect("an audit")
        .iter()
        .map(|line| format!("{} {}", line["action"], line["subject"]).replace('"', ""))
        .collect();
    assert_eq!(
        deeds,
        ["assign premium-monthly", "remove free-user"],
        "in their order"
    );
    let page = text(&run(&shop, &["events", "show", id]));
    assert!(
        page.contains("plan now   monthly") && page.contains("assign premium-monthly"),
        "{page}"
    );
    let page = text(&run(&shop, &["events", "list", "--type", "invoice.paid"]));
    assert!(
        page.contains("invoice.paid") && !page.contains("checkout.session"),
        "{page}"
    );
}

#[tokio::test]
async fn a_replay_wakes_a_job_that_was_given_up_and_the_server_takes_it_up() {
    let shop = Shop::open().await;
    shop.auth0.delete_role("premium-lifetime");
    let session = shop.checkout(ANN, "lifetime").await;
    shop.stripe.pay(&session);
    shop.until_dead(ANN).await;
    let listed = text(&run(&shop, &["events", "list"]));
    assert!(
        listed.contains("1 job given up") && listed.contains(ANN),
        "{listed}"
    );
    shop.auth0
        .create_role("premium-lifetime", &["read:premium-content"]);
    let replayed = run(&shop, &["events", "replay", "--dead"]);
    assert_eq!(text(&replayed), "1 job queued again\n");
    shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
    let mut sent = shop.stripe.outbox().into_iter();
    let completed = sent.find(|event| event.kind == "checkout.session.completed");
    let id = completed.expect("the event").id;
    let replayed = run(&shop, &["events", "replay", &id, "--json"]);
    assert_eq!(json(&replayed)["queued"], true);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_status_1_and_a_usage_error_is_2() {
    let shop = Shop::open().await;
    for (arguments, status, said) in [
        (&["events", "show", "evt_none"][..], 1, "no event evt_none"),
        (&["events", "replay", "evt_none"], 1, "nothing to do again"),
        (&["events", "list", "--state", "lost"], 2, ""),
        (&["events", "replay"], 2, ""),
    ] {
        let output = run(&shop, arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        assert!(text(&output).contains(said), "{}", text(&output));
    }
}

#[tokio::test]
async fn with_json_whatever_goes_wrong_is_told_as_json() {
    let shop = Shop::open().await;
    let none = run(&shop, &["events", "show", "evt_none", "--json"]);
    assert_eq!(none.status.code(), Some(1));
    assert_eq!(json(&none)["error"], "the ledger holds no event evt_none");
    let config = shop.gate.folder.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&config).expect("a config");
    let elsewhere = yaml.replace("/ledger.db", "/nowhere.db");
    std::fs::write(&config, elsewhere).expect("a config");
    let lost = run(&shop, &["events", "list", "--json"]);
    assert_eq!(lost.status.code(), Some(1), "{}", text(&lost));
    assert!(json(&lost)["error"].is_string(), "{}", text(&lost));
    std::fs::write(&config, yaml + "\nnonsense: 1\n").expect("a config");
    for arguments in [
        &["events", "list", "--json"][..],
        &["events", "show", "evt_none", "--json"],
        &["events", "replay", "--dead", "--json"],
    ] {
        let wrong = run(&shop, arguments);
        assert_eq!(wrong.status.code(), Some(2), "{arguments:?}");
        let errors = json(&wrong)["errors"].to_string();
        assert!(errors.contains("nonsense"), "{arguments:?}: {errors}");
    }
}

#[tokio::test]
async fn a_backup_is_one_command_and_never_overwrites() {
    let shop = Shop::open().await;
    shop.buy(ANN, "lifetime").await;
    let copy = shop.gate.folder.path().join("copy.db");
    let to = copy.display().to_string();
    let backup = ["store", "backup", "--to", &to];
    let made = run(&shop, &backup);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let again = run(&shop, &backup);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        text(&again).contains("no backup was made"),
        "{}",
        text(&again)
    );
    let url = format!("sqlite://{to}");
    let store = Sqlite::open_existing(&url).await.expect("a ledger");
    let row = store.entitlement(ANN).await;
    let row = row.expect("the ledger").expect("the user");
    assert_eq!(row.derived.plan.as_deref(), Some("lifetime"));
}
