//! A route's path as the config file writes it: `/reports/{id}`, `/admin/{*rest}`.

use std::fmt::{self, Write as _};

use super::path::{NormalPath, PathError, PathRules, decode};

/// A path pattern, in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text, decoded and folded.
    Literal(String),
    /// Any one segment.
    Param,
    /// None or more segments; the last of a pattern.
    Rest,
}

/// Why a pattern cannot be used. The text says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not start with `/`.
    #[error("a path starts with `/`")]
    NotAbsolute,
    /// Braces that are no parameter.
    #[error(
        "`{0}` is no parameter: write `{{name}}` for one segment or `{{*name}}` for the rest, as a whole segment"
    )]
    Parameter(String),
    /// `{*rest}` before the end.
    #[error("`{0}` matches the rest of the path and must come last")]
    RestNotLast(String),
    /// The same name twice.
    #[error("the parameter `{0}` stands twice in this path")]
    Repeated(String),
    /// A query or fragment.
    #[error("the query and the fragment never take part in routing: end the path before `{0}`")]
    Query(char),
    /// A literal that no normalised path could equal.
    #[error("no request can match this path: {0}")]
    Unreachable(PathError),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// A [`PatternError`] that says what would be right.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let inner = text.strip_prefix('/').ok_or(PatternError::NotAbsolute)?;
        if let Some(c) = inner.chars().find(|c| matches!(c, '?' | '#')) {
            return Err(PatternError::Query(c));
        }
        // One slash at the end means nothing: `/a/` and `/a` guard the same paths.
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let mut segments = Vec::new();
        let mut names = Vec::new();
        for part in inner.split('/').filter(|_| !inner.is_empty()) {
            if matches!(segments.last(), Some(Segment::Rest)) {
                return Err(PatternError::RestNotLast(names.pop().unwrap_or_default()));
            }
            let (segment, name) = parse_segment(part)?;
            if let Some(name) = name {
                if names.contains(&name) {
                    return Err(PatternError::Repeated(name));
                }
                names.push(name);
            }
            segments.push(segment);
        }
        Ok(Self {
            text: text.to_owned(),
            segments,
        })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `path` fits this pattern, letter case and a trailing slash ignored.
    #[must_use]
    pub fn matches(&self, path: &NormalPath<'_>) -> bool {
        let mut segments = path.segments();
        for expected in &self.segments {
            match (expected, segments.next()) {
                (Segment::Rest, _) => return true,
                (Segment::Param, Some(_)) => {}
                (Segment::Literal(literal), Some(found)) if same_letters(literal, &found) => {}
                (Segment::Literal(_) | Segment::Param, _) => return false,
            }
        }
        segments.next().is_none()
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether `found` is `literal`, which is folded, but for letter case.
pub(super) fn same_letters(literal: &str, found: &str) -> bool {
    literal.eq_ignore_ascii_case(found) || (!found.is_ascii() && folded(found).eq(literal.chars()))
}

/// `text` without letter case, in the widest sense that a backend may have of it.
///
/// Some letters change into another one in one direction only: `ſ` is `S` in upper case and `ẞ` is `ß` in lower
/// case, so all of them go down, up and down again. The dot above is left out, since `İ` in lower case is `i` with
/// it to some and without it to others.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .filter(|c| *c != '\u{307}')
}

fn parse_segment(part: &str) -> Result<(Segment, Option<String>), PatternError> {
    if !part.contains(['{', '}']) && !part.starts_with('*') {
        return Ok((Segment::Literal(literal(part)?), None));
    }
    let bad = || PatternError::Parameter(part.to_owned());
    let name = part
        .strip_prefix('{')
        .and_then(|p| p.strip_suffix('}'))
        .ok_or_else(bad)?;
    let (segment, name) = match name.strip_prefix('*') {
        Some(name) => (Segment::Rest, name),
        None => (Segment::Param, name),
    };
    let valid = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if valid {
        Ok((segment, Some(name.to_owned())))
    } else {
        Err(bad())
    }
}

/// The decoded, folded text of a literal segment; people may write it decoded or encoded.
fn literal(part: &str) -> Result<String, PatternError> {
    let mut path = String::from("/");
    for c in part.chars() {
        if c.is_ascii() {
            path.push(c);
        } else {
            push_encoded(&mut path, c);
        }
    }
    if part.is_empty() {
        return Err(PatternError::Unreachable(PathError::EmptySegment));
    }
    let normal =
        NormalPath::parse(&path, &PathRules::default()).map_err(PatternError::Unreachable)?;
    let segment = normal.as_str().strip_prefix('/').unwrap_or_default();
    if segment.is_empty() {
        return Err(PatternError::Unreachable(PathError::HiddenDots));
    }
    Ok(folded(&decode(segment)).collect())
}

fn push_encoded(path: &mut String, c: char) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a text cannot fail.
        let _ = write!(path, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_literals_then_parameters_then_the_rest() {
        for text in [
            "/",
            "/a",
            "/a/",
            "/reports/{id}",
            "/{*rest}",
            "/a/{b}/c/{*d}",
            "/café",
            "/a%20b",
        ] {
            assert_eq!(
                Pattern::parse(text).map(|p| p.to_string()).as_deref(),
                Ok(text)
            );
        }
        for text in [
            "", "a", "/{", "/{}", "/{*}", "/a{b}", "/*", "/{*a}/b", "/{a}/{a}", "/a?b", "/a#b",
            "/a//b", "/a/../b", "/a/./b", "/a%2fb", "/a;b", "/é%2f",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_rest_matches_none_or_more_segments() {
        let fits = |pattern: &str, path: &str| {
            Pattern::parse(pattern)
                .unwrap()
                .matches(&NormalPath::parse(path, &PathRules::default()).unwrap())
        };
        for path in ["/admin", "/admin/", "/admin/a", "/admin/a/b", "/ADMIN/x"] {
            assert!(fits("/admin/{*rest}", path), "{path}");
        }
        for path in ["/", "/administrator", "/x/admin"] {
            assert!(!fits("/admin/{*rest}", path), "{path}");
        }
        assert!(fits("/reports/{id}", "/reports/7"));
        assert!(!fits("/reports/{id}", "/reports"));
        assert!(!fits("/reports/{id}", "/reports/7/x"));
        assert!(fits("/café", "/CAF%C3%89"));
        assert!(fits("/a!b", "/a%21b"));
    }

    #[test]
    fn letters_that_a_backend_may_fold_into_ascii_are_those_letters() {
        let fits = |pattern: &str, path: &str| {
            Pattern::parse(pattern)
                .unwrap()
                .matches(&NormalPath::parse(path, &PathRules::default()).unwrap())
        };
        for (pattern, path) in [
            ("/admin", "/adm%C4%B1n"),            // ı
            ("/admin", "/ADM%C4%B0N"),            // İ
            ("/users", "/u%C5%BFer%C5%BF"),       // ſ
            ("/kiosk", "/%E2%84%AAios%E2%84%AA"), // Kelvin sign
            ("/admın", "/admin"),
            ("/u\u{17f}ers", "/USERS"),
            ("/σας", "/%CE%A3%CE%91%CE%A3"),
            ("/straße", "/STRASSE"),
            ("/stra\u{1e9e}e", "/stra%C3%9Fe"),
        ] {
            assert!(fits(pattern, path), "{pattern} {path}");
        }
        assert!(!fits("/café", "/cafe"));
    }

    #[test]
    fn folding_forgets_letter_case_whichever_way_it_is_changed() {
        let fold = |text: &str| folded(text).collect::<String>();
        for c in char::MIN..=char::MAX {
            let text = c.to_string();
            let expected = fold(&text);
            assert_eq!(fold(&text.to_lowercase()), expected, "{c} {c:?}");
            assert_eq!(fold(&text.to_uppercase()), expected, "{c} {c:?}");
            assert_eq!(fold(&expected), expected, "{c} {c:?}");
        }
    }
}
