//! Bodies that are not what they should be.

use serde_json::json;

use super::{CANCEL, CHECKOUT, PORTAL, error, post_raw};
use crate::shop::{ANN, Shop};

const JSON: &str = "application/json";

#[tokio::test]
async fn what_is_no_json_is_400_and_json_of_the_wrong_shape_is_422_and_names_the_field() {
    let shop = Shop::open().await;
    for (path, body, status, detail) in [
        (CHECKOUT, "", 400, "The request's body is not valid JSON"),
        (
            CHECKOUT,
            "{\"plan_type\":",
            400,
            "The request's body is not valid JSON",
        ),
        (CHECKOUT, "{}", 422, "`plan_type` must be a string"),
        (
            CHECKOUT,
            "{\"plan_type\": 5}",
            422,
            "`plan_type` must be a string",
        ),
        (CHECKOUT, "[]", 422, "`body` must be a JSON object"),
        (
            CANCEL,
            "{\"subscription_id\": null}",
            422,
            "`subscription_id` must be a string",
        ),
        (
            PORTAL,
            "{\"return_url\": {}}",
            422,
            "`return_url` must be a string",
        ),
    ] {
        let reply = post_raw(&shop, path, ANN, body, JSON).await;
        let (found, _, said) = error(&reply);
        assert_eq!((found, said.as_str()), (status, detail), "{path} {body}");
    }
    assert!(shop.stripe.calls().is_empty());
}

#[tokio::test]
async fn what_says_that_it_is_no_json_is_415_and_what_is_too_large_413() {
    let shop = Shop::open().await;
    let body = json!({ "plan_type": "monthly" }).to_string();
    let form = "application/x-www-form-urlencoded";
    let reply = post_raw(&shop, CHECKOUT, ANN, &body, form).await;
    assert_eq!(error(&reply).0, 415);
    let charset = "application/json; charset=utf-8";
    assert_eq!(
        post_raw(&shop, CHECKOUT, ANN, &body, charset).await.status,
        201
    );
    let large = format!("{{\"plan_type\": \"{}\"}}", "x".repeat(64 << 10));
    let reply = post_raw(&shop, CHECKOUT, ANN, &large, JSON).await;
    assert_eq!(error(&reply).0, 413);
}

#[tokio::test]
async fn every_endpoint_of_a_user_needs_a_token() {
    let shop = Shop::open().await;
    for (method, path) in [
        ("POST", CHECKOUT),
        ("POST", CANCEL),
        ("POST", PORTAL),
        ("GET", "/stripe/verify-session/cs_test_1"),
        ("GET", super::SUBSCRIPTIONS),
        ("GET", super::STATUS),
        ("GET", super::USERS),
    ] {
        let reply = shop.gate.send(method, path, &[], "").await;
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.header("www-authenticate").is_some(), "{path}");
    }
}

#[tokio::test]
async fn errors_of_the_endpoints_carry_the_cors_headers_and_the_request_id() {
    let origin = "https://localhost:8443";
    let cors = format!("cors: {{ allowed_origins: [\"{origin}\"], allow_credentials: true }}");
    let shop = Shop::with(|setup| setup.section(&cors)).await;
    let bearer = format!("Bearer {}", shop.token(ANN));
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Origin", origin),
        ("X-Request-Id", "mine-1"),
    ];
    let reply = shop.gate.send("POST", PORTAL, &headers, "").await;
    assert_eq!(error(&reply).0, 404);
    assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
    assert_eq!(reply.json()["path"], PORTAL);
    assert!(reply.json()["request_id"].is_string());
}
