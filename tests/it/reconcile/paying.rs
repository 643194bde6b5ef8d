//! Whoever pays keeps what they paid for, also where the lists, the config or the operator are mistaken.

use http::Method;
use serde_json::json;
use tollgate::store::{Cause, JobKey, Priority, Store as _};

use super::{ledger, now, run, run_json, subscribe, subscribe_as};
use crate::shop::{ANN, BOB, Shop};
use crate::support::auth0::{Fault as Auth0Fault, Trouble};
use crate::support::stripe::{Fault, PRICE_LIFETIME};

/// More than are mended without a second thought.
const MANY: usize = 12;

/// Holders of a sold role of whom Stripe knows nothing.
fn holders(shop: &Shop) -> Vec<String> {
    let users = (0..MANY).map(|number| {
        let user = format!("auth0|holder-{number:02}");
        shop.auth0.create_user(&user, "holder@example.test", true);
        shop.auth0.give_role(&user, "premium-monthly");
        user
    });
    users.collect()
}

#[tokio::test]
async fn roles_of_an_implausible_share_of_the_holders_are_left_unless_it_is_forced() {
    let shop = Shop::open().await;
    let holders = holders(&shop);
    subscribe(&shop, ANN);
    let told = run(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1), "{}{}", told.out, told.err);
    assert!(told.out.contains("12 users keep roles"), "{}", told.out);
    assert!(told.out.contains("may be a mistake"), "{}", told.out);
    for user in &holders {
        assert_eq!(shop.auth0.roles_of(user), ["premium-monthly"]);
    }
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-monthly"], "mended");
    let told = run_json(&shop, &["--fix", "--force"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    for user in &holders {
        assert_eq!(shop.auth0.roles_of(user), ["free-user"]);
    }
    let usage = run(&shop, &["--force"]).await;
    assert_eq!(usage.status, Some(2), "without --fix it means nothing");
}

#[tokio::test]
async fn a_look_in_the_background_leaves_the_roles_of_so_many_too_and_says_so() {
    let shop = Shop::with(|setup| setup.section("reconcile: { every: 1h, fix: true }")).await;
    let ended = "tollgate_reconcile_last_success_timestamp_seconds";
    shop.gate.until_metric(ended, &[], 1.0).await;
    let mut shop = shop;
    shop.gate.signal("TERM");
    shop.gate.exit().await;
    let holders = holders(&shop);
    let config = shop.gate.folder.path().join("tollgate.yaml");
    let text = std::fs::read_to_string(&config).expect("a config");
    std::fs::write(&config, text.replace("every: 1h", "every: 1s")).expect("a config");
    shop.gate.restart().await;
    shop.gate
        .log
        .until("what was left", 1, |event| {
            event["reconcile.held_back"] == MANY
        })
        .await;
    for user in &holders {
        assert_eq!(shop.auth0.roles_of(user), ["premium-monthly"]);
    }
}

#[tokio::test]
async fn a_look_in_the_background_takes_no_role_whose_holder_may_be_the_customer_of_nobody() {
    let mut shop = Shop::with(|setup| setup.section("reconcile: { every: 1s, fix: true }")).await;
    shop.gate.signal("TERM");
    shop.gate.exit().await;
    shop.auth0.give_role(BOB, "premium-monthly");
    subscribe_as(&shop, &json!({}));
    shop.gate.restart().await;
    let left = shop.gate.log.until("what was left", 1, |event| {
        event["reconcile.held_back"] == 1
    });
    left.await;
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user", "premium-monthly"]);
}

#[tokio::test]
async fn while_a_list_is_not_to_be_had_no_role_is_taken_away() {
    let shop = Shop::open().await;
    shop.auth0.give_role(BOB, "premium-lifetime");
    let sessions = "/v1/checkout/sessions";
    shop.stripe.fault("GET", sessions, Fault::status(403));
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1), "{}{}", told.out, told.err);
    assert!(told.out.contains("error"), "{}", told.out);
    shop.stripe.mend();
    shop.stripe.fault("GET", sessions, Fault::status(400));
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1), "{}{}", told.out, told.err);
    let left = told.why(BOB);
    assert!(left.contains("could be read from Stripe"), "{left}");
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user", "premium-lifetime"]);
}

#[tokio::test]
async fn what_a_deleted_customer_bought_once_counts_although_no_event_told_of_it() {
    let shop = Shop::open().await;
    shop.stripe.make_no_events(true);
    shop.stripe.list_deleted_customers(false);
    let customer = shop.stripe.new_customer("ann@example.test", &json!({}));
    let session = shop.stripe.new_checkout(&customer, PRICE_LIFETIME);
    let metadata = json!({ "auth0_user_id": ANN });
    shop.stripe.set_metadata(&session, &metadata);
    shop.stripe.pay(&session);
    shop.stripe.delete_customer(&customer);
    shop.auth0.take_role(ANN, "free-user");
    shop.auth0.give_role(ANN, "premium-lifetime");
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(told.kinds(), json!({}), "{}", told.out);
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-lifetime"]);
}

#[tokio::test]
async fn who_pays_at_a_price_that_no_plan_names_keeps_the_role_unless_it_is_forced() {
    let shop = Shop::open().await;
    shop.stripe.make_no_events(true);
    shop.stripe.new_price("price_before", 500, true);
    let metadata = json!({ "auth0_user_id": BOB });
    let customer = shop.stripe.new_customer("bob@example.test", &metadata);
    let prices = ["price_before"];
    shop.stripe.create_subscription_by_hand(&customer, &prices);
    shop.auth0.give_role(BOB, "premium-monthly");
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1), "{}{}", told.out, told.err);
    assert!(told.why(BOB).contains("price_before"), "{}", told.why(BOB));
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user", "premium-monthly"]);
    let told = run_json(&shop, &["--fix", "--force"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user"]);
}

#[tokio::test]
async fn what_else_somebody_pays_for_is_no_reason_to_leave_a_plan_that_has_ended() {
    let shop = Shop::open().await;
    let ended = subscribe(&shop, BOB);
    shop.stripe.make_no_events(true);
    shop.stripe.cancel_now(&ended);
    shop.stripe.new_price("price_shirt", 500, true);
    let customer = shop.stripe.object(&ended)["customer"].clone();
    let customer = customer.as_str().expect("a customer");
    shop.stripe
        .create_subscription_by_hand(customer, &["price_shirt"]);
    shop.auth0.give_role(BOB, "premium-monthly");
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user"]);
}

#[tokio::test]
async fn to_tie_a_user_to_a_customer_takes_no_role_that_is_left() {
    let shop = Shop::open().await;
    shop.auth0.create_user(BOB, "payer@example.test", true);
    shop.auth0.give_role(BOB, "premium-monthly");
    subscribe_as(&shop, &json!({}));
    let metadata = json!({ "auth0_user_id": BOB });
    shop.stripe.new_customer("other@example.test", &metadata);
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1), "{}{}", told.out, told.err);
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user", "premium-monthly"]);
}

#[tokio::test]
async fn a_holder_whom_nothing_in_stripe_can_name_keeps_the_role() {
    let shop = Shop::open().await;
    let user = "auth0|zoë";
    shop.auth0.create_user(user, "zoe@example.test", true);
    shop.auth0.give_role(user, "premium-monthly");
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1), "{}{}", told.out, told.err);
    assert!(told.why(user).contains("visible ASCII"), "{}", told.out);
    assert_eq!(shop.auth0.roles_of(user), ["premium-monthly"]);
}

#[tokio::test]
async fn a_job_that_a_server_left_is_done_too() {
    let mut shop = Shop::open().await;
    let session = shop.checkout(ANN, "monthly").await;
    let away = Trouble::Instead(Auth0Fault::Status(503));
    shop.auth0
        .trouble(Method::POST, "/api/v2/users/*/roles", away);
    shop.stripe.pay(&session);
    shop.stripe.until_all_acknowledged().await;
    shop.gate.signal("KILL");
    shop.gate.exit().await;
    shop.auth0.mend_all();
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-monthly"]);
}

#[tokio::test]
async fn who_differs_because_a_job_gets_nowhere_is_told_of() {
    let mut shop = Shop::open().await;
    shop.gate.signal("TERM");
    shop.gate.exit().await;
    subscribe(&shop, ANN);
    let store = ledger(&shop).await;
    let key = JobKey::User(ANN.to_owned());
    let ago = |minutes: i64| now() - minutes * 60_000;
    for (minutes, kinds) in [(0, json!({})), (2, json!({ ANN: "missing" }))] {
        let cause = Cause {
            why: "an event".to_owned(),
            event: None,
        };
        let job = store.enqueue(&key, &cause, Priority::Background, ago(minutes));
        job.await.expect("a job");
        let told = run_json(&shop, &[]).await;
        assert_eq!(told.kinds(), kinds, "{}", told.out);
        let told = run_json(&shop, &["--fix"]).await;
        assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
        assert_eq!(shop.auth0.roles_of(ANN), ["premium-monthly"]);
        shop.auth0.take_role(ANN, "premium-monthly");
    }
}
