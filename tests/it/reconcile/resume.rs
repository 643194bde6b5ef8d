//! A run that is cut short, and the next one.

use serde_json::json;
use tollgate::store::{Look, Looks};

use super::{command, ledger, run_json, told, until};
use crate::shop::Shop;
use crate::support::stripe::{Fault, PRICE_LIFETIME};

/// More than one batch of users, each of whom costs Stripe calls of their own.
pub(super) const BUYERS: usize = 100;
/// After one batch.
const LATE: usize = 80;
/// Those of them in the first batch, which Ann is in too.
pub(super) const FIRST: usize = 63;

/// Buyers whose roles are right. Gives the customers, in the order of their users.
pub(super) fn buyers(shop: &Shop) -> Vec<String> {
    shop.stripe.make_no_events(true);
    let customers = (0..BUYERS).map(|number| {
        let user = format!("auth0|buyer-{number:03}");
        shop.auth0.create_user(&user, "buyer@example.test", true);
        shop.auth0.give_role(&user, "premium-lifetime");
        let metadata = json!({ "auth0_user_id": user });
        let customer = shop.stripe.new_customer("buyer@example.test", &metadata);
        shop.stripe
            .pay(&shop.stripe.new_checkout(&customer, PRICE_LIFETIME));
        customer
    });
    customers.collect()
}

/// How often each of these customers was asked about.
pub(super) fn asked(shop: &Shop, customers: &[String]) -> usize {
    let calls = customers
        .iter()
        .map(|id| shop.stripe.calls_of("GET", &format!("/v1/customers/{id}")));
    calls.map(|calls| calls.len()).sum()
}

/// Starts a run that comes to a stop at a late user, and ends it with `signal`.
pub(super) async fn cut_short(shop: &Shop, store: &dyn Looks, customers: &[String], signal: &str) {
    let late = format!("/v1/customers/{}", customers[LATE]);
    shop.stripe.fault("GET", &late, Fault::Hang);
    let mut child = command(shop, &["--json"]).spawn().expect("it starts");
    until("a batch is done", async || {
        let look: Option<Look> = store.last_look().await.expect("a ledger");
        look.is_some_and(|look| look.checked > 0)
    })
    .await;
    shop.stripe.until_calls(1, "GET", &late).await;
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args([&format!("-{signal}"), &pid])
        .status();
    assert!(sent.expect("kill runs").success());
    let ended = tokio::task::spawn_blocking(move || child.wait());
    ended.await.expect("a thread").expect("it ends");
    shop.stripe.mend();
}

#[tokio::test]
async fn a_run_that_was_stopped_goes_on_where_it_was() {
    let shop = Shop::open().await;
    let customers = buyers(&shop);
    cut_short(&shop, &ledger(&shop).await, &customers, "INT").await;
    let (first, rest) = customers.split_at(FIRST);
    assert_eq!(asked(&shop, first), first.len(), "each was looked at once");
    let before = asked(&shop, rest);
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    let answer = told.json();
    assert_eq!(answer["resumed"], true);
    assert_eq!(answer["looked_at"], BUYERS + 2);
    assert_eq!(asked(&shop, first), first.len(), "and not again");
    assert!(asked(&shop, rest) >= before + rest.len());
    let anew = run_json(&shop, &["--restart"]).await.json();
    assert_eq!(anew["resumed"], false);
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_where_it_was_and_one_that_restarts_does_not() {
    let shop = Shop::open().await;
    let customers = buyers(&shop);
    cut_short(&shop, &ledger(&shop).await, &customers, "KILL").await;
    let first = &customers[..FIRST];
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(told.json()["resumed"], true);
    assert_eq!(asked(&shop, first), first.len(), "each was looked at once");
    cut_short(&shop, &ledger(&shop).await, &customers, "INT").await;
    let told = run_json(&shop, &["--restart"]).await;
    assert_eq!(told.json()["resumed"], false);
    assert_eq!(told.json()["looked_at"], BUYERS + 2);
}

#[tokio::test]
async fn a_run_that_is_stopped_says_what_is_kept() {
    let shop = Shop::open().await;
    shop.stripe.fault("GET", "/v1/customers", Fault::Hang);
    let child = command(&shop, &[]).spawn().expect("it starts");
    shop.stripe.until_calls(1, "GET", "/v1/customers").await;
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    let told = told(&output.await.expect("a thread").expect("it ends"));
    assert_eq!(told.status, Some(1));
    assert!(
        told.err.contains("what was looked at is kept"),
        "{}",
        told.err
    );
}
