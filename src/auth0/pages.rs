//! Lists that come in pages, with their totals or without.

use std::collections::HashSet;

use serde_json::Value;

use super::api::{Api, Call, Endpoint};
use super::error::{Error, Kind};
use super::read;

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

    /// Whether this page, which begins after `before` items and was asked for with `per_page`, is the last one, as far as
    /// it says so. Without a total, fewer than `full` are the rest of the list.
    pub(super) fn is_last(&self, before: usize, per_page: usize, full: usize) -> bool {
        let len = self.items.len();
        match self.total {
            Some(total) => len == 0 || before + len >= total,
            // More than was asked for: whoever answered knows no pages.
            None => len == 0 || len < full || len > per_page,
        }
    }
}

/// A list that is asked for page by page.
pub(super) struct List<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) path: &'a str,
    /// Only what this parameter says.
    pub(super) filter: Option<(&'static str, &'a str)>,
    /// What the answer calls it.
    pub(super) name: &'a str,
    pub(super) per_page: usize,
    /// A page without a total that holds fewer is the last one. 1 where whoever answers may give fewer than were asked
    /// for: then only a page that brings nothing new ends the list.
    pub(super) full: usize,
}

impl<'a> List<'a> {
    pub(super) fn new(
        endpoint: &'a Endpoint,
        path: &'a str,
        name: &'a str,
        per_page: usize,
    ) -> Self {
        Self {
            endpoint,
            path,
            filter: None,
            name,
            per_page,
            full: 1,
        }
    }

    /// All its items, each once.
    pub(super) async fn all<T>(
        &self,
        api: &Api,
        item: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let (mut items, mut seen, mut read) = (Vec::new(), HashSet::new(), 0);
        for number in 0..MAX_PAGES {
            let call = self.page(number);
            let answer = api.read(&call).await?;
            let unreadable = || call.error(Kind::Unreadable);
            let page = Page::read(&answer, self.name).ok_or_else(unreadable)?;
            let known = seen.len();
            for value in page.items {
                let item = item(value).ok_or_else(unreadable)?;
                if seen.insert(identity(value)) {
                    items.push(item);
                }
            }
            let is_all_known = page.total.is_none() && seen.len() == known;
            if is_all_known || page.is_last(read, self.per_page, self.full) {
                return Ok(items);
            }
            read += page.items.len();
        }
        // A list that is cut short would be taken for the whole.
        Err(Error::new(Kind::Unreadable, self.endpoint.name))
    }

    fn page(&self, number: usize) -> Call<'a> {
        let call = Call::new(self.endpoint, self.path)
            .with("page", &number)
            .with("per_page", &self.per_page)
            .with("include_totals", &true);
        match self.filter {
            Some((parameter, value)) => call.with(parameter, value),
            None => call,
        }
    }
}

/// What tells an item from the others: its id, or else all of it.
fn identity(value: &Value) -> String {
    read::text(value, "id").unwrap_or_else(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn last(answer: &Value, before: usize) -> Option<bool> {
        Page::read(answer, "roles").map(|page| page.is_last(before, 2, 1))
    }

    #[test]
    fn both_shapes_of_a_page_are_read() {
        assert_eq!(last(&json!([1, 2]), 0), Some(false));
        // Fewer than asked for may be all that comes at a time.
        assert_eq!(last(&json!([1]), 2), Some(false));
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

    #[test]
    fn a_page_that_is_not_full_is_the_last_where_a_full_one_is_known() {
        for (answer, expected) in [
            (json!([1]), true),
            (json!([1, 2]), false),
            (json!({ "roles": [1], "total": 2 }), false),
        ] {
            let page = Page::read(&answer, "roles").unwrap();
            assert_eq!(page.is_last(0, 2, 2), expected, "{answer}");
        }
    }
}
