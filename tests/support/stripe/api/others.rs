//! The portal, events, the shop, the account.

use serde_json::{Value, json};

use super::super::event::Event;
use super::super::make::{ACCOUNT, CONFIGURATION};
use super::super::params::{Field, Shape};
use super::super::refusal::Refusal;
use super::super::render;
use super::super::state::State;
use super::{lists, page};

pub(super) const PORTALS: &[Field] = &[("active", Shape::Flag), ("is_default", Shape::Flag)];
pub(super) const PORTAL: &[Field] = &[
    ("configuration", Shape::Text),
    ("customer", Shape::Text),
    ("flow_data", Shape::Ignored),
    ("locale", Shape::Text),
    ("return_url", Shape::Url),
];
pub(super) const CHARGES: &[Field] = &[("payment_intent", Shape::Text)];
pub(super) const INVOICES: &[Field] = &[
    (
        "status",
        Shape::Words(&["draft", "open", "paid", "uncollectible", "void"]),
    ),
    ("subscription", Shape::Text),
];
pub(super) const PAYMENTS: &[Field] = &[
    ("invoice", Shape::Text),
    (
        "payment",
        Shape::Of(&[("payment_intent", Shape::Text), ("type", Shape::Text)]),
    ),
    ("status", Shape::Words(&["canceled", "open", "paid"])),
];
pub(super) const EVENTS: &[Field] = &[
    ("delivery_success", Shape::Flag),
    ("type", Shape::Text),
    ("types", Shape::List(&Shape::Text)),
];
pub(super) const PRICES: &[Field] = &[
    ("active", Shape::Flag),
    ("currency", Shape::Text),
    ("product", Shape::Text),
    ("type", Shape::Words(&["one_time", "recurring"])),
];
pub(super) const PRODUCTS: &[Field] = &[("active", Shape::Flag)];
pub(super) fn open_portal(state: &mut State, _: &str, params: &Value) -> Result<Value, Refusal> {
    let Some(customer) = params["customer"].as_str() else {
        return Err(Refusal::required("customer"));
    };
    state.usable_customer(customer)?;
    if !state.settings.portal {
        let message = "You can't create a portal session in test mode until you save your customer portal settings \
            in test mode at https://dashboard.stripe.com/test/settings/billing/portal.";
        return Err(Refusal::invalid(message));
    }
    let id = state.objects.fresh("bps");
    let session = json!({ "id": id, "object": "billing_portal.session", "configuration": CONFIGURATION,
        "created": state.now(), "customer": customer, "flow": null, "livemode": state.settings.live, "locale": null,
        "on_behalf_of": null, "return_url": params["return_url"], "url": format!("{}/portal/{id}", state.url) });
    state.objects.add(session.clone());
    Ok(session)
}

pub(super) fn payments(state: &mut State, _: &str, params: &Value) -> Result<Value, Refusal> {
    let wanted = |payment: &Value| {
        let is = |given: &Value, own: &Value| given.is_null() || given == own;
        is(&params["invoice"], &payment["invoice"])
            && is(&params["status"], &payment["status"])
            && is(
                &params["payment"]["payment_intent"],
                &payment["payment"]["payment_intent"],
            )
    };
    let all = state.objects.newest("invoice").filter_map(render::payments);
    Ok(page(all.filter(wanted).collect(), params)?.show("/v1/invoice_payments"))
}

pub(super) fn events(state: &mut State, _: &str, params: &Value) -> Result<Value, Refusal> {
    let mut kinds: Vec<&str> = params["types"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    kinds.extend(params["type"].as_str());
    let wanted = |event: &&Event| {
        let kind = kinds.is_empty()
            || kinds.contains(&event.kind.as_str())
            || kinds.iter().any(|kind| is_below(&event.kind, kind));
        let delivered = state.pending(event) == 0;
        kind && params["delivery_success"]
            .as_bool()
            .is_none_or(|success| success == delivered)
    };
    let all = state
        .outbox
        .iter()
        .rev()
        .filter(wanted)
        .map(|event| state.show(event));
    let all = all
        .filter(|event| lists::was_made(event, &params["created"]))
        .collect();
    Ok(page(all, params)?.show("/v1/events"))
}

/// `charge.*` names every type that begins with `charge.`.
fn is_below(kind: &str, pattern: &str) -> bool {
    pattern
        .strip_suffix('*')
        .is_some_and(|prefix| kind.starts_with(prefix))
}

pub(super) fn event(state: &mut State, id: &str, _: &Value) -> Result<Value, Refusal> {
    let found = state.outbox.iter().find(|event| event.id == id);
    let missing = || Refusal::no_such("event", id, "id").status(404);
    found.map(|event| state.show(event)).ok_or_else(missing)
}

impl State {
    /// The event as the API shows it: in the account's version, like that of the endpoint.
    fn show(&self, event: &Event) -> Value {
        event.snapshot(self.settings.older_events, self.pending(event))
    }
}

pub(super) fn account(state: &mut State, _: &str, _: &Value) -> Result<Value, Refusal> {
    state.existing("account", ACCOUNT).cloned()
}
