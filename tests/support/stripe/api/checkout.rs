//! Checkout Sessions.

use serde_json::{Value, json};

use super::super::objects::{number, text};
use super::super::params::{Field, Shape};
use super::super::refusal::Refusal;
use super::super::render;
use super::super::state::State;
use super::page;

pub(super) const FILTERS: &[Field] = &[
    ("payment_intent", Shape::Text),
    ("subscription", Shape::Text),
    ("payment_link", Shape::Text),
    ("status", Shape::Words(&["open", "complete", "expired"])),
];

/// What a session is made of. Neither `payment_method_types` nor `ui_mode`: newer versions of the API refuse what older
/// ones took there.
pub(super) const FIELDS: &[Field] = &[
    ("allow_promotion_codes", Shape::Flag),
    ("automatic_tax", Shape::Ignored),
    (
        "billing_address_collection",
        Shape::Words(&["auto", "required"]),
    ),
    ("cancel_url", Shape::Url),
    ("client_reference_id", Shape::Short(200)),
    ("consent_collection", Shape::Ignored),
    ("currency", Shape::Text),
    ("custom_text", Shape::Ignored),
    ("customer", Shape::Text),
    (
        "customer_creation",
        Shape::Words(&["always", "if_required"]),
    ),
    ("customer_email", Shape::Short(800)),
    ("customer_update", Shape::Ignored),
    ("discounts", Shape::Ignored),
    ("expires_at", Shape::Number),
    ("invoice_creation", Shape::Ignored),
    ("line_items", Shape::List(&Shape::Of(LINE_ITEM))),
    ("locale", Shape::Text),
    ("metadata", Shape::Metadata),
    ("mode", Shape::Words(&["payment", "setup", "subscription"])),
    ("payment_intent_data", Shape::Of(INTENT)),
    (
        "payment_method_collection",
        Shape::Words(&["always", "if_required"]),
    ),
    ("payment_method_options", Shape::Ignored),
    ("phone_number_collection", Shape::Ignored),
    ("submit_type", Shape::Text),
    ("subscription_data", Shape::Of(SUBSCRIPTION)),
    ("success_url", Shape::Url),
    ("tax_id_collection", Shape::Ignored),
];

const LINE_ITEM: &[Field] = &[
    ("adjustable_quantity", Shape::Ignored),
    ("price", Shape::Text),
    ("quantity", Shape::Number),
    ("tax_rates", Shape::Ignored),
];

const INTENT: &[Field] = &[
    ("description", Shape::Short(1000)),
    ("metadata", Shape::Metadata),
    ("receipt_email", Shape::Text),
    (
        "setup_future_usage",
        Shape::Words(&["off_session", "on_session"]),
    ),
    ("statement_descriptor", Shape::Short(22)),
];

const SUBSCRIPTION: &[Field] = &[
    ("billing_mode", Shape::Ignored),
    ("description", Shape::Short(500)),
    ("metadata", Shape::Metadata),
    ("trial_end", Shape::Number),
    ("trial_period_days", Shape::Number),
    ("trial_settings", Shape::Ignored),
];

pub(super) fn create(state: &mut State, _: &str, params: &Value) -> Result<Value, Refusal> {
    let items = check(state, params)?;
    let mut given = json!({
        "_intent_metadata": params["payment_intent_data"]["metadata"],
        "_subscription_metadata": params["subscription_data"]["metadata"],
        "_trial_days": params["subscription_data"]["trial_period_days"],
        "_customer_creation": params["customer_creation"],
    });
    for field in [
        "cancel_url",
        "client_reference_id",
        "customer",
        "customer_email",
        "expires_at",
        "metadata",
        "success_url",
    ] {
        if let Some(value) = params.get(field) {
            given[field] = value.clone();
        }
    }
    let id = state.new_session(text(params, "mode"), &items, given);
    Ok(state.objects.of(&id).clone())
}

/// What belongs together, and what must not; gives prices and quantities.
fn check(state: &State, params: &Value) -> Result<Vec<(String, i64)>, Refusal> {
    for required in ["mode", "line_items", "success_url"] {
        if params.get(required).is_none() {
            return Err(Refusal::required(required));
        }
    }
    if params.get("customer").is_some() {
        state.usable_customer(text(params, "customer"))?;
        if params.get("customer_email").is_some() {
            let message = "You may only specify one of these parameters: customer, customer_email.";
            return Err(Refusal::invalid(message).param("customer_email"));
        }
    }
    let mode = text(params, "mode");
    let other = if mode == "subscription" {
        "payment_intent_data"
    } else {
        "subscription_data"
    };
    if params.get(other).is_some() {
        let message = format!("You can not pass `{other}` in `{mode}` mode.");
        return Err(Refusal::invalid(message).param(other));
    }
    let lives = number(params, "expires_at") - state.now();
    if params.get("expires_at").is_some() && !(30 * 60..=24 * 3600).contains(&lives) {
        let message =
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from creation.";
        return Err(Refusal::invalid(message).param("expires_at"));
    }
    line_items_of(state, params, mode)
}

fn line_items_of(state: &State, params: &Value, mode: &str) -> Result<Vec<(String, i64)>, Refusal> {
    let mut items = Vec::new();
    let mut recurring = false;
    for (index, item) in params["line_items"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let at = |field: &str| format!("line_items[{index}][{field}]");
        for required in ["price", "quantity"] {
            if item.get(required).is_none() {
                return Err(Refusal::required(&at(required)));
            }
        }
        let id = text(item, "price");
        let missing = |_| Refusal::no_such("price", id, &at("price"));
        let price = state.existing("price", id).map_err(missing)?;
        if price["active"] == false {
            let message = "The price specified is inactive. This field only accepts active prices.";
            return Err(Refusal::invalid(message).param(at("price")));
        }
        recurring |= text(price, "type") == "recurring";
        items.push((id.to_owned(), number(item, "quantity")));
    }
    match (mode, recurring) {
        ("payment", true) => Err(Refusal::invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use \
             only one-time prices.",
        )
        .param("mode")),
        ("subscription", false) => {
            let message = "You must provide at least one recurring price in `subscription` mode.";
            Err(Refusal::invalid(message).param("mode"))
        }
        _ => Ok(items),
    }
}

pub(super) fn expire(state: &mut State, id: &str, _: &Value) -> Result<Value, Refusal> {
    let status = text(state.existing("checkout.session", id)?, "status").to_owned();
    if status != "open" {
        let message = format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout \
            Session has a status of {status}."
        );
        return Err(Refusal::invalid(message));
    }
    state.expire(id);
    Ok(state.objects.of(id).clone())
}

pub(super) fn line_items(state: &mut State, id: &str, params: &Value) -> Result<Value, Refusal> {
    let session = state.existing("checkout.session", id)?;
    let items = render::line_items(&state.objects, session);
    Ok(page(items, params)?.show(&format!("/v1/checkout/sessions/{id}/line_items")))
}
