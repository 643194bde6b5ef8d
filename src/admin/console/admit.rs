//! Who may act: what a POST has to bring.
//!
//! A browser brings the session's cookie by itself, so its forms hold a token of the session beside it, which another
//! site cannot know. A script brings `admin.token`, which no browser sends by itself.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::form::Form;
use super::hand::Hand;
use super::session::{Knows, LIFE, Sessions, same};

/// The cookie that holds a session. Without `Secure`: the listener speaks plain HTTP.
const COOKIE: &str = "tollgate_console";

/// How somebody may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// With a session.
    Browser,
    /// With the token itself.
    Script,
}

/// Why somebody may not act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("The console is read-only: set `admin.token` in the config to act here.")]
    ReadOnly,
    #[error("The form was sent from another site.")]
    Foreign,
    #[error("Sign in first; a session lasts eight hours, or until Tollgate is restarted.")]
    NotSignedIn,
    #[error("This is not the token.")]
    WrongToken,
    #[error("Too many wrong tokens from your address. Try again in {} seconds.", .0.as_secs() + 1)]
    TooMany(Duration),
    #[error(
        "The form does not belong to this session. Go back, load the page again, and try once more."
    )]
    Forged,
}

impl Refused {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::ReadOnly | Self::Foreign | Self::Forged => StatusCode::FORBIDDEN,
            Self::NotSignedIn | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Headers that go with the status.
    pub(super) fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Self::NotSignedIn | Self::WrongToken => {
                let scheme = HeaderValue::from_static("Bearer");
                headers.insert(header::WWW_AUTHENTICATE, scheme);
            }
            Self::TooMany(wait) => {
                headers.insert(header::RETRY_AFTER, (wait.as_secs() + 1).into());
            }
            Self::ReadOnly | Self::Foreign | Self::Forged => {}
        }
        headers
    }
}

/// Who sent a form, as far as the request says.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) headers: &'a HeaderMap,
    /// The host that was asked for, with its port.
    pub(super) host: &'a str,
    pub(super) address: IpAddr,
}

/// Whether the sender of this form may act.
pub(super) fn admit(
    sessions: &Sessions,
    sender: Sender<'_>,
    form: &Form,
    now: Instant,
) -> Result<Admitted, Refused> {
    let headers = sender.headers;
    if !sessions.is_possible() {
        return Err(Refused::ReadOnly);
    }
    if is_foreign(sender) {
        return Err(Refused::Foreign);
    }
    if let Some(unverified) = headers.get(header::AUTHORIZATION) {
        let unverified_token = unverified.to_str().ok().and_then(bearer);
        let unverified_token = unverified_token.unwrap_or_default();
        check(sessions, unverified_token, sender.address, now)?;
        return Ok(Admitted::Script);
    }
    let csrf = csrf(sessions, headers, now).ok_or(Refused::NotSignedIn)?;
    if !same(&csrf, form.field("csrf").unwrap_or_default()) {
        return Err(Refused::Forged);
    }
    Ok(Admitted::Browser)
}

/// Whether this, which came from this address, is the token.
pub(super) fn check(
    sessions: &Sessions,
    unverified_token: &str,
    from: IpAddr,
    now: Instant,
) -> Result<(), Refused> {
    match sessions.knows(unverified_token, from, now) {
        Knows::Yes => Ok(()),
        Knows::No => Err(Refused::WrongToken),
        Knows::TooMany(wait) => Err(Refused::TooMany(wait)),
    }
}

/// Who looks at the page `here`.
pub(super) fn hand(sessions: &Sessions, headers: &HeaderMap, here: &str, now: Instant) -> Hand {
    if !sessions.is_possible() {
        return Hand::ReadOnly;
    }
    match csrf(sessions, headers, now) {
        Some(csrf) => Hand::Operator { csrf },
        None => Hand::Stranger {
            here: here.to_owned(),
        },
    }
}

fn csrf(sessions: &Sessions, headers: &HeaderMap, now: Instant) -> Option<String> {
    cookies(headers).find_map(|cookie| sessions.csrf(cookie, now))
}

/// The session cookies that were sent: another site on this machine may have set one of the same name.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// `Set-Cookie` that begins a session, or ends it where there is none.
pub(super) fn set_cookie(session: Option<&str>) -> Option<HeaderValue> {
    let age = if session.is_some() { LIFE.as_secs() } else { 0 };
    let value = session.unwrap_or_default();
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&text).ok()
}

/// Whether a browser says that another site sent this. `Sec-Fetch-Site` is the browser's own word, and right behind a
/// proxy too that changes `Host`; over plain HTTP it is sent to this machine alone. `Origin: null` is a site that hides:
/// our own pages ask for a policy under which their forms name themselves (Fetch standard, "append a request Origin
/// header").
pub(super) fn is_foreign(sender: Sender<'_>) -> bool {
    if let Some(site) = sender.headers.get("sec-fetch-site") {
        return ![&b"same-origin"[..], b"none"].contains(&site.as_bytes());
    }
    let Some(origin) = sender.headers.get(header::ORIGIN) else {
        return false;
    };
    let origin = origin.to_str().unwrap_or_default();
    let named = ["http://", "https://"]
        .into_iter()
        .find_map(|scheme| origin.strip_prefix(scheme));
    !named.is_some_and(|named| named.eq_ignore_ascii_case(sender.host))
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Secret;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        pairs.collect()
    }

    fn sender(headers: &HeaderMap) -> Sender<'_> {
        Sender {
            headers,
            host: "127.0.0.1:9901",
            address: [127, 0, 0, 1].into(),
        }
    }

    #[test]
    fn a_form_from_another_site_is_told_by_the_browser_or_by_its_origin() {
        for (pairs, foreign) in [
            (&[][..], false),
            (&[("origin", "http://127.0.0.1:9901")], false),
            (&[("origin", "https://127.0.0.1:9901")], false),
            (&[("origin", "null")], true),
            (
                &[
                    ("origin", "https://console.example"),
                    ("sec-fetch-site", "same-origin"),
                ],
                false,
            ),
            (
                &[("origin", "null"), ("sec-fetch-site", "cross-site")],
                true,
            ),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("origin", "http://127.0.0.1:9902")], true),
            (&[("origin", "http://evil.example")], true),
            (&[("origin", "http://127.0.0.1:9901.evil.example")], true),
            (&[("origin", "file://127.0.0.1:9901")], true),
        ] {
            assert_eq!(is_foreign(sender(&headers(pairs))), foreign, "{pairs:?}");
        }
    }

    #[test]
    fn a_browser_needs_its_session_and_the_form_of_that_session() {
        let sessions = Sessions::new(Some(Secret::new("t".repeat(20))));
        let now = Instant::now();
        let cookie = sessions.open(now).unwrap();
        let other = sessions.open(now).unwrap();
        let csrf = sessions.csrf(&cookie, now).unwrap();
        let try_it = |cookie: &str, form: &str| {
            let sent = headers(&[("cookie", &format!("a=b; {COOKIE}={cookie}; c=d"))]);
            admit(&sessions, sender(&sent), &Form::parse(form), now)
        };
        let good = format!("csrf={csrf}");
        assert_eq!(try_it(&cookie, &good), Ok(Admitted::Browser));
        assert_eq!(try_it(&other, &good), Err(Refused::Forged));
        assert_eq!(try_it(&cookie, ""), Err(Refused::Forged));
        assert_eq!(try_it(&cookie, "csrf=x"), Err(Refused::Forged));
        assert_eq!(try_it("made-up", &good), Err(Refused::NotSignedIn));
        sessions.close(&cookie);
        assert_eq!(try_it(&cookie, &good), Err(Refused::NotSignedIn));
    }

    #[test]
    fn a_script_needs_the_token_and_nothing_else() {
        let sessions = Sessions::new(Some(Secret::new("t".repeat(20))));
        let try_it = |value: &str| {
            let sent = headers(&[("authorization", value)]);
            admit(&sessions, sender(&sent), &Form::default(), Instant::now())
        };
        let good = "t".repeat(20);
        assert_eq!(try_it(&format!("Bearer {good}")), Ok(Admitted::Script));
        assert_eq!(try_it(&format!("bearer {good}")), Ok(Admitted::Script));
        assert_eq!(try_it("Bearer x"), Err(Refused::WrongToken));
        assert_eq!(try_it(&format!("Basic {good}")), Err(Refused::WrongToken));
        let nobody = Sessions::new(None);
        let sent = headers(&[("authorization", "Bearer ")]);
        let refused = admit(&nobody, sender(&sent), &Form::default(), Instant::now());
        assert_eq!(refused, Err(Refused::ReadOnly));
    }
}
