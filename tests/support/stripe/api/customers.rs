//! Customers.

use serde_json::{Value, json};

use super::super::objects::text;
use super::super::params::{Field, Shape};
use super::super::refusal::Refusal;
use super::super::render::merged;
use super::super::state::State;

pub(super) const BY_EMAIL: &[Field] = &[("email", Shape::Text), ("test_clock", Shape::Ignored)];

/// What a customer is made of and changed by.
pub(super) const FIELDS: &[Field] = &[
    ("email", Shape::Unset),
    ("name", Shape::Unset),
    ("metadata", Shape::Metadata),
    ("description", Shape::Unset),
    ("phone", Shape::Unset),
    ("address", Shape::Ignored),
    ("preferred_locales", Shape::Ignored),
    ("tax_exempt", Shape::Ignored),
];

pub(super) fn create(state: &mut State, _: &str, params: &Value) -> Result<Value, Refusal> {
    check_email(params)?;
    let id = state.new_customer(&params["email"], &params["name"], &params["metadata"]);
    state.objects.of_mut(&id)["description"] = params["description"].clone();
    Ok(state.objects.of(&id).clone())
}

pub(super) fn update(state: &mut State, id: &str, params: &Value) -> Result<Value, Refusal> {
    check_email(params)?;
    let customer = usable(state, id)?;
    let mut changes = json!({});
    for field in ["email", "name", "description", "phone"] {
        if let Some(value) = params.get(field) {
            changes[field] = value.clone();
        }
    }
    if let Some(metadata) = params.get("metadata") {
        changes["metadata"] = merged(&customer["metadata"], metadata);
    }
    state.update("customer.updated", id, changes);
    Ok(state.objects.of(id).clone())
}

pub(super) fn delete(state: &mut State, id: &str, _: &Value) -> Result<Value, Refusal> {
    usable(state, id)?;
    state.delete_customer(id);
    Ok(state.objects.of(id).clone())
}

/// The customer, still there.
fn usable(state: &State, id: &str) -> Result<Value, Refusal> {
    let customer = state.existing("customer", id)?.clone();
    let missing = |refusal: Refusal| refusal.status(404);
    state.usable_customer(id).map_err(missing)?;
    Ok(customer)
}

fn check_email(params: &Value) -> Result<(), Refusal> {
    let email = text(params, "email");
    if email.is_empty() || email.contains('@') {
        return Ok(());
    }
    let refusal = Refusal::invalid(format!("Invalid email address: {email}"));
    Err(refusal.code("email_invalid").param("email"))
}
