//! Sections: maps with a closed set of keys, declared once for the reader and the JSON Schema.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json};

use super::read::{At, Field, Read, wrong_kind};
use super::report::{Mistake, Mistakes};
use super::tree::{self, Entry, Node, Place, Value};
use super::words::nearest;

/// What holds when a key is not in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// That is a mistake.
    Required,
    /// Nothing: the code says what it means.
    Optional,
    /// This value, in YAML.
    Default(&'static str),
    /// A section in which every key has its default.
    Section,
}

/// The key must be there.
pub(crate) const fn required() -> Kind {
    Kind::Required
}

/// The key may be there.
pub(crate) const fn optional() -> Kind {
    Kind::Optional
}

/// Without the key this value holds, written as in the file.
pub(crate) const fn default(yaml: &'static str) -> Kind {
    Kind::Default(yaml)
}

/// Without the key every default of the section holds.
pub(crate) const fn defaults() -> Kind {
    Kind::Section
}

/// Declares a section: `key: Type = kind`, with the doc comment as its description in the schema. What stands behind
/// `one of` tells editors that exactly one of these keys is needed; the checks say so in better words.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        $name:ident {
            $( $(#[doc = $field_doc:literal])* $field:ident: $type:ty = $kind:expr, )*
        }
        $(one of $($choice:ident)|+)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $( $(#[doc = $field_doc])* pub(crate) $field: $crate::config::read::Field<$type>, )*
        }

        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::tree::Node,
                mistakes: &mut $crate::config::report::Mistakes,
            ) -> Option<Self> {
                let keys = $crate::config::section::Keys::of(node, &[$(stringify!($field)),*], mistakes)?;
                Some(Self {
                    $( $field: keys.read::<$type>(stringify!($field), $kind, mistakes), )*
                })
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut object = $crate::config::section::Object::new(&[$($doc),*]);
                $( object.add::<$type>(stringify!($field), &[$($field_doc),*], $kind, generator); )*
                $( object.one_of(&[$(stringify!($choice)),+]); )?
                object.finish()
            }
        }
    };
}
pub(crate) use section;

/// The entries of a section while it is read.
pub(crate) struct Keys<'a> {
    entries: &'a [Entry],
    place: Place,
}

impl<'a> Keys<'a> {
    /// The entries of `node`; every key that is not in `known` is reported.
    pub(crate) fn of(node: &'a Node, known: &[&str], mistakes: &mut Mistakes) -> Option<Self> {
        let Some(entries) = node.value.as_map() else {
            // Nobody knows which of its keys was meant.
            node.mask(mistakes);
            return wrong_kind(node, "a section of keys", mistakes);
        };
        for entry in entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            entry.mask(mistakes);
            let help = match nearest(&entry.key, known.iter().copied()) {
                Some(key) => format!("did you mean `{key}`?"),
                None => format!("known keys here: {}", known.join(", ")),
            };
            mistakes.add(
                Mistake::new(entry.key_place, format!("unknown key `{}`", entry.name())).help(help),
            );
        }
        Some(Self {
            entries,
            place: node.place,
        })
    }

    /// Reads one key.
    pub(crate) fn read<T: Read>(&self, key: &str, kind: Kind, mistakes: &mut Mistakes) -> Field<T> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == key) {
            return At::read(&entry.node, mistakes).map_or(Field::Invalid, Field::Given);
        }
        let node = match kind {
            Kind::Required => {
                let message = format!("the key `{key}` is missing here");
                mistakes.add(Mistake::new(self.place, message).help(format!("add `{key}: …`")));
                return Field::Invalid;
            }
            Kind::Optional => return Field::Absent,
            Kind::Default(yaml) => default_node(yaml, self.place, mistakes),
            Kind::Section => Some(Node {
                place: self.place,
                value: Value::Map(Vec::new()),
            }),
        };
        node.and_then(|node| At::read(&node, mistakes))
            .map_or(Field::Invalid, Field::Given)
    }
}

/// A default as a node, at the place of the section that lacks it.
fn default_node(yaml: &str, place: Place, mistakes: &mut Mistakes) -> Option<Node> {
    let mut node = tree::parse(yaml, mistakes)?;
    node.place = place;
    if let Value::List(items) = &mut node.value {
        for item in items {
            item.place = place;
        }
    }
    Some(node)
}

/// The JSON Schema of a section while it is put together.
pub(crate) struct Object {
    description: String,
    properties: Map<String, Json>,
    required: Vec<String>,
    one_of: Vec<Json>,
}

impl Object {
    pub(crate) fn new(docs: &[&str]) -> Self {
        Self {
            description: joined(docs),
            properties: Map::new(),
            required: Vec::new(),
            one_of: Vec::new(),
        }
    }

    /// Adds one key.
    pub(crate) fn add<T: Read>(
        &mut self,
        key: &str,
        docs: &[&str],
        kind: Kind,
        generator: &mut SchemaGenerator,
    ) {
        let mut schema = T::schema(generator);
        schema.insert("description".into(), joined(docs).into());
        match kind {
            Kind::Required => self.required.push(key.to_owned()),
            Kind::Optional | Kind::Section => {}
            Kind::Default(yaml) => {
                let node = tree::parse(yaml, &mut Mistakes::default());
                schema.insert(
                    "default".into(),
                    node.map_or(Json::Null, |node| json(&node.value)),
                );
            }
        }
        self.properties.insert(key.to_owned(), schema.to_value());
    }

    /// Asks for exactly one of `keys`.
    pub(crate) fn one_of(&mut self, keys: &[&str]) {
        self.one_of = keys
            .iter()
            .map(|key| serde_json::json!({ "required": [key] }))
            .collect();
    }

    pub(crate) fn finish(self) -> Schema {
        let mut schema = json_schema!({
            "type": "object",
            "description": self.description,
            "properties": self.properties,
            "additionalProperties": false,
        });
        if !self.required.is_empty() {
            schema.insert("required".into(), self.required.into());
        }
        if !self.one_of.is_empty() {
            schema.insert("oneOf".into(), self.one_of.into());
        }
        schema
    }
}

/// The lines of a doc comment as one paragraph.
fn joined(docs: &[&str]) -> String {
    docs.iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null | Value::Invalid => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => i64::try_from(*number).map_or(Json::Null, Json::from),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.text.clone().into(),
        Value::List(items) => items.iter().map(|item| json(&item.value)).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), json(&entry.node.value)))
            .collect(),
    }
}
