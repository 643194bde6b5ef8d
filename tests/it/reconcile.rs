//! `tollgate reconcile`, and the look at every user in the background: the real binary against both stand-ins.

mod background;
mod fix;
mod fleet;
mod look;
mod paces;
mod paying;
mod resume;
mod told;

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use tollgate::store::{Sqlite, Store as _};

use crate::gate::binary;
use crate::shop::Shop;
use crate::support::raw::DEADLINE;
use crate::support::stripe::PRICE_MONTHLY;

/// What a run of the command said.
struct Told {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|_| unreachable!("{}\n{}", self.out, self.err))
    }

    /// The kinds of drift by subject.
    fn kinds(&self) -> Value {
        let answer = self.json();
        let drift = answer["drift"].as_array().cloned().unwrap_or_default();
        let kinds = drift
            .iter()
            .map(|line| (text(&line["subject"]), line["kind"].clone()));
        Value::Object(kinds.collect())
    }

    /// Why the subject is told of.
    fn why(&self, subject: &str) -> String {
        let answer = self.json();
        let drift = answer["drift"].as_array().cloned().unwrap_or_default();
        let line = drift.iter().find(|line| line["subject"] == subject);
        line.map(|line| text(&line["why"])).unwrap_or_default()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn command(shop: &Shop, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .arg("reconcile")
        .args(arguments)
        .arg("-c")
        .arg(shop.gate.folder.path().join("tollgate.yaml"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn told(output: &Output) -> Told {
    Told {
        status: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs the command beside the stand-ins.
async fn run(shop: &Shop, arguments: &[&str]) -> Told {
    let mut command = command(shop, arguments);
    let output = tokio::task::spawn_blocking(move || command.output());
    told(&output.await.expect("a thread").expect("the binary runs"))
}

/// Runs it with `--json`.
async fn run_json(shop: &Shop, arguments: &[&str]) -> Told {
    run(shop, &[arguments, &["--json"]].concat()).await
}

/// The shop's ledger.
async fn ledger(shop: &Shop) -> Sqlite {
    let file = shop.gate.folder.path().join("ledger.db");
    let url = format!("sqlite://{}", file.display());
    Sqlite::open_existing(&url).await.expect("the ledger")
}

/// Waits until every event was heard, and every job is done.
async fn settle(shop: &Shop) {
    shop.stripe.until_all_acknowledged().await;
    let store = ledger(shop).await;
    until("all jobs are done", async || {
        let totals = store.totals().await.expect("a ledger");
        totals.queued + totals.running == 0
    })
    .await;
}

/// The time of day, in milliseconds.
fn now() -> i64 {
    let now = tollgate::clock::Clock::since_epoch(&tollgate::clock::SystemClock);
    i64::try_from(now.as_millis()).expect("a date")
}

/// Asks again until it is so.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let mut again = tokio::time::interval(Duration::from_millis(10));
    let reached = timeout(DEADLINE, async {
        while !is_so().await {
            again.tick().await;
        }
    });
    assert!(reached.await.is_ok(), "never: {what}");
}

/// A customer of the user's, made elsewhere, who pays by the month; no event tells of it. Gives the subscription's id.
fn subscribe(shop: &Shop, user: &str) -> String {
    subscribe_as(shop, &json!({ "auth0_user_id": user }))
}

fn subscribe_as(shop: &Shop, metadata: &Value) -> String {
    shop.stripe.make_no_events(true);
    let customer = shop.stripe.new_customer("payer@example.test", metadata);
    let made = shop
        .stripe
        .create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
    shop.stripe.make_no_events(false);
    made
}
