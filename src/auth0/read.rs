//! Reading what Auth0 says, and writing ids into paths.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Role, User};

/// A role; both its id and its name are needed.
pub(super) fn role(value: &Value) -> Option<Role> {
    Some(Role {
        id: text(value, "id")?,
        name: text(value, "name")?,
    })
}

/// A user; a list of a role's users says less about them than a user asked for by id.
pub(super) fn user(value: &Value) -> Option<User> {
    Some(User {
        id: text(value, "user_id")?,
        email: text(value, "email"),
        // Some connections write it as text; anything but a yes is a no.
        email_verified: value["email_verified"] == true || value["email_verified"] == "true",
        name: text(value, "name"),
    })
}

/// A text that is there and not empty.
pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    let text = value[name].as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// `id` as one segment of a path; `None` for what no id is, and would name another resource.
pub(super) fn segment(id: &str) -> Option<String> {
    // URL parsers take these away together with the segment before, in every spelling.
    let is_none = matches!(id, "" | "." | "..");
    (!is_none).then(|| encode(id))
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_reserved_byte_of_an_id_is_encoded() {
        for (id, expected) in [
            ("auth0|1", "auth0%7C1"),
            ("waad|a/b?c#d", "waad%7Ca%2Fb%3Fc%23d"),
            ("a%7Cb", "a%257Cb"),
            ("a b+c@d", "a%20b%2Bc%40d"),
            ("é", "%C3%A9"),
            ("a-b._~Z9", "a-b._~Z9"),
        ] {
            assert_eq!(segment(id).as_deref(), Some(expected));
        }
    }

    #[test]
    fn an_id_that_would_name_another_resource_is_none() {
        for id in ["", ".", ".."] {
            assert_eq!(segment(id), None, "{id:?}");
        }
        assert_eq!(segment("../x").as_deref(), Some("..%2Fx"));
    }

    #[test]
    fn only_a_clear_yes_verifies_an_email() {
        let read = |verified: Value| {
            user(&json!({ "user_id": "auth0|1", "email": "a@b.test", "email_verified": verified }))
                .unwrap()
                .email_verified
        };
        assert!(read(json!(true)) && read(json!("true")));
        for no in [
            json!(false),
            json!(null),
            json!("false"),
            json!(1),
            json!("yes"),
        ] {
            assert!(!read(no.clone()), "{no}");
        }
    }

    #[test]
    fn what_is_not_needed_may_be_absent_or_null() {
        let user = user(&json!({ "user_id": "auth0|1", "email": null, "picture": 7 })).unwrap();
        assert_eq!(
            (user.email, user.name, user.email_verified),
            (None, None, false)
        );
        assert_eq!(role(&json!({ "id": "rol_1" })), None);
    }
}
