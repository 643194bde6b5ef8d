//! YAML as a small tree in which every key and value knows its place.
//!
//! It ends where meaning begins: what a key stands for is known to [`raw`](super::raw) alone.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::report::{Mistake, Mistakes};
use super::secrets;

/// Where something stands in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
    /// First byte.
    pub(crate) start: usize,
    /// The byte after the last one.
    pub(crate) end: usize,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let start = number(location.span().byte_offset().unwrap_or_default());
        let length = number(location.span().byte_len().unwrap_or_default());
        Self {
            line: number(location.line()),
            column: number(location.column()),
            start,
            end: start.saturating_add(length),
        }
    }
}

/// A value and its place. There is no `Debug`: it may hold a secret.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

impl Node {
    /// Keeps every value in it out of the report.
    pub(crate) fn mask(&self, mistakes: &mut Mistakes) {
        match &self.value {
            Value::List(items) => items.iter().for_each(|item| item.mask(mistakes)),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.mask(mistakes)),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Invalid => {
                mistakes.mask(self.place);
            }
        }
    }

    /// Keeps the values of every section in it out of the report: it stands where none belongs, so any may be a secret.
    pub(crate) fn mask_sections(&self, mistakes: &mut Mistakes) {
        match &self.value {
            Value::List(items) => items.iter().for_each(|item| item.mask_sections(mistakes)),
            Value::Map(_) => self.mask(mistakes),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Invalid => {}
        }
    }
}

/// What a node is.
#[derive(Clone)]
pub(crate) enum Value {
    /// Nothing was written.
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something is wrong with it, and that has been reported.
    Invalid,
}

/// A text scalar.
#[derive(Clone)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// All of it came from the environment or a file, so that it may stand for a number or a truth value too.
    pub(crate) replaced: bool,
}

/// One entry of a map.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) node: Node,
}

impl Entry {
    /// Keeps its values out of the report, and its key if that is no name.
    pub(crate) fn mask(&self, mistakes: &mut Mistakes) {
        self.mask_key(mistakes);
        self.node.mask(mistakes);
    }

    /// Keeps its key out of the report if that is no name.
    pub(crate) fn mask_key(&self, mistakes: &mut Mistakes) {
        if !secrets::is_name(&self.key) {
            mistakes.mask(self.key_place);
        }
    }

    /// Its key as messages name it.
    pub(crate) fn name(&self) -> &str {
        if secrets::is_name(&self.key) {
            &self.key
        } else {
            "***"
        }
    }
}

impl Value {
    /// Text as it stands in the file.
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(Text {
            text: text.to_owned(),
            replaced: false,
        })
    }

    /// The text, if it is text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(Text { text, .. }) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The text, if all of it came from the environment or a file.
    pub(crate) fn as_replaced(&self) -> Option<&str> {
        if let Self::Text(Text {
            text,
            replaced: true,
        }) = self
        {
            Some(text.trim())
        } else {
            None
        }
    }

    /// The items, if it is a list.
    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        if let Self::List(items) = self {
            Some(items)
        } else {
            None
        }
    }

    /// The entries, if it is a map.
    pub(crate) fn as_map(&self) -> Option<&[Entry]> {
        if let Self::Map(entries) = self {
            Some(entries)
        } else {
            None
        }
    }

    /// Names the kind of value for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a section of keys",
            Self::Invalid => "an invalid value",
        }
    }
}

/// Parses `source`. A key that stands twice in one map is reported, and its first value is used.
///
/// `None` when it is no YAML: the mistake then names the place.
pub(crate) fn parse(source: &str, mistakes: &mut Mistakes) -> Option<Node> {
    // Repeated keys are passed on so that they are reported together with everything else. YAML 1.1's `on`, `off`,
    // `yes` and `no` stay text. The limits on depth, size and aliases are the crate's defaults.
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Value>>(source, options) {
        Ok(spanned) => {
            let mut node = Node::from(spanned);
            drop_bad_keys(&mut node, source, mistakes);
            Some(node)
        }
        Err(error) => {
            mistakes.add(syntax_mistake(&error));
            None
        }
    }
}

/// The parser's own message, with its place taken out of the text, since it stands before it.
fn syntax_mistake(error: &serde_saphyr::Error) -> Mistake {
    let place = error.location().map_or_else(Place::default, Place::from);
    let text = error.without_snippet().to_string();
    let text = match text.find(" at line ") {
        Some(end) => &text[..end],
        None => text.as_str(),
    };
    // What stands behind a semicolon is advice to programmers.
    let text = text.split(';').next().unwrap_or(text);
    Mistake::syntax(place, format!("this is not valid YAML: {text}"))
}

/// Takes out the entries whose key is no name or stands a second time, and reports them.
fn drop_bad_keys(node: &mut Node, source: &str, mistakes: &mut Mistakes) {
    match &mut node.value {
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| drop_bad_keys(item, source, mistakes)),
        Value::Map(entries) => {
            let mut first: Vec<(String, usize)> = Vec::new();
            entries.retain(|entry| {
                let place = entry.key_place;
                let mistake = if entry.key.trim().is_empty() || stands_alone(entry, source) {
                    mistakes.mask(place);
                    Mistake::new(place, "a key must be a name").help("write `name: value`")
                } else if let Some((_, line)) = first.iter().find(|(key, _)| *key == entry.key) {
                    let key = entry.name();
                    let message =
                        format!("the key `{key}` stands here a second time, first on line {line}");
                    Mistake::new(place, message).help("keep one of the two")
                } else {
                    first.push((entry.key.clone(), place.line));
                    return true;
                };
                entry.mask(mistakes);
                mistakes.add(mistake);
                false
            });
            for entry in entries {
                drop_bad_keys(&mut entry.node, source, mistakes);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Invalid => {}
    }
}

/// Whether it is a value that stands where a key belongs, without a colon: `{ token }`.
fn stands_alone(entry: &Entry, source: &str) -> bool {
    let after = source.get(entry.key_place.end..).unwrap_or_default();
    matches!(entry.node.value, Value::Null) && !after.trim_start().starts_with(':')
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self {
            place: spanned.defined.into(),
            value: spanned.value,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<Value>>()? {
            let mut key_place = Place::from(key.defined);
            key_place.end = key_place.end.max(last_byte(&key.value));
            let key = key_text(key.value);
            let mut node = Node::from(entries.next_value::<Spanned<Value>>()?);
            if matches!(node.value, Value::Map(_)) {
                // A section is shown by its key: its own first byte may be lines below.
                node.place = key_place;
            }
            map.push(Entry {
                key,
                key_place,
                node,
            });
        }
        Ok(Value::Map(map))
    }
}

/// Where the last of what is in a list or a map ends: the place of the whole is that of its bracket.
fn last_byte(value: &Value) -> usize {
    let node = |node: &Node| node.place.end.max(last_byte(&node.value));
    let items = value.as_list().unwrap_or_default().iter();
    let entries = value.as_map().unwrap_or_default().iter();
    let ends = items.map(node);
    ends.chain(entries.map(|entry| entry.key_place.end.max(node(&entry.node))))
        .max()
        .unwrap_or_default()
}

/// The name of a key; blank for what is no name.
fn key_text(key: Value) -> String {
    match key {
        Value::Text(Text { text, .. }) => text,
        Value::Int(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) | Value::Invalid => {
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(node: &Node, out: &mut Vec<(String, usize, usize)>) {
        for entry in node.value.as_map().unwrap_or_default() {
            out.push((
                entry.key.clone(),
                entry.key_place.line,
                entry.key_place.column,
            ));
            places(&entry.node, out);
        }
        for item in node.value.as_list().unwrap_or_default() {
            places(item, out);
        }
        if node.value.as_map().is_none() && node.value.as_list().is_none() {
            let text = node.value.as_text().unwrap_or(node.value.kind());
            out.push((text.into(), node.place.line, node.place.column));
        }
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let mut mistakes = Mistakes::default();
        let source = "a:\n  b: [x, 'y z', 1]\n  c: { d: true, ö: 10s }\ne:\n";
        let node = parse(source, &mut mistakes).unwrap();
        let mut found = Vec::new();
        places(&node, &mut found);
        let expected = [
            ("a", 1, 1),
            ("b", 2, 3),
            ("x", 2, 7),
            ("y z", 2, 10),
            ("a number", 2, 17),
            ("c", 3, 3),
            ("d", 3, 8),
            ("a truth value", 3, 11),
            ("ö", 3, 17),
            ("10s", 3, 20),
            ("e", 4, 1),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(text, line, column)| (text.to_owned(), line, column))
            .collect();
        assert_eq!(found[..11], expected);
        assert_eq!(found[11].0, "nothing");
        assert!(mistakes.is_empty());
    }

    #[test]
    fn places_count_bytes_too() {
        let source = "ö: grün\n";
        let node = parse(source, &mut Mistakes::default()).unwrap();
        let entries = node.value.as_map().unwrap();
        let place = entries[0].node.place;
        assert_eq!(&source[place.start..place.end], "grün");
    }

    #[test]
    fn a_repeated_key_is_a_mistake_at_its_second_place() {
        let mut mistakes = Mistakes::default();
        parse("a: 1\nb: 2\na: 3\n", &mut mistakes).unwrap();
        let report = mistakes.into_report("f".as_ref(), "a: 1\nb: 2\na: 3\n");
        assert_eq!(
            report
                .mistakes()
                .iter()
                .map(|m| (m.line, m.column))
                .collect::<Vec<_>>(),
            [(3, 1)]
        );
    }

    #[test]
    fn on_and_off_are_text_as_in_yaml_1_2() {
        let node = parse("a: off\n", &mut Mistakes::default()).unwrap();
        let entries = node.value.as_map().unwrap();
        assert_eq!(entries[0].node.value.kind(), "text");
    }
}
