//! The record of calls, and what is kept under idempotency keys.

use serde_json::{Map, Value};

/// One call of the API, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Query or form, decoded; a list is a map with the keys `0`, `1`, ….
    pub(crate) params: Value,
    pub(crate) idempotency_key: Option<String>,
    /// `Stripe-Version`.
    pub(crate) version: Option<String>,
    /// The status of the answer; `None` while there is none, and when there never is.
    pub(crate) status: Option<u16>,
    /// Whether the answer was that of an earlier call.
    pub(crate) replayed: bool,
}

/// What a key stands for.
pub(super) struct Kept {
    pub(super) at: i64,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) params: Map<String, Value>,
    /// The first answer; `None` while it is being made.
    pub(super) answer: Option<(u16, Value)>,
}

impl Kept {
    /// Whether `call` is the call that the key was first used for.
    pub(super) fn is_for(&self, call: &Call) -> bool {
        self.method == call.method
            && self.path == call.path
            && call.params.as_object() == Some(&self.params)
    }
}
