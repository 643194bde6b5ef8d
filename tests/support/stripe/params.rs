//! Which parameters a call takes, and of which types. What it does not know, it refuses.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// A parameter's name and what it may be.
pub(super) type Field = (&'static str, Shape);

/// What a parameter may be.
pub(super) enum Shape {
    /// A text, not empty.
    Text,
    /// A text of at most so many characters.
    Short(usize),
    /// A text; empty takes the old value away.
    Unset,
    /// A whole number.
    Number,
    /// A whole number, or empty.
    NumberOrUnset,
    /// A number from 1 to 100.
    Limit,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Words(&'static [&'static str]),
    /// An absolute URL.
    Url,
    /// Keys and texts within the limits.
    Metadata,
    /// A list.
    List(&'static Shape),
    /// Parameters within a parameter.
    Of(&'static [Field]),
    /// The API takes it, and the stand-in does nothing with it.
    Ignored,
}

/// The parameters, checked: numbers are numbers, lists are lists.
pub(super) fn check(fields: &[&[Field]], given: &Map<String, Value>) -> Result<Value, Refusal> {
    tree(fields, given, "")
}

fn tree(fields: &[&[Field]], given: &Map<String, Value>, at: &str) -> Result<Value, Refusal> {
    let mut checked = Map::new();
    for (name, value) in given {
        let path = join(at, name);
        let Some((_, shape)) = fields
            .iter()
            .copied()
            .flatten()
            .find(|(known, _)| known == name)
        else {
            return Err(
                Refusal::invalid(format!("Received unknown parameter: {path}"))
                    .code("parameter_unknown")
                    .param(path),
            );
        };
        checked.insert(name.clone(), shape.check(value, &path)?);
    }
    Ok(checked.into())
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}[{name}]")
    }
}

impl Shape {
    fn check(&self, value: &Value, at: &str) -> Result<Value, Refusal> {
        match self {
            Self::Ignored => Ok(value.clone()),
            Self::Of(fields) => tree(&[fields], object(value, at)?, at),
            Self::List(of) => list(of, object(value, at)?, at),
            Self::Metadata => metadata(value, at),
            Self::Unset => text(value, at).map(Into::into),
            Self::Text
            | Self::Short(_)
            | Self::Number
            | Self::NumberOrUnset
            | Self::Limit
            | Self::Flag
            | Self::Words(_)
            | Self::Url => self.scalar(text(value, at)?, at),
        }
    }

    fn scalar(&self, text: &str, at: &str) -> Result<Value, Refusal> {
        let invalid = |what: &str| Refusal::invalid(format!("Invalid {what}: {text}")).param(at);
        match self {
            Self::NumberOrUnset if text.is_empty() => Ok(Value::Null),
            _ if text.is_empty() => Err(Refusal::invalid(format!(
                "You passed an empty string for '{at}'. We assume empty values are an attempt to unset a parameter; \
                 however '{at}' cannot be unset."
            ))
            .code("parameter_invalid_empty")
            .param(at)),
            Self::Number | Self::NumberOrUnset | Self::Limit => {
                let whole = |_| invalid("integer").code("parameter_invalid_integer");
                let number: i64 = text.parse().map_err(whole)?;
                if matches!(self, Self::Limit) && !(1..=100).contains(&number) {
                    let bound = format!("This value must be between 1 and 100 (it currently is '{number}').");
                    return Err(Refusal::invalid(bound).code("parameter_invalid_integer").param(at));
                }
                Ok(number.into())
            }
            Self::Flag => text.parse::<bool>().map(Into::into).map_err(|_| invalid("boolean")),
            Self::Words(words) if !words.contains(&text) => {
                Err(Refusal::invalid(format!("Invalid {at}: must be one of {}", words.join(", "))).param(at))
            }
            Self::Short(most) if text.chars().count() > *most => Err(Refusal::invalid(format!(
                "Invalid string: {text}; must be at most {most} characters"
            ))
            .param(at)),
            Self::Url if !["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)) => {
                Err(Refusal::invalid("Not a valid URL").code("url_invalid").param(at))
            }
            Self::Text
            | Self::Short(_)
            | Self::Words(_)
            | Self::Url
            | Self::Unset
            | Self::Metadata
            | Self::List(_)
            | Self::Of(_)
            | Self::Ignored => Ok(text.into()),
        }
    }
}

fn text<'a>(value: &'a Value, at: &str) -> Result<&'a str, Refusal> {
    let wrong = || {
        Refusal::invalid(format!("Invalid string: {value}"))
            .code("parameter_invalid_string")
            .param(at)
    };
    value.as_str().ok_or_else(wrong)
}

fn object<'a>(value: &'a Value, at: &str) -> Result<&'a Map<String, Value>, Refusal> {
    let wrong = || Refusal::invalid("Invalid object").param(at);
    value.as_object().ok_or_else(wrong)
}

fn list(of: &Shape, given: &Map<String, Value>, at: &str) -> Result<Value, Refusal> {
    let mut items = Vec::new();
    for (key, value) in given {
        let wrong = |_| Refusal::invalid("Invalid array").param(at);
        items.push((key.parse::<usize>().map_err(wrong)?, value));
    }
    items.sort_by_key(|(index, _)| *index);
    let check = |(index, value): (usize, &Value)| of.check(value, &format!("{at}[{index}]"));
    items.into_iter().map(check).collect()
}

/// At most 50 keys of 40 characters, values of 500; an empty text for all takes everything away.
fn metadata(value: &Value, at: &str) -> Result<Value, Refusal> {
    if value.as_str() == Some("") {
        return Ok(Value::Null);
    }
    let given = object(value, at)?;
    if given.len() > 50 {
        return Err(Refusal::invalid("You can only have up to 50 metadata keys.").param(at));
    }
    for (key, value) in given {
        let value = text(value, &join(at, key))?;
        let long = |what, most| {
            let message = format!("Metadata {what} can have up to {most} characters.");
            Err(Refusal::invalid(message).param(join(at, key)))
        };
        if key.chars().count() > 40 {
            return long("keys", 40);
        }
        if value.chars().count() > 500 {
            return long("values", 500);
        }
    }
    Ok(given.clone().into())
}
