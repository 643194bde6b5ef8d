//! The intercepted endpoints, as the frontend and Stripe use them.

mod account;
mod blind;
mod bodies;
mod checkout;
mod customers;
mod portal;
mod premium;
mod sessions;
mod settings;
mod subscriptions;
mod users;
mod verify;
mod webhook;

use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};

use crate::shop::Shop;
use crate::support::raw::Reply;

const CHECKOUT: &str = "/stripe/create-checkout-session";
const CANCEL: &str = "/stripe/cancel-subscription";
const PORTAL: &str = "/stripe/customer-portal";
const SUBSCRIPTIONS: &str = "/stripe/subscriptions";
const STATUS: &str = "/auth/premium-status";
const USERS: &str = "/admin/premium-users";

/// The error that a reply holds: status, word, sentence.
fn error(reply: &Reply) -> (u16, String, String) {
    let body = reply.json();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(body["status_code"], reply.status, "{}", reply.text());
    for key in ["error", "message"] {
        assert_eq!(text(key), text("detail"), "{}", reply.text());
    }
    (reply.status, text("code"), text("detail"))
}

/// The names of an object's keys.
fn keys(object: &Value) -> Vec<&str> {
    let object = object.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

/// POST of a body as it is, with a token of the user.
async fn post_raw(shop: &Shop, path: &str, user: &str, body: &str, content_type: &str) -> Reply {
    let bearer = format!("Bearer {}", shop.token(user));
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", content_type),
    ];
    shop.gate.send("POST", path, &headers, body).await
}

/// A connection to the ledger of its own.
async fn ledger(shop: &Shop) -> SqliteConnection {
    let path = shop.gate.folder.path().join("ledger.db");
    SqliteConnection::connect(&format!("sqlite://{}", path.display()))
        .await
        .expect("the ledger")
}
