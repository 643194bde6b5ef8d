//! One call: what is asked, and under which name it is counted.

use http::{HeaderValue, Method};

use crate::stripe::error::{Error, Kind};
use crate::stripe::form::{Params, percent_encode};
use crate::stripe::signature::hex;
use crate::stripe::{IdempotencyKey, json};

/// Longest idempotency key that Stripe takes.
const MAX_KEY: usize = 255;

/// What is asked of Stripe, the same at every attempt.
pub(super) struct Call {
    pub(super) method: Method,
    /// The path, with `{id}` where the id stands: a label of the metrics, and what errors call it.
    pub(super) template: &'static str,
    pub(super) path: String,
    pub(super) params: Params,
    /// On every POST, and on nothing else.
    pub(super) key: Option<HeaderValue>,
}

impl Call {
    /// Reads.
    pub(super) fn get(template: &'static str, params: Params) -> Self {
        Self {
            method: Method::GET,
            template,
            path: template.to_owned(),
            params,
            key: None,
        }
    }

    /// Ends what the path names.
    pub(super) fn delete(template: &'static str) -> Self {
        Self {
            method: Method::DELETE,
            ..Self::get(template, Params::none())
        }
    }

    /// Makes or changes something; once, however often it is tried.
    pub(super) fn post(template: &'static str, params: Params, key: &IdempotencyKey) -> Self {
        Self {
            method: Method::POST,
            key: Some(header(&key.0)),
            ..Self::get(template, params)
        }
    }

    /// Puts `id` where the template says.
    ///
    /// # Errors
    ///
    /// [`Kind::Missing`] when nothing can have this id: it may come from a user, and must not lead to another path.
    pub(super) fn about(mut self, id: &str) -> Result<Self, Error> {
        let leads_elsewhere = id.contains('/') || id.bytes().all(|byte| byte == b'.');
        if !json::is_id(id) || leads_elsewhere {
            return Err(Error::of(self.template, Kind::Missing { param: None }));
        }
        let mut encoded = String::new();
        percent_encode(id, &mut encoded);
        self.path = self.path.replace("{id}", &encoded);
        Ok(self)
    }
}

/// A key for an intent that is nobody's but this call's.
pub(super) fn random_key() -> IdempotencyKey {
    IdempotencyKey(format!("{:032x}", fastrand::u128(..)))
}

/// The key as it is sent: one that is too long, or that no header may hold, by its hash.
fn header(key: &str) -> HeaderValue {
    let fits = json::is_name(key, MAX_KEY).then(|| HeaderValue::from_str(key).ok());
    fits.flatten().unwrap_or_else(|| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
        HeaderValue::try_from(hex(hash.as_ref())).unwrap_or(HeaderValue::from_static("-"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stands_in_the_path_percent_encoded_and_leads_nowhere_else() {
        let path = |id: &str| {
            let call = Call::get("/v1/customers/{id}", Params::none()).about(id);
            call.map(|call| call.path)
        };
        assert_eq!(path("cus_1").unwrap(), "/v1/customers/cus_1");
        assert_eq!(path("a?b#c%2f").unwrap(), "/v1/customers/a%3Fb%23c%252f");
        let long = "a".repeat(256);
        for id in ["", "a/b", "..", ".", "a b", "é", "a\n", &long] {
            let error = path(id).unwrap_err();
            assert_eq!(error.kind, Kind::Missing { param: None }, "{id}");
        }
    }

    #[test]
    fn a_key_that_no_header_may_hold_is_sent_by_its_hash() {
        assert_eq!(header("auth0|1:monthly"), "auth0|1:monthly");
        let long = "a".repeat(256);
        for key in ["", "a\nb", "é", &long] {
            let sent = header(key);
            assert_eq!(sent.len(), 64, "{key}");
            assert_eq!(sent, header(key));
        }
        assert_ne!(header("a\nb"), header("a\nc"));
        assert_ne!(random_key(), random_key());
    }
}
