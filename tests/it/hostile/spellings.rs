//! Ways to write a protected path so that a gate and a backend might read it differently.

/// The protected paths, as segments.
const PATHS: [&[&str]; 3] = [&["admin"], &["admin", "command"], &["pub", "secret"]];

/// Every hostile request, byte for byte.
pub(super) fn requests(bearer: Option<&str>) -> Vec<Vec<u8>> {
    let authorization = bearer
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let mut requests = Vec::new();
    for path in PATHS {
        for target in targets(path) {
            for method in ["GET", "POST"] {
                requests.push(request(method, &target, &authorization));
            }
        }
        requests.extend(disguised(&path.join("/"), &authorization));
    }
    requests
}

fn request(method: &str, target: &[u8], headers: &str) -> Vec<u8> {
    let rest = format!(" HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n{headers}\r\n");
    [method.as_bytes(), b" ", target, rest.as_bytes()].concat()
}

/// The targets that might be read as `segments`.
fn targets(segments: &[&str]) -> Vec<Vec<u8>> {
    let plain = segments.join("/");
    let (first, last) = (segments[0], segments[segments.len() - 1]);
    let mut targets: Vec<Vec<u8>> = PREFIXES
        .iter()
        .map(|prefix| format!("{prefix}{plain}").into_bytes())
        .chain(
            SUFFIXES
                .iter()
                .map(|suffix| [b"/", plain.as_bytes(), suffix].concat()),
        )
        .collect();
    for slash in SLASHES {
        targets.push(format!("/{}", segments.join(slash)).into_bytes());
        targets.push(format!("{slash}{plain}").into_bytes());
    }
    for spelled in letters(&plain) {
        targets.push(format!("/{spelled}").into_bytes());
        targets.push(format!("/{spelled}/").into_bytes());
        targets.push(format!("/x/../{spelled}").into_bytes());
    }
    for authority in AUTHORITIES {
        targets.push(format!("{authority}/{plain}").into_bytes());
    }
    targets.push(format!("/{first};/../{plain}").into_bytes());
    targets.push(format!("/{plain}/../{last}").into_bytes());
    targets.push(plain.into_bytes());
    targets
}

/// What may stand before a path.
const PREFIXES: &[&str] = &[
    "/",
    "//",
    "///",
    "/./",
    "/.//",
    "/pub/../",
    "/pub/x/../../",
    "/pub//../",
    "/pub/..//",
    "/../",
    "/../../",
    "/pub/../../",
    "/pub/%2e%2e/",
    "/pub/%2E%2E/",
    "/pub/.%2e/",
    "/pub/%2e./",
    "/%2e/",
    "/%2e%2e/",
    "/pub/..%2f",
    "/pub/..%2F",
    "/pub%2f..%2f",
    "/pub/..%5c",
    "/pub/..\\",
    "/pub\\..\\",
    "/\\",
    "\\",
    "/pub/%252e%252e/",
    "/pub/..%252f",
    "/pub/%252e%252e%252f",
    "/pub/..%255c",
    "/pub/%25252e%25252e%25252f",
    "/pub/..;/",
    "/pub/..;x=y/",
    "/pub/..%3b/",
    "/;/",
    "/;x/",
    "/pub/;/../",
    "/pub;/../",
    "/.;/",
    "/pub/%c0%ae%c0%ae/",
    "/pub/%e0%80%ae%e0%80%ae/",
    "/pub/..%c0%af",
    "/pub/%uff0e%uff0e/",
    "/pub/..%00/",
    "/%00/",
    "/pub/..%0d/",
    "/pub/..%09/",
    "/pub/..%20/",
    "/ /",
    "/%20/",
    "/pub/.../",
    "/pub/....//",
    "/pub/x#/../../",
    "/#/",
    "/?/../",
    "/pub/x?/../../",
    "/pub/%23/../../",
    "/%3f/../",
    "/pub/%3f/../../",
    "/pub/x/%2e%2e/%2e%2e/",
    "/%2f",
    "/%5c",
    "/%2f%2f",
    "/pub/x/..\\..\\",
    "/api/",
    "/api/../",
    "/pub/%ef%bc%8e%ef%bc%8e/",
    "/pub/%ef%bc%8f../",
];

/// What may stand after one.
const SUFFIXES: &[&[u8]] = &[
    b"",
    b"/",
    b"//",
    b"/.",
    b"/./",
    b"/..",
    b"/x/..",
    b"/x/../",
    b"?",
    b"?x",
    b"#",
    b"#x",
    b";",
    b";x",
    b";x=y",
    b";/",
    b"/;",
    b"/;x",
    b"%20",
    b"%09",
    b"%00",
    b"%00.html",
    b"%0a",
    b"%0d",
    b"%0d%0a",
    b"%2f",
    b"%2F",
    b"%2f%2e",
    b"%5c",
    b"\\",
    b"%3b",
    b"%3bx",
    b"%23",
    b"%23x",
    b"%3f",
    b"%3fx",
    b"%252f",
    b"%2500",
    b"%2520",
    b"%253b",
    b"/%2e",
    b"/%2e/",
    b"/%2e%2e",
    b"/x/%2e%2e",
    b"/x/%2e%2e/",
    b".",
    b"..",
    b"%2e",
    b"/..;/",
    b"/.;/",
    b"\x00",
    b"\t",
    b"\xa0",
    b"\xc2\xa0",
    b"\xff",
    b"%ff",
    b"%c2%a0",
    b"%",
    b"%2",
    b"?/../x",
    b"%e2%80%8b",
    b"%ef%bb%bf",
    b".json",
    b"%2ejson",
];

/// What might be taken for a slash.
const SLASHES: &[&str] = &[
    "/",
    "//",
    "/./",
    "%2f",
    "%2F",
    "%252f",
    "%25252f",
    "%5c",
    "%255c",
    "\\",
    "/%2e/",
    "/x/../",
    "/;/",
    ";/",
    "/;x/",
    "%c0%af",
    "%e0%80%af",
    "%ef%bc%8f",
    "\u{ff0f}",
    "\u{2215}",
    "/%00",
    "/%20/",
    "%2f%2f",
    "/%2f",
    "%2f/",
];

/// Absolute forms.
const AUTHORITIES: &[&str] = &[
    "http://gate.test",
    "https://gate.test",
    "HTTP://GATE.TEST",
    "http://gate.test:80",
    "http://evil.test",
    "http://user@gate.test",
    "http://gate.test/pub/..",
    "http://gate.test/",
    "http:",
    "http:/",
    "//gate.test",
    "http://gate.test#",
    "http://gate.test?",
    "http://gate.test/pub/x#",
    "ftp://gate.test",
    "http://gate.test\\",
    "http://127.0.0.1",
];

/// The path with letters in other shapes.
fn letters(plain: &str) -> Vec<String> {
    let encode = |text: &str, hex: fn(u8) -> String| -> String {
        text.bytes()
            .map(|byte| {
                if byte == b'/' {
                    "/".to_owned()
                } else {
                    hex(byte)
                }
            })
            .collect()
    };
    let capital = plain[..1].to_ascii_uppercase() + &plain[1..];
    let capitals = encode(plain, |byte| {
        char::from(byte.to_ascii_uppercase()).to_string()
    });
    let mixed: String = plain
        .char_indices()
        .map(|(at, letter)| {
            if at % 2 == 0 {
                letter.to_ascii_uppercase()
            } else {
                letter
            }
        })
        .collect();
    vec![
        encode(plain, |byte| format!("%{byte:02x}")),
        encode(plain, |byte| format!("%{byte:02X}")),
        encode(&capital, |byte| format!("%{byte:02x}")),
        encode(plain, |byte| format!("%25{byte:02x}")),
        encode(plain, |byte| format!("%2525{byte:02x}")),
        encode(plain, |byte| format!("%u00{byte:02x}")),
        encode(plain, |byte| format!("%c1%{:02x}", byte | 0x80)),
        plain.replacen('a', "%61", 1).replacen('s', "%73", 1),
        plain.replace('a', "%41").replace('s', "%53"),
        plain.replacen('a', "\u{ff41}", 1),
        plain.replacen('s', "\u{17f}", 1),
        plain.replacen('s', "%c5%bf", 1),
        plain.replacen('i', "%c4%b0", 1),
        plain.replacen('i', "%c4%b1", 1),
        plain.replacen('m', "m%cc%81", 1),
        capital,
        capitals,
        mixed,
    ]
}

/// Requests for a public path that ask the backend to take them for another.
fn disguised(path: &str, authorization: &str) -> Vec<Vec<u8>> {
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
