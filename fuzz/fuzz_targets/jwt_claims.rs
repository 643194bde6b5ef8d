//! Any claims under a good signature: who gets in has said so, plainly and in time; the cache changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tollgate::auth::{LastToken, Outcome};
use tollgate_fuzz::{AUDIENCE, Desk, ISSUER, NOW};

fuzz_target!(|claims: &str| {
    let desk = Desk::get();
    let token = desk.sign(claims);
    let last = LastToken::default();
    let verdict = desk.verify(&token, &last);
    // Verified, then found in the cache, then known to the connection.
    for _ in 0..2 {
        let again = desk.verify(&token, &last);
        assert_eq!(format!("{verdict:?}"), format!("{again:?}"));
    }
    let Outcome::Verified(principal) = verdict else {
        return;
    };
    let read: Value = serde_json::from_str(claims).expect("JSON, or it would be refused");
    assert_eq!(read["iss"], ISSUER);
    assert_eq!(read["sub"], *principal.subject);
    assert!(!principal.subject.is_empty());
    assert!(
        principal
            .subject
            .bytes()
            .all(|byte| byte.is_ascii_graphic())
    );
    let audience = match &read["aud"] {
        Value::Array(list) => list.iter().any(|one| one == AUDIENCE),
        one => one == AUDIENCE,
    };
    assert!(audience, "{claims}");
    let now = i64::try_from(NOW).expect("a time");
    assert!(principal.expires_at > now, "{claims}");
    for permission in principal.permissions.iter() {
        let held = read["permissions"].as_array();
        assert!(held.is_some_and(|held| held.iter().any(|one| one == permission)));
    }
});
