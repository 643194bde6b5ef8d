//! What changes for users when the plans do.

use serde_json::json;
use tollgate::store::Store as _;

use crate::shop::{ANN, BOB, Shop};
use crate::support::stripe::PRICE_MONTHLY;

/// Changes the config file of a shop that stands still or not.
fn rewrite(shop: &Shop, from: &str, to: &str) {
    let file = shop.gate.folder.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&file).expect("the config");
    assert!(yaml.contains(from), "{from:?} is not in the config");
    std::fs::write(&file, yaml.replace(from, to)).expect("the config");
}

#[tokio::test]
async fn plans_that_changed_while_it_stood_still_have_every_user_looked_at_again() {
    let mut shop = Shop::open().await;
    shop.stripe.new_price("price_yearly", 9_900, true);
    let metadata = json!({ "auth0_user_id": ANN });
    let customer = shop.stripe.new_customer("a@b.test", &metadata);
    shop.stripe
        .create_subscription_by_hand(&customer, &["price_yearly"]);
    shop.settled().await;
    assert_eq!(shop.auth0.roles_of(ANN), ["free-user"], "no plan sells it");
    shop.gate.signal("KILL");
    let both = format!("prices: [{PRICE_MONTHLY}, price_yearly]");
    rewrite(&shop, &format!("price: {PRICE_MONTHLY}"), &both);
    shop.gate.restart().await;
    shop.auth0.until_roles(ANN, &["premium-monthly"]).await;
    let changes = shop.ledger().await.role_changes(ANN, 9).await;
    let changes = changes.expect("the ledger");
    assert!(
        changes
            .iter()
            .all(|change| change.cause.why == "terms changed"),
        "{changes:?}"
    );
}

#[tokio::test]
async fn a_restart_with_the_same_plans_asks_nothing_of_users_who_are_settled() {
    let mut shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    shop.settled().await;
    let links = shop.ledger().await.customers_of(ANN).await;
    let customer = links.expect("the ledger").remove(0).customer;
    shop.gate.restart().await;
    let before = shop.stripe.calls().len();
    shop.stripe
        .send_to(&format!("http://{}/stripe/webhook", shop.gate.address));
    shop.buy(BOB, "monthly").await;
    shop.settled().await;
    let calls = shop.stripe.calls().split_off(before);
    assert!(!calls.is_empty(), "what is BOB's was asked for");
    for call in calls {
        let text = format!("{call:?}");
        assert!(!text.contains(&customer), "{text}");
    }
}
