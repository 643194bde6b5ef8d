//! Reading a form that was sent.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::form::Form;
use crate::server::{BodyError, RequestBody};

/// Our largest form is an id and two tokens.
const MAX: u64 = 16 << 10;
/// From the head to the end of the body.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a form was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error("Send a form: application/x-www-form-urlencoded.")]
    Kind,
    #[error("The form is larger than 16 KiB.")]
    TooLarge,
    #[error("The form did not come in time.")]
    Slow,
    #[error("The form is cut short, or no text.")]
    Broken,
}

impl Unread {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Kind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// The form in `body`. One without a body, as scripts send it, is an empty form.
pub(super) async fn form(headers: &HeaderMap, mut body: RequestBody) -> Result<Form, Unread> {
    if !body.limit(MAX) {
        return Err(Unread::TooLarge);
    }
    let read = timeout(PATIENCE, body.collect()).await;
    let bytes = match read.map_err(|_| Unread::Slow)? {
        Ok(whole) => whole.to_bytes(),
        Err(BodyError::TooLarge) => return Err(Unread::TooLarge),
        Err(BodyError::Idle) => return Err(Unread::Slow),
        Err(BodyError::Client(_)) => return Err(Unread::Broken),
    };
    if bytes.is_empty() {
        return Ok(Form::default());
    }
    // A page of another site can send this kind without asking; that is what the session's token is for.
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    if !kind
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Err(Unread::Kind);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Unread::Broken)?;
    Ok(Form::parse(text))
}
