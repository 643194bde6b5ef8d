//! The signature of a delivery, made from Stripe's description and not from Tollgate's code.

use std::fmt::Write as _;

use aws_lc_rs::hmac;

/// `v1` of `body` at `t`.
fn v1(body: &[u8], secret: &str, t: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut text = format!("{t}.").into_bytes();
    text.extend_from_slice(body);
    let mut hex = String::new();
    for byte in hmac::sign(&key, &text).as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The header for `body`, made at `t` with each of `secrets`; with a `v0` that is wrong, as test events have it.
pub(super) fn sign_with_all(body: &[u8], secrets: &[&str], t: i64) -> String {
    let v0 = "6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39";
    let mut header = format!("t={t}");
    for secret in secrets {
        let _ = write!(header, ",v1={}", v1(body, secret, t));
    }
    header + ",v0=" + v0
}
