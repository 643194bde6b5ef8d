//! What a look finds, and that it changes nothing.

use http::Method;
use serde_json::json;
use tollgate::store::{Looks as _, Store as _};

use super::{ledger, now, run, run_json, settle, subscribe, subscribe_as};
use crate::shop::{ANN, BOB, Shop};
use crate::support::auth0::{Fault, Trouble};
use crate::support::stripe::PRICE_LIFETIME;

#[tokio::test]
async fn where_nothing_differs_it_says_so_with_status_0() {
    let shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    settle(&shop).await;
    let told = run(&shop, &[]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(
        told.out,
        "2 users were looked at: Auth0 says what Stripe says\n"
    );
    assert_eq!(told.err, "", "nothing is shown on a pipe");
    let answer = run_json(&shop, &[]).await.json();
    assert_eq!(
        (&answer["looked_at"], &answer["drift"], &answer["failed"]),
        (&json!(2), &json!([]), &json!([]))
    );
}

#[tokio::test]
async fn both_directions_are_found_and_told_in_a_table() {
    let shop = Shop::open().await;
    shop.auth0.create_user("auth0|cy", "cy@example.test", true);
    shop.auth0.give_role("auth0|cy", "premium-monthly");
    shop.auth0.give_role("auth0|cy", "premium-lifetime");
    let (anns, cys) = (subscribe(&shop, ANN), subscribe(&shop, "auth0|cy"));
    shop.auth0.give_role(BOB, "premium-lifetime");
    let nobodys = subscribe_as(&shop, &json!({}));
    let customer = shop.stripe.object(&nobodys)["customer"].clone();
    let customer = customer.as_str().expect("a customer");
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.status, Some(1), "{}{}", told.out, told.err);
    assert_eq!(
        told.kinds(),
        json!({ ANN: "missing", BOB: "extra", "auth0|cy": "other", customer: "unmatched" })
    );
    assert_eq!(
        told.why(ANN),
        format!("pays for monthly ({anns} active), and lacks the role premium-monthly")
    );
    assert_eq!(
        told.why(BOB),
        "holds premium-lifetime, and Stripe knows of no purchase"
    );
    assert_eq!(
        told.why("auth0|cy"),
        format!("pays for monthly ({cys} active), and holds premium-lifetime besides")
    );
    assert!(told.why(customer).contains("set auth0_user_id"));
    let page = run(&shop, &[]).await;
    assert_eq!(page.status, Some(1));
    for part in [
        "USER",
        "STRIPE SAYS",
        "AUTH0 SAYS",
        "WHY",
        ANN,
        "3 users were looked at: 1 missing, 1 extra, 1 other, 1 unmatched; --fix mends",
    ] {
        assert!(page.out.contains(part), "{part}: {}", page.out);
    }
}

#[tokio::test]
async fn what_has_ended_or_was_refunded_is_told_with_its_reason() {
    let shop = Shop::open().await;
    let session = shop.buy(ANN, "lifetime").await;
    settle(&shop).await;
    let subscription = subscribe(&shop, BOB);
    assert_eq!(run(&shop, &["--fix"]).await.status, Some(0));
    shop.stripe.make_no_events(true);
    shop.stripe.refund(&session);
    shop.stripe.cancel_now(&subscription);
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.kinds(), json!({ ANN: "extra", BOB: "extra" }));
    assert_eq!(
        told.why(ANN),
        format!("holds premium-lifetime, and {session} was refunded")
    );
    assert_eq!(
        told.why(BOB),
        format!("holds premium-monthly, and {subscription} is canceled")
    );
}

#[tokio::test]
async fn a_plain_look_changes_nothing_anywhere() {
    let shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    settle(&shop).await;
    subscribe(&shop, BOB);
    let store = ledger(&shop).await;
    let before = store.entitlement(ANN).await.expect("a row");
    let audit = store.role_changes(ANN, 100).await.expect("the audit");
    let (at_auth0, at_stripe) = (shop.auth0.seen().len(), shop.stripe.calls().len());
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.kinds(), json!({ BOB: "missing" }));
    for seen in &shop.auth0.seen()[at_auth0..] {
        assert_eq!(seen.method, Method::GET, "{seen:?}");
    }
    for call in &shop.stripe.calls()[at_stripe..] {
        assert_eq!(call.method, "GET", "{call:?}");
    }
    assert_eq!(store.entitlement(ANN).await.expect("a row"), before);
    assert_eq!(store.entitlement(BOB).await.expect("no row"), None);
    assert_eq!(store.customers_of(BOB).await.expect("links"), []);
    assert_eq!(store.purchases_of(BOB).await.expect("purchases"), []);
    let after = store.role_changes(ANN, 100).await.expect("the audit");
    assert_eq!(after, audit);
    assert_eq!(store.drift(10).await.expect("the drift").len(), 1);
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user"]);
}

#[tokio::test]
async fn who_differs_while_a_job_is_at_it_is_no_drift() {
    let shop = Shop::open().await;
    let session = shop.checkout(ANN, "monthly").await;
    let away = Trouble::Instead(Fault::Hang);
    shop.auth0
        .trouble(Method::POST, "/api/v2/users/*/roles", away);
    shop.stripe.pay(&session);
    shop.stripe.until_all_acknowledged().await;
    let told = run_json(&shop, &[]).await;
    let answer = told.json();
    assert_eq!(answer["drift"], json!([]), "{answer}");
    assert_eq!(answer["under_way"], json!([ANN]));
    assert_eq!(told.status, Some(0));
}

#[tokio::test]
async fn a_user_who_is_gone_is_drift_only_while_they_pay() {
    let shop = Shop::open().await;
    let subscription = subscribe(&shop, ANN);
    shop.auth0.delete_user(ANN);
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.kinds(), json!({ ANN: "missing" }));
    assert!(told.why(ANN).contains("does not exist in Auth0 any more"));
    let fixed = run_json(&shop, &["--fix"]).await;
    assert_eq!(fixed.status, Some(1));
    let left = fixed.json()["not_fixed"][0]["why"].clone();
    assert!(left.to_string().contains("no such user"), "{left}");
    shop.stripe.make_no_events(true);
    shop.stripe.cancel_now(&subscription);
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.kinds(), json!({}), "{}", told.out);
}

#[tokio::test]
async fn a_guest_who_paid_and_is_nobody_is_told_of_and_mended_once_named() {
    let shop = Shop::open().await;
    shop.stripe.make_no_events(true);
    let guests = shop.stripe.payment_link_purchase("", PRICE_LIFETIME, true);
    shop.stripe
        .pretend(&guests, json!({ "client_reference_id": null }));
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1), "{}", told.out);
    assert_eq!(told.kinds(), json!({ guests.as_str(): "unmatched" }));
    let metadata = json!({ "auth0_user_id": ANN });
    shop.stripe.set_metadata(&guests, &metadata);
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(0), "{}", told.out);
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-lifetime"]);
}

#[tokio::test]
async fn what_is_not_a_yes_or_a_no_is_status_1_or_2() {
    let shop = Shop::open().await;
    let store = ledger(&shop).await;
    let begun = store.begin_look(false, now(), 600_000).await;
    let look = begun.expect("a ledger").expect("a look");
    let told = run(&shop, &[]).await;
    assert_eq!(told.status, Some(1));
    assert!(told.err.contains("another run is at it"), "{}", told.err);
    store.leave_look(&look).await.expect("it is left");
    let usage = run(&shop, &["--mend"]).await;
    assert_eq!(usage.status, Some(2));
    let config = shop.gate.folder.path().join("tollgate.yaml");
    let text = std::fs::read_to_string(&config).expect("a config");
    std::fs::write(&config, format!("{text}\nnonsense: 1\n")).expect("a config");
    assert_eq!(run(&shop, &[]).await.status, Some(2));
}
