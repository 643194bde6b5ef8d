//! What an account is set up with, out of JSON.

use serde_json::Value;

use crate::stripe::account::{Account, Price, WebhookEndpoint};
use crate::stripe::json;
use crate::types::Secret;

/// Longest secret that is believed; Stripe's own have 38 characters.
const MAX_SECRET: usize = 255;

pub(in crate::stripe) fn account(object: &Value) -> Option<Account> {
    let name = |of: &str, key: &str| json::owned(object.get(of)?, key);
    let dashboard = || json::owned(object.get("settings")?.get("dashboard")?, "display_name");
    Some(Account {
        id: json::id_of(object)?,
        name: dashboard().or_else(|| name("business_profile", "name")),
        charges_enabled: said(object, "charges_enabled"),
    })
}

pub(in crate::stripe) fn price(object: &Value) -> Option<Price> {
    let by_type = match json::text(object, "type") {
        Some("recurring") => Some(true),
        Some("one_time") => Some(false),
        Some(_) | None => None,
    };
    // Without a type, null still says that it is bought once, and nothing says nothing.
    let by_interval = object.get("recurring").map(Value::is_object);
    Some(Price {
        id: json::id_of(object)?,
        active: said(object, "active").unwrap_or(true),
        recurring: by_type.or(by_interval),
        live: said(object, "livemode"),
        product: json::id(object, "product"),
    })
}

/// All its events must be readable: what is not read would be lost when they are written.
pub(in crate::stripe) fn webhook_endpoint(object: &Value) -> Option<WebhookEndpoint> {
    let events = match object.get("enabled_events") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => {
            let events = list.as_array()?.iter();
            let names = events.map(|event| event.as_str().map(str::to_owned));
            names.collect::<Option<_>>()?
        }
    };
    Some(WebhookEndpoint {
        id: json::id_of(object)?,
        url: json::owned(object, "url")?,
        events,
        api_version: json::owned(object, "api_version"),
        enabled: json::text(object, "status") != Some("disabled"),
        live: said(object, "livemode"),
    })
}

/// The secret that signs what the endpoint is sent; only a new one shows it.
pub(in crate::stripe) fn signing_secret(endpoint: &Value) -> Option<Secret> {
    let secret = json::text(endpoint, "secret")?;
    json::is_name(secret, MAX_SECRET).then(|| Secret::new(secret.to_owned()))
}

/// Whether this configuration of the portal is active and the one that is taken unless another is asked for; `None` is
/// what is no configuration.
pub(in crate::stripe) fn is_usual_portal(object: &Value) -> Option<bool> {
    let unless_denied = |key: &str| said(object, key).unwrap_or(true);
    object
        .is_object()
        .then(|| unless_denied("active") && unless_denied("is_default"))
}

/// The flag under `key`, where there is one.
fn said(object: &Value, key: &str) -> Option<bool> {
    object.get(key).and_then(Value::as_bool)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_endpoint_whose_events_cannot_all_be_read_is_not_read() {
        let with = |events: Value| {
            let object =
                json!({ "id": "we_1", "url": "https://a.test/", "enabled_events": events });
            webhook_endpoint(&object).map(|endpoint| endpoint.events)
        };
        assert_eq!(with(json!(["a", "b"])).unwrap(), ["a", "b"]);
        assert_eq!(with(Value::Null), Some(Vec::new()));
        for events in [json!("a"), json!(["a", 7]), json!([{ "name": "a" }])] {
            assert_eq!(with(events.clone()), None, "{events}");
        }
    }
}
