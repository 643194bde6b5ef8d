//! The endpoints of set-up: APIs, new roles, and what roles allow.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Outcome;
use super::endpoints::no_role;
use super::input::{Input, Refused};
use crate::support::auth0::State;
use crate::support::auth0::apis::{Api, DIALECTS};
use crate::support::auth0::directory::Granted;

/// What of an API can be changed.
const SETTINGS: [&str; 6] = [
    "name",
    "scopes",
    "enforce_policies",
    "token_dialect",
    "signing_alg",
    "allow_offline_access",
];
const PAGES: [&str; 3] = ["page", "per_page", "include_totals"];

pub(super) fn apis(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&PAGES)?;
    let page = input.numbered()?;
    let all: Vec<Value> = state.apis.all.iter().map(Api::json).collect();
    Ok((StatusCode::OK, Some(page.page("resource_servers", &all))))
}

pub(super) fn api(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&["include_fields"])?;
    let found = state.apis.find(input.id).ok_or_else(|| no_api(input.id))?;
    Ok((StatusCode::OK, Some(found.json())))
}

pub(super) fn create_api(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&[])?;
    let mut known = SETTINGS.to_vec();
    known.push("identifier");
    let body = input.object(&known)?;
    let identifier = text(body, "identifier", 600)?
        .ok_or_else(|| Refused::body("Missing required property: identifier"))?;
    let settings = Settings::read(body)?;
    if state.apis.find(identifier).is_some() {
        let message = "A resource server with the same identifier already exists";
        return Err(Refused::new(409, message, Some("resource_server_conflict")));
    }
    let made = state.apis.create(identifier);
    settings.apply(made);
    Ok((StatusCode::CREATED, Some(made.json())))
}

pub(super) fn patch_api(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&[])?;
    let settings = Settings::read(input.object(&SETTINGS)?)?;
    let found = state.apis.find_mut(input.id);
    let api = found.ok_or_else(|| no_api(input.id))?;
    if api.is_system {
        let message = "The Auth0 Management API can not be changed";
        return Err(Refused::new(400, message, Some("invalid_body")));
    }
    settings.apply(api);
    let json = api.json();
    // What an API does not know any more, no role allows.
    for role in state.directory.roles.values_mut() {
        role.permissions
            .retain(|granted| granted.api != api.identifier || api.knows(&granted.name));
    }
    Ok((StatusCode::OK, Some(json)))
}

pub(super) fn create_role(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&[])?;
    let body = input.object(&["name", "description"])?;
    let name = text(body, "name", 50)?;
    let name = name.ok_or_else(|| Refused::body("Missing required property: name"))?;
    let description = text(body, "description", 500)?;
    if state.directory.role_id(name).is_some() {
        let message = "A role with the same name already exists";
        return Err(Refused::new(409, message, Some("role_conflict")));
    }
    let id = state.directory.create_role(name, description, Vec::new());
    Ok((StatusCode::OK, state.directory.role_json(&id)))
}

pub(super) fn permissions(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&PAGES)?;
    let page = input.numbered()?;
    let role = state.directory.roles.get(input.id).ok_or_else(no_role)?;
    let permissions = role.permissions.iter().map(|granted| {
        let api = state.apis.find(&granted.api);
        json!({
            "permission_name": granted.name,
            "description": "",
            "resource_server_identifier": granted.api,
            "resource_server_name": api.and_then(|api| api.name.clone()),
        })
    });
    let permissions: Vec<Value> = permissions.collect();
    Ok((StatusCode::OK, Some(page.page("permissions", &permissions))))
}

pub(super) fn add_permissions(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&[])?;
    let granted = granted(input)?;
    let role = state
        .directory
        .roles
        .get_mut(input.id)
        .ok_or_else(no_role)?;
    for granted in &granted {
        let api = state.apis.find(&granted.api);
        // Here an id is none: Auth0 asks for the identifier.
        let api = api.filter(|api| api.identifier == granted.api);
        let api = api.ok_or_else(|| no_api(&granted.api))?;
        if !api.knows(&granted.name) {
            let message = format!("The permission does not exist: {}", granted.name);
            return Err(Refused::new(400, &message, Some("invalid_body")));
        }
    }
    for granted in granted {
        if !role.permissions.contains(&granted) {
            role.permissions.push(granted);
        }
    }
    Ok((StatusCode::CREATED, None))
}

pub(super) fn remove_permissions(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&[])?;
    let granted = granted(input)?;
    let role = state
        .directory
        .roles
        .get_mut(input.id)
        .ok_or_else(no_role)?;
    role.permissions.retain(|held| !granted.contains(held));
    Ok((StatusCode::NO_CONTENT, None))
}

pub(super) fn users_by_email(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&["email", "fields", "include_fields"])?;
    let email = input.parameter("email").filter(|email| email.contains('@'));
    let email = email.ok_or_else(|| Refused::query("Missing required property: email"))?;
    let users = state.directory.users.iter();
    // Letter case counts.
    let found = users.filter(|(_, user)| user.email.as_deref() == Some(email));
    let found: Vec<Value> = found.map(|(id, user)| user.json(id)).collect();
    Ok((StatusCode::OK, Some(found.into())))
}

/// What a body says about an API.
struct Settings {
    name: Option<String>,
    scopes: Option<Vec<(String, Option<String>)>>,
    enforce_policies: Option<bool>,
    token_dialect: Option<String>,
    signing_alg: Option<String>,
}

impl Settings {
    fn read(body: &Map<String, Value>) -> Result<Self, Refused> {
        flag(body, "allow_offline_access")?;
        Ok(Self {
            name: text(body, "name", 200)?.map(ToOwned::to_owned),
            scopes: body.get("scopes").map(scopes).transpose()?,
            enforce_policies: flag(body, "enforce_policies")?,
            token_dialect: one_of(body, "token_dialect", &DIALECTS)?,
            signing_alg: one_of(body, "signing_alg", &["HS256", "RS256", "RS512", "PS256"])?,
        })
    }

    fn apply(self, api: &mut Api) {
        api.name = self.name.or(api.name.take());
        if let Some(scopes) = self.scopes {
            api.scopes = scopes;
        }
        api.enforce_policies = self.enforce_policies.unwrap_or(api.enforce_policies);
        if let Some(dialect) = self.token_dialect {
            api.token_dialect = dialect;
        }
        if let Some(alg) = self.signing_alg {
            api.signing_alg = alg;
        }
    }
}

/// `[{"value": NAME, "description"?: TEXT}, …]`, each name once.
fn scopes(list: &Value) -> Result<Vec<(String, Option<String>)>, Refused> {
    let list = list.as_array();
    let list = list.ok_or_else(|| Refused::body("Expected type array: scopes"))?;
    let mut read: Vec<(String, Option<String>)> = Vec::new();
    for item in list {
        let wrong = || Refused::body("Expected type object: scopes");
        let item = item.as_object().ok_or_else(wrong)?;
        if item
            .keys()
            .any(|key| key != "value" && key != "description")
        {
            return Err(Refused::body("Additional properties not allowed: scopes"));
        }
        let name = text(item, "value", 280)?;
        let name = name.ok_or_else(|| Refused::body("Missing required property: value"))?;
        if name.contains(char::is_whitespace) || read.iter().any(|(known, _)| known == name) {
            return Err(Refused::body("Scopes must be unique, and hold no spaces"));
        }
        let description = text(item, "description", 500)?.map(ToOwned::to_owned);
        read.push((name.to_owned(), description));
    }
    Ok(read)
}

/// `{"permissions": [{"resource_server_identifier": ID, "permission_name": NAME}, …]}`.
fn granted(input: &Input<'_>) -> Result<Vec<Granted>, Refused> {
    let list = input.object(&["permissions"])?.get("permissions");
    let list = list.and_then(Value::as_array);
    let list = list.filter(|list| (1..=50).contains(&list.len()));
    let wrong = || Refused::body("Expected a list of 1 to 50: permissions");
    let keys = ["resource_server_identifier", "permission_name"];
    let read = |item: &Value| {
        let item = item.as_object().ok_or_else(wrong)?;
        if item.keys().any(|key| !keys.contains(&key.as_str())) {
            return Err(Refused::body(
                "Additional properties not allowed: permissions",
            ));
        }
        Ok(Granted {
            api: text(item, keys[0], 600)?.ok_or_else(wrong)?.to_owned(),
            name: text(item, keys[1], 280)?.ok_or_else(wrong)?.to_owned(),
        })
    };
    list.ok_or_else(wrong)?.iter().map(read).collect()
}

/// A text of 1 to `most` characters, without angle brackets.
fn text<'a>(
    body: &'a Map<String, Value>,
    name: &str,
    most: usize,
) -> Result<Option<&'a str>, Refused> {
    let Some(value) = body.get(name) else {
        return Ok(None);
    };
    let text = value
        .as_str()
        .filter(|text| (1..=most).contains(&text.chars().count()) && !text.contains(['<', '>']));
    let message = format!("Expected a string of 1 to {most} characters: {name}");
    text.map(Some).ok_or_else(|| Refused::body(&message))
}

fn flag(body: &Map<String, Value>, name: &str) -> Result<Option<bool>, Refused> {
    let wrong = || Refused::body(&format!("Expected type boolean: {name}"));
    let value = body.get(name);
    value
        .map(|value| value.as_bool().ok_or_else(wrong))
        .transpose()
}

fn one_of(
    body: &Map<String, Value>,
    name: &str,
    allowed: &[&str],
) -> Result<Option<String>, Refused> {
    let found = text(body, name, 50)?;
    if found.is_some_and(|text| !allowed.contains(&text)) {
        return Err(Refused::body(&format!("No enum match for: {name}")));
    }
    Ok(found.map(ToOwned::to_owned))
}

fn no_api(id: &str) -> Refused {
    let message = format!("The resource server does not exist: '{id}'");
    Refused::new(404, &message, Some("inexistent_resource_server"))
}
