//! What a request asks for and whom it asks (RFC 9112, section 3.2; RFC 9113, section 8.3.1).

use bytes::Bytes;
use http::header::{ALLOW, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;

use super::refusal::Refusal;
use crate::policy::PathError;
use crate::proxy;
use crate::server::Flaw;

/// The parts of a target that count.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) path: &'a str,
    /// `OPTIONS *`: the server as a whole.
    pub(super) is_asterisk: bool,
}

impl<'a> Target<'a> {
    /// Reads the target of a request, and checks that it and `Host` speak of one place.
    pub(super) fn read<B>(request: &'a Request<B>) -> Result<Self, Refusal> {
        if request.method() == Method::CONNECT {
            return Err(Refusal::Connect);
        }
        let uri = request.uri();
        // Its body could be anything, and where it ends is not for sure: before all that is said about it.
        if !proxy::is_plainly_chunked(request.headers().get_all(TRANSFER_ENCODING)) {
            return Err(Refusal::Coding);
        }
        check_host(request)?;
        match request.extensions().get::<Flaw>() {
            Some(Flaw::Fragment) => return Err(Refusal::Path(PathError::Fragment)),
            Some(Flaw::TooManyHeaders) => return Err(Refusal::TooManyHeaders),
            None => {}
        }
        let is_asterisk = uri.path() == "*";
        if is_asterisk && request.method() != Method::OPTIONS {
            return Err(Refusal::Target);
        }
        // An absolute target without a path means the root (RFC 9110, section 4.2.3).
        let path = if uri.path().is_empty() {
            "/"
        } else {
            uri.path()
        };
        Ok(Self { path, is_asterisk })
    }
}

/// One `Host`, well formed, and equal to the authority of an absolute target. HTTP/2 may name it in
/// `:authority` alone.
fn check_host<B>(request: &Request<B>) -> Result<(), Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Host);
    }
    match (host, request.uri().authority()) {
        // HTTP/1.1 wants it beside an absolute target too (RFC 9112, section 3.2.2).
        (None, Some(authority)) if request.version() == Version::HTTP_2 => {
            let formed = is_host(authority.as_str().as_bytes());
            formed.then_some(()).ok_or(Refusal::Host)
        }
        (None, _) => Err(Refusal::Host),
        (Some(host), authority) => {
            let same = authority
                .is_none_or(|a| a.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()));
            (same && is_host(host.as_bytes()))
                .then_some(())
                .ok_or(Refusal::Host)
        }
    }
}

/// `uri-host [ ":" port ]` (RFC 9110, section 7.2), without user information.
fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else {
                return false;
            };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            match after.strip_prefix(':') {
                Some(port) => ("v6", port),
                None => return after.is_empty(),
            }
        }
        None => text.split_once(':').unwrap_or((text, "0")),
    };
    let named = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&b));
    named && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u32>().unwrap_or(0) <= 65_535
}

/// The host that a request names.
pub(super) fn host<B>(request: &Request<B>) -> HeaderValue {
    let authority = || {
        request
            .uri()
            .authority()
            .and_then(|a| HeaderValue::try_from(a.as_str()).ok())
    };
    request
        .headers()
        .get(HOST)
        .cloned()
        .or_else(authority)
        .unwrap_or_else(|| HeaderValue::from_static(""))
}

/// The answer to `OPTIONS *` (RFC 9110, section 9.3.7).
pub(super) fn options_of_the_server() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(
        ALLOW,
        HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, uri: &str, hosts: &[&str]) -> Result<String, Refusal> {
        let mut request = Request::builder().method(method).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        Target::read(&request.body(()).unwrap()).map(|target| target.path.to_owned())
    }

    #[test]
    fn what_http2_calls_the_authority_is_its_host() {
        for (authority, fits) in [("a", true), ("a:80", true), ("u@a", false)] {
            let uri = format!("http://{authority}/x");
            let request = Request::get(uri).version(Version::HTTP_2).body(()).unwrap();
            assert_eq!(Target::read(&request).is_ok(), fits, "{authority}");
        }
        let bare = Request::get("/x").version(Version::HTTP_2).body(());
        assert!(matches!(Target::read(&bare.unwrap()), Err(Refusal::Host)));
    }

    #[test]
    fn host_is_there_once_and_well_formed() {
        for host in ["a", "a.b:80", "127.0.0.1:1", "[::1]", "[::1]:8001", "a:"] {
            assert!(read("GET", "/x", &[host]).is_ok(), "{host}");
        }
        for hosts in [
            &[][..],
            &["a", "a"],
            &[""],
            &["a b"],
            &["a/b"],
            &["u@a"],
            &["a:b"],
            &["a:99999"],
            &["[::1"],
            &["[x]"],
            &["é"],
        ] {
            assert!(
                matches!(read("GET", "/x", hosts), Err(Refusal::Host)),
                "{hosts:?}"
            );
        }
    }

    #[test]
    fn an_absolute_target_counts_by_its_path_and_names_the_host() {
        assert_eq!(
            read("GET", "http://a/x?y", &["a"]).ok().as_deref(),
            Some("/x")
        );
        assert_eq!(read("GET", "http://a", &["A"]).ok().as_deref(), Some("/"));
        assert!(matches!(
            read("GET", "http://a/x", &["b"]),
            Err(Refusal::Host)
        ));
        assert!(matches!(
            read("GET", "http://u@a/x", &["a"]),
            Err(Refusal::Host)
        ));
        assert!(matches!(read("GET", "http://a/x", &[]), Err(Refusal::Host)));
    }

    #[test]
    fn asterisk_is_for_options_alone_and_connect_is_not_allowed() {
        assert!(read("OPTIONS", "*", &["a"]).is_ok());
        assert!(matches!(read("GET", "*", &["a"]), Err(Refusal::Target)));
        assert!(matches!(
            read("CONNECT", "a:80", &["a:80"]),
            Err(Refusal::Connect)
        ));
    }
}
