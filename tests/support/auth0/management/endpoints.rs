//! What each endpoint does.

use std::collections::BTreeSet;
use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Outcome;
use super::input::{Input, Refused};
use crate::support::auth0::State;
use crate::support::auth0::directory::{MAX_ROLES, User};

/// Pages by number reach so far, and no further.
const MAX_NUMBERED: usize = 1000;

pub(super) fn user(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&["fields", "include_fields"])?;
    let include = input.flag("include_fields", true)?;
    let mut json = find(state, input.id)?.json(input.id);
    if let (Some(fields), Some(object)) = (input.parameter("fields"), json.as_object_mut()) {
        let fields: Vec<&str> = fields.split(',').collect();
        object.retain(|name, _| fields.contains(&name.as_str()) == include);
    }
    Ok((StatusCode::OK, Some(json)))
}

pub(super) fn patch_user(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&[])?;
    let body = input.object(&["app_metadata", "user_metadata", "name"])?;
    let changes = match body.get("app_metadata") {
        None => &Map::new(),
        Some(Value::Object(changes)) => changes,
        Some(_) => return Err(Refused::body("Expected type object: app_metadata")),
    };
    let user = find(state, input.id)?;
    // The first level is merged; what is below is replaced.
    for (key, value) in changes {
        if value.is_null() {
            user.app_metadata.remove(key);
        } else {
            user.app_metadata.insert(key.clone(), value.clone());
        }
    }
    Ok((StatusCode::OK, Some(user.json(input.id))))
}

pub(super) fn roles_of(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&["page", "per_page", "include_totals"])?;
    let page = input.numbered()?;
    find(state, input.id)?;
    let held = state.directory.read_roles(input.id);
    let roles = held.iter().filter_map(|id| state.directory.role_json(id));
    let roles: Vec<Value> = roles.collect();
    Ok((StatusCode::OK, Some(page.page("roles", &roles))))
}

pub(super) fn add_roles(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&[])?;
    let ids = role_ids(input)?;
    let held = &find(state, input.id)?.roles;
    if held.union(&ids).count() > MAX_ROLES {
        let message = "The user has reached the maximum number of roles";
        return Err(Refused::new(400, message, None));
    }
    exist(state, &ids)?;
    state
        .directory
        .change_roles(input.id, |held| held.extend(ids));
    Ok((StatusCode::NO_CONTENT, None))
}

pub(super) fn remove_roles(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&[])?;
    let ids = role_ids(input)?;
    find(state, input.id)?;
    exist(state, &ids)?;
    state
        .directory
        .change_roles(input.id, |held| held.retain(|id| !ids.contains(id)));
    Ok((StatusCode::NO_CONTENT, None))
}

pub(super) fn roles(state: &mut State, input: &Input<'_>) -> Outcome {
    input.only(&["page", "per_page", "include_totals", "name_filter"])?;
    let page = input.numbered()?;
    // A filter: parts of names are found too, and letter case does not count.
    let filter = input
        .parameter("name_filter")
        .unwrap_or_default()
        .to_lowercase();
    let found = state
        .directory
        .roles
        .iter()
        .filter(|(_, role)| role.name.to_lowercase().contains(&filter));
    let found = found.filter_map(|(id, _)| state.directory.role_json(id));
    let found: Vec<Value> = found.collect();
    Ok((StatusCode::OK, Some(page.page("roles", &found))))
}

pub(super) fn members(state: &mut State, input: &Input<'_>) -> Outcome {
    let checkpoint = ["from", "take"]
        .iter()
        .any(|name| input.parameter(name).is_some());
    let body = if checkpoint {
        input.only(&["from", "take"])?;
        after_checkpoint(state, input)?
    } else {
        input.only(&["page", "per_page", "include_totals"])?;
        let page = input.numbered()?;
        if page.start + page.limit > MAX_NUMBERED {
            let message = "You can only page through the first 1000 records";
            return Err(Refused::new(400, message, Some("invalid_paging")));
        }
        page.page("users", &holders(state, input.id, None)?)
    };
    Ok((StatusCode::OK, Some(body)))
}

fn after_checkpoint(state: &State, input: &Input<'_>) -> Result<Value, Refused> {
    let take = input.take()?;
    let invalid = || Refused::new(400, "Invalid checkpoint", Some("invalid_paging"));
    let after = input.parameter("from").map(|from| {
        let id = URL_SAFE_NO_PAD.decode(from).ok();
        id.and_then(|id| String::from_utf8(id).ok())
            .ok_or_else(invalid)
    });
    let mut users = holders(state, input.id, after.transpose()?.as_deref())?;
    let more = users.len() > take;
    users.truncate(take);
    let last = users.last().and_then(|user| user["user_id"].as_str());
    let next = last.map(|id| URL_SAFE_NO_PAD.encode(id)).filter(|_| more);
    let mut body = json!({ "users": users });
    if let Some(next) = next {
        body["next"] = next.into();
    }
    Ok(body)
}

/// Users who hold the role, those after the id `after`.
fn holders(state: &State, role: &str, after: Option<&str>) -> Result<Vec<Value>, Refused> {
    if !state.directory.roles.contains_key(role) {
        return Err(no_role());
    }
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let users = state
        .directory
        .users
        .range::<str, _>((from, Bound::Unbounded));
    let holders = users.filter(|(_, user)| user.roles.contains(role));
    Ok(holders.map(|(id, user)| user.member_json(id)).collect())
}

fn find<'a>(state: &'a mut State, id: &str) -> Result<&'a mut User, Refused> {
    let user = state.directory.users.get_mut(id);
    user.ok_or_else(|| Refused::new(404, "The user does not exist.", Some("inexistent_user")))
}

fn exist(state: &State, ids: &BTreeSet<String>) -> Result<(), Refused> {
    let known = |id: &String| state.directory.roles.contains_key(id);
    if ids.iter().all(known) {
        Ok(())
    } else {
        Err(no_role())
    }
}

pub(super) fn no_role() -> Refused {
    Refused::new(404, "The role does not exist.", Some("inexistent_role"))
}

/// `{"roles": [ID, …]}`.
fn role_ids(input: &Input<'_>) -> Result<BTreeSet<String>, Refused> {
    let roles = input
        .object(&["roles"])?
        .get("roles")
        .and_then(Value::as_array);
    let ids = roles.filter(|ids| !ids.is_empty()).and_then(|ids| {
        let ids = ids.iter().map(|id| id.as_str().map(ToOwned::to_owned));
        ids.collect::<Option<BTreeSet<_>>>()
    });
    ids.ok_or_else(|| Refused::body("Expected a list of one role or more: roles"))
}
