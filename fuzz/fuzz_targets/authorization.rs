//! Any `Authorization` fields, one a line: at most one token comes out, and it stood there as it is.
#![no_main]

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tollgate::auth::bearer;

fuzz_target!(|input: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(AUTHORIZATION, value);
        }
    }
    let values: Vec<&HeaderValue> = headers.get_all(AUTHORIZATION).iter().collect();
    match bearer(&headers) {
        Ok(None) => assert!(values.is_empty()),
        Ok(Some(token)) => {
            assert_eq!(values.len(), 1);
            assert!(!token.is_empty() && token.len() <= 16 * 1024 && !token.contains(' '));
            assert!(values[0].as_bytes().ends_with(token.as_bytes()) || ends_blank(values[0]));
            let scheme = &values[0].as_bytes()[..7];
            assert!(scheme.eq_ignore_ascii_case(b"Bearer "));
        }
        Err(error) => {
            assert!(!values.is_empty());
            // It goes into `WWW-Authenticate` between quotes (RFC 6750, section 3).
            let text = error.to_string();
            assert!(!text.contains(['"', '\\']), "{text}");
        }
    }
});

fn ends_blank(value: &HeaderValue) -> bool {
    value.as_bytes().last().is_some_and(u8::is_ascii_whitespace)
}
