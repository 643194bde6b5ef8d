//! `POST /oauth/token`: client credentials, and sign-in by user name for the demo.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{AUDIENCE, Auth0, Body, Tenant, json_response};
use crate::support::token::Token;

pub(super) fn answer(tenant: &Tenant, body: &[u8]) -> Response<Body> {
    let Ok(form) = serde_json::from_slice::<Value>(body) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", "send JSON");
    };
    let text = |name: &str| form[name].as_str().unwrap_or_default();
    let audience = form["audience"].as_str().unwrap_or(AUDIENCE);
    match text("grant_type") {
        "client_credentials" if audience == tenant.management_audience() => {
            machine(tenant, text("client_id"), text("client_secret"))
        }
        "client_credentials" => {
            let subject = format!("{}@clients", text("client_id"));
            sell(tenant, audience, &subject, Some(&[]))
        }
        "password" => user(tenant, audience, text("username")),
        _ => refuse(
            StatusCode::FORBIDDEN,
            "unsupported_grant_type",
            "unknown grant type",
        ),
    }
}

/// A token for the Management API.
fn machine(tenant: &Tenant, id: &str, secret: &str) -> Response<Body> {
    let sold = tenant.state().machines.sell(id, secret, |scope, serial| {
        let token = Token::new(&tenant.url, &tenant.management_audience(), "", &[]);
        token
            .claim("sub", format!("{id}@clients"))
            .claim("gty", "client-credentials")
            .claim("azp", id)
            .claim("scope", scope)
            .claim("jti", serial)
            .without("permissions")
    });
    match sold {
        Ok((token, mut answer)) => {
            answer["access_token"] = tenant.sign(&token).into();
            let text = answer["access_token"].as_str().unwrap_or_default();
            tenant.state().machines.remember(text);
            json_response(StatusCode::OK, &answer)
        }
        Err(description) => refuse(StatusCode::UNAUTHORIZED, "access_denied", description),
    }
}

fn user(tenant: &Tenant, audience: &str, name: &str) -> Response<Body> {
    let found = {
        let state = tenant.state();
        let id = state.directory.sign_in(name).map(ToOwned::to_owned);
        id.map(|id| (state.permissions_of(&id, audience), id))
    };
    match found {
        Some((permissions, id)) => sell(tenant, audience, &id, permissions.as_deref()),
        None => refuse(
            StatusCode::FORBIDDEN,
            "invalid_grant",
            "Wrong email or password.",
        ),
    }
}

/// `None` where tokens do not list permissions.
fn sell(
    tenant: &Tenant,
    audience: &str,
    subject: &str,
    permissions: Option<&[String]>,
) -> Response<Body> {
    let token = user_token(&tenant.url, audience, subject, permissions);
    let answer =
        json!({ "access_token": tenant.sign(&token), "token_type": "Bearer", "expires_in": 3600 });
    json_response(StatusCode::OK, &answer)
}

fn user_token(url: &str, audience: &str, subject: &str, permissions: Option<&[String]>) -> Token {
    let listed = permissions.unwrap_or_default().iter();
    let listed: Vec<&str> = listed.map(String::as_str).collect();
    let token = Token::new(url, audience, subject, &listed);
    match permissions {
        Some(_) => token,
        None => token.without("permissions"),
    }
}

fn refuse(status: StatusCode, error: &str, description: &str) -> Response<Body> {
    json_response(
        status,
        &json!({ "error": error, "error_description": description }),
    )
}

impl Tenant {
    /// The identifier of the Management API.
    pub(super) fn management_audience(&self) -> String {
        format!("{}api/v2/", self.url)
    }

    /// Signs with the current key.
    fn sign(&self, token: &Token) -> String {
        let key = self.state().keys.last().expect("at least one key").clone();
        token.sign(&key)
    }
}

impl Auth0 {
    /// A token as the user would get it by signing in now: what their roles allow, and what they were given besides.
    pub(crate) fn token_for(&self, user: &str) -> String {
        let permissions = self.tenant.state().permissions_of(user, AUDIENCE);
        self.sign(&user_token(
            self.url(),
            AUDIENCE,
            user,
            permissions.as_deref(),
        ))
    }
}
