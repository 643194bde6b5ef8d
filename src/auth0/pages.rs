//! Lists that come in pages, with their totals or without.

use serde_json::Value;

use super::api::{Api, Call, Endpoint};
use super::error::{Error, Kind};

/// 20 pages of 50 are 1000 roles, which is what a tenant may have by default.
const MAX_PAGES: usize = 100;

/// One page.
pub(super) struct Page<'a> {
    pub(super) items: &'a [Value],
    /// How many there are in all, where the answer says so.
    pub(super) total: Option<usize>,
}

impl<'a> Page<'a> {
    /// A plain list, or an object that holds it under `name`.
    pub(super) fn read(answer: &'a Value, name: &str) -> Option<Self> {
        let list = answer
            .as_object()
            .map_or(Some(answer), |members| members.get(name))?;
        Some(Self {
            items: list.as_array()?,
            total: answer["total"].as_u64().and_then(|n| n.try_into().ok()),
        })
    }

    /// Whether this page, which begins after `before` items and was asked for with `per_page`, is the last one.
    pub(super) fn is_last(&self, before: usize, per_page: usize) -> bool {
        let len = self.items.len();
        match self.total {
            Some(total) => len == 0 || before + len >= total,
            // More than was asked for: whoever answered knows no pages.
            None => len != per_page,
        }
    }
}

/// All items of a list. The answer names it `name`.
pub(super) async fn all<T>(
    api: &Api,
    which: (&Endpoint, &str),
    filter: Option<(&'static str, &str)>,
    name: &str,
    per_page: usize,
    item: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let (endpoint, path) = which;
    let mut items = Vec::new();
    for number in 0..MAX_PAGES {
        let mut call = Call::new(endpoint, path)
            .with("page", &number)
            .with("per_page", &per_page)
            .with("include_totals", &true);
        if let Some((parameter, value)) = filter {
            call = call.with(parameter, value);
        }
        let answer = api.read(&call).await?;
        let unreadable = || call.error(Kind::Unreadable);
        let page = Page::read(&answer, name).ok_or_else(unreadable)?;
        let last = page.is_last(items.len(), per_page);
        for value in page.items {
            items.push(item(value).ok_or_else(unreadable)?);
        }
        if last {
            return Ok(items);
        }
    }
    // A list that is cut short would be taken for the whole.
    Err(Error::new(Kind::Unreadable, endpoint.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn last(answer: &Value, before: usize) -> Option<bool> {
        Page::read(answer, "roles").map(|page| page.is_last(before, 2))
    }

    #[test]
    fn both_shapes_of_a_page_are_read() {
        assert_eq!(last(&json!([1, 2]), 0), Some(false));
        assert_eq!(last(&json!([1]), 2), Some(true));
        assert_eq!(last(&json!([]), 2), Some(true));
        let totals = |list: Value| json!({ "roles": list, "start": 0, "limit": 2, "total": 4 });
        assert_eq!(last(&totals(json!([1, 2])), 0), Some(false));
        assert_eq!(last(&totals(json!([1, 2])), 2), Some(true));
        // Fewer than asked for, and yet not the end: the total decides.
        assert_eq!(last(&totals(json!([1])), 0), Some(false));
        assert_eq!(last(&totals(json!([])), 2), Some(true));
        assert_eq!(last(&json!({ "users": [] }), 0), None);
        assert_eq!(last(&json!({ "roles": 7 }), 0), None);
    }

    #[test]
    fn a_list_longer_than_asked_for_is_the_whole_list() {
        assert_eq!(last(&json!([1, 2, 3]), 0), Some(true));
    }
}
