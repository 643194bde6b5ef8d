//! Lists: filters and pages, newest first.

use serde_json::{Value, json};

use super::super::objects::{number, text};
use super::super::refusal::Refusal;
use super::super::state::State;

/// Parameters that are no filters.
const NO_FILTER: [&str; 5] = [
    "limit",
    "starting_after",
    "ending_before",
    "expand",
    "created",
];

/// Part of a list.
pub(super) struct Page {
    data: Vec<Value>,
    has_more: bool,
}

impl Page {
    /// As the API sends it.
    pub(super) fn show(self, url: &str) -> Value {
        json!({ "object": "list", "data": self.data, "has_more": self.has_more, "url": url })
    }
}

pub(super) fn list(state: &State, object: &str, params: &Value) -> Result<Value, Refusal> {
    for owner in ["subscription", "charge", "payment_intent"] {
        if params.get(owner).is_some() {
            let id = text(params, owner);
            let missing = |_| Refusal::no_such(owner, id, owner);
            state.existing(owner, id).map_err(missing)?;
        }
    }
    if params.get("customer").is_some() {
        let id = text(params, "customer");
        if !(state.settings.lists_deleted && state.objects.find(id).is_some()) {
            state.usable_customer(id)?;
        }
    }
    let fits = |found: &&Value| {
        let given = params.as_object().into_iter().flatten();
        let mut filters = given.filter(|(name, _)| !NO_FILTER.contains(&name.as_str()));
        filters.all(|(name, value)| is(found, name, value))
    };
    let all = state.objects.newest(object).filter(fits).filter(|found| {
        let exists = found.get("_deleted").is_none() && !super::is_of_other_mode(found);
        exists && shows(found, params) && was_made(found, &params["created"])
    });
    let page = page(all.cloned().collect(), params)?;
    Ok(page.show(&format!("/v1/{}", folder(object))))
}

/// Whether `found` passes one filter.
fn is(found: &Value, name: &str, value: &Value) -> bool {
    let object = text(found, "object");
    match (object, name) {
        // Decided by `shows`.
        ("subscription", "status") => true,
        ("subscription", "price") => found["items"]["data"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|item| item["price"]["id"] == *value),
        ("invoice", "subscription") => found["_subscription"] == *value,
        _ => found[name] == *value,
    }
}

/// Subscriptions that are canceled show only when they are asked for.
fn shows(found: &Value, params: &Value) -> bool {
    if text(found, "object") != "subscription" {
        return true;
    }
    let status = text(found, "status");
    match text(params, "status") {
        "" => status != "canceled",
        "all" => true,
        "ended" => ["canceled", "incomplete_expired"].contains(&status),
        asked => asked == status,
    }
}

/// `created=T`, or `created[gte]=T` and its kin.
pub(super) fn was_made(found: &Value, when: &Value) -> bool {
    let created = number(found, "created");
    let bound = |name: &str| {
        when[name]
            .as_str()
            .and_then(|text| text.parse::<i64>().ok())
    };
    let exact = when.as_str().and_then(|text| text.parse::<i64>().ok());
    exact.is_none_or(|at| created == at)
        && bound("gt").is_none_or(|at| created > at)
        && bound("gte").is_none_or(|at| created >= at)
        && bound("lt").is_none_or(|at| created < at)
        && bound("lte").is_none_or(|at| created <= at)
}

fn folder(object: &str) -> String {
    match object {
        "checkout.session" => "checkout/sessions".to_owned(),
        "billing_portal.configuration" => "billing_portal/configurations".to_owned(),
        other => format!("{other}s"),
    }
}

/// The page of `all` that `params` ask for; 10 objects unless they say otherwise.
pub(super) fn page(all: Vec<Value>, params: &Value) -> Result<Page, Refusal> {
    let limit = params["limit"].as_u64().unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let place = |cursor: &str| {
        let id = &params[cursor];
        let found = all.iter().position(|object| object["id"] == *id);
        let missing = || Refusal::no_such("object", text(params, cursor), cursor);
        found.ok_or_else(missing)
    };
    let (after, before) = (params.get("starting_after"), params.get("ending_before"));
    let range = match (after, before) {
        (Some(_), Some(_)) => {
            let message =
                "You may only specify one of these parameters: starting_after, ending_before.";
            return Err(Refusal::invalid(message).param("starting_after"));
        }
        // The objects just before the cursor, not the first of the list.
        (None, Some(_)) => {
            let end = place("ending_before")?;
            end.saturating_sub(limit)..end
        }
        (Some(_), None) => {
            let start = place("starting_after")? + 1;
            start..all.len().min(start + limit)
        }
        (None, None) => 0..all.len().min(limit),
    };
    let has_more = if before.is_some() {
        range.start > 0
    } else {
        range.end < all.len()
    };
    let data = all
        .into_iter()
        .skip(range.start)
        .take(range.len())
        .collect();
    Ok(Page { data, has_more })
}
