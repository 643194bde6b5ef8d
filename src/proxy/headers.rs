//! Header hygiene: what a client may not say, what is meant for one hop only, and what the upstream is told.

use std::borrow::Cow;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, FORWARDED, HOST,
    PROXY_AUTHENTICATE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};

use super::{Config, HostPolicy};
use crate::policy::{Permit, Principal};

const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
const PERMISSIONS: HeaderName = HeaderName::from_static("x-auth-permissions");
pub(super) const PLAN: HeaderName = HeaderName::from_static("x-auth-plan");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Where a request came from, as the upstream is told.
#[derive(Clone, Debug)]
pub struct Addressing {
    /// `X-Request-Id`.
    pub request_id: HeaderValue,
    /// `X-Forwarded-For`: the chain, the peer last.
    pub forwarded_for: HeaderValue,
    /// `X-Forwarded-Proto`.
    pub proto: HeaderValue,
    /// `X-Forwarded-Host`.
    pub host: HeaderValue,
    /// The host that the request itself names.
    pub requested_host: HeaderValue,
    /// `Forwarded` (RFC 7239).
    pub forwarded: HeaderValue,
    /// Whether the peer's other `X-Forwarded-*` fields are believed.
    pub trusted: bool,
    /// `traceparent`, where a span of ours is the parent.
    pub traceparent: Option<HeaderValue>,
}

/// What becomes of a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Drop,
    /// Would change what the backend does with the request after it was decided on.
    Override,
    /// Speaks of the client's address.
    Address,
}

/// Makes a client's headers fit for the upstream.
pub(super) fn prepare<B>(
    request: &mut Request<B>,
    config: &Config,
    addressing: &Addressing,
    permit: &Permit,
    upgrade: bool,
) {
    let multiplexed = request.version() == Version::HTTP_2;
    let headers = request.headers_mut();
    let trailers = headers.get_all(TE).iter().any(|te| lists(te, "trailers"));
    drop_named_by_connection(headers);
    let assertion = config.assertion_header();
    let passes = |name: &HeaderName| match fate(name.as_str()) {
        Fate::Keep => true,
        Fate::Drop => false,
        Fate::Override => config.keep_headers.contains(name),
        Fate::Address => addressing.trusted,
    };
    retain(headers, |name| {
        passes(name) && !is_spelling(name, assertion)
    });
    if permit.drop_authorization() {
        headers.remove(AUTHORIZATION);
    }
    if multiplexed {
        join_cookies(headers);
        keep_one(headers, CONTENT_LENGTH);
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    } else if trailers {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    set_host(headers, config, &addressing.requested_host);
    set_addressing(headers, addressing);
    if let Some(principal) = permit.principal() {
        set_identity(headers, principal);
    }
}

/// HTTP/2 lets equal lengths stand twice; HTTP/1.1 wants one (RFC 9112, section 6.3).
fn keep_one(headers: &mut HeaderMap, name: HeaderName) {
    if headers.get_all(&name).iter().nth(1).is_some()
        && let Some(first) = headers.get(&name).cloned()
    {
        headers.insert(name, first);
    }
}

fn set_host(headers: &mut HeaderMap, config: &Config, requested: &HeaderValue) {
    match config.host {
        HostPolicy::Upstream => {
            if let Ok(host) = HeaderValue::try_from(config.authority.as_str()) {
                headers.insert(HOST, host);
            }
        }
        // An HTTP/2 request names its host in `:authority` (RFC 9113, section 8.3.1).
        HostPolicy::Preserve if !headers.contains_key(HOST) => {
            headers.insert(HOST, requested.clone());
        }
        HostPolicy::Preserve => {}
    }
}

/// HTTP/2 clients may split `Cookie`; others must see one field (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut fields = headers.get_all(COOKIE).iter();
    if fields.next().is_none() || fields.next().is_none() {
        return;
    }
    let joined = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect::<Vec<_>>()
        .join(&b"; "[..]);
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

fn set_addressing(headers: &mut HeaderMap, addressing: &Addressing) {
    headers.insert(REQUEST_ID, addressing.request_id.clone());
    headers.insert(FORWARDED_FOR, addressing.forwarded_for.clone());
    headers.insert(FORWARDED_PROTO, addressing.proto.clone());
    headers.insert(FORWARDED_HOST, addressing.host.clone());
    headers.insert(FORWARDED, addressing.forwarded.clone());
    if let Some(traceparent) = &addressing.traceparent {
        headers.insert(crate::telemetry::trace::TRACEPARENT, traceparent.clone());
    }
}

fn set_identity(headers: &mut HeaderMap, principal: &Principal) {
    // Verified to be visible ASCII when the token was read.
    if let Ok(subject) = HeaderValue::try_from(&*principal.subject) {
        headers.insert(SUBJECT, subject);
    }
    if let Ok(permissions) = HeaderValue::try_from(principal.permissions.as_str()) {
        headers.insert(PERMISSIONS, permissions);
    }
}

/// Removes what is meant for one hop from the upstream's answer (RFC 9110, section 7.6.1).
pub(super) fn clean_response(headers: &mut HeaderMap, switching: bool) {
    let protocol = headers.get(UPGRADE).filter(|_| switching).cloned();
    // Chunked, so whatever the length says is wrong (RFC 9112, section 6.3).
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    drop_named_by_connection(headers);
    retain(headers, |name| {
        !is_hop_by_hop(name.as_str()) && *name != PROXY_AUTHENTICATE
    });
    if let Some(protocol) = protocol {
        headers.insert(UPGRADE, protocol);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Whether an answer is a stream of events that lasts for as long as the client listens (the HTML standard, 9.2).
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    kind.get(..17)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"))
}

/// Removes from trailers what may not come in headers, and what frames a message (RFC 9110, section 6.5.1).
pub(super) fn clean_trailers(trailers: &mut HeaderMap, assertion: Option<&HeaderName>) {
    const FRAMING: [&str; 6] = [
        "host",
        "content-length",
        "authorization",
        "cookie",
        "content-encoding",
        "content-type",
    ];
    retain(trailers, |name| {
        fate(name.as_str()) == Fate::Keep
            && !FRAMING.contains(&name.as_str())
            && !is_spelling(name, assertion)
    });
}

/// Rewrites an HTTP/1.1 request for HTTP/2: the authority is part of the target (RFC 9113, section 8.3.1).
pub(super) fn for_http2<B>(request: &mut Request<B>, scheme: &Scheme) {
    *request.version_mut() = Version::HTTP_2;
    if request.uri().authority().is_some() {
        return; // It was rewritten before, and is sent again.
    }
    request.headers_mut().remove(CONNECTION);
    request.headers_mut().remove(TRANSFER_ENCODING);
    let host = request.headers_mut().remove(HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = authority.is_some().then(|| scheme.clone());
    parts.authority = authority;
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}

fn fate(name: &str) -> Fate {
    // Only letters that start a name we care about; most headers end here.
    if !matches!(
        name.as_bytes().first(),
        Some(b'x' | b'c' | b'k' | b'p' | b't' | b'u' | b'e' | b'f' | b'h')
    ) {
        return Fate::Keep;
    }
    if is_hop_by_hop(name) {
        return Fate::Drop;
    }
    let folded: Cow<'_, str> = if name.bytes().all(|b| fold(b) == b) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.bytes().map(fold).map(char::from).collect())
    };
    match &*folded {
        // CGI hands `Proxy` on as `HTTP_PROXY`, which HTTP clients behind it take for their proxy (CVE-2016-5385).
        "x-request-id" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host"
        | "forwarded" | "expect" | "proxy" => Fate::Drop,
        "x-original-url"
        | "x-rewrite-url"
        | "x-http-method-override"
        | "x-http-method"
        | "x-method-override" => Fate::Override,
        "x-real-ip" => Fate::Address,
        other if other.starts_with("x-auth-") => Fate::Drop,
        other if other.starts_with("x-forwarded-") => Fate::Address,
        // A second spelling of a name that means something: nobody sends it in good faith.
        other if matches!(folded, Cow::Owned(_)) && SPELLED_ONE_WAY.contains(&other) => Fate::Drop,
        _ => Fate::Keep,
    }
}

/// CGI, WSGI and others read `X_Auth_Subject` as `X-Auth-Subject`: names are compared as they would.
fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte
    } else {
        b'-'
    }
}

/// Whether a backend might take `name` for `ours`.
fn is_spelling(name: &HeaderName, ours: Option<&HeaderName>) -> bool {
    let folded = name.as_str().bytes().map(fold);
    ours.is_some_and(|ours| folded.eq(ours.as_str().bytes().map(fold)))
}

/// Names that a backend may fold another spelling into, to the harm of the decision or the framing.
const SPELLED_ONE_WAY: [&str; 4] = [
    "content-length",
    "content-type",
    "transfer-encoding",
    "proxy-authorization",
];

/// RFC 9110, section 7.6.1, with the older names that RFC 2616 listed.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// Drops the fields that `Connection` names. Those that Tollgate sets are set afterwards, so naming one removes
/// nothing; the few that a message cannot do without are not removed either.
fn drop_named_by_connection(headers: &mut HeaderMap) {
    const NEEDED: [&str; 5] = [
        "host",
        "content-length",
        "content-type",
        "authorization",
        "cookie",
    ];
    let harmless =
        |value: &HeaderValue| matches!(value.as_bytes(), b"keep-alive" | b"close" | b"Keep-Alive");
    if headers.get_all(CONNECTION).iter().all(harmless) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse::<HeaderName>().ok())
        .filter(|name| !NEEDED.contains(&name.as_str()))
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Removes the fields whose name does not please; few requests have one, so they are gathered first.
fn retain(headers: &mut HeaderMap, keep: impl Fn(&HeaderName) -> bool) {
    let unwanted: Vec<HeaderName> = headers.keys().filter(|name| !keep(name)).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}

/// Whether these values of a request's `Transfer-Encoding` name no coding, or `chunked` alone: it is the only one that is
/// undone here, and a hop is not told of another (RFC 9112, sections 6.1 and 7).
pub fn is_plainly_chunked<'a>(codings: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    let mut codings = codings.into_iter();
    let first = codings.next();
    first.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}

/// The same of an answer, where older backends name `identity`, or `chunked` twice.
pub(super) fn is_understood<'a>(codings: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    let known = |coding: &HeaderValue| {
        let bytes = coding.as_bytes();
        bytes.eq_ignore_ascii_case(b"chunked") || bytes.eq_ignore_ascii_case(b"identity")
    };
    codings.into_iter().all(known)
}

/// Whether a comma-separated list has this member, letter case ignored.
pub(super) fn lists(value: &HeaderValue, member: &str) -> bool {
    value.to_str().is_ok_and(|text| {
        text.split(',')
            .any(|item| item.trim().eq_ignore_ascii_case(member))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn identity_headers_are_dropped_in_every_spelling_a_backend_might_fold() {
        for name in [
            "x-auth-subject",
            "x_auth_subject",
            "x-auth_permissions",
            "x.auth.plan",
            "x-auth-",
            "x~auth-x",
            "x-auth-anything",
        ] {
            assert_eq!(fate(name), Fate::Drop, "{name}");
        }
        for name in [
            "x-authority",
            "x-author",
            "authorization",
            "x-custom",
            "accept",
            "cookie",
            "user-agent",
        ] {
            assert_eq!(fate(name), Fate::Keep, "{name}");
        }
    }

    #[test]
    fn addresses_and_overrides_are_known_in_every_spelling() {
        for name in [
            "x-forwarded-for",
            "x_forwarded_for",
            "forwarded",
            "x-request-id",
            "x_request_id",
        ] {
            assert_eq!(fate(name), Fate::Drop, "{name}");
        }
        for name in ["x-forwarded-port", "x-real-ip", "x_real_ip"] {
            assert_eq!(fate(name), Fate::Address, "{name}");
        }
        for name in [
            "x-original-url",
            "x_rewrite_url",
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
        ] {
            assert_eq!(fate(name), Fate::Override, "{name}");
        }
    }

    #[test]
    fn a_backend_is_told_of_no_proxy_by_the_client() {
        assert_eq!(fate("proxy"), Fate::Drop);
        assert_eq!(fate("proxy-status"), Fate::Keep);
    }

    #[test]
    fn headers_named_by_connection_go_but_not_those_a_message_needs() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("close, X-Hop"));
        headers.append(CONNECTION, HeaderValue::from_static("host, authorization"));
        for name in ["x-hop", "host", "authorization", "x-stays"] {
            headers.insert(name, HeaderValue::from_static("1"));
        }
        drop_named_by_connection(&mut headers);
        assert!(!headers.contains_key("x-hop"));
        assert!(
            ["host", "authorization", "x-stays"]
                .iter()
                .all(|name| headers.contains_key(*name))
        );
    }

    proptest! {
        #[test]
        fn no_punctuation_hides_an_identity_header(separators in prop::collection::vec(prop::sample::select(b"!#$%&'*+-.^_`|~".to_vec()), 2), rest in "[a-z0-9_.-]{0,8}") {
            let name = format!("x{}auth{}{rest}", char::from(separators[0]), char::from(separators[1]));
            prop_assert_eq!(fate(&name), Fate::Drop);
        }
    }

    #[test]
    fn an_answer_may_name_chunked_and_what_older_backends_wrote_beside_it() {
        let values = |texts: &[&'static str]| -> Vec<HeaderValue> {
            texts
                .iter()
                .copied()
                .map(HeaderValue::from_static)
                .collect()
        };
        for (codings, request, answer) in [
            (&[][..], true, true),
            (&["chunked"], true, true),
            (&["Chunked"], true, true),
            (&["identity"], false, true),
            (&["chunked", "chunked"], false, true),
            (&["gzip, chunked"], false, false),
            (&["gzip"], false, false),
        ] {
            assert_eq!(is_plainly_chunked(&values(codings)), request, "{codings:?}");
            assert_eq!(is_understood(&values(codings)), answer, "{codings:?}");
        }
    }
}
