//! How objects are shown: what is expanded, and the shapes of older API versions.

use serde_json::{Map, Value, json};

use super::objects::{Objects, number, text};
use super::refusal::Refusal;

/// Lists within objects show so many at first.
const INLINE: usize = 10;

/// Fields that hold an id, and that `expand` turns into the object.
const EXPANDABLE: [&str; 11] = [
    "charge",
    "customer",
    "default_price",
    "invoice",
    "latest_charge",
    "latest_invoice",
    "payment_intent",
    "payment_method",
    "product",
    "setup_intent",
    "subscription",
];

/// The `api_version` of events.
pub(super) fn version(older: bool) -> &'static str {
    if older {
        "2024-06-20"
    } else {
        "2026-05-27.dahlia"
    }
}

/// The object as a reader sees it.
pub(super) fn shown(value: &Value, older: bool) -> Value {
    let mut value = value.clone();
    strip(&mut value, older);
    value
}

/// Takes what is the stand-in's own out, after the older shape was made of it.
fn strip(value: &mut Value, older: bool) {
    if let Some(items) = value.as_array_mut() {
        for item in items {
            strip(item, older);
        }
    }
    if value.get("_deleted").is_some() {
        *value = json!({ "id": value["id"], "object": "customer", "deleted": true });
    }
    let object = text(value, "object").to_owned();
    if older {
        match object.as_str() {
            "subscription" => older_subscription(value),
            "invoice" => older_invoice(value),
            "charge" | "payment_intent" => value["invoice"] = value["_invoice"].clone(),
            "list" => value["total_count"] = value["data"].as_array().map_or(0, Vec::len).into(),
            _ => {}
        }
    }
    if let Some(map) = value.as_object_mut() {
        map.retain(|field, _| !field.starts_with('_'));
        for member in map.values_mut() {
            strip(member, older);
        }
    }
}

/// Until 2025-03-31 the period stood on the subscription, and the price had a `plan` beside it.
fn older_subscription(subscription: &mut Value) {
    let first = subscription["items"]["data"][0].clone();
    for period in ["current_period_start", "current_period_end"] {
        subscription[period] = first[period].clone();
    }
    subscription["plan"] = plan(&first["price"]);
    subscription["quantity"] = first["quantity"].clone();
    remove(subscription, &["billing_mode"]);
    for item in subscription["items"]["data"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        item["plan"] = plan(&item["price"]);
        remove(item, &["current_period_start", "current_period_end"]);
    }
}

fn older_invoice(invoice: &mut Value) {
    invoice["subscription"] = invoice["parent"]["subscription_details"]["subscription"].clone();
    invoice["payment_intent"] = invoice["_payment_intent"].clone();
    invoice["charge"] = invoice["_charge"].clone();
    invoice["paid"] = (text(invoice, "status") == "paid").into();
    remove(invoice, &["parent"]);
}

fn plan(price: &Value) -> Value {
    json!({ "id": price["id"], "object": "plan", "active": true, "amount": price["unit_amount"],
        "currency": price["currency"], "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"], "product": price["product"] })
}

fn remove(value: &mut Value, fields: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|field, _| !fields.contains(&field.as_str()));
    }
}

/// A list as it stands in an object.
pub(super) fn inline(url: &str, items: &[Value]) -> Value {
    let data = &items[..items.len().min(INLINE)];
    json!({ "object": "list", "data": data, "has_more": items.len() > INLINE, "url": url })
}

/// Expands each of `paths` in `value`.
pub(super) fn expand(objects: &Objects, value: &mut Value, paths: &Value) -> Result<(), Refusal> {
    for path in paths
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let steps: Vec<&str> = path.split('.').collect();
        if steps.len() > 4 {
            let message = "You cannot expand more than 4 levels of a property.";
            return Err(Refusal::invalid(message).param("expand"));
        }
        step(objects, value, &steps, path)?;
    }
    Ok(())
}

fn step(objects: &Objects, value: &mut Value, steps: &[&str], path: &str) -> Result<(), Refusal> {
    let Some((name, rest)) = steps.split_first() else {
        return Ok(());
    };
    if *name == "data" && text(value, "object") == "list" {
        let items = value["data"].as_array_mut();
        return items
            .into_iter()
            .flatten()
            .try_for_each(|item| step(objects, item, rest, path));
    }
    if let Some(list) = includable(objects, value, name) {
        value[*name] = list;
    }
    let refused = || {
        let message = format!("This property cannot be expanded ({path}).");
        Err(Refusal::invalid(message).param("expand[0]"))
    };
    let Some(member) = value.get_mut(*name) else {
        return refused();
    };
    let object = member
        .as_str()
        .filter(|_| EXPANDABLE.contains(name))
        .and_then(|id| objects.find(id));
    match object {
        Some(object) => *member = object.clone(),
        None if member.is_null() => return Ok(()),
        // Expanded already, by another path.
        None if member.is_object() => {}
        None => return refused(),
    }
    step(objects, member, rest, path)
}

/// Lists that are absent unless they are asked for.
fn includable(objects: &Objects, value: &Value, name: &str) -> Option<Value> {
    let id = text(value, "id");
    match (text(value, "object"), name) {
        ("checkout.session", "line_items") if value.get("line_items").is_none() => {
            let items = line_items(objects, value);
            Some(inline(
                &format!("/v1/checkout/sessions/{id}/line_items"),
                &items,
            ))
        }
        ("charge", "refunds") => {
            let refunds = objects
                .newest("refund")
                .filter(|refund| text(refund, "charge") == id);
            let refunds: Vec<Value> = refunds.cloned().collect();
            Some(inline(&format!("/v1/charges/{id}/refunds"), &refunds))
        }
        ("customer", "subscriptions") => {
            let own = objects
                .newest("subscription")
                .filter(|found| text(found, "customer") == id);
            let own: Vec<Value> = own
                .filter(|found| text(found, "status") != "canceled")
                .cloned()
                .collect();
            Some(inline(&format!("/v1/customers/{id}/subscriptions"), &own))
        }
        ("invoice", "payments") => Some(inline("/v1/invoice_payments", payments(value).as_slice())),
        _ => None,
    }
}

/// What was bought in a checkout.
pub(super) fn line_items(objects: &Objects, session: &Value) -> Vec<Value> {
    let bought: &[Value] = session["_line_items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let item = |item: &Value| {
        let price = objects.of(text(item, "price"));
        let total = number(price, "unit_amount") * number(item, "quantity");
        json!({ "id": item["id"], "object": "item", "amount_discount": 0, "amount_subtotal": total, "amount_tax": 0,
            "amount_total": total, "currency": price["currency"], "description": price["nickname"],
            "price": price, "quantity": item["quantity"] })
    };
    bought.iter().map(item).collect()
}

/// The payments of an invoice: one, unless it cost nothing.
pub(super) fn payments(invoice: &Value) -> Option<Value> {
    let intent = invoice["_payment_intent"].as_str()?;
    let paid = text(invoice, "status") == "paid";
    let status = if paid { "paid" } else { "open" };
    let id = text(invoice, "id").replace("in_", "inpay_");
    Some(
        json!({ "id": id, "object": "invoice_payment", "amount_paid": invoice["amount_paid"],
        "amount_requested": invoice["amount_due"], "created": invoice["created"], "currency": "eur",
        "invoice": invoice["id"], "is_default": true, "livemode": invoice["livemode"], "status": status,
        "payment": { "type": "payment_intent", "payment_intent": intent },
        "status_transitions": { "canceled_at": null, "paid_at": invoice["status_transitions"]["paid_at"] } }),
    )
}

/// Metadata after `changes`: an empty text takes a key away, null takes all.
pub(super) fn merged(metadata: &Value, changes: &Value) -> Value {
    let Some(changes) = changes.as_object() else {
        return json!({});
    };
    let mut merged: Map<String, Value> = metadata.as_object().cloned().unwrap_or_default();
    merged.extend(changes.clone());
    merged.retain(|_, value| value != "");
    merged.into()
}
