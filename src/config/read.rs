//! Reading typed values out of the tree. One trait says both how a value is read and what its JSON Schema is,
//! so that the two cannot drift apart.

use std::ops::Deref;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::report::{Mistake, Mistakes};
use super::tree::{Node, Place, Text, Value};

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
        Some(Self { value, place: node.place })
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

    /// A key that may be absent: the outer `None` stands for an invalid value alone.
    pub(crate) fn optional(&self) -> Option<Option<T>> {
        match self {
            Self::Given(at) => Some(Some(at.value.clone())),
            Self::Absent => Some(None),
            Self::Invalid => None,
        }
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
            Value::Text(Text { text, .. }) => (text.clone(), true),
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
        let found = if T::SECRET { String::new() } else { format!(", found `{}`", quoted(&text, node, mistakes)) };
        mistakes.none(Mistake::new(node.place, format!("expected {}{found}", T::EXPECTED)).help(help))
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
            return mistakes.none(Mistake::new(node.place, "this must be more than 0").help("write a larger value"));
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
        let items: Vec<_> = nodes.iter().filter_map(|node| At::read(node, mistakes)).collect();
        let complete = items.len() == nodes.len();
        Self { items, complete }
    }
}

impl<T: Read> Read for List<T> {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        match &node.value {
            Value::List(nodes) => Some(Self::of(nodes, mistakes)),
            _ => wrong_kind(node, "a list such as `[a, b]`", mistakes),
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
        match &node.value {
            Value::List(nodes) if nodes.is_empty() => {
                mistakes.none(Mistake::new(node.place, "this list is empty").help("name one at least, or take the key away"))
            }
            Value::List(nodes) => Some(Self(List::of(nodes, mistakes))),
            _ => Some(Self(List { items: vec![At::read(node, mistakes)?], complete: true })),
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
        let Value::Map(entries) = &node.value else {
            return wrong_kind(node, "a section of keys", mistakes);
        };
        let named = entries.iter().map(|entry| {
            let name = At { value: entry.key.clone(), place: entry.key_place };
            (name, T::read(&entry.node, mistakes))
        });
        Some(Self(named.collect()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": T::schema(generator) })
    }
}

impl Read for bool {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        match &node.value {
            Value::Bool(value) => Some(*value),
            Value::Text(Text { text, replaced: true }) if text == "true" => Some(true),
            Value::Text(Text { text, replaced: true }) if text == "false" => Some(false),
            _ => wrong_kind(node, "`true` or `false`", mistakes),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"], "pattern": "\\$\\{" })
    }
}

impl Read for f64 {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let number = match &node.value {
            Value::Float(number) => Some(*number),
            Value::Int(number) => i32::try_from(*number).ok().map(f64::from),
            Value::Text(Text { text, replaced: true }) => text.trim().parse().ok(),
            _ => None,
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
                let number = match &node.value {
                    Value::Int(number) => *number,
                    Value::Text(Text { text, replaced: true }) if text.trim().parse::<i128>().is_ok() => {
                        text.trim().parse().unwrap_or_default()
                    }
                    _ => return wrong_kind(node, "a whole number", mistakes),
                };
                <$number>::try_from(number).ok().or_else(|| {
                    let help = format!("write a whole number from 0 to {}", <$number>::MAX);
                    mistakes.none(Mistake::new(node.place, format!("{number} is out of range")).help(help))
                })
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": ["integer", "string"], "minimum": 0, "pattern": "\\$\\{" })
            }
        }
    )*};
}

whole_numbers!(u32, u64, usize);

/// Reports that `node` is not what was `expected`. An invalid node has been reported already.
pub(crate) fn wrong_kind<T>(node: &Node, expected: &str, mistakes: &mut Mistakes) -> Option<T> {
    if matches!(node.value, Value::Invalid) {
        return None;
    }
    let message = format!("expected {expected}, found {}", node.value.kind());
    let mistake = Mistake::new(node.place, message);
    mistakes.none(match node.value {
        Value::Null => mistake.help("write a value, or take the key away"),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => mistake.help("put it in quotes if text is meant"),
        Value::Text(_) | Value::List(_) | Value::Map(_) | Value::Invalid => mistake,
    })
}

/// `text` as messages quote it; a URL with credentials is not shown at all.
fn quoted(text: &str, node: &Node, mistakes: &mut Mistakes) -> String {
    if text.contains("://") && text.contains('@') {
        node.mask(mistakes);
        return "***".to_owned();
    }
    shortened(text)
}

/// `text` as messages quote it: on one line, and not for ever.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let clean: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() { format!("{clean}…") } else { clean }
}

/// The candidate that is nearest to `word`, if any is near enough to have been meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_ascii_lowercase()), candidate))
        // Up to a third of the letters may differ, two at least: `jwks_uri` for `jwks_url`, `audiance`, `lsiten`.
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(2).min(candidate.len().saturating_sub(1)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` or `c`, for a help line.
pub(crate) fn alternatives<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Reads a word out of a closed set.
pub(crate) fn choose<T: Copy>(node: &Node, choices: &[(&str, T)], mistakes: &mut Mistakes) -> Option<T> {
    let words = || choices.iter().map(|(word, _)| *word);
    let text = match &node.value {
        Value::Text(Text { text, .. }) => text,
        _ => return wrong_kind(node, &alternatives(words()), mistakes),
    };
    if let Some((_, value)) = choices.iter().find(|(word, _)| word == text) {
        return Some(*value);
    }
    let help = match nearest(text, words()) {
        Some(word) => format!("did you mean `{word}`? allowed: {}", alternatives(words())),
        None => format!("allowed: {}", alternatives(words())),
    };
    mistakes.none(Mistake::new(node.place, format!("unknown value `{}`", shortened(text))).help(help))
}

/// Makes a type readable as one word of a closed set.
macro_rules! choice {
    ($name:ty { $($word:literal => $value:expr),+ $(,)? }) => {
        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::tree::Node,
                mistakes: &mut $crate::config::report::Mistakes,
            ) -> Option<Self> {
                $crate::config::read::choose(node, &[$(($word, $value)),+], mistakes)
            }

            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "anyOf": [{ "enum": [$($word),+] }, { "type": "string", "pattern": "\\$\\{" }]
                })
            }
        }
    };
}
pub(crate) use choice;
