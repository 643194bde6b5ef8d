//! `POST /oauth/token`: client credentials, and sign-in by user name for the demo.

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{AUDIENCE, Body, Tenant, User, json_response};
use crate::support::token::Token;

pub(super) async fn answer(tenant: &Tenant, request: Request<Incoming>) -> Response<Body> {
    let body = request
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let Ok(form) = serde_json::from_slice::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", "send JSON");
    };
    let text = |name: &str| form[name].as_str().unwrap_or_default();
    let user = match text("grant_type") {
        "client_credentials" => User {
            subject: format!("{}@clients", text("client_id")),
            permissions: Vec::new(),
        },
        "password" => match tenant.state().users.get(text("username")).cloned() {
            Some(user) => user,
            None => {
                return refuse(
                    StatusCode::FORBIDDEN,
                    "invalid_grant",
                    "Wrong email or password.",
                );
            }
        },
        _ => {
            return refuse(
                StatusCode::FORBIDDEN,
                "unsupported_grant_type",
                "unknown grant type",
            );
        }
    };
    let audience = form["audience"].as_str().unwrap_or(AUDIENCE);
    json_response(StatusCode::OK, &sell(tenant, audience, &user))
}

fn sell(tenant: &Tenant, audience: &str, user: &User) -> Value {
    let permissions: Vec<&str> = user.permissions.iter().map(String::as_str).collect();
    let token = Token::new(&tenant.url, audience, &user.subject, &permissions);
    let key = tenant
        .state()
        .keys
        .last()
        .expect("at least one key")
        .clone();
    json!({ "access_token": token.sign(&key), "token_type": "Bearer", "expires_in": 3600 })
}

fn refuse(status: StatusCode, error: &str, description: &str) -> Response<Body> {
    json_response(
        status,
        &json!({ "error": error, "error_description": description }),
    )
}
