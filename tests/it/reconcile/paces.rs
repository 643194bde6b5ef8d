//! Many users, limits of both services, and trouble with them.

use http::Method;
use serde_json::json;

use super::{run, run_json, subscribe};
use crate::shop::{ANN, BOB, Shop};
use crate::support::auth0::{self, Trouble};
use crate::support::stripe::{Fault, PRICE_MONTHLY};

/// Of whom every third pays.
const USERS: usize = 300;

/// Three hundred users over several pages of every list; the roles of two are wrong.
fn crowd(shop: &Shop) {
    shop.stripe.make_no_events(true);
    for number in 0..USERS {
        let user = format!("auth0|user-{number:03}");
        shop.auth0.create_user(&user, "user@example.test", true);
        if number % 3 == 0 {
            let metadata = json!({ "auth0_user_id": user });
            let customer = shop.stripe.new_customer("payer@example.test", &metadata);
            shop.stripe
                .create_subscription_by_hand(&customer, &[PRICE_MONTHLY]);
        }
        let role = if number % 3 == 0 {
            "premium-monthly"
        } else {
            "free-user"
        };
        shop.auth0.give_role(&user, role);
    }
    shop.auth0.take_role("auth0|user-150", "premium-monthly");
    shop.auth0.give_role("auth0|user-151", "premium-lifetime");
}

#[tokio::test]
async fn three_hundred_users_cost_a_few_pages_and_a_few_calls_for_those_who_differ() {
    let shop = Shop::open().await;
    crowd(&shop);
    let (at_auth0, at_stripe) = (shop.auth0.seen().len(), shop.stripe.calls().len());
    let told = run_json(&shop, &[]).await;
    assert_eq!(
        told.kinds(),
        json!({ "auth0|user-150": "missing", "auth0|user-151": "extra" })
    );
    assert_eq!(told.json()["looked_at"], USERS + 2);
    let (at_auth0, at_stripe) = (
        shop.auth0.seen().len() - at_auth0,
        shop.stripe.calls().len() - at_stripe,
    );
    assert!(at_auth0 < 20, "{at_auth0} calls to Auth0");
    assert!(at_stripe < 12, "{at_stripe} calls to Stripe");
}

#[tokio::test]
async fn both_limits_are_obeyed() {
    let shop = Shop::open().await;
    crowd(&shop);
    shop.auth0.limit(3, 20.0);
    let limited = Fault::rate_limited(1);
    shop.stripe
        .fault_next(2, "GET", "/v1/subscriptions", limited.clone());
    shop.stripe.fault_next(5, "GET", "/v1/customers", limited);
    let told = run_json(&shop, &[]).await;
    let answer = told.json();
    assert_eq!(answer["failed"], json!([]), "{answer}");
    assert_eq!(told.kinds().as_object().map(serde_json::Map::len), Some(2));
}

#[tokio::test]
async fn trouble_with_one_user_is_told_and_the_others_are_looked_at() {
    let shop = Shop::open().await;
    subscribe(&shop, ANN);
    subscribe(&shop, BOB);
    let anns = shop.stripe.ids("customer")[0].clone();
    let path = format!("/v1/customers/{anns}");
    shop.stripe.fault("GET", &path, Fault::status(500));
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.status, Some(1));
    assert_eq!(told.kinds(), json!({ BOB: "missing" }));
    let failed = told.json()["failed"].clone();
    assert_eq!(failed[0]["subject"], ANN, "{failed}");
    assert!(failed[0]["why"].to_string().contains("500"), "{failed}");
    let page = run(&shop, &[]).await;
    assert!(page.out.contains("could not be looked at:"), "{}", page.out);
}

#[tokio::test]
async fn a_service_that_is_away_ends_the_run_with_its_name() {
    let shop = Shop::open().await;
    shop.auth0.trouble(
        Method::GET,
        "/api/v2/roles",
        Trouble::Instead(auth0::Fault::Status(503)),
    );
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.status, Some(1));
    let error = told.json()["error"].to_string();
    assert!(error.contains("Auth0") && error.contains("kept"), "{error}");
    shop.auth0.mend_all();
    shop.stripe.revoke_key(crate::support::stripe::KEY);
    let told = run(&shop, &[]).await;
    assert!(told.err.contains("Stripe"), "{}", told.err);
}

#[tokio::test]
async fn a_role_that_the_tenant_lacks_is_a_note() {
    let shop = Shop::open().await;
    shop.auth0.delete_role("premium-lifetime");
    let told = run(&shop, &[]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    let note = "note: there is no role named premium-lifetime in Auth0";
    assert!(told.out.contains(note), "{}", told.out);
}
