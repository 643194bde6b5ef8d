//! The token in a request's `Authorization` header (RFC 6750, section 2.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::TokenError;

/// Longest token read; Auth0's are 1 to 4 KiB.
const MAX_TOKEN: usize = 16 * 1024;

/// The bearer token, not verified; `None` when there is no `Authorization` header.
///
/// # Errors
///
/// When the header is there but holds no single bearer token of bearable length.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, TokenError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(TokenError::Repeated);
    }
    if value.len() > MAX_TOKEN + "Bearer ".len() {
        return Err(TokenError::TooLong);
    }
    let (scheme, rest) = value
        .as_bytes()
        .split_at_checked("Bearer ".len())
        .ok_or(TokenError::Scheme)?;
    let unverified_token = rest.trim_ascii();
    let one = !unverified_token.is_empty() && memchr::memchr(b' ', unverified_token).is_none();
    if !scheme.eq_ignore_ascii_case(b"bearer ") || !one {
        return Err(TokenError::Scheme);
    }
    std::str::from_utf8(unverified_token)
        .map(Some)
        .map_err(|_| TokenError::Scheme)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(values: &[&str]) -> Result<Option<String>, TokenError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                AUTHORIZATION,
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        bearer(&headers).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn one_header_one_scheme_letter_case_ignored() {
        assert_eq!(read(&[]), Ok(None));
        for value in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            assert_eq!(read(&[value]), Ok(Some("abc".into())), "{value}");
        }
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Basic abc",
            "abc",
            "Bearer a b",
            "Bearer, abc",
        ] {
            assert_eq!(read(&[value]), Err(TokenError::Scheme), "{value}");
        }
        assert_eq!(read(&["Bearer a", "Bearer a"]), Err(TokenError::Repeated));
    }

    #[test]
    fn a_token_over_16_kib_is_refused() {
        assert!(read(&[&format!("Bearer {}", "a".repeat(MAX_TOKEN))]).is_ok());
        assert_eq!(
            read(&[&format!("Bearer {}", "a".repeat(MAX_TOKEN + 1))]),
            Err(TokenError::TooLong)
        );
    }
}
