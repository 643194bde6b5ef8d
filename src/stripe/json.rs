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

/// The whole number under `key`, however it is written: `5`, `5.0`, `0.5e1`.
pub(super) fn integer(object: &Value, key: &str) -> Option<i64> {
    let number = object.get(key)?;
    let is_whole = |number: &f64| number.fract() == 0.0;
    number
        .as_i64()
        .or_else(|| floor(number.as_f64().filter(is_whole)?))
}

/// Seconds since 1970 under `key`.
pub(super) fn time(object: &Value, key: &str) -> Option<UnixSeconds> {
    seconds(object.get(key)?)
}

/// Seconds since 1970; of a fraction, the second in which it is.
pub(super) fn seconds(value: &Value) -> Option<UnixSeconds> {
    value.as_i64().or_else(|| floor(value.as_f64()?))
}

/// The number in digits is either within the range of the type, or not to be parsed.
fn floor(number: f64) -> Option<i64> {
    format!("{:.0}", number.floor()).parse().ok()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_read_however_it_is_written() {
        for (text, whole, moment) in [
            ("1700000000", Some(1_700_000_000), Some(1_700_000_000)),
            ("1700000000.0", Some(1_700_000_000), Some(1_700_000_000)),
            ("1.7e9", Some(1_700_000_000), Some(1_700_000_000)),
            ("1700000000.75", None, Some(1_700_000_000)),
            ("0.0", Some(0), Some(0)),
            ("-0.0", Some(0), Some(0)),
            ("-1.5", None, Some(-2)),
            ("1e300", None, None),
            ("18446744073709551615", None, None),
            ("\"1700000000\"", None, None),
            ("null", None, None),
            ("true", None, None),
        ] {
            let number: Value = serde_json::from_str(text).unwrap();
            let object = json!({ "x": number });
            let read = (integer(&object, "x"), time(&object, "x"));
            assert_eq!(read, (whole, moment), "{text}");
        }
    }
}
