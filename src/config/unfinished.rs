//! A file whose webhook endpoint is still to be made: Stripe tells the signing secret only then.

use super::interpolate::{self, Env};
use super::tree::{Node, Place, Value};
use crate::types::Secret;

/// What helps whoever has no signing secret yet.
pub(crate) const ADVICE: &str =
    "or run `tollgate bootstrap`, which makes the endpoint and tells its secret";

/// Passes for a signing secret until the file is read.
const STAND_IN: &str = "whsec_ not there yet";

/// The signing secrets that are not there: where each is named, and what stands between `${` and `}`.
pub(crate) fn missing(tree: &Node, env: Env<'_>) -> Vec<(Place, String)> {
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
    let missing = nodes.iter();
    missing
        .filter_map(|node| Some((node.place, missing_name(node, env)?)))
        .collect()
}

/// Puts stand-ins in the place of the signing secrets that are not there, and says which they are.
pub(crate) fn leave_out(tree: &mut Node, env: Env<'_>) -> Vec<String> {
    let missing = missing(tree, env);
    if let Some(secrets) = find_mut(tree) {
        let replace = |node: &mut Node| {
            if missing.iter().any(|(place, _)| *place == node.place) {
                node.value = Value::text(STAND_IN);
            }
        };
        if let Value::List(items) = &mut secrets.value {
            items.iter_mut().for_each(replace);
        } else {
            replace(secrets);
        }
    }
    missing.into_iter().map(|(_, name)| name).collect()
}

/// Whether it stands for one that is not there.
pub(crate) fn is_stand_in(secret: &Secret) -> bool {
    secret.expose() == STAND_IN
}

/// What stands in the braces, when the value is one `${…}` that leads to nothing.
fn missing_name(node: &Node, env: Env<'_>) -> Option<String> {
    let inner = node
        .value
        .as_text()?
        .strip_prefix("${")?
        .strip_suffix('}')?;
    let is_one = !inner.contains(['$', '{', '}']);
    (is_one && interpolate::is_nothing(inner, env)).then(|| inner.to_owned())
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
