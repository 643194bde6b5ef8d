//! Subscriptions.

use serde_json::{Value, json};

use super::super::objects::text;
use super::super::params::{Field, Shape};
use super::super::refusal::Refusal;
use super::super::render::merged;
use super::super::state::{State, fields};
use super::page;

pub(super) const FILTERS: &[Field] = &[
    ("price", Shape::Text),
    (
        "status",
        Shape::Words(&[
            "active",
            "all",
            "canceled",
            "ended",
            "incomplete",
            "incomplete_expired",
            "past_due",
            "paused",
            "trialing",
            "unpaid",
        ]),
    ),
];

/// What may be changed.
pub(super) const FIELDS: &[Field] = &[
    ("cancel_at", Shape::NumberOrUnset),
    ("cancel_at_period_end", Shape::Flag),
    ("cancellation_details", Shape::Ignored),
    ("description", Shape::Unset),
    ("metadata", Shape::Metadata),
    ("pause_collection", Shape::Ignored),
    (
        "proration_behavior",
        Shape::Words(&["always_invoice", "create_prorations", "none"]),
    ),
];

/// What an ending takes.
pub(super) const ENDING: &[Field] = &[
    ("cancellation_details", Shape::Ignored),
    ("invoice_now", Shape::Flag),
    ("prorate", Shape::Flag),
];

pub(super) const ITEMS: &[Field] = &[("subscription", Shape::Text)];

pub(super) fn update(state: &mut State, id: &str, params: &Value) -> Result<Value, Refusal> {
    let subscription = state.existing("subscription", id)?.clone();
    let given = |field: &str| params.get(field).is_some();
    if text(&subscription, "status") == "canceled"
        && ["cancel_at", "cancel_at_period_end", "pause_collection"]
            .into_iter()
            .any(given)
    {
        let message =
            "A canceled subscription can only update its cancellation_details and metadata.";
        return Err(Refusal::invalid(message));
    }
    if given("cancel_at") && given("cancel_at_period_end") {
        let message =
            "You may only specify one of these parameters: cancel_at_period_end, cancel_at.";
        return Err(Refusal::invalid(message).param("cancel_at"));
    }
    let mut changes = json!({});
    if let Some(metadata) = params.get("metadata") {
        changes["metadata"] = merged(&subscription["metadata"], metadata);
    }
    if let Some(pause) = params.get("pause_collection") {
        let paused = pause
            .is_object()
            .then(|| json!({ "behavior": pause["behavior"], "resumes_at": null }));
        changes["pause_collection"] = paused.into();
    }
    if let Some(at) = params.get("cancel_at") {
        changes["cancel_at"] = at.clone();
        changes["canceled_at"] = (!at.is_null()).then(|| state.now()).into();
    }
    if let Some(ends) = params["cancel_at_period_end"].as_bool() {
        changes
            .as_object_mut()
            .expect("an object")
            .extend(fields(state.ending(id, ends)));
    }
    state.change(id, changes);
    Ok(state.objects.of(id).clone())
}

pub(super) fn cancel(state: &mut State, id: &str, _: &Value) -> Result<Value, Refusal> {
    let subscription = state.existing("subscription", id)?;
    if ["canceled", "incomplete_expired"].contains(&text(subscription, "status")) {
        return Err(Refusal::no_such("subscription", id, "id").status(404));
    }
    state.cancel(id);
    Ok(state.objects.of(id).clone())
}

pub(super) fn items(state: &mut State, _: &str, params: &Value) -> Result<Value, Refusal> {
    let Some(id) = params["subscription"].as_str() else {
        return Err(Refusal::required("subscription"));
    };
    let missing = |_| Refusal::no_such("subscription", id, "subscription");
    state.existing("subscription", id).map_err(missing)?;
    Ok(page(state.items(id), params)?.show("/v1/subscription_items"))
}
