//! Reading JSON that may be older or newer than this program: what is absent, null or of another type is `None`.

use serde_json::Value;

use super::object::Owner;
use crate::clock::UnixSeconds;

/// Longest id that is believed. Stripe's own end at 66 characters; its documentation asks for room for 255.
const MAX_ID: usize = 255;

/// Longest user that is believed: a metadata value ends at 500 characters.
const MAX_USER: usize = 500;

/// The metadata key that names the Auth0 user.
pub(super) const USER: &str = "auth0_user_id";

/// Whether `text` can be the name of something: 1 to `max` characters of visible ASCII.
pub(super) fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `text` can be an id.
pub(super) fn is_id(text: &str) -> bool {
    is_name(text, MAX_ID)
}

/// The text under `key`.
pub(super) fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// The text under `key`, of our own.
pub(super) fn owned(object: &Value, key: &str) -> Option<String> {
    text(object, key).map(str::to_owned)
}

/// The id under `key`: the field itself, or the `id` of the object that it was expanded to.
pub(super) fn id(object: &Value, key: &str) -> Option<String> {
    let field = object.get(key)?;
    let id = field.as_str().or_else(|| text(field, "id"))?;
    is_id(id).then(|| id.to_owned())
}

/// The whole number under `key`.
pub(super) fn integer(object: &Value, key: &str) -> Option<i64> {
    object.get(key)?.as_i64()
}

/// Seconds since 1970 under `key`.
pub(super) fn time(object: &Value, key: &str) -> Option<UnixSeconds> {
    integer(object, key)
}

/// The flag under `key`; what is no flag is not set.
pub(super) fn flag(object: &Value, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// Whether there is anything but null under `key`.
pub(super) fn is_set(object: &Value, key: &str) -> bool {
    object.get(key).is_some_and(|value| !value.is_null())
}

/// The customer of `object`: itself, where it is one.
pub(super) fn customer(object: &Value) -> Option<String> {
    if text(object, "object") == Some("customer") {
        return id_of(object);
    }
    id(object, "customer")
}

/// The id of `object` itself.
pub(super) fn id_of(object: &Value) -> Option<String> {
    id(object, "id")
}

/// Whom `object` names. Invoices carry the metadata of their subscription, in one place until 2025-03-31 and in
/// another since.
pub(super) fn owner(object: &Value) -> Owner {
    let details = "subscription_details";
    let newer = object.get("parent").and_then(|parent| parent.get(details));
    let places = [Some(object), newer, object.get(details)];
    let metadata = places.into_iter().flatten().find_map(user);
    let reference = text(object, "client_reference_id").filter(|text| is_name(text, MAX_USER));
    Owner {
        metadata,
        reference: reference.map(str::to_owned),
    }
}

/// The Auth0 user that the metadata of `object` names.
pub(super) fn user(object: &Value) -> Option<String> {
    let user = text(object.get("metadata")?, USER)?;
    is_name(user, MAX_USER).then(|| user.to_owned())
}
