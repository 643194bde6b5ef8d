//! A place in the list, and how it is written for the client: opaque, and read again without trust.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Users that Auth0 is asked for at a time. Always as many, so that a place means the same whatever the limit.
pub(super) const SIZE: u32 = 100;
/// Longest cursor that is read.
const MAX_CURSOR: usize = 2048;

/// A place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The plan whose members are listed.
    pub(super) plan: String,
    /// Auth0's page; `None` is the first.
    pub(super) from: Option<String>,
    /// Members of that page that were listed already.
    pub(super) skip: usize,
}

impl Cursor {
    /// The first member of a plan.
    pub(super) fn start_of(plan: &str) -> Self {
        Self {
            plan: plan.to_owned(),
            from: None,
            skip: 0,
        }
    }

    /// The first member of another page.
    pub(super) fn moved_to(self, from: String) -> Self {
        Self {
            from: Some(from),
            skip: 0,
            ..self
        }
    }

    /// As text.
    pub(super) fn write(&self) -> String {
        let parts = serde_json::json!([self.plan, self.from, self.skip]);
        URL_SAFE_NO_PAD.encode(parts.to_string())
    }

    /// What [`Cursor::write`] wrote; `None` is anything else.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_CURSOR {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (plan, from, skip): (String, Option<String>, usize) =
            serde_json::from_slice(&bytes).ok()?;
        let is_sane = |text: &String| text.bytes().all(|b| b.is_ascii_graphic());
        let fits = from.iter().all(is_sane) && skip <= usize::try_from(SIZE).ok()?;
        fits.then_some(Self { plan, from, skip })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        let cursor = Cursor {
            plan: "monthly".into(),
            from: Some("from:abc|1".into()),
            skip: 7,
        };
        assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
        let start = Cursor::start_of("monthly");
        assert_eq!(Cursor::read(&start.write()), Some(start));
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for text in [
            String::new(),
            "x".into(),
            "%%%".into(),
            encoded("[]"),
            encoded("{}"),
            encoded(r#"["monthly",null]"#),
            encoded(r#"["monthly",null,-1]"#),
            encoded(r#"["monthly",null,101]"#),
            encoded(r#"["monthly","a b",0]"#),
            encoded(r#"["monthly",null,0,0]"#),
            encoded(&format!(r#"["monthly","{}",0]"#, "a".repeat(2048))),
        ] {
            assert_eq!(Cursor::read(&text), None, "{text}");
        }
    }
}
