//! Requests for a public path that ask the backend to take them for another.

use super::spellings::request;

/// Requests for a public path that ask the backend to take them for another.
pub(super) fn disguised(path: &str, authorization: &str) -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    for name in [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X_Original_URL",
        "X-Original-Uri",
        "X-Forwarded-Prefix",
        "X-Forwarded-Path",
        "X-Forwarded-Uri",
        "X-Script-Name",
        "Script-Name",
        "Base-Url",
        "X-Http-Path-Override",
        "Destination",
        "Referer",
        "Content-Location",
    ] {
        let headers = format!("{name}: /{path}\r\n{authorization}");
        requests.push(request("GET", b"/pub/x", &headers));
        requests.push(request("GET", b"/", &headers));
    }
    for name in [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X_HTTP_Method_Override",
    ] {
        let target = format!("/{path}").into_bytes();
        requests.push(request(
            "OPTIONS",
            &target,
            &format!("{name}: GET\r\n{authorization}"),
        ));
    }
    let inner = format!("GET /{path} HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    requests.extend(smuggled(&inner, authorization));
    requests
}

/// Requests with another one in their body, framed so that two readers might disagree where it ends.
fn smuggled(inner: &str, authorization: &str) -> Vec<Vec<u8>> {
    let head = format!("POST /pub/x HTTP/1.1\r\nHost: gate.test\r\n{authorization}");
    let length = inner.len();
    let framings = [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!("Transfer-Encoding: xchunked\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!("Transfer-Encoding : chunked\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"),
        format!("Connection: Content-Length\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!(
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!("Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: {length}\r\n\r\n{inner}"
        ),
        format!("X: y\rContent-Length: 0\r\n\r\n{inner}"),
        format!("X: y\nContent-Length: {length}\r\n\r\n{inner}"),
    ];
    framings
        .into_iter()
        .map(|framing| format!("{head}{framing}").into_bytes())
        .collect()
}
