//! What a request says, checked as strictly as Auth0 checks it.

use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde_json::{Map, Value};

/// Items on one page when nobody says how many, and at most.
const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 100;

/// Why a request is refused.
#[derive(Debug)]
pub(in super::super) struct Refused {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) code: Option<&'static str>,
}

/// One request.
pub(in super::super) struct Input<'a> {
    /// The id in the path.
    pub(super) id: &'a str,
    query: Vec<(String, String)>,
    body: Option<Value>,
}

/// Which part of a list is wanted, by number.
pub(super) struct Numbered {
    pub(super) start: usize,
    pub(super) limit: usize,
    totals: bool,
}

impl Refused {
    pub(super) fn new(status: u16, message: &str, code: Option<&'static str>) -> Self {
        Self {
            status,
            message: message.to_owned(),
            code,
        }
    }

    pub(super) fn query(message: &str) -> Self {
        let message = format!("Query validation error: '{message}'.");
        Self::new(400, &message, Some("invalid_query_string"))
    }

    pub(super) fn body(message: &str) -> Self {
        let message = format!("Payload validation error: '{message}'.");
        Self::new(400, &message, Some("invalid_body"))
    }
}

impl<'a> Input<'a> {
    pub(super) fn read(parts: &Parts, body: &[u8], id: &'a str) -> Result<Self, Refused> {
        let body = if body.is_empty() {
            None
        } else {
            let json = parts.headers.get(CONTENT_TYPE).is_some_and(|value| {
                value
                    .to_str()
                    .is_ok_and(|text| text.starts_with("application/json"))
            });
            let value = serde_json::from_slice(body).ok().filter(|_| json);
            Some(value.ok_or_else(|| Refused::body("Invalid JSON"))?)
        };
        let pairs = parts.uri.query().unwrap_or_default().split('&');
        let pairs = pairs.filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(&value.replace('+', " ")))
        });
        Ok(Self {
            id,
            query: query.collect(),
            body,
        })
    }

    /// Refuses parameters that are not among `known`, and those that come twice.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refused> {
        for (at, (name, _)) in self.query.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Refused::query(&format!(
                    "Additional properties not allowed: {name}"
                )));
            }
            if self.query[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Refused::query(&format!("Expected one value of {name}")));
            }
        }
        Ok(())
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str, default: usize, range: (usize, usize)) -> Result<usize, Refused> {
        let Some(text) = self.parameter(name) else {
            return Ok(default);
        };
        let number = text
            .parse()
            .ok()
            .filter(|n| (range.0..=range.1).contains(n));
        number.ok_or_else(|| {
            Refused::query(&format!(
                "{name} must be a number from {} to {}",
                range.0, range.1
            ))
        })
    }

    /// Whether a parameter that is yes or no says yes.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Refused> {
        match self.parameter(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(Refused::query(&format!("Expected type boolean for {name}"))),
        }
    }

    /// `page`, `per_page` and `include_totals`.
    pub(super) fn numbered(&self) -> Result<Numbered, Refused> {
        let page = self.number("page", 0, (0, 100_000))?;
        let limit = self.number("per_page", DEFAULT_PAGE, (1, MAX_PAGE))?;
        Ok(Numbered {
            start: page * limit,
            limit,
            totals: self.flag("include_totals", false)?,
        })
    }

    /// `take`.
    pub(super) fn take(&self) -> Result<usize, Refused> {
        self.number("take", DEFAULT_PAGE, (1, MAX_PAGE))
    }

    /// The body, an object without other keys than these.
    pub(super) fn object(&self, known: &[&str]) -> Result<&Map<String, Value>, Refused> {
        let object = self.body.as_ref().and_then(Value::as_object);
        let object = object.ok_or_else(|| Refused::body("Expected type object"))?;
        if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(Refused::body(&format!(
                "Additional properties not allowed: {name}"
            )));
        }
        if object.is_empty() {
            return Err(Refused::body("Too few properties defined (0), minimum 1"));
        }
        Ok(object)
    }
}

impl Numbered {
    /// The part of `all` that is wanted, as the API writes it.
    pub(super) fn page(&self, name: &str, all: &[Value]) -> Value {
        let items: Vec<Value> = all
            .iter()
            .skip(self.start)
            .take(self.limit)
            .cloned()
            .collect();
        if !self.totals {
            return items.into();
        }
        let mut object = Map::new();
        object.insert(name.to_owned(), items.into());
        object.insert("start".into(), self.start.into());
        object.insert("limit".into(), self.limit.into());
        object.insert("total".into(), all.len().into());
        object.into()
    }
}

/// Undoes percent-encoding.
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *byte == b'%');
        let digits = digits.and_then(|two| std::str::from_utf8(two).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*byte));
        rest = if decoded.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
