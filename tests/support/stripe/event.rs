//! Events, as the account keeps them and as they are sent.

use serde_json::{Value, json};

use super::objects::text;
use super::render;

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `object: "event"`, with the whole object.
    Snapshot,
    /// `object: "v2.core.event"`, with the object's name alone.
    Thin,
}

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// `evt_…`, of the snapshot.
    pub(crate) id: String,
    /// `type`, without the `v1.` of thin events.
    pub(crate) kind: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// The object as it was, in the newest shape.
    object: Value,
    previous: Value,
    live: bool,
}

impl Event {
    pub(super) fn new(id: String, kind: &str, created: i64, object: Value, live: bool) -> Self {
        Self {
            id,
            kind: kind.to_owned(),
            created,
            object,
            previous: Value::Null,
            live,
        }
    }

    /// With what the changed fields held before.
    pub(super) fn previously(self, previous: Value) -> Self {
        Self { previous, ..self }
    }

    /// The same under another id.
    pub(super) fn under(&self, id: String) -> Self {
        Self { id, ..self.clone() }
    }

    /// The id of the object.
    pub(crate) fn object_id(&self) -> &str {
        text(&self.object, "id")
    }

    /// The id that it has when it is sent in `form`.
    pub(crate) fn id_in(&self, form: Form) -> String {
        match form {
            Form::Snapshot => self.id.clone(),
            Form::Thin => self.id.replace("evt_", "evt_thin_"),
        }
    }

    /// The body of a delivery.
    pub(crate) fn body(&self, form: Form, older: bool) -> Value {
        match form {
            Form::Snapshot => self.snapshot(older, 1),
            Form::Thin => self.thin(),
        }
    }

    /// The event as `GET /v1/events` and deliveries show it.
    pub(super) fn snapshot(&self, older: bool, pending: usize) -> Value {
        let mut data = json!({ "object": render::shown(&self.object, older) });
        if self.previous.is_object() {
            data["previous_attributes"] = render::shown(&self.previous, older);
        }
        json!({ "id": self.id, "object": "event", "api_version": render::version(older), "created": self.created,
            "data": data, "livemode": self.live, "pending_webhooks": pending,
            "request": { "id": null, "idempotency_key": null }, "type": self.kind })
    }

    fn thin(&self) -> Value {
        let created = jiff::Timestamp::from_second(self.created).expect("a date");
        let (object, id) = (text(&self.object, "object"), self.object_id());
        let folder = match object {
            "checkout.session" => "checkout/sessions".to_owned(),
            other => format!("{other}s"),
        };
        json!({ "id": self.id_in(Form::Thin), "object": "v2.core.event", "type": format!("v1.{}", self.kind),
            "created": format!("{created:.3}"), "livemode": self.live, "context": null, "reason": null,
            "related_object": { "id": id, "type": object, "url": format!("/v1/{folder}/{id}") },
            "snapshot_event": self.id })
    }
}
