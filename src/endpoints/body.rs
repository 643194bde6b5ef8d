//! Reading what a request brings: its body, within bounds, and the fields of it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::room::Held;
use crate::reply::Problem;

/// How long a body may take. It is small, so this is for the slowest lines.
const DEADLINE: Duration = Duration::from_secs(30);

/// Every byte of the body, `limit` at most, as far as there is room for them.
pub(super) async fn read<B, E>(
    headers: &HeaderMap,
    mut body: B,
    limit: u64,
    held: &mut Held<'_>,
    problem: impl Fn(&E) -> Problem + Send,
) -> Result<Bytes, Failure>
where
    B: http_body::Body<Data = Bytes, Error = E> + Send + Unpin,
    E: Send,
{
    if announced(headers).is_some_and(|length| length > limit) {
        return Err(Failure::TooLarge);
    }
    let deadline = tokio::time::sleep(DEADLINE);
    tokio::pin!(deadline);
    let mut read = BytesMut::new();
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = &mut deadline => return Err(Failure::BodyTimeout),
        };
        let data = match frame {
            None => return Ok(read.freeze()),
            Some(Err(error)) => return Err(Failure::Body(Box::new(problem(&error)))),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        if (read.len() + data.len()) as u64 > limit {
            return Err(Failure::TooLarge);
        }
        held.grow(read.len() + data.len())?;
        read.extend_from_slice(&data);
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a body that says it is something other than JSON.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get(CONTENT_TYPE) {
        Some(value) if !is_json(value) => Err(Failure::ContentType),
        Some(_) | None => Ok(()),
    }
}

/// Refuses a body that is not sent as it is: only the bytes that were sent are signed, and none is unpacked here.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), Failure> {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        Ok(())
    } else {
        Err(Failure::ContentEncoding)
    }
}

/// `application/json`, or anything that ends in `+json` (RFC 6839, section 3.1), whatever its parameters.
fn is_json(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else {
        return false;
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || (essence.contains('/') && essence.ends_with("+json"))
}

/// The fields of a JSON body. Of a key that comes twice, the last counts; keys that nobody reads are passed over.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Failure> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Failure::Field {
                name: "body",
                expected: "a JSON object".to_owned(),
            }),
            Err(_) => Err(Failure::NotJson),
        }
    }

    /// Like [`Fields::parse`], for endpoints that need no field: no body is an empty one.
    pub(super) fn parse_optional(body: &[u8]) -> Result<Self, Failure> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Map::new()));
        }
        Self::parse(body)
    }

    /// The text of a field that has to be there.
    pub(super) fn text(&self, name: &'static str) -> Result<&str, Failure> {
        self.optional_text(name)?.ok_or_else(|| a_text(name))
    }

    /// The text of a field; `null` is none.
    pub(super) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(a_text(name))
            }
        }
    }
}

fn a_text(name: &'static str) -> Failure {
    Failure::Field {
        name,
        expected: "a string".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::room::Room;
    use super::*;
    use http_body_util::Full;

    fn status(failure: Failure) -> u16 {
        failure.into_problem().status.as_u16()
    }

    fn header(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    async fn read_up_to(limit: u64, announced: Option<&'static str>) -> Result<Bytes, Failure> {
        let headers = announced.map_or_else(HeaderMap::new, |n| header(CONTENT_LENGTH, n));
        let never = |_: &std::convert::Infallible| unreachable!();
        let (room, body) = (Room::new(), Full::new(Bytes::from("0123456789")));
        read(&headers, body, limit, &mut room.nothing(), never).await
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_announced_or_not() {
        assert_eq!(read_up_to(10, None).await.unwrap(), "0123456789");
        assert_eq!(status(read_up_to(9, None).await.unwrap_err()), 413);
        assert_eq!(status(read_up_to(10, Some("11")).await.unwrap_err()), 413);
    }

    #[test]
    fn only_json_is_read() {
        assert!(check_type(&HeaderMap::new()).is_ok());
        for (value, fits) in [
            ("application/json", true),
            ("Application/JSON ; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonp", false),
            ("+json", false),
        ] {
            assert_eq!(
                check_type(&header(CONTENT_TYPE, value)).is_ok(),
                fits,
                "{value}"
            );
        }
        for (value, fits) in [("identity", true), ("gzip", false), ("", false)] {
            assert_eq!(
                check_encoding(&header(CONTENT_ENCODING, value)).is_ok(),
                fits,
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_no_json_is_400_and_json_of_the_wrong_shape_is_422_and_names_the_field() {
        let text = |body: &str| {
            Fields::parse(body.as_bytes())?
                .text("plan_type")
                .map(str::to_owned)
        };
        assert_eq!(text(r#"{"plan_type": "a", "more": 1}"#).unwrap(), "a");
        assert_eq!(
            text(r#"{"plan_type": "a", "plan_type": "b"}"#).unwrap(),
            "b"
        );
        for body in ["", "{", "plan_type=a", "\u{feff}{}", "{} {}"] {
            assert_eq!(status(text(body).unwrap_err()), 400, "{body}");
        }
        for body in [
            "{}",
            r#"{"plan_type": null}"#,
            r#"{"plan_type": 1}"#,
            r#"{"plan_type": ["a"]}"#,
        ] {
            let problem = text(body).unwrap_err().into_problem();
            assert_eq!(problem.status.as_u16(), 422, "{body}");
            assert_eq!(problem.detail, "`plan_type` must be a string", "{body}");
        }
        for body in ["[]", "null", "\"a\"", "1"] {
            assert_eq!(status(text(body).unwrap_err()), 422, "{body}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(status(text(&deep).unwrap_err()), 400);
    }

    #[test]
    fn no_body_is_an_empty_one_where_no_field_is_needed() {
        for body in ["", " \r\n", "{}", r#"{"return_url": null}"#] {
            let fields = Fields::parse_optional(body.as_bytes()).unwrap();
            assert_eq!(fields.optional_text("return_url").unwrap(), None);
        }
    }
}
