//! Everything the account has, as JSON in the newest shape, references as ids. Keys that begin with `_` are the
//! stand-in's own and never shown.

use std::collections::HashMap;

use serde_json::Value;

#[derive(Default)]
pub(super) struct Objects {
    by_id: HashMap<String, Value>,
    /// Ids, oldest first.
    order: Vec<String>,
    made: u64,
}

impl Objects {
    /// A new id. Ids grow, and are as long as the real ones.
    pub(super) fn fresh(&mut self, prefix: &str) -> String {
        self.made += 1;
        // The session's id is the longest, and the customer's the shortest.
        let digits = match prefix {
            "cus" => 14,
            "cs_test" | "cs_live" => 58,
            _ => 24,
        };
        format!("{prefix}_{:0digits$}", self.made)
    }

    /// Keeps `value` under its id.
    pub(super) fn add(&mut self, value: Value) -> String {
        let id = text(&value, "id").to_owned();
        self.order.push(id.clone());
        self.by_id.insert(id.clone(), value);
        id
    }

    /// The object named `id`.
    pub(super) fn find(&self, id: &str) -> Option<&Value> {
        self.by_id.get(id)
    }

    /// The object named `id`, which must be there.
    pub(super) fn of(&self, id: &str) -> &Value {
        self.find(id)
            .unwrap_or_else(|| unreachable!("there is no {id}"))
    }

    /// The object named `id`, which must be there, to be changed.
    pub(super) fn of_mut(&mut self, id: &str) -> &mut Value {
        self.by_id
            .get_mut(id)
            .unwrap_or_else(|| unreachable!("there is no {id}"))
    }

    /// Whether keys of this mode see `id`.
    pub(super) fn hide(&mut self, id: &str, hidden: bool) {
        if let Some(object) = self.of_mut(id).as_object_mut() {
            object.remove("_other_mode");
            if hidden {
                object.insert("_other_mode".to_owned(), true.into());
            }
        }
    }

    /// Forgets `id`.
    pub(super) fn remove(&mut self, id: &str) {
        self.by_id.remove(id);
        self.order.retain(|known| known != id);
    }

    /// What there is becomes of live mode.
    pub(super) fn become_live(&mut self) {
        for object in self.by_id.values_mut() {
            if let Some(live) = object.get_mut("livemode") {
                *live = true.into();
            }
        }
    }

    /// The objects of one type, newest first.
    pub(super) fn newest<'a>(&'a self, object: &'a str) -> impl Iterator<Item = &'a Value> {
        let all = self.order.iter().rev().filter_map(|id| self.by_id.get(id));
        all.filter(move |value| text(value, "object") == object)
    }
}

/// A member that is a text; empty when it is none.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A member that is a whole number; 0 when it is none.
pub(super) fn number(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or_default()
}
