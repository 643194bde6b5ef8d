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
        requests.extend(super::disguises::disguised(&path.join("/"), &authorization));
    }
    requests
}

/// The header fields of one HTTP/2 request, pseudo-headers first.
pub(super) type Fields = Vec<(&'static str, Vec<u8>)>;

/// Every hostile HTTP/2 request.
pub(super) fn streams(bearer: Option<&str>) -> Vec<Fields> {
    let mut streams: Vec<Fields> = Vec::new();
    for path in PATHS {
        streams.extend(
            targets(path)
                .into_iter()
                .map(|target| vec![(":path", target)]),
        );
        streams.extend(two_faced(format!("/{}", path.join("/")).as_bytes()));
    }
    let pseudo = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "gate.test"),
    ];
    for fields in &mut streams {
        fields.splice(
            0..0,
            pseudo.map(|(name, value)| (name, value.as_bytes().to_vec())),
        );
        fields
            .extend(bearer.map(|token| ("authorization", format!("Bearer {token}").into_bytes())));
    }
    streams
}

/// Fields that name a public path and the guarded one.
fn two_faced(guarded: &[u8]) -> [Fields; 6] {
    let (public, guarded) = (|| b"/pub/x".to_vec(), || guarded.to_vec());
    let split = [
        b"/pub/x HTTP/1.1\r\nHost: x\r\n\r\nGET ".to_vec(),
        guarded(),
    ]
    .concat();
    let injected = [b"b\r\n\r\nGET ".to_vec(), guarded(), b" HTTP/1.1".to_vec()].concat();
    [
        vec![(":path", public()), (":path", guarded())],
        vec![(":path", guarded()), (":path", public())],
        vec![(":path", public()), ("x-original-url", guarded())],
        vec![(":path", guarded()), ("host", b"other.test".to_vec())],
        vec![(":path", split)],
        vec![(":path", public()), ("x-a", injected)],
    ]
}

/// The fields as text, without the token.
pub(super) fn shown(fields: &Fields) -> String {
    let told = fields.iter().filter(|(name, _)| *name != "authorization");
    let pairs: Vec<String> = told
        .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
        .collect();
    format!("HTTP/2 {}", pairs.join(" "))
}

/// A request for `target`, with `headers` as lines.
pub(super) fn request(method: &str, target: &[u8], headers: &str) -> Vec<u8> {
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
    let mixed = plain.char_indices().map(|(at, letter)| {
        if at % 2 == 0 {
            letter.to_ascii_uppercase()
        } else {
            letter
        }
    });
    let mixed: String = mixed.collect();
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
        plain.to_ascii_uppercase(),
        capital,
        mixed,
    ]
}
