//! The table of calls.

use serde_json::Value;

use super::super::params::{Field, Shape};
use super::super::refusal::Refusal;
use super::super::state::State;
use super::{checkout, customers, lists, others, subscriptions, webhooks};

/// One call.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    /// Below `/v1/`; `{id}` stands for a segment.
    path: &'static str,
    /// The right that a restricted key must have, without `_read` or `_write`.
    pub(super) right: &'static str,
    pub(super) params: &'static [&'static [Field]],
    pub(super) action: Action,
}

/// What a call does.
pub(super) enum Action {
    /// Lists the objects of a type.
    List(&'static str),
    /// Reads an object of a type.
    Read(&'static str),
    /// Anything else.
    Do(fn(&mut State, &str, &Value) -> Result<Value, Refusal>),
}

impl Action {
    pub(super) fn run(
        &self,
        state: &mut State,
        id: &str,
        params: &Value,
    ) -> Result<Value, Refusal> {
        match self {
            Self::List(object) => lists::list(state, object, params),
            Self::Read(object) => state.existing(object, id).cloned(),
            Self::Do(action) => action(state, id, params),
        }
    }
}

impl Endpoint {
    /// What stands for `{id}`, if `path` is this endpoint's.
    pub(super) fn matches(&self, path: &str) -> Option<String> {
        let path = path.strip_prefix("/v1/")?;
        let Some((before, after)) = self.path.split_once("{id}") else {
            return (path == self.path).then(String::new);
        };
        let id = path.strip_prefix(before)?.strip_suffix(after)?;
        (!id.is_empty() && !id.contains('/')).then(|| super::form::unescape(id))
    }
}

/// `expand[]`, which every call but a few takes.
const EXPAND: &[Field] = &[("expand", Shape::List(&Shape::Text))];

/// What lists take.
const PAGED: &[Field] = &[
    ("limit", Shape::Limit),
    ("starting_after", Shape::Text),
    ("ending_before", Shape::Text),
    ("expand", Shape::List(&Shape::Text)),
];

const CREATED: &[Field] = &[("created", Shape::Ignored)];

/// Filters by what an object belongs to.
const BY_CUSTOMER: &[Field] = &[("customer", Shape::Text)];
const BY_MONEY: &[Field] = &[("charge", Shape::Text), ("payment_intent", Shape::Text)];

const fn list(
    path: &'static str,
    right: &'static str,
    object: &'static str,
    params: &'static [&'static [Field]],
) -> Endpoint {
    Endpoint {
        method: "GET",
        path,
        right,
        params,
        action: Action::List(object),
    }
}

const fn read(path: &'static str, right: &'static str, object: &'static str) -> Endpoint {
    Endpoint {
        method: "GET",
        path,
        right,
        params: &[EXPAND],
        action: Action::Read(object),
    }
}

const fn call(
    method: &'static str,
    path: &'static str,
    right: &'static str,
    params: &'static [&'static [Field]],
    action: fn(&mut State, &str, &Value) -> Result<Value, Refusal>,
) -> Endpoint {
    Endpoint {
        method,
        path,
        right,
        params,
        action: Action::Do(action),
    }
}

/// Every call that the stand-in knows.
pub(super) static ENDPOINTS: &[Endpoint] = &[
    list(
        "customers",
        "customer",
        "customer",
        &[PAGED, CREATED, customers::BY_EMAIL],
    ),
    call(
        "POST",
        "customers",
        "customer",
        &[EXPAND, customers::FIELDS],
        customers::create,
    ),
    read("customers/{id}", "customer", "customer"),
    call(
        "POST",
        "customers/{id}",
        "customer",
        &[EXPAND, customers::FIELDS],
        customers::update,
    ),
    call(
        "DELETE",
        "customers/{id}",
        "customer",
        &[],
        customers::delete,
    ),
    list(
        "checkout/sessions",
        "checkout_session",
        "checkout.session",
        &[PAGED, CREATED, BY_CUSTOMER, checkout::FILTERS],
    ),
    call(
        "POST",
        "checkout/sessions",
        "checkout_session",
        &[EXPAND, checkout::FIELDS],
        checkout::create,
    ),
    read(
        "checkout/sessions/{id}",
        "checkout_session",
        "checkout.session",
    ),
    call(
        "POST",
        "checkout/sessions/{id}/expire",
        "checkout_session",
        &[EXPAND],
        checkout::expire,
    ),
    call(
        "GET",
        "checkout/sessions/{id}/line_items",
        "checkout_session",
        &[PAGED],
        checkout::line_items,
    ),
    list(
        "billing_portal/configurations",
        "customer_portal",
        "billing_portal.configuration",
        &[PAGED, others::PORTALS],
    ),
    call(
        "POST",
        "billing_portal/sessions",
        "customer_portal",
        &[EXPAND, others::PORTAL],
        others::open_portal,
    ),
    list(
        "subscriptions",
        "subscription",
        "subscription",
        &[PAGED, CREATED, BY_CUSTOMER, subscriptions::FILTERS],
    ),
    read("subscriptions/{id}", "subscription", "subscription"),
    call(
        "POST",
        "subscriptions/{id}",
        "subscription",
        &[EXPAND, subscriptions::FIELDS],
        subscriptions::update,
    ),
    call(
        "DELETE",
        "subscriptions/{id}",
        "subscription",
        &[EXPAND, subscriptions::ENDING],
        subscriptions::cancel,
    ),
    call(
        "GET",
        "subscription_items",
        "subscription",
        &[PAGED, subscriptions::ITEMS],
        subscriptions::items,
    ),
    read("payment_intents/{id}", "payment_intent", "payment_intent"),
    list(
        "charges",
        "charge",
        "charge",
        &[PAGED, CREATED, BY_CUSTOMER, others::CHARGES],
    ),
    read("charges/{id}", "charge", "charge"),
    list(
        "disputes",
        "dispute",
        "dispute",
        &[PAGED, CREATED, BY_MONEY],
    ),
    read("disputes/{id}", "dispute", "dispute"),
    list("refunds", "refund", "refund", &[PAGED, CREATED, BY_MONEY]),
    read("refunds/{id}", "refund", "refund"),
    list(
        "invoices",
        "invoice",
        "invoice",
        &[PAGED, CREATED, BY_CUSTOMER, others::INVOICES],
    ),
    call(
        "GET",
        "invoice_payments",
        "invoice",
        &[PAGED, CREATED, others::PAYMENTS],
        others::payments,
    ),
    read("invoices/{id}", "invoice", "invoice"),
    call(
        "GET",
        "events",
        "event",
        &[PAGED, CREATED, others::EVENTS],
        others::events,
    ),
    call("GET", "events/{id}", "event", &[EXPAND], others::event),
    list(
        "prices",
        "price",
        "price",
        &[PAGED, CREATED, others::PRICES],
    ),
    read("prices/{id}", "price", "price"),
    list(
        "products",
        "product",
        "product",
        &[PAGED, CREATED, others::PRODUCTS],
    ),
    read("products/{id}", "product", "product"),
    call("GET", "account", "account", &[EXPAND], others::account),
    list("webhook_endpoints", "webhook", "webhook_endpoint", &[PAGED]),
    call(
        "POST",
        "webhook_endpoints",
        "webhook",
        &[EXPAND, webhooks::NEW],
        webhooks::create,
    ),
    read("webhook_endpoints/{id}", "webhook", "webhook_endpoint"),
    call(
        "POST",
        "webhook_endpoints/{id}",
        "webhook",
        &[EXPAND, webhooks::FIELDS],
        webhooks::update,
    ),
    call(
        "DELETE",
        "webhook_endpoints/{id}",
        "webhook",
        &[],
        webhooks::delete,
    ),
];
