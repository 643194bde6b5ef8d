//! What an answer that is no success means.

use http::StatusCode;
use serde_json::Value;

use crate::stripe::error::Kind;
use crate::stripe::json;

/// Longest machine word that is kept.
const MAX_WORD: usize = 80;

/// What a caller does differently after an answer of this status. Stripe's message is read for two things that it has no
/// code for, and goes nowhere.
pub(super) fn kind(status: StatusCode, template: &str, body: Option<&Value>) -> Kind {
    let error = body.and_then(|body| body.get("error"));
    let word = |key| error.and_then(|error| word(error, key));
    let says = |text: &str| error.is_some_and(|error| message_says(error, text));
    let (code, param, kind) = (word("code"), word("param"), word("type"));
    let has_code = |wanted: &str| code.as_deref() == Some(wanted);
    let is_type = |wanted: &str| kind.as_deref() == Some(wanted);
    // A wrong address has no code either, and must not look like an object that is gone.
    let nothing_there = status == StatusCode::NOT_FOUND
        && error.is_some_and(Value::is_object)
        && code.is_none()
        && !says("unrecognized request");
    let portal = template == super::PORTAL && says("configuration");
    match status.as_u16() {
        500.. => Kind::Api(status.as_u16()),
        429 => Kind::RateLimited,
        _ if has_code("rate_limit") => Kind::RateLimited,
        409 => Kind::Idempotency,
        _ if is_type("idempotency_error") => Kind::Idempotency,
        status @ (401 | 403) => Kind::Auth {
            known: status == 403,
            code: code.or(kind),
        },
        402 => Kind::Card { code },
        _ if is_type("card_error") => Kind::Card { code },
        400 | 404 if has_code("resource_missing") || nothing_there => Kind::Missing { param },
        400..=499 => Kind::Invalid {
            status: status.as_u16(),
            code,
            param,
            portal,
        },
        _ => Kind::Unreadable,
    }
}

/// The word under `key`; what is no machine word may be anything, and is left out.
fn word(error: &Value, key: &str) -> Option<String> {
    let text = json::text(error, key)?;
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.[]".contains(&byte);
    // A key would fit the pattern too.
    let secret = ["sk_", "rk_", "whsec_"]
        .iter()
        .any(|start| text.contains(start));
    let fits = (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(plain) && !secret;
    fits.then(|| text.to_owned())
}

fn message_says(error: &Value, wanted: &str) -> bool {
    json::text(error, "message").is_some_and(|text| text.to_ascii_lowercase().contains(wanted))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(status: u16, error: &Value) -> Kind {
        let status = StatusCode::from_u16(status).unwrap();
        kind(status, "/v1/x", Some(&json!({ "error": error })))
    }

    fn missing(param: Option<&str>) -> Kind {
        Kind::Missing {
            param: param.map(str::to_owned),
        }
    }

    #[test]
    fn each_refusal_is_told_by_its_status_type_and_code() {
        let code = |word: &str| Some(word.to_owned());
        for (status, error, expected) in [
            (500, json!({ "type": "api_error" }), Kind::Api(500)),
            (503, json!({ "type": "card_error" }), Kind::Api(503)),
            (
                429,
                json!({ "type": "invalid_request_error", "code": "lock_timeout" }),
                Kind::RateLimited,
            ),
            (400, json!({ "code": "rate_limit" }), Kind::RateLimited),
            (
                409,
                json!({ "type": "idempotency_error", "code": "idempotency_key_in_use" }),
                Kind::Idempotency,
            ),
            (409, json!({ "code": "lock_timeout" }), Kind::Idempotency),
            (
                400,
                json!({ "type": "idempotency_error" }),
                Kind::Idempotency,
            ),
            (
                401,
                json!({ "type": "invalid_request_error" }),
                Kind::Auth {
                    known: false,
                    code: code("invalid_request_error"),
                },
            ),
            (
                403,
                json!({ "code": "more_permissions_required" }),
                Kind::Auth {
                    known: true,
                    code: code("more_permissions_required"),
                },
            ),
            (
                402,
                json!({ "type": "card_error", "code": "card_declined" }),
                Kind::Card {
                    code: code("card_declined"),
                },
            ),
            (
                400,
                json!({ "type": "card_error" }),
                Kind::Card { code: None },
            ),
            (
                404,
                json!({ "type": "invalid_request_error", "code": "resource_missing", "param": "id" }),
                missing(Some("id")),
            ),
            (
                400,
                json!({ "code": "resource_missing", "param": "line_items[0][price]" }),
                missing(Some("line_items[0][price]")),
            ),
            (
                404,
                json!({ "type": "invalid_request_error", "message": "No such customer: 'cus_1'" }),
                missing(None),
            ),
            (302, json!({}), Kind::Unreadable),
        ] {
            assert_eq!(read(status, &error), expected, "{status} {error}");
        }
    }

    #[test]
    fn an_address_that_stripe_does_not_know_is_no_missing_object() {
        let error = json!({
            "type": "invalid_request_error",
            "message": "Unrecognized request URL (GET: /v1/custmers/cus_1)."
        });
        assert!(matches!(
            read(404, &error),
            Kind::Invalid { status: 404, .. }
        ));
        let other = kind(StatusCode::NOT_FOUND, "/v1/x", None);
        assert!(matches!(other, Kind::Invalid { status: 404, .. }));
    }

    #[test]
    fn a_portal_without_configuration_is_told_apart() {
        let error = json!({ "error": {
            "type": "invalid_request_error",
            "message": "No configuration provided and your test mode default configuration has not been created."
        } });
        let portal = |template| {
            let kind = kind(StatusCode::BAD_REQUEST, template, Some(&error));
            matches!(kind, Kind::Invalid { portal: true, .. })
        };
        assert!(portal(super::super::PORTAL));
        assert!(!portal("/v1/x"));
    }

    #[test]
    fn nothing_but_machine_words_is_kept_of_an_error() {
        for text in [
            "sk_test_abc",
            "Invalid API Key provided: sk_live_1",
            "a b",
            "",
            "é",
            &"a".repeat(81),
        ] {
            let error = json!({ "code": text, "param": text, "type": text, "message": text });
            let nothing = Kind::Auth {
                known: true,
                code: None,
            };
            assert_eq!(read(403, &error), nothing, "{text}");
        }
    }
}
