//! Tokens of every kind, right and wrong.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::keys::Key;

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A token before it is signed.
#[derive(Clone)]
pub(crate) struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    /// The payload as text, where the claims cannot say what a test wants.
    payload: Option<String>,
}

impl Token {
    /// A good access token of `subject`, as Auth0 makes them.
    pub(crate) fn new(issuer: &str, audience: &str, subject: &str, permissions: &[&str]) -> Self {
        let claims = json!({
            "iss": issuer, "sub": subject, "aud": [audience, format!("{issuer}userinfo")],
            "iat": now(), "exp": now() + 3600, "azp": "spa-client", "scope": "openid profile email",
            "permissions": permissions,
        });
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        Self {
            header: object(header),
            claims: object(claims),
            payload: None,
        }
    }

    /// Sets a claim.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a member of the header; `null` leaves it out.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Replaces the payload by `text`, whatever it is.
    pub(crate) fn payload(mut self, text: &str) -> Self {
        self.payload = Some(text.to_owned());
        self
    }

    /// The claims as JSON.
    pub(crate) fn claims(&self) -> String {
        self.payload
            .clone()
            .unwrap_or_else(|| Value::Object(self.claims.clone()).to_string())
    }

    /// Signs with `key`, under the key's name unless the header says another.
    pub(crate) fn sign(&self, key: &Key) -> String {
        self.finish(&key.kid, |text| key.sign(text))
    }

    /// Signs with HMAC-SHA256 and `secret`, and says so.
    pub(crate) fn sign_hs256(&self, kid: &str, secret: &[u8]) -> String {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let token = self.clone().header("alg", "HS256");
        token.finish(kid, |text| hmac::sign(&secret, text).as_ref().to_vec())
    }

    /// Signs not at all (RFC 7519, section 6).
    pub(crate) fn unsigned(&self, kid: &str) -> String {
        self.clone()
            .header("alg", "none")
            .finish(kid, |_| Vec::new())
    }

    fn finish(&self, kid: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let mut header = self.header.clone();
        header.entry("kid").or_insert_with(|| kid.into());
        header.retain(|_, value| !value.is_null());
        let header = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
        let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(self.claims()));
        let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).expect("an object")
}
