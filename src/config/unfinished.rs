//! A file whose webhook endpoint is still to be made: Stripe tells the signing secret only then.

use super::interpolate::{self, Env};
use super::tree::{Node, Place, Value};
use crate::types::Secret;

/// What helps whoever has no signing secret yet.
pub(crate) const ADVICE: &str =
    "or run `tollgate bootstrap`, which makes the endpoint and tells its secret";

/// Passes for a signing secret until the file is read.
const STAND_IN: &str = "whsec_ not there yet";

/// The places of the signing secrets that are not there.
pub(crate) fn missing(tree: &Node, env: Env<'_>) -> Vec<Place> {
    let Some(secrets) = find(tree) else {
        return Vec::new();
    };
    let nodes = match &secrets.value {
        Value::List(items) => items.as_slice(),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Map(_)
        | Value::Invalid => std::slice::from_ref(secrets),
    };
    let missing = nodes.iter().filter(|node| is_missing(node, env));
    missing.map(|node| node.place).collect()
}

/// Puts stand-ins in the place of the signing secrets that are not there, and says how many there are.
pub(crate) fn leave_out(tree: &mut Node, env: Env<'_>) -> usize {
    let missing = missing(tree, env);
    if let Some(secrets) = find_mut(tree) {
        let replace = |node: &mut Node| {
            if missing.contains(&node.place) {
                node.value = Value::text(STAND_IN);
            }
        };
        if let Value::List(items) = &mut secrets.value {
            items.iter_mut().for_each(replace);
        } else {
            replace(secrets);
        }
    }
    missing.len()
}

/// Whether it stands for one that is not there.
pub(crate) fn is_stand_in(secret: &Secret) -> bool {
    secret.expose() == STAND_IN
}

/// Whether the value is one `${…}` that leads to nothing.
fn is_missing(node: &Node, env: Env<'_>) -> bool {
    let inner = node.value.as_text().and_then(|text| {
        let inner = text.strip_prefix("${")?.strip_suffix('}')?;
        (!inner.contains(['$', '{', '}'])).then_some(inner)
    });
    inner.is_some_and(|inner| interpolate::is_nothing(inner, env))
}

const PATH: [&str; 3] = ["stripe", "webhook", "secrets"];

fn find(tree: &Node) -> Option<&Node> {
    PATH.iter().try_fold(tree, |node, key| {
        let entries = node.value.as_map()?;
        let entry = entries.iter().find(|entry| entry.key == *key)?;
        Some(&entry.node)
    })
}

fn find_mut(tree: &mut Node) -> Option<&mut Node> {
    PATH.iter().try_fold(tree, |node, key| {
        let Value::Map(entries) = &mut node.value else {
            return None;
        };
        let entry = entries.iter_mut().find(|entry| entry.key == *key)?;
        Some(&mut entry.node)
    })
}
