//! The Management API: who may ask, what for, and how often. It refuses what Auth0 refuses.

mod endpoints;
mod input;
mod setup;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{Body, State, Tenant, json_response, troubles};
use input::{Input, Refused};

/// Where it is.
pub(super) const ROOT: &str = "/api/v2/";

/// A status, and a body where there is one.
type Outcome = Result<(StatusCode, Option<Value>), Refused>;
/// What answers, and the scopes it needs.
type Endpoint = (
    fn(&mut State, &Input<'_>) -> Outcome,
    &'static [&'static str],
);

pub(super) fn answer(tenant: &Tenant, parts: &Parts, body: &[u8]) -> Response<Body> {
    let mut state = tenant.state();
    let account = state.budget.take();
    let mut response = if account.allowed {
        match handle(&mut state, parts, body) {
            Ok((status, Some(body))) => json_response(status, &body),
            Ok((status, None)) => {
                let mut response = Response::new(Body::default());
                *response.status_mut() = status;
                response
            }
            Err(refused) => refused.response(),
        }
    } else {
        troubles::too_many(None, None)
    };
    for (name, value) in [
        ("x-ratelimit-limit", i64::from(account.limit)),
        ("x-ratelimit-remaining", i64::from(account.remaining)),
        ("x-ratelimit-reset", account.reset),
    ] {
        troubles::set(&mut response, name, &value.to_string());
    }
    response
}

fn handle(state: &mut State, parts: &Parts, body: &[u8]) -> Outcome {
    let path = parts.uri.path();
    let bearer = parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(bearer) = bearer else {
        return Err(Refused::new(401, "Missing authentication", None));
    };
    let scopes = state.machines.scopes(bearer);
    let scopes = scopes.map_err(|why| Refused::new(401, why, None))?;
    let segments = segments(path);
    let segments: Vec<&str> = segments.iter().skip(2).map(String::as_str).collect();
    let Some((endpoint, needed)) = route(&parts.method, &segments) else {
        return Err(Refused::new(404, "Not Found", None));
    };
    if let Some(missing) = needed
        .iter()
        .find(|needed| !scopes.iter().any(|s| s == *needed))
    {
        let message = format!("Insufficient scope, expected any of: {missing}");
        return Err(Refused::new(403, &message, Some("insufficient_scope")));
    }
    if path.contains('|') {
        return Err(Refused::new(400, "Bad Request: encode the id", None));
    }
    let id = segments.get(1).copied().unwrap_or_default();
    endpoint(state, &Input::read(parts, body, id)?)
}

fn route(method: &Method, segments: &[&str]) -> Option<Endpoint> {
    Some(match (method.as_str(), segments) {
        ("GET", ["users", _]) => (endpoints::user, &["read:users"]),
        ("PATCH", ["users", _]) => (endpoints::patch_user, &["update:users"]),
        ("GET", ["users", _, "roles"]) => (endpoints::roles_of, &["read:users", "read:roles"]),
        ("POST", ["users", _, "roles"]) => (
            endpoints::add_roles,
            &["update:users", "create:role_members"],
        ),
        ("DELETE", ["users", _, "roles"]) => (
            endpoints::remove_roles,
            &["update:users", "delete:role_members"],
        ),
        ("GET", ["roles"]) => (endpoints::roles, &["read:roles"]),
        ("GET", ["roles", _, "users"]) => (
            endpoints::members,
            &["read:users", "read:roles", "read:role_members"],
        ),
        ("GET", ["users-by-email"]) => (setup::users_by_email, &["read:users"]),
        _ => return route_of_setup(method, segments),
    })
}

fn route_of_setup(method: &Method, segments: &[&str]) -> Option<Endpoint> {
    Some(match (method.as_str(), segments) {
        ("GET", ["resource-servers"]) => (setup::apis, &["read:resource_servers"]),
        ("POST", ["resource-servers"]) => (setup::create_api, &["create:resource_servers"]),
        ("GET", ["resource-servers", _]) => (setup::api, &["read:resource_servers"]),
        ("PATCH", ["resource-servers", _]) => (setup::patch_api, &["update:resource_servers"]),
        ("POST", ["roles"]) => (setup::create_role, &["create:roles"]),
        ("GET", ["roles", _, "permissions"]) => (setup::permissions, &["read:roles"]),
        ("POST", ["roles", _, "permissions"]) => (setup::add_permissions, &["update:roles"]),
        ("DELETE", ["roles", _, "permissions"]) => (setup::remove_permissions, &["update:roles"]),
        _ => return None,
    })
}

/// The segments of a path, decoded one by one.
pub(super) fn segments(path: &str) -> Vec<String> {
    path.trim_matches('/')
        .split('/')
        .map(input::decode)
        .collect()
}

impl Refused {
    fn response(&self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).expect("a status");
        let mut body = json!({
            "statusCode": self.status,
            "error": status.canonical_reason(),
            "message": self.message,
        });
        if let Some(code) = self.code {
            body["errorCode"] = code.into();
        }
        json_response(status, &body)
    }
}
