//! The `tests:` of the file: a request, and what must become of it.

use std::fmt;

use http::{Method, StatusCode};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::read::{Read, quoted, wrong_kind};
use super::report::{Mistake, Mistakes};
use super::tree::{Node, Value};

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCase {
    /// Its line in the file.
    pub line: usize,
    /// The request's method.
    pub method: Method,
    /// The request's path, as a client would send it.
    pub path: String,
    /// What the token holds; `None` is no token.
    pub permissions: Option<Vec<String>>,
    /// What must become of it.
    pub expect: Expect,
}

/// What must become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It is let through.
    Allow,
    /// It is refused with this status.
    Refuse(StatusCode),
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allow"),
            Self::Refuse(status) => write!(f, "{}", status.as_u16()),
        }
    }
}

const REFUSALS: [StatusCode; 5] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
];

impl Read for Expect {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let found = match (&node.value, node.value.as_text()) {
            (Value::Int(number), _) => number.to_string(),
            (_, Some(text)) => text.to_owned(),
            (_, None) => return wrong_kind(node, "`allow` or a status", mistakes),
        };
        if found == "allow" {
            return Some(Self::Allow);
        }
        if let Some(status) = REFUSALS.iter().find(|status| status.as_str() == found) {
            return Some(Self::Refuse(*status));
        }
        let found = quoted(&found, node, mistakes);
        mistakes.none(
            Mistake::new(node.place, format!("unknown value `{found}`"))
                .help("allowed: `allow`, 400, 401, 403, 404 or 405"),
        )
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let statuses = REFUSALS.map(|status| status.as_u16());
        json_schema!({ "anyOf": [{ "const": "allow" }, { "enum": statuses }] })
    }
}
