//! Tokens that nobody signed, from any header and claims: none verifies, whatever they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::auth::{LastToken, Outcome};
use tollgate_fuzz::Desk;

fuzz_target!(|input: &[u8]| {
    // The first line is the header, the rest the claims; without a second line it is a token as it stands.
    let token = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => tollgate_fuzz::compact(&input[..end], &input[end + 1..], b"no signature"),
        None => String::from_utf8_lossy(input).into_owned(),
    };
    match Desk::get().verify(&token, &LastToken::default()) {
        Outcome::Refused(error) => assert!(!error.to_string().contains(['"', '\\'])),
        Outcome::Verified(principal) => panic!("{principal:?} was let in by {token}"),
        Outcome::NotReady => panic!("the keys are there"),
    }
});
