//! The one form of a path: what is matched is what is forwarded.
//!
//! Backends read the same bytes differently. Some decode twice, some take `\` for `/`, some strip `;…`, some
//! collapse `//`. Wherever two of them could disagree about which handler a path names, the path is refused
//! here instead of guessed at (RFC 3986, sections 2.4 and 6.2.2; RFC 9110, section 4.2.3).

use std::borrow::Cow;

/// How paths are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// Taken off the front, where it is present: `/api`. Starts with `/`, has no slash at its end.
    pub base_path: Option<String>,
    /// What becomes of `;`.
    pub semicolons: Semicolons,
    /// Whether `//` is read as `/`; else it is refused.
    pub merge_slashes: bool,
}

/// What becomes of a path with `;`, plain or encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semicolons {
    /// 400.
    #[default]
    Reject,
    /// Forwarded; for matching, each segment ends at its first `;`, as servlet containers read it.
    Allow,
}

/// A path in its normal form, the base path taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'a> {
    text: Cow<'a, str>,
    semicolons: Semicolons,
}

/// Why a path is refused. Each is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not start with `/`.
    #[error("The path must start with a slash")]
    NotAbsolute,
    /// `%` without two hexadecimal digits.
    #[error("The path has a percent sign without two hexadecimal digits")]
    Malformed,
    /// `%2f` or `%5c`.
    #[error("The path has an encoded slash or backslash")]
    EncodedSlash,
    /// `\`.
    #[error("The path has a backslash")]
    Backslash,
    /// A control character, plain or encoded.
    #[error("The path has a control character")]
    Control,
    /// `#`, which no client may send (RFC 9112, section 3.2).
    #[error("The path has a fragment")]
    Fragment,
    /// A byte above 0x7f that is not percent-encoded.
    #[error("The path has a byte outside ASCII that is not percent-encoded")]
    NotAscii,
    /// Percent-encoded bytes that are not UTF-8.
    #[error("The path is not UTF-8 when decoded")]
    NotUtf8,
    /// `..` beyond the root.
    #[error("The path climbs above its root")]
    Climbs,
    /// `.` or `..` written with `%2e`, or followed by `;`.
    #[error("The path hides a dot segment")]
    HiddenDots,
    /// An encoded percent sign that a second decoding would turn into something else.
    #[error("The path is encoded twice")]
    DoubleEncoding,
    /// `;`, plain or encoded.
    #[error("The path has a semicolon")]
    Semicolon,
    /// `//`.
    #[error("The path has an empty segment")]
    EmptySegment,
}

impl<'a> NormalPath<'a> {
    /// Brings the path of a request target into its normal form. `raw` has no query.
    ///
    /// # Errors
    ///
    /// A [`PathError`] for every path that two backends could read in two ways.
    pub fn parse(raw: &'a str, rules: &PathRules) -> Result<Self, PathError> {
        if !raw.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        let text = if is_plain(raw) {
            Cow::Borrowed(raw)
        } else {
            Cow::Owned(normalise(raw, rules)?)
        };
        let text = match &rules.base_path {
            Some(base) => without_base(text, base),
            None => text,
        };
        Ok(Self {
            text,
            semicolons: rules.semicolons,
        })
    }

    /// The path as it is matched and forwarded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The decoded segments that count for matching; a slash at the end does not make one.
    pub fn segments(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let inner = self.text.strip_prefix('/').unwrap_or(&self.text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let none = inner.is_empty();
        inner
            .split('/')
            .filter(move |_| !none)
            .map(|segment| self.matched(segment))
    }

    fn matched<'s>(&self, segment: &'s str) -> Cow<'s, str> {
        let decoded = decode(segment);
        match (self.semicolons, decoded) {
            (Semicolons::Reject, decoded) => decoded,
            (Semicolons::Allow, Cow::Borrowed(s)) => Cow::Borrowed(before_semicolon(s)),
            (Semicolons::Allow, Cow::Owned(s)) => Cow::Owned(before_semicolon(&s).to_owned()),
        }
    }
}

/// Whether `raw` is its own normal form: the common case, which costs no allocation.
fn is_plain(raw: &str) -> bool {
    let mut previous = 0;
    raw.bytes().all(|byte| {
        let ok = is_plain_byte(byte) && !(previous == b'/' && matches!(byte, b'/' | b'.'));
        previous = byte;
        ok
    })
}

/// `pchar` of RFC 3986 without `%` and `;`, and the slash.
fn is_plain_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"/!$&'()*+,=:@".contains(&byte)
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn normalise(raw: &str, rules: &PathRules) -> Result<String, PathError> {
    let mut out = String::with_capacity(raw.len() + 8);
    let mut segments = raw[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let text = normalise_segment(segment, rules.semicolons)?;
        match text.as_str() {
            "" | "." if last => out.push('/'),
            "" if !rules.merge_slashes => return Err(PathError::EmptySegment),
            "" | "." => {}
            ".." => {
                out.truncate(out.rfind('/').ok_or(PathError::Climbs)?);
                if last {
                    out.push('/');
                }
            }
            text => {
                out.push('/');
                out.push_str(text);
            }
        }
    }
    Ok(out)
}

/// Decodes what is unreserved, encodes what may not stand in a path, and refuses what is ambiguous.
fn normalise_segment(segment: &str, semicolons: Semicolons) -> Result<String, PathError> {
    let mut out = String::with_capacity(segment.len());
    let mut decoded = false;
    let mut bytes = segment.as_bytes();
    while let [byte, rest @ ..] = bytes {
        bytes = rest;
        let byte = match *byte {
            b'%' => {
                let (encoded, rest) = hex_pair(rest).ok_or(PathError::Malformed)?;
                bytes = rest;
                if is_unreserved(encoded) {
                    decoded = true;
                    out.push(char::from(encoded));
                } else {
                    push_encoded(&mut out, encoded);
                }
                encoded
            }
            0x80.. => return Err(PathError::NotAscii),
            b'#' => return Err(PathError::Fragment),
            b'\\' => return Err(PathError::Backslash),
            b';' => {
                out.push(';');
                b';'
            }
            plain if is_plain_byte(plain) => {
                out.push(char::from(plain));
                plain
            }
            other => {
                push_encoded(&mut out, other);
                other
            }
        };
        refuse_byte(byte, semicolons)?;
    }
    refuse_segment(&out, decoded)?;
    Ok(out)
}

/// Refuses bytes that some backend takes for a separator, wherever and however they are written.
fn refuse_byte(byte: u8, semicolons: Semicolons) -> Result<(), PathError> {
    match byte {
        b'/' | b'\\' => Err(PathError::EncodedSlash),
        b';' if semicolons == Semicolons::Reject => Err(PathError::Semicolon),
        0..0x20 | 0x7f => Err(PathError::Control),
        _ => Ok(()),
    }
}

/// Refuses what shows only in the segment as a whole.
fn refuse_segment(segment: &str, decoded: bool) -> Result<(), PathError> {
    let name = segment.split(';').next().unwrap_or_default();
    let name = name.split("%3B").next().unwrap_or_default();
    if matches!(name, "." | "..") && (decoded || name.len() != segment.len()) {
        return Err(PathError::HiddenDots);
    }
    // Stripped of its parameters it is empty, and `/;x/admin` becomes `//admin`, then `/admin`.
    if name.is_empty() && !segment.is_empty() {
        return Err(PathError::EmptySegment);
    }
    let double = segment.match_indices("%25").any(|(at, _)| {
        hex_pair(&segment.as_bytes()[at + 3..]).is_some_and(|(byte, _)| {
            byte.is_ascii_control() || is_unreserved(byte) || b"/\\;%#?".contains(&byte)
        })
    });
    if double {
        return Err(PathError::DoubleEncoding);
    }
    if segment.contains('%') && String::from_utf8(decode_bytes(segment)).is_err() {
        return Err(PathError::NotUtf8);
    }
    Ok(())
}

/// The byte that two hexadecimal digits stand for, and what follows them.
fn hex_pair(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = bytes else {
        return None;
    };
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

fn push_encoded(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// Takes `base` off where it is one or more whole segments at the front.
fn without_base<'a>(text: Cow<'a, str>, base: &str) -> Cow<'a, str> {
    let end = match text.strip_prefix(base) {
        Some("") => return Cow::Borrowed("/"),
        Some(rest) if rest.starts_with('/') => base.len(),
        Some(_) | None => return text,
    };
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[end..]),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(end)),
    }
}

fn before_semicolon(segment: &str) -> &str {
    segment.split(';').next().unwrap_or(segment)
}

/// Percent-decodes a segment in normal form.
pub(super) fn decode(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    // Normal form is UTF-8 when decoded; text from elsewhere keeps its escapes and matches nothing.
    String::from_utf8(decode_bytes(segment)).map_or(Cow::Borrowed(segment), Cow::Owned)
}

fn decode_bytes(segment: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.as_bytes();
    while let [byte, rest @ ..] = bytes {
        let pair = if *byte == b'%' { hex_pair(rest) } else { None };
        let (decoded, rest) = pair.unwrap_or((*byte, rest));
        out.push(decoded);
        bytes = rest;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(raw: &str) -> Result<String, PathError> {
        NormalPath::parse(raw, &PathRules::default()).map(|p| p.as_str().to_owned())
    }

    #[test]
    fn harmless_paths_keep_their_form() {
        for raw in [
            "/",
            "/a",
            "/a/",
            "/a.b/c-d_e~f",
            "/a:b@c!$&'()*+,=",
            "/caf%C3%A9",
            "/a%20b",
            "/...",
            "/.well-known/x",
            "/100%25",
            "/50%2520off",
        ] {
            assert_eq!(parse(raw).as_deref(), Ok(raw));
        }
    }

    #[test]
    fn equivalent_spellings_get_one_form() {
        for (raw, normal) in [
            ("/%61dmin", "/admin"),
            ("/%7euser", "/~user"),
            ("/a%c3%a9", "/a%C3%A9"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/b/../../c", "/c"),
            ("/a\"b", "/a%22b"),
            ("/a{b}|^", "/a%7Bb%7D%7C%5E"),
        ] {
            assert_eq!(parse(raw).as_deref(), Ok(normal), "{raw}");
        }
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        use PathError::*;
        for (raw, error) in [
            ("", NotAbsolute),
            ("a", NotAbsolute),
            ("/%", Malformed),
            ("/%2", Malformed),
            ("/%zz", Malformed),
            ("/%2%35", Malformed),
            ("/a%2fb", EncodedSlash),
            ("/a%2Fb", EncodedSlash),
            ("/a%5cb", EncodedSlash),
            ("/a\\b", Backslash),
            ("/a%00", Control),
            ("/a\0", Control),
            ("/a%0d%0ab", Control),
            ("/a%7f", Control),
            ("/a\u{7f}", Control),
            ("/a#b", Fragment),
            ("/é", NotAscii),
            ("/%ff", NotUtf8),
            ("/%c0%ae", NotUtf8),
            ("/..", Climbs),
            ("/a/../..", Climbs),
            ("/../a", Climbs),
            ("/%2e%2e/a", HiddenDots),
            ("/a/%2e/b", HiddenDots),
            ("/a/.%2e/b", HiddenDots),
            ("/%252e%252e/", DoubleEncoding),
            ("/a%252fb", DoubleEncoding),
            ("/a%255cb", DoubleEncoding),
            ("/a%2500", DoubleEncoding),
            ("/a%25%32%66", DoubleEncoding),
            ("/a%25252f", DoubleEncoding),
            ("/%2561dmin", DoubleEncoding),
            ("/a;b", Semicolon),
            ("/a%3bb", Semicolon),
            ("/..;/a", Semicolon),
            ("//", EmptySegment),
            ("/a//b", EmptySegment),
            ("//a", EmptySegment),
        ] {
            assert_eq!(parse(raw), Err(error), "{raw}");
        }
    }

    #[test]
    fn the_base_path_is_one_whole_segment_taken_off_once() {
        let rules = PathRules {
            base_path: Some("/api".into()),
            ..PathRules::default()
        };
        for (raw, normal) in [
            ("/api", "/"),
            ("/api/", "/"),
            ("/api/x", "/x"),
            ("/api/api/x", "/api/x"),
            ("/apis/x", "/apis/x"),
            ("/x/api", "/x/api"),
            ("/%61pi/x", "/x"),
            ("/x/../api/y", "/y"),
        ] {
            assert_eq!(
                NormalPath::parse(raw, &rules).unwrap().as_str(),
                normal,
                "{raw}"
            );
        }
    }

    #[test]
    fn slashes_merge_only_where_the_rules_say_so() {
        let rules = PathRules {
            merge_slashes: true,
            ..PathRules::default()
        };
        for (raw, normal) in [
            ("//", "/"),
            ("//a", "/a"),
            ("/a//b///", "/a/b/"),
            ("/a//../b", "/b"),
        ] {
            assert_eq!(
                NormalPath::parse(raw, &rules).unwrap().as_str(),
                normal,
                "{raw}"
            );
        }
    }

    #[test]
    fn an_allowed_semicolon_does_not_count_for_matching_and_hides_no_dots() {
        let rules = PathRules {
            semicolons: Semicolons::Allow,
            ..PathRules::default()
        };
        let path = NormalPath::parse("/admin;x=1/b%3By", &rules).unwrap();
        assert_eq!(path.as_str(), "/admin;x=1/b%3By");
        assert_eq!(path.segments().collect::<Vec<_>>(), ["admin", "b"]);
        for raw in ["/a/..;/b", "/a/..;x/b", "/a/.%3b/b"] {
            assert_eq!(
                NormalPath::parse(raw, &rules),
                Err(PathError::HiddenDots),
                "{raw}"
            );
        }
        for merge_slashes in [false, true] {
            let rules = PathRules {
                merge_slashes,
                ..rules.clone()
            };
            for raw in ["/;x/admin", "/a/;x", "/%3Bx/admin"] {
                assert_eq!(
                    NormalPath::parse(raw, &rules),
                    Err(PathError::EmptySegment),
                    "{raw}"
                );
            }
        }
    }

    /// Path-like text, rich in what attacks are made of.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "/", "/", "a", "B", "admin", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", "%25", "2e",
            "2f", "%252e", ";", "%3b", "//", "%61", "%41", "%", "%0", "%00", "é", "%c3%a9", "%c3",
            "#", "?", "+", "%2b", "!", "%21", "\"", "{", "~", "%7e", " ", "%20",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    /// What the most lenient backend could make of a path: decode until nothing changes, fold, resolve dots.
    fn worst_reading(path: &str) -> String {
        let mut text = path.to_owned();
        loop {
            let next = String::from_utf8_lossy(&decode_bytes(&text)).into_owned();
            if next == text {
                break;
            }
            text = next;
        }
        let text = text.replace('\\', "/").to_lowercase();
        let mut out: Vec<&str> = Vec::new();
        for segment in text
            .split('/')
            .map(before_semicolon)
            .filter(|s| !s.is_empty() && *s != ".")
        {
            if segment == ".." {
                out.pop();
            } else {
                out.push(segment);
            }
        }
        format!("/{}", out.join("/"))
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(raw in hostile(), merge: bool, allow: bool) {
            let semicolons = if allow { Semicolons::Allow } else { Semicolons::Reject };
            let rules = PathRules { base_path: None, semicolons, merge_slashes: merge };
            if let Ok(once) = NormalPath::parse(&raw, &rules) {
                let twice = NormalPath::parse(once.as_str(), &rules);
                prop_assert_eq!(twice.as_ref().map(NormalPath::as_str), Ok(once.as_str()));
            }
        }

        #[test]
        fn the_plain_way_and_the_long_way_agree(raw in "/[a-zA-Z0-9./~_-]{0,12}") {
            if is_plain(&raw) {
                prop_assert_eq!(normalise(&raw, &PathRules::default()), Ok(raw));
            }
        }

        #[test]
        fn the_most_lenient_backend_reads_the_path_that_was_matched(raw in hostile(), merge: bool, allow: bool) {
            let semicolons = if allow { Semicolons::Allow } else { Semicolons::Reject };
            let rules = PathRules { base_path: None, semicolons, merge_slashes: merge };
            if let Ok(path) = NormalPath::parse(&raw, &rules) {
                let matched = path.segments().map(|s| s.to_lowercase()).collect::<Vec<_>>().join("/");
                // Only an encoded percent sign before something harmless may still be decoded further.
                let expected = worst_reading(&format!("/{matched}"));
                prop_assert_eq!(worst_reading(path.as_str()), expected);
            }
        }

        #[test]
        fn arbitrary_text_never_panics(raw in any::<String>()) {
            let _ = parse(&raw);
        }
    }
}
