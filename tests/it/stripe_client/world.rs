//! A Stripe with a few objects, found by their path.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::server::{Asked, Say, Stripe, missing, ok, page};

/// What is there, by path, or by path and a parameter.
#[derive(Clone, Default)]
pub(super) struct World(BTreeMap<String, Value>);

impl World {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// An object at `path`.
    pub(super) fn with(mut self, path: &str, object: Value) -> Self {
        self.0.insert(path.to_owned(), object);
        self
    }

    /// A list at `path` of what has the parameter `filter`, such as `charge=ch_1`.
    pub(super) fn list(self, path: &str, filter: &str, data: &[Value]) -> Self {
        self.with(&format!("{path}?{filter}"), json!(data))
    }

    pub(super) fn start(self) -> Stripe {
        Stripe::start(move |asked, _| self.answer(asked))
    }

    fn answer(&self, asked: &Asked) -> Say {
        if let Some(object) = self.0.get(&asked.path) {
            return ok(object.clone());
        }
        let filters = asked.form.split('&');
        let found = filters
            .filter_map(|filter| self.0.get(&format!("{}?{filter}", asked.path)))
            .find_map(Value::as_array);
        found.map_or_else(missing, |data| page(data, false))
    }
}

/// A session of mode `payment` that was paid by `pi_1`.
pub(super) fn paid_session() -> Value {
    json!({
        "id": "cs_1", "object": "checkout.session", "mode": "payment", "status": "complete",
        "payment_status": "paid", "customer": "cus_1", "client_reference_id": null, "metadata": {},
        "payment_intent": "pi_1", "created": 7,
        "line_items": { "has_more": false, "data": [{ "id": "li_1", "price": { "id": "price_life" } }] }
    })
}

/// A charge, not disputed, not refunded.
pub(super) fn charge() -> Value {
    json!({
        "id": "ch_1", "object": "charge", "refunded": false, "disputed": false, "amount_refunded": 0,
        "customer": "cus_1", "payment_intent": "pi_1", "metadata": {}
    })
}

/// A payment by `charge`.
pub(super) fn intent(charge: &Value) -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "customer": "cus_1", "latest_charge": charge,
        "metadata": { "auth0_user_id": "auth0|1" }
    })
}

/// `object` with `value` under `key`.
pub(super) fn but(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}
