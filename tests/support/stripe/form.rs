//! Form encoding as the API reads it: `a[b][0][c]=x`, `a[]=x`.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The parameters as a tree: maps and texts. A list is still a map with the keys `0`, `1`, ….
pub(super) fn decode(encoded: &str) -> Result<Map<String, Value>, Refusal> {
    let mut tree = Map::new();
    for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = unescape(key);
        let wrong = || Refusal::invalid(format!("Invalid parameter name: {key}"));
        let path = steps(&key).ok_or_else(wrong)?;
        put(&mut tree, &path, unescape(value)).ok_or_else(wrong)?;
    }
    Ok(tree)
}

/// `a[b][]` is `a`, `b` and nothing.
fn steps(key: &str) -> Option<Vec<&str>> {
    let Some((first, rest)) = key.split_once('[') else {
        return Some(vec![key]);
    };
    let rest = rest.strip_suffix(']')?;
    let steps: Vec<&str> = std::iter::once(first).chain(rest.split("][")).collect();
    (!steps.iter().any(|step| step.contains(['[', ']']))).then_some(steps)
}

fn put(tree: &mut Map<String, Value>, path: &[&str], value: String) -> Option<()> {
    let (first, rest) = path.split_first()?;
    let key = if first.is_empty() {
        tree.len().to_string()
    } else {
        (*first).to_owned()
    };
    if rest.is_empty() {
        tree.insert(key, value.into());
        return Some(());
    }
    let inner = tree.entry(key).or_insert_with(|| Map::new().into());
    put(inner.as_object_mut()?, rest, value)
}

/// Takes the escapes out; `+` is a space.
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(if *first == b'+' { b' ' } else { *first });
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
