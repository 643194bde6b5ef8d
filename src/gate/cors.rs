//! Cross-Origin Resource Sharing (the Fetch standard, section 3.2).

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::refusal::Refusal;
use super::{AllowedHeaders, Cors, Origins};

/// A browser's question whether it may send a request.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a preflight; `None` when the request is none, or preflights are the backend's.
pub(super) fn preflight<B>(
    cors: Option<&Cors>,
    request: &Request<B>,
) -> Option<Result<Response<Full<Bytes>>, Refusal>> {
    let cors = cors.filter(|_| is_preflight(request))?;
    if !cors.allows(request.headers().get(ORIGIN)) {
        return Some(Err(Refusal::Origin));
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, cors.methods.clone());
    headers.insert(ACCESS_CONTROL_MAX_AGE, cors.max_age.clone());
    if let Some(allowed) = cors.allowed_headers(request.headers()) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    headers.append(
        VARY,
        HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers"),
    );
    Some(Ok(response))
}

/// Adds what lets a page of `origin` read an answer of ours.
pub(super) fn decorate(cors: Option<&Cors>, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    let Some(cors) = cors else { return };
    // A cache may give the answer to the next one who asks: either it suits all, or the cache has to tell them apart.
    // So neither `*` nor `Vary` waits for a request that names its origin.
    let value = if cors.answers_all_alike() {
        HeaderValue::from_static("*")
    } else {
        if !varies_by_origin(headers) {
            headers.append(VARY, HeaderValue::from_name(ORIGIN));
        }
        let Some(origin) = origin.filter(|origin| cors.allows(Some(origin))) else {
            return;
        };
        origin.clone()
    };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
    if cors.allow_credentials {
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    if let Some(exposed) = &cors.exposed {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
    }
}

/// The same for an answer of the upstream, unless it speaks for itself.
pub(super) fn complete(cors: Option<&Cors>, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        decorate(cors, origin, headers);
    }
}

/// Whether caches are told already that the origin matters.
fn varies_by_origin(headers: &HeaderMap) -> bool {
    let names = headers
        .get_all(VARY)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names
        .map(<[u8]>::trim_ascii)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"))
}

impl Cors {
    fn allows(&self, origin: Option<&HeaderValue>) -> bool {
        match (&self.origins, origin) {
            (Origins::Any, _) => true,
            (Origins::List(list), Some(origin)) => list.contains(origin),
            (Origins::List(_), None) => false,
        }
    }

    /// Whether every origin gets the same answer, so that caches need not tell them apart.
    fn answers_all_alike(&self) -> bool {
        self.origins == Origins::Any && !self.allow_credentials
    }

    fn allowed_headers(&self, asked: &HeaderMap) -> Option<HeaderValue> {
        match &self.headers {
            AllowedHeaders::Mirror => asked.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned(),
            AllowedHeaders::List(list) => {
                let text = list
                    .iter()
                    .map(HeaderName::as_str)
                    .collect::<Vec<_>>()
                    .join(", ");
                HeaderValue::try_from(text).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: Origins) -> Cors {
        Cors {
            origins,
            allow_credentials: true,
            headers: AllowedHeaders::Mirror,
            methods: HeaderValue::from_static("GET, POST"),
            exposed: None,
            max_age: HeaderValue::from_static("600"),
        }
    }

    fn listed() -> Cors {
        cors(Origins::List(vec![HeaderValue::from_static("https://a")]))
    }

    fn ask(origin: &str) -> Request<()> {
        Request::options("/x")
            .header(ORIGIN, origin)
            .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(
                ACCESS_CONTROL_REQUEST_HEADERS,
                "authorization, idempotency-key",
            )
            .body(())
            .unwrap()
    }

    #[test]
    fn a_preflight_is_answered_with_what_was_asked_for() {
        let response = preflight(Some(&listed()), &ask("https://a"))
            .unwrap()
            .unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(
            response.headers()[ACCESS_CONTROL_ALLOW_HEADERS],
            "authorization, idempotency-key"
        );
        assert_eq!(
            response.headers()[ACCESS_CONTROL_ALLOW_METHODS],
            "GET, POST"
        );
    }

    #[test]
    fn a_preflight_of_another_origin_is_refused_and_without_cors_it_is_the_backends() {
        assert!(matches!(
            preflight(Some(&listed()), &ask("https://b")),
            Some(Err(Refusal::Origin))
        ));
        assert!(preflight(None, &ask("https://a")).is_none());
        assert!(preflight(Some(&listed()), &Request::options("/x").body(()).unwrap()).is_none());
    }

    #[test]
    fn the_origin_is_named_only_where_it_is_allowed() {
        let mut headers = HeaderMap::new();
        decorate(
            Some(&listed()),
            Some(&HeaderValue::from_static("https://a")),
            &mut headers,
        );
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(headers[VARY], "origin");
        let mut headers = HeaderMap::new();
        decorate(
            Some(&listed()),
            Some(&HeaderValue::from_static("https://b")),
            &mut headers,
        );
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) && headers.contains_key(VARY));
    }

    #[test]
    fn an_upstreams_own_cors_headers_are_not_doubled() {
        let mut headers = HeaderMap::new();
        headers.insert(
            ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("https://own"),
        );
        complete(
            Some(&listed()),
            Some(&HeaderValue::from_static("https://a")),
            &mut headers,
        );
        assert_eq!(
            headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().count(),
            1
        );
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://own");
    }

    #[test]
    fn caches_are_told_that_the_origin_matters_also_when_a_request_names_none() {
        let mut headers = HeaderMap::new();
        complete(Some(&listed()), None, &mut headers);
        assert_eq!(headers[VARY], "origin");
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[test]
    fn an_upstreams_vary_is_kept_and_not_doubled() {
        for (theirs, count) in [("Accept-Encoding", 2), ("accept, Origin", 1), ("*", 1)] {
            let mut headers = HeaderMap::new();
            headers.insert(VARY, HeaderValue::from_static(theirs));
            complete(Some(&listed()), None, &mut headers);
            assert_eq!(headers.get_all(VARY).iter().count(), count, "{theirs}");
        }
    }

    #[test]
    fn what_is_open_to_all_is_the_same_with_and_without_an_origin() {
        let open = Cors {
            allow_credentials: false,
            ..cors(Origins::Any)
        };
        for origin in [None, Some(&HeaderValue::from_static("https://a"))] {
            let mut headers = HeaderMap::new();
            complete(Some(&open), origin, &mut headers);
            assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert!(!headers.contains_key(VARY));
        }
    }
}
