//! `--fix`: what is mended, how, and what is left.

use serde_json::json;
use tollgate::store::{Action, LinkKind, Store as _};

use super::{ledger, run, run_json, settle, subscribe, subscribe_as};
use crate::shop::{ANN, BOB, Shop};

#[tokio::test]
async fn what_was_broken_by_hand_is_found_and_mended_and_the_audit_says_reconcile() {
    let shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    settle(&shop).await;
    shop.auth0.take_role(ANN, "premium-monthly");
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.kinds(), json!({ ANN: "missing" }));
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    let answer = told.json();
    assert_eq!((&answer["fixed"], &answer["left"]), (&json!(1), &json!(0)));
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-monthly"]);
    let audit = ledger(&shop).await.role_changes(ANN, 1).await;
    let line = &audit.expect("the audit")[0];
    assert_eq!(
        (line.cause.why.as_str(), line.action),
        ("reconcile", Action::Assign)
    );
    let told = run_json(&shop, &[]).await;
    assert_eq!((told.status, told.kinds()), (Some(0), json!({})));
}

#[tokio::test]
async fn a_role_that_nobody_paid_for_is_taken_only_when_the_operator_asks() {
    let shop = Shop::open().await;
    shop.auth0.give_role(BOB, "premium-lifetime");
    shop.auth0.give_role(BOB, "admin");
    assert_eq!(run_json(&shop, &[]).await.kinds(), json!({ BOB: "extra" }));
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(shop.auth0.roles_of(BOB), ["admin", "free-user"]);
}

#[tokio::test]
async fn customers_from_before_are_tied_to_their_users_also_where_the_role_is_right() {
    let shop = Shop::open().await;
    subscribe(&shop, ANN);
    subscribe(&shop, BOB);
    shop.auth0.take_role(BOB, "free-user");
    shop.auth0.give_role(BOB, "premium-monthly");
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(told.kinds(), json!({ ANN: "missing" }));
    assert_eq!(told.json()["tied"], 2);
    let store = ledger(&shop).await;
    for user in [ANN, BOB] {
        let links = store.customers_of(user).await.expect("links");
        let kinds: Vec<LinkKind> = links.iter().map(|link| link.kind).collect();
        assert_eq!(kinds, [LinkKind::Owner], "{user}");
        let row = store.entitlement(user).await.expect("a ledger");
        let plan = row.and_then(|row| row.derived.plan);
        assert_eq!(plan.as_deref(), Some("monthly"));
        assert_eq!(shop.auth0.roles_of(user), ["premium-monthly"]);
    }
}

#[tokio::test]
async fn a_customer_of_nobody_is_left_with_the_mend_named() {
    let shop = Shop::open().await;
    let subscription = subscribe_as(&shop, &json!({}));
    let told = run(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1));
    assert!(told.out.contains("not mended:"), "{}", told.out);
    let customer = shop.stripe.object(&subscription)["customer"].clone();
    let customer = customer.as_str().expect("a customer");
    let mend = format!("set auth0_user_id in the metadata of {customer} in Stripe");
    assert!(told.out.contains(&mend), "{}", told.out);
    let metadata = json!({ "auth0_user_id": ANN });
    shop.stripe.set_metadata(customer, &metadata);
    assert_eq!(run(&shop, &["--fix"]).await.status, Some(0));
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-monthly"]);
}

#[tokio::test]
async fn a_role_whose_holder_may_be_a_customer_of_nobody_is_left() {
    let shop = Shop::open().await;
    shop.auth0.create_user(BOB, "Payer@example.test", true);
    shop.auth0.give_role(BOB, "premium-monthly");
    subscribe_as(&shop, &json!({}));
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1), "{}", told.out);
    assert!(
        told.why(BOB).contains("has the same e-mail"),
        "{}",
        told.out
    );
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user", "premium-monthly"]);
}

#[tokio::test]
async fn where_no_server_runs_the_command_does_the_jobs_itself() {
    let mut shop = Shop::open().await;
    shop.gate.signal("TERM");
    shop.gate.exit().await;
    subscribe(&shop, ANN);
    shop.auth0.give_role(BOB, "premium-lifetime");
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert_eq!(told.json()["fixed"], 2);
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-monthly"]);
    assert_eq!(shop.auth0.roles_of(BOB), ["free-user"]);
}

#[tokio::test]
async fn nobody_loses_what_they_paid_for_to_a_stripe_of_another_account() {
    let shop = Shop::open().await;
    shop.buy(ANN, "lifetime").await;
    settle(&shop).await;
    let other = crate::support::stripe::Stripe::start();
    let config = shop.gate.folder.path().join("tollgate.yaml");
    let text = std::fs::read_to_string(&config).expect("a config");
    let text = text.replace(&shop.stripe.url(), &other.url());
    std::fs::write(&config, text).expect("a config");
    let told = run_json(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1), "{}", told.out);
    let failed = told.json()["failed"].to_string();
    assert!(failed.contains("Stripe does not know"), "{failed}");
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-lifetime"]);
}
