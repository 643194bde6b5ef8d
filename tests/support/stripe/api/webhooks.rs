//! Webhook endpoints.

use serde_json::{Value, json};

use super::super::objects::text;
use super::super::params::{Field, Shape};
use super::super::refusal::Refusal;
use super::super::render::merged;
use super::super::state::State;

/// Endpoints of one account and mode, at most.
const MOST: usize = 16;

pub(super) const NEW: &[Field] = &[
    ("api_version", Shape::Text),
    ("connect", Shape::Flag),
    ("description", Shape::Unset),
    ("enabled_events", Shape::List(&Shape::Text)),
    ("metadata", Shape::Metadata),
    ("url", Shape::Url),
];

/// What may be changed: all but the version.
pub(super) const FIELDS: &[Field] = &[
    ("description", Shape::Unset),
    ("disabled", Shape::Flag),
    ("enabled_events", Shape::List(&Shape::Text)),
    ("metadata", Shape::Metadata),
    ("url", Shape::Url),
];

pub(super) fn create(state: &mut State, _: &str, params: &Value) -> Result<Value, Refusal> {
    for required in ["url", "enabled_events"] {
        if params.get(required).is_none() {
            return Err(Refusal::required(required));
        }
    }
    check(params)?;
    if state.objects.newest("webhook_endpoint").count() >= MOST {
        let message = format!("You have reached the maximum of {MOST} webhook endpoints.");
        return Err(Refusal::invalid(message));
    }
    let id = state.new_webhook_endpoint(params);
    let mut endpoint = state.objects.of(&id).clone();
    // Shown once, when it is made.
    endpoint["secret"] = endpoint["_secret"].clone();
    Ok(endpoint)
}

pub(super) fn update(state: &mut State, id: &str, params: &Value) -> Result<Value, Refusal> {
    let endpoint = state.existing("webhook_endpoint", id)?;
    check(params)?;
    let mut changes = json!({});
    if let Some(metadata) = params.get("metadata") {
        changes["metadata"] = merged(&endpoint["metadata"], metadata);
    }
    for field in ["description", "enabled_events", "url"] {
        if let Some(value) = params.get(field) {
            changes[field] = value.clone();
        }
    }
    if let Some(disabled) = params["disabled"].as_bool() {
        changes["status"] = if disabled { "disabled" } else { "enabled" }.into();
    }
    state.set(id, changes);
    Ok(state.objects.of(id).clone())
}

pub(super) fn delete(state: &mut State, id: &str, _: &Value) -> Result<Value, Refusal> {
    let endpoint = state.existing("webhook_endpoint", id)?;
    let gone = json!({ "id": text(endpoint, "id"), "object": "webhook_endpoint", "deleted": true });
    state.objects.remove(id);
    state.sending.endpoints.retain(|known| known != id);
    Ok(gone)
}

/// Types and versions that Stripe cannot know are refused.
fn check(params: &Value) -> Result<(), Refusal> {
    let kinds = params["enabled_events"].as_array().into_iter().flatten();
    for (place, kind) in kinds.filter_map(Value::as_str).enumerate() {
        if kind != "*" && !kind.contains('.') {
            let at = format!("enabled_events[{place}]");
            return Err(Refusal::invalid(format!("Invalid {at}: {kind}")).param(at));
        }
    }
    let version = text(params, "api_version");
    if version.is_empty() || version.starts_with("20") {
        return Ok(());
    }
    let refusal = Refusal::invalid(format!("Invalid api_version: {version}"));
    Err(refusal.param("api_version"))
}
