//! What is told while the ledger cannot be asked.

use http::Method;
use serde_json::json;
use sqlx::Executor as _;

use super::STATUS;
use crate::shop::{ANN, Shop};
use crate::support::auth0::{Fault, Trouble};

#[tokio::test]
async fn who_is_let_in_by_a_purchase_that_auth0_does_not_have_yet_is_not_told_inactive() {
    let shop = Shop::open().await;
    let broken = Trouble::Instead(Fault::Status(500));
    shop.auth0
        .trouble(Method::POST, "/api/v2/users/*/roles", broken);
    let token = shop.token(ANN);
    let session = shop.checkout(ANN, "monthly").await;
    shop.stripe.pay(&session);
    shop.until("/premium", &token, 200).await;
    let mut ledger = super::ledger(&shop).await;
    ledger
        .execute("ALTER TABLE entitlements RENAME TO lost")
        .await
        .expect("renamed");
    assert_eq!(shop.auth0.roles_of(ANN), ["free-user"]);
    let answer = shop.get(STATUS, &token).await.json();
    let status = &answer["premium_status"];
    assert_eq!(
        json!([
            status["premium_status"],
            status["plan_type"],
            status["stale"]
        ]),
        json!(["active", "monthly", true])
    );
    assert_eq!(shop.get("/premium", &token).await.status, 200);
}
