//! What the frontend may know before anybody signs in.

use serde_json::json;

use crate::shop::Shop;

#[tokio::test]
async fn the_settings_are_public_with_and_without_the_base_path_and_hold_no_secret() {
    let shop = Shop::with(|setup| setup.server("base_path: /api")).await;
    let expected = json!({
        "publishable_key": "pk_test_standin", "enabled": true, "has_monthly_plan": true, "has_lifetime_plan": true,
    });
    for path in ["/stripe/config", "/api/stripe/config"] {
        let headers = [
            ("Content-Type", "application/json"),
            ("Authorization", "Bearer none"),
        ];
        let reply = shop.gate.send("GET", path, &headers, "").await;
        assert_eq!((reply.status, reply.json()), (200, expected.clone()));
        assert!(!reply.text().contains("sk_") && !reply.text().contains("whsec_"));
    }
    assert_eq!(
        shop.gate
            .send("HEAD", "/stripe/config", &[], "")
            .await
            .status,
        200
    );
    assert_eq!(
        shop.gate
            .send("POST", "/stripe/config", &[], "")
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn there_are_no_debug_endpoints() {
    let shop = Shop::open().await;
    for path in ["/stripe/debug", "/stripe/debug-headers", "/stripe/test"] {
        assert_eq!(shop.gate.get(path).await.status, 404, "{path}");
    }
}
