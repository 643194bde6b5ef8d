//! Reading typed values out of the tree. One trait says both how a value is read and what its JSON Schema is,
//! so that the two cannot drift apart.

use std::ops::Deref;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::report::{Mistake, Mistakes};
use super::tree::{Node, Place, Value};
use super::words::shortened;

/// A value as it is written in the file.
pub(crate) trait Read: Sized {
    /// Reads it; `None` when something is wrong, which has then been reported.
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self>;

    /// Its JSON Schema.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// A value and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Read> At<T> {
    pub(crate) fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let value = T::read(node, mistakes)?;
        Some(Self {
            value,
            place: node.place,
        })
    }
}

/// What became of one key of a section.
#[derive(Clone, Debug)]
pub(crate) enum Field<T> {
    /// It is not in the file and has no default.
    Absent,
    /// It is wrong, or missing and required; that has been reported.
    Invalid,
    /// It has this value.
    Given(At<T>),
}

/// Something is wrong; what it is has been reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invalid;

impl<T> Field<T> {
    /// The value with its place, where there is a valid one.
    pub(crate) fn get(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Invalid => None,
        }
    }

    /// Where the value stands, when there is a valid one.
    pub(crate) fn place(&self) -> Option<Place> {
        self.get().map(|at| at.place)
    }

    /// What `build` makes of the value of a key that may be absent; it answers `None` when something is wrong.
    pub(crate) fn built<U>(
        &self,
        build: impl FnOnce(&At<T>) -> Option<U>,
    ) -> Result<Option<U>, Invalid> {
        match self {
            Self::Given(at) => build(at).map(Some).ok_or(Invalid),
            Self::Absent => Ok(None),
            Self::Invalid => Err(Invalid),
        }
    }

    /// Whether the key is not in the file; an invalid value is not absent.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T: Clone> Field<T> {
    /// The value, where there is a valid one.
    pub(crate) fn value(&self) -> Option<T> {
        self.get().map(|at| at.value.clone())
    }

    /// The value of a key that may be absent.
    pub(crate) fn optional(&self) -> Result<Option<T>, Invalid> {
        self.built(|at| Some(at.value.clone()))
    }
}

/// A scalar that is written as text in a form of its own: a duration, an address.
pub(crate) trait Form: Sized {
    /// What is expected, with its article and an example.
    const EXPECTED: &'static str;
    /// A regular expression for the schema.
    const PATTERN: Option<&'static str> = None;
    /// Whether a plain number may stand for it.
    const NUMBER: bool = false;
    /// Whether its text must stay out of messages.
    const SECRET: bool = false;

    /// Reads `text`.
    ///
    /// # Errors
    ///
    /// What would be right.
    fn parse(text: &str) -> Result<Self, String>;
}

impl<T: Form> Read for T {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        if T::SECRET {
            node.mask(mistakes);
        }
        let (text, right_kind) = match &node.value {
            Value::Text(text) => (text.text.clone(), true),
            Value::Int(number) => (number.to_string(), T::NUMBER),
            Value::Float(number) => (number.to_string(), false),
            Value::Bool(value) => (value.to_string(), false),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Invalid => {
                return wrong_kind(node, T::EXPECTED, mistakes);
            }
        };
        let help = match T::parse(&text) {
            Ok(value) if right_kind => return Some(value),
            Ok(_) => format!("put it in quotes: a plain one is {}", node.value.kind()),
            Err(help) => help,
        };
        let found = if T::SECRET {
            String::new()
        } else {
            format!(", found `{}`", quoted(&text, node, mistakes))
        };
        mistakes
            .none(Mistake::new(node.place, format!("expected {}{found}", T::EXPECTED)).help(help))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "string" });
        if let Some(pattern) = T::PATTERN {
            // A value from the environment is not known to an editor.
            schema.insert("pattern".into(), format!("^(?:{pattern})$|\\$\\{{").into());
        }
        if T::NUMBER {
            schema.insert("type".into(), vec!["string", "integer"].into());
        }
        schema
    }
}

/// A number that must not be 0, a duration that must last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Positive<T>(pub(crate) T);

impl<T: Read + Default + PartialEq> Read for Positive<T> {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let value = T::read(node, mistakes)?;
        if value == T::default() {
            return mistakes.none(
                Mistake::new(node.place, "this must be more than 0").help("write a larger value"),
            );
        }
        Some(Self(value))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::schema(generator);
        if schema.get("minimum").is_some() {
            schema.insert("minimum".into(), 1.into());
        }
        schema
    }
}

/// Items, each with its place. One that is wrong is left out.
#[derive(Clone, Debug)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<At<T>>,
    /// None was left out.
    pub(crate) complete: bool,
}

impl<T> List<T> {
    /// The values alone.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|item| &item.value)
    }

    fn of(nodes: &[Node], mistakes: &mut Mistakes) -> Self
    where
        T: Read,
    {
        let items: Vec<_> = nodes
            .iter()
            .filter_map(|node| At::read(node, mistakes))
            .collect();
        let complete = items.len() == nodes.len();
        Self { items, complete }
    }
}

impl<T: Read> Read for List<T> {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        match node.value.as_list() {
            Some(nodes) => Some(Self::of(nodes, mistakes)),
            None => wrong_kind(node, "a list such as `[a, b]`", mistakes),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": T::schema(generator) })
    }
}

/// A list that is not empty, or its only item without the brackets.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMany<T>(pub(crate) List<T>);

impl<T: Read> Read for OneOrMany<T> {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        match node.value.as_list() {
            Some([]) => mistakes.none(
                Mistake::new(node.place, "this list is empty")
                    .help("name one at least, or take the key away"),
            ),
            Some(nodes) => Some(Self(List::of(nodes, mistakes))),
            None => Some(Self(List {
                items: vec![At::read(node, mistakes)?],
                complete: true,
            })),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let item = T::schema(generator);
        json_schema!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
    }
}

/// Names that the user chooses, each with a value.
#[derive(Clone, Debug)]
pub(crate) struct Named<T>(pub(crate) Vec<(At<String>, Option<T>)>);

impl<T: Read> Read for Named<T> {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let Some(entries) = node.value.as_map() else {
            node.mask(mistakes);
            return wrong_kind(node, "a section of keys", mistakes);
        };
        let named = entries.iter().map(|entry| {
            let name = At {
                value: entry.key.clone(),
                place: entry.key_place,
            };
            let value = T::read(&entry.node, mistakes);
            if value.is_none() {
                entry.mask_key(mistakes);
            }
            (name, value)
        });
        Some(Self(named.collect()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": T::schema(generator) })
    }
}

impl Read for bool {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        match node.value.as_replaced() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => wrong_kind(node, "`true` or `false`", mistakes),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"], "pattern": "\\$\\{" })
    }
}

impl Read for f64 {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let number = if let Value::Float(number) = node.value {
            Some(number)
        } else if let Value::Int(number) = node.value {
            i32::try_from(number).ok().map(Self::from)
        } else {
            node.value.as_replaced().and_then(|text| text.parse().ok())
        };
        number.or_else(|| wrong_kind(node, "a number", mistakes))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "pattern": "\\$\\{" })
    }
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {$(
        impl Read for $number {
            fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
                let Some(number) = whole(node) else {
                    return wrong_kind(node, "a whole number", mistakes);
                };
                <$number>::try_from(number).ok().or_else(|| {
                    let message = format!("{number} is out of range");
                    let help = format!("write a whole number from 0 to {}", <$number>::MAX);
                    mistakes.none(Mistake::new(node.place, message).help(help))
                })
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": ["integer", "string"], "minimum": 0, "pattern": "\\$\\{" })
            }
        }
    )*};
}

whole_numbers!(u32, u64, usize);

/// The whole number that is written, of any size.
pub(crate) fn whole(node: &Node) -> Option<i128> {
    match node.value {
        Value::Int(number) => Some(number),
        Value::Null
        | Value::Bool(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Invalid => node.value.as_replaced()?.parse().ok(),
    }
}

/// Reports that `node` is not what was `expected`. An invalid node has been reported already.
pub(crate) fn wrong_kind<T>(node: &Node, expected: &str, mistakes: &mut Mistakes) -> Option<T> {
    if matches!(node.value, Value::Invalid) {
        return None;
    }
    node.mask_sections(mistakes);
    let message = format!("expected {expected}, found {}", node.value.kind());
    let mistake = Mistake::new(node.place, message);
    mistakes.none(match node.value {
        Value::Null => mistake.help("write a value, or take the key away"),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            mistake.help("put it in quotes if text is meant")
        }
        Value::Text(_) | Value::List(_) | Value::Map(_) | Value::Invalid => mistake,
    })
}

/// `text` as messages quote it; a URL that may hold a password or a key is not shown at all.
pub(crate) fn quoted(text: &str, node: &Node, mistakes: &mut Mistakes) -> String {
    let credentials = text
        .split_once(':')
        .is_some_and(|(_, rest)| rest.contains('@'));
    if credentials || (text.contains("://") && text.contains(['?', '#'])) {
        node.mask(mistakes);
        return "***".to_owned();
    }
    // Before it is cut, or the beginning of a secret would be left.
    shortened(&mistakes.censored(text))
}
