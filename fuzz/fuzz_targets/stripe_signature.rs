//! A `Stripe-Signature` header, a line end, a body: what nobody signed does not verify, and what was signed does, with
//! this header beside it.
#![no_main]

use std::time::Duration;

use aws_lc_rs::hmac;
use libfuzzer_sys::fuzz_target;
use tollgate::stripe::{SignatureError, verify};
use tollgate::types::Secret;

const SECRET: &str = "whsec_nobody_knows";
const NOW: i64 = 1_700_000_000;
const TOLERANCE: Duration = Duration::from_secs(300);

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let header = parts.next().unwrap_or_default();
    let body = parts.next().unwrap_or_default();
    let secrets = [Secret::new(SECRET.to_owned())];
    let verify = |header: &[u8]| verify(header, body, &secrets, TOLERANCE, NOW);
    let verdict = verify(header);
    assert!(verdict.is_err(), "nobody signed this");
    // Whatever stands behind a good signature in another scheme counts for nothing.
    let good = format!("t={NOW},v1={},v0=", sign(body));
    let plain = header.is_ascii() && header.len() < 1024 && !header.contains(&b',');
    let both = verify(&[good.as_bytes(), header].concat());
    if plain {
        assert_eq!(both, Ok(()));
    }
    // A time is told as outside only of what was signed.
    assert_ne!(verdict, Err(SignatureError::Outside));
});

fn sign(body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{NOW}.").as_bytes());
    context.update(body);
    let tag = context.sign();
    tag.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
