//! The envelope of an event. Only it is believed: the rest is rendered in whichever API version the endpoint has.

mod types;

use serde_json::Value;

pub use types::{EVENT_TYPES, NEEDED_EVENT_TYPES, matters};

use super::json;
use super::object::Owner;

/// Longest type that is believed; Stripe's own end at 70 characters.
const MAX_TYPE: usize = 255;

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `object: "event"`, with the object as it was.
    Snapshot,
    /// `object: "v2.core.event"`, with the object's name alone.
    Thin,
}

/// What is believed of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `evt_…`.
    pub id: String,
    /// `type`, without the `v1.` of thin events.
    pub event_type: String,
    /// How it is written.
    pub form: Form,
    /// `livemode`; `None` where it does not say.
    pub live: Option<bool>,
    /// When it was made, milliseconds since the Unix epoch; 0 where it does not say.
    pub created_at: i64,
    /// The connected account or context it is of.
    pub account: Option<String>,
    /// The type of its object: `subscription`, `checkout.session`.
    pub object: Option<String>,
    /// The id of its object.
    pub object_id: Option<String>,
    /// The customer: the object itself, or the one it names.
    pub customer: Option<String>,
    /// Whom the object names.
    pub owner: Owner,
    /// The charge that a dispute or refund is of.
    pub charge: Option<String>,
    /// The payment intent that a dispute or refund is of.
    pub payment_intent: Option<String>,
    /// The event with the whole object, where a thin one names it.
    pub snapshot_event: Option<String>,
}

/// Why a body is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON, or not an object.
    #[error("The body is no event")]
    NotAnEvent,
    /// A field that every event has is missing or of the wrong type.
    #[error("The body is no event: `{0}` is missing or of the wrong type")]
    Field(&'static str),
}

impl Envelope {
    /// Reads the envelope.
    ///
    /// # Errors
    ///
    /// When the body is no event.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let event: Value = serde_json::from_slice(body).map_err(|_| EventError::NotAnEvent)?;
        Self::read(&event)
    }

    /// Reads the envelope of an event that was fetched.
    pub(super) fn read(event: &Value) -> Result<Self, EventError> {
        match json::text(event, "object") {
            Some("v2.core.event") => thin(event),
            Some("event") => snapshot(event),
            Some(_) => Err(EventError::Field("object")),
            None if event.is_object() => snapshot(event),
            None => Err(EventError::NotAnEvent),
        }
    }
}

fn snapshot(event: &Value) -> Result<Envelope, EventError> {
    let (id, name) = (id(event)?, event_type(event)?);
    let object = event.get("data").and_then(|data| data.get("object"));
    let object = object
        .filter(|object| object.is_object())
        .ok_or(EventError::Field("data.object"))?;
    let created = match event.get("created") {
        None | Some(Value::Null) => 0,
        Some(value) => json::seconds(value).ok_or(EventError::Field("created"))?,
    };
    Ok(Envelope {
        id,
        event_type: name.to_owned(),
        form: Form::Snapshot,
        live: live(event)?,
        created_at: created.saturating_mul(1000),
        account: json::id(event, "account"),
        object: json::text(object, "object").and_then(word),
        object_id: json::id_of(object),
        customer: json::customer(object),
        owner: json::owner(object),
        charge: json::id(object, "charge"),
        payment_intent: json::id(object, "payment_intent"),
        snapshot_event: None,
    })
}

fn thin(event: &Value) -> Result<Envelope, EventError> {
    let name = event_type(event)?;
    let related = event.get("related_object").unwrap_or(&Value::Null);
    let object = json::text(related, "type").and_then(word);
    let object_id = json::id_of(related);
    let customer = match object.as_deref() {
        Some("customer") => object_id.clone(),
        Some(_) | None => None,
    };
    Ok(Envelope {
        id: id(event)?,
        event_type: name.strip_prefix("v1.").unwrap_or(name).to_owned(),
        form: Form::Thin,
        live: live(event)?,
        created_at: milliseconds(event)?,
        account: json::id(event, "context"),
        object,
        object_id,
        customer,
        owner: Owner::default(),
        charge: None,
        payment_intent: None,
        snapshot_event: json::id(event, "snapshot_event"),
    })
}

fn id(event: &Value) -> Result<String, EventError> {
    json::text(event, "id")
        .filter(|id| json::is_id(id) && id.len() > 4 && id.starts_with("evt_"))
        .map(str::to_owned)
        .ok_or(EventError::Field("id"))
}

fn event_type(event: &Value) -> Result<&str, EventError> {
    json::text(event, "type")
        .filter(|name| json::is_name(name, MAX_TYPE))
        .ok_or(EventError::Field("type"))
}

fn live(event: &Value) -> Result<Option<bool>, EventError> {
    match event.get("livemode") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_bool()
            .map(Some)
            .ok_or(EventError::Field("livemode")),
    }
}

/// A thin event's `created`, which is ISO text.
fn milliseconds(event: &Value) -> Result<i64, EventError> {
    match event.get("created") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value
            .as_str()
            .and_then(|text| text.parse::<jiff::Timestamp>().ok())
            .map(jiff::Timestamp::as_millisecond)
            .ok_or(EventError::Field("created")),
    }
}

/// The object's type in the words of its own `object` field: thin events may put the group before it, as their own
/// names do.
fn word(name: &str) -> Option<String> {
    let name = name.strip_prefix("v1.").unwrap_or(name);
    let word = match name {
        "customer.subscription" => "subscription",
        "charge.dispute" => "dispute",
        "charge.refund" => "refund",
        other => other,
    };
    json::is_name(word, MAX_TYPE).then(|| word.to_owned())
}

#[cfg(test)]
mod tests;
