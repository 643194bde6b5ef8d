//! Stripe's signature on an event (Stripe's documentation, "Resolve webhook signature verification errors").
//!
//! How long a verification takes tells nothing of the secrets: every signature is compared with what every secret
//! would give, to the last byte, whatever fitted before.

use std::time::Duration;

use aws_lc_rs::hmac;
use subtle::{Choice, ConstantTimeEq as _};

use crate::clock::UnixSeconds;
use crate::types::Secret;

/// Two secrets in rotation make a header of 160 bytes; one of 8 KiB is nobody's.
const MAX_HEADER: usize = 8 * 1024;

/// Each costs a comparison with each secret.
const MAX_SIGNATURES: usize = 64;

/// Seconds of year 9999 have 12 digits.
const MAX_DIGITS: usize = 12;

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is malformed: no `t`, no `v1`, too long.
    #[error("The Stripe-Signature header is malformed")]
    Malformed,
    /// No signature fits any secret.
    #[error("No signature in the Stripe-Signature header fits")]
    Mismatch,
    /// The signature fits, and is older, or newer, than the tolerance.
    #[error("The signature's time is outside the tolerance")]
    Outside,
}

/// The header, taken apart.
struct Header<'a> {
    /// `t` as it is written, which is what was signed.
    time: &'a str,
    seconds: UnixSeconds,
    /// Every `v1`.
    signatures: Vec<&'a str>,
}

/// Verifies `header` over `body`: any `v1` with any of `secrets`, made within `tolerance` of `now`.
///
/// # Errors
///
/// A [`SignatureError`] that says why it does not count.
pub fn verify(
    header: &[u8],
    body: &[u8],
    secrets: &[Secret],
    tolerance: Duration,
    now: UnixSeconds,
) -> Result<(), SignatureError> {
    let header = Header::parse(header).ok_or(SignatureError::Malformed)?;
    let mut fits = Choice::from(0);
    // Anybody could sign with a blank secret.
    for secret in secrets.iter().filter(|secret| !secret.expose().is_empty()) {
        let expected = sign(secret, header.time, body);
        for signature in &header.signatures {
            fits |= expected.as_bytes().ct_eq(signature.as_bytes());
        }
    }
    if !bool::from(fits) {
        return Err(SignatureError::Mismatch);
    }
    if now.abs_diff(header.seconds) > tolerance.as_secs() {
        return Err(SignatureError::Outside);
    }
    Ok(())
}

/// HMAC-SHA256 over `{t}.{body}`, in lowercase hex.
fn sign(secret: &Secret, time: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(time.as_bytes());
    context.update(b".");
    context.update(body);
    hex(context.sign().as_ref())
}

/// Lowercase hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

impl<'a> Header<'a> {
    /// Items are split at `,`, with or without spaces around it, each at its first `=`. Schemes other than `v1` are not
    /// looked at: test events carry a wrong `v0` on purpose.
    fn parse(header: &'a [u8]) -> Option<Self> {
        if header.len() > MAX_HEADER || !header.is_ascii() {
            return None;
        }
        let mut time = None;
        let mut signatures = Vec::new();
        for item in std::str::from_utf8(header).ok()?.split(',') {
            match item.trim_matches([' ', '\t']).split_once('=') {
                Some(("t", _)) if time.is_some() => return None,
                Some(("t", value)) => time = Some(value),
                Some(("v1", value)) if !value.is_empty() => signatures.push(value),
                Some(_) | None => {}
            }
        }
        let time = time?;
        let seconds = seconds(time)?;
        let count = signatures.len();
        (1..=MAX_SIGNATURES).contains(&count).then_some(Self {
            time,
            seconds,
            signatures,
        })
    }
}

/// Digits and nothing else: no sign, no space, no fraction.
fn seconds(text: &str) -> Option<UnixSeconds> {
    let digits = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "whsec_test_secret";
    const TIME: UnixSeconds = 1_700_000_000;
    const BODY: &[u8] = br#"{"id":"evt_test","object":"event"}"#;
    const V1: &str = "8042376f6ca064adbe037642a718227dfd59047137eb49497a54c49eb0cfb724";
    const TOLERANCE: Duration = Duration::from_secs(300);

    fn secrets(secrets: &[&str]) -> Vec<Secret> {
        secrets
            .iter()
            .map(|secret| Secret::new((*secret).to_owned()))
            .collect()
    }

    fn verified(header: &str) -> Result<(), SignatureError> {
        verify(
            header.as_bytes(),
            BODY,
            &secrets(&[SECRET]),
            TOLERANCE,
            TIME,
        )
    }

    fn good() -> String {
        format!("t={TIME},v1={V1}")
    }

    #[test]
    fn the_published_check_vector_verifies() {
        assert_eq!(verified(&good()), Ok(()));
        assert_eq!(
            sign(&Secret::new(SECRET.to_owned()), "1700000000", BODY),
            V1
        );
    }

    #[test]
    fn any_signature_with_any_secret_is_enough_and_other_schemes_count_for_nothing() {
        let wrong = "0".repeat(64);
        for header in [
            format!("t={TIME},v1={wrong},v1={V1}"),
            format!("t={TIME},v1={V1},v1={wrong}"),
            format!("v1={V1},t={TIME}"),
            format!("t={TIME},v1={V1},v0={wrong}"),
            format!("v0=a=b,t={TIME},scheme,v1={V1}"),
            format!("t={TIME}, v1={V1}"),
            format!(" t={TIME} ,\tv0={wrong} , v1={wrong}, v1={V1} "),
            format!("t={TIME}{},v1={V1}", format!(",v1={wrong}").repeat(63)),
        ] {
            assert_eq!(verified(&header), Ok(()), "{header}");
            for rotation in [["whsec_new", SECRET], [SECRET, "whsec_new"]] {
                let secrets = secrets(&rotation);
                let verdict = verify(header.as_bytes(), BODY, &secrets, TOLERANCE, TIME);
                assert_eq!(verdict, Ok(()), "{header}");
            }
        }
        for header in [
            format!("t={TIME},v0={V1}"),
            format!("t={TIME},v2={V1}"),
            format!("t={TIME},V1={V1}"),
        ] {
            assert_eq!(
                verified(&header),
                Err(SignatureError::Malformed),
                "{header}"
            );
        }
    }

    #[test]
    fn a_header_that_is_malformed_is_told_from_one_that_does_not_fit() {
        for header in [
            String::new(),
            "garbage".to_owned(),
            format!("v1={V1}"),
            format!("t={TIME}"),
            format!("t={TIME},v1="),
            format!("t=,v1={V1}"),
            format!("t={TIME},t={TIME},v1={V1}"),
            format!("t=+{TIME},v1={V1}"),
            format!("t=-1,v1={V1}"),
            format!("t= {TIME},v1={V1}"),
            format!("t ={TIME},v1={V1}"),
            format!("t={TIME}.0,v1={V1}"),
            format!("t=9999999999999,v1={V1}"),
            format!("t={TIME},v1={V1},é"),
            format!("t={TIME}{}", format!(",v1={V1}").repeat(65)),
            format!("t={TIME},v1={V1},v0={}", "0".repeat(MAX_HEADER)),
        ] {
            assert_eq!(
                verified(&header),
                Err(SignatureError::Malformed),
                "{header}"
            );
        }
        for header in [
            format!("t={TIME},v1=00"),
            format!("t={TIME},v1={}", "0".repeat(64)),
            format!("t={TIME},v1={}", V1.to_uppercase()),
            format!("t={TIME},v1={V1}0"),
            format!("t=0{TIME},v1={V1}"),
        ] {
            assert_eq!(verified(&header), Err(SignatureError::Mismatch), "{header}");
        }
    }

    #[test]
    fn a_time_outside_the_tolerance_is_told_in_both_directions_and_only_when_a_signature_fits() {
        let fits = good();
        let wrong = format!("t={TIME},v1={}", "0".repeat(64));
        for (now, expected) in [
            (TIME - 301, Err(SignatureError::Outside)),
            (TIME - 300, Ok(())),
            (TIME + 300, Ok(())),
            (TIME + 301, Err(SignatureError::Outside)),
            (i64::MAX, Err(SignatureError::Outside)),
            (i64::MIN, Err(SignatureError::Outside)),
        ] {
            let at =
                |header: &str| verify(header.as_bytes(), BODY, &secrets(&[SECRET]), TOLERANCE, now);
            assert_eq!(at(&fits), expected, "{now}");
            assert_eq!(at(&wrong), Err(SignatureError::Mismatch), "{now}");
        }
    }

    #[test]
    fn without_a_secret_or_with_a_blank_one_nothing_fits() {
        let blank = sign(&Secret::new(String::new()), "1700000000", BODY);
        let header = format!("t={TIME},v1={V1},v1={blank}");
        for none in [&[][..], &[""][..]] {
            let verdict = verify(header.as_bytes(), BODY, &secrets(none), TOLERANCE, TIME);
            assert_eq!(verdict, Err(SignatureError::Mismatch));
        }
    }

    /// `bytes` with the bits of `flip` turned at `at`.
    fn spoilt(bytes: &[u8], at: usize, flip: u8) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        bytes
    }

    proptest! {
        #[test]
        fn any_other_byte_in_the_body_refuses(at in 0usize..4096, flip in 1u8..) {
            let verdict = verify(good().as_bytes(), &spoilt(BODY, at, flip), &secrets(&[SECRET]), TOLERANCE, TIME);
            prop_assert_eq!(verdict, Err(SignatureError::Mismatch));
        }

        #[test]
        fn any_other_byte_in_the_header_refuses(at in 0usize..4096, flip in 1u8..) {
            let header = spoilt(good().as_bytes(), at, flip);
            prop_assert!(verify(&header, BODY, &secrets(&[SECRET]), TOLERANCE, TIME).is_err());
        }

        #[test]
        fn any_other_secret_refuses(at in 0usize..64, flip in 1u8..0x80) {
            let other = String::from_utf8(spoilt(SECRET.as_bytes(), at, flip)).unwrap();
            let verdict = verify(good().as_bytes(), BODY, &secrets(&[&other]), TOLERANCE, TIME);
            prop_assert_eq!(verdict, Err(SignatureError::Mismatch));
        }

        #[test]
        fn what_was_signed_verifies(body in any::<Vec<u8>>(), time in 0i64..253_402_300_800, secret in "whsec_[a-zA-Z0-9]{1,40}") {
            let secret = Secret::new(secret);
            let header = format!("t={time},v1={}", sign(&secret, &time.to_string(), &body));
            prop_assert_eq!(verify(header.as_bytes(), &body, &[secret], TOLERANCE, time), Ok(()));
        }

        #[test]
        fn any_header_is_answered(header in any::<Vec<u8>>()) {
            prop_assert!(verify(&header, BODY, &secrets(&[SECRET]), TOLERANCE, TIME).is_err());
        }
    }
}
