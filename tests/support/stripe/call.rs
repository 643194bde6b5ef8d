//! The record of calls, and what is kept under idempotency keys.

use serde_json::{Map, Value};

use super::refusal::Refusal;

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
    /// The first answer, again, for `call` under the same key.
    pub(super) fn replay(&self, key: &str, call: &Call) -> Result<(u16, Value), Refusal> {
        if !self.is_for(call) {
            let message = format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                 Try using a key other than '{key}' if you meant to execute a different request."
            );
            return Err(Refusal::invalid(message).kind("idempotency_error"));
        }
        let in_use = || {
            let message = format!(
                "There is currently another in-progress request using this Idempotent Key (that probably means you \
                 submitted twice, and the other request is still going through): {key}. Please try again later."
            );
            let refusal = Refusal::invalid(message).kind("idempotency_error");
            refusal.code("idempotency_key_in_use").status(409)
        };
        self.answer.clone().ok_or_else(in_use)
    }

    fn is_for(&self, call: &Call) -> bool {
        self.method == call.method
            && self.path == call.path
            && call.params.as_object() == Some(&self.params)
    }
}
