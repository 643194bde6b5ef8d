//! What can be told of a request whose head is none: enough to answer it in our shape.

use http::HeaderValue;
use http::header::ORIGIN;

/// Parts of a head that the parser refused, or that never came to its end. Nothing in it was checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// The target's path, where the request line was read; else empty.
    pub unverified_path: String,
    /// The first `Origin`, where it was read.
    pub unverified_origin: Option<HeaderValue>,
}

impl Remains {
    /// Looks at the first bytes of a head. A line without its end may be half of one, and counts for nothing.
    pub(super) fn read(head: &[u8]) -> Self {
        let mut lines = head
            .split_inclusive(|byte| *byte == b'\n')
            .filter_map(|line| line.strip_suffix(b"\n"))
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            // Empty lines before the request line are skipped (RFC 9112, section 2.2).
            .skip_while(|line| line.is_empty());
        let path = lines.next().and_then(path_in).unwrap_or_default();
        Self {
            unverified_path: String::from_utf8_lossy(path).into_owned(),
            // An empty line ends the head.
            unverified_origin: lines
                .take_while(|line| !line.is_empty())
                .find_map(origin_in),
        }
    }
}

/// The path in `GET http://host/path?query HTTP/1.1`; what is before it is left out where it is there.
fn path_in(line: &[u8]) -> Option<&[u8]> {
    let (_method, rest) = split(line, b" ")?;
    let end = rest.windows(6).rposition(|bytes| bytes == b" HTTP/")?;
    let target = &rest[..end];
    let path = match split(target, b"://") {
        Some((scheme, after)) if !scheme.contains(&b'/') => {
            let slash = after.iter().position(|byte| *byte == b'/');
            &after[slash.unwrap_or(after.len())..]
        }
        Some(_) | None => target,
    };
    path.split(|byte| b"?#".contains(byte)).next()
}

fn origin_in(line: &[u8]) -> Option<HeaderValue> {
    let (name, value) = split(line, b":")?;
    let is_origin = name.eq_ignore_ascii_case(ORIGIN.as_str().as_bytes());
    let value = HeaderValue::from_bytes(value.trim_ascii()).ok();
    value.filter(|_| is_origin)
}

/// What is before and after the first `mark`.
fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(bytes, mark)?;
    Some((&bytes[..at], &bytes[at + mark.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remains(head: &[u8]) -> (String, Option<HeaderValue>) {
        let remains = Remains::read(head);
        (remains.unverified_path, remains.unverified_origin)
    }

    #[test]
    fn path_and_origin_are_read_where_they_are_whole() {
        let origin = Some(HeaderValue::from_static("https://a.test"));
        let head = b"\r\nGET /a/b?c=d HTTP/1.1\r\nhost: x\r\nORIGIN: https://a.test \r\nX: half";
        assert_eq!(remains(head), ("/a/b".to_owned(), origin));
        assert_eq!(
            remains(b"GET /a HTTP/1.1\nHost: x\nOrigin: https://a.te"),
            ("/a".to_owned(), None)
        );
        assert_eq!(remains(b"GET /a HTTP/1.1"), (String::new(), None));
        assert_eq!(remains(b""), (String::new(), None));
    }

    #[test]
    fn paths_of_odd_targets_are_read_too() {
        for (line, path) in [
            (&b"GET http://host/a?b HTTP/1.1\r\n"[..], "/a"),
            (b"GET http://host HTTP/1.1\r\n", ""),
            (b"GET /a?to=http://host/b HTTP/1.1\r\n", "/a"),
            (b"GET /a b HTTP/1.1\r\n", "/a b"),
            (b"GET /caf\xe9 HTTP/1.1\r\n", "/caf\u{fffd}"),
            (b"GET /a\r\n", ""),
            (b"garbage\r\n", ""),
            (b"\x16\x03\x01\x02\n", ""),
        ] {
            assert_eq!(remains(line).0, path, "{line:?}");
        }
    }

    #[test]
    fn what_comes_after_the_head_is_no_part_of_it() {
        let head = b"POST /a HTTP/1.1\r\nHost: x\r\n\r\nOrigin: https://evil.test\r\n";
        assert_eq!(remains(head), ("/a".to_owned(), None));
    }
}
