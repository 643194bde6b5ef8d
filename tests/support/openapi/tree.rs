//! Form encoding, read back into the tree that it stands for.

use std::collections::BTreeMap;

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    Leaf(String),
    Map(Fields),
}

/// The parts of an object; of a list under their places.
pub(crate) type Fields = BTreeMap<String, Tree>;

/// Reads `a[b][0]=c&a[]=d`.
///
/// # Errors
///
/// When it is not well formed, or gives two values to one name.
pub(crate) fn decode(form: &str) -> Result<Fields, String> {
    let mut fields = Fields::new();
    for pair in form.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(format!("{pair:?} has no `=`"))?;
        let (name, value) = (unescape(name)?, unescape(value)?);
        insert(&mut fields, &words(&name)?, value)?;
    }
    Ok(fields)
}

/// `a[b][]` is `a`, `b` and nothing.
fn words(name: &str) -> Result<Vec<&str>, String> {
    let (first, rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut words = vec![first];
    let mut rest = rest;
    while !rest.is_empty() {
        let inside = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (word, after) = inside.ok_or(format!("{name:?} has odd brackets"))?;
        words.push(word);
        rest = after;
    }
    Ok(words)
}

fn insert(fields: &mut Fields, words: &[&str], value: String) -> Result<(), String> {
    let [word, rest @ ..] = words else {
        return Err("no name".to_owned());
    };
    let key = if word.is_empty() {
        fields.len().to_string()
    } else {
        (*word).to_owned()
    };
    if rest.is_empty() {
        return match fields.insert(key.clone(), Tree::Leaf(value)) {
            None => Ok(()),
            Some(_) => Err(format!("{key:?} stands twice")),
        };
    }
    let below = fields
        .entry(key)
        .or_insert_with(|| Tree::Map(Fields::new()));
    match below {
        Tree::Map(below) => insert(below, rest, value),
        Tree::Leaf(_) => Err(format!("{word:?} is a value and an object")),
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let bad = || format!("{text:?} is badly encoded");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match *first {
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2).ok_or_else(bad)?;
                let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
                rest = tail;
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}
