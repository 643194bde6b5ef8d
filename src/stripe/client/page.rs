//! Lists, read to their end or not at all: half a list would take away what was paid for.

use std::collections::HashSet;

use serde_json::Value;

use super::call::Call;
use super::send::Sender;
use crate::stripe::account::Page;
use crate::stripe::error::{Error, Kind};
use crate::stripe::form::Params;
use crate::stripe::json;

/// The most that Stripe puts on a page.
const PER_PAGE: &str = "100";

/// Parameters that list what one owner has, and what the listed objects call it too.
const OWNERS: [&str; 4] = ["customer", "subscription", "charge", "payment_intent"];

/// Five thousand objects of one customer is beyond any that pays.
const MAX_PAGES: usize = 50;

impl Sender {
    /// The page of what `call` lists that comes after `after`, or the first, read by `read`.
    ///
    /// # Errors
    ///
    /// When the page cannot be had or read, or says that there is more and not where.
    pub(super) async fn page<T>(
        &self,
        mut call: Call,
        after: Option<&str>,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Page<T>, Error> {
        let unreadable = || Error::of(call.template, Kind::Unreadable);
        let mut params = call.params.with(&["limit"], PER_PAGE);
        if let Some(after) = after {
            params = params.with(&["starting_after"], after);
        }
        call.params = params;
        let page = self.send(&call).await?;
        let data = data(&page).ok_or_else(unreadable)?;
        let items = read_all(data, read).ok_or_else(unreadable)?;
        if !json::flag(&page, "has_more") {
            return Ok(Page { items, next: None });
        }
        // Who is sent to where they come from would never end.
        let next = data.last().and_then(json::id_of);
        let next = next.filter(|next| after != Some(next.as_str()));
        let next = Some(next.ok_or_else(unreadable)?);
        Ok(Page { items, next })
    }

    /// The first of what `call` lists, `limit` at most, read by `read`; whether there is more is not looked at.
    ///
    /// # Errors
    ///
    /// When they cannot be had or read.
    pub(super) async fn first<T>(
        &self,
        mut call: Call,
        limit: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        call.params = call.params.with(&["limit"], limit);
        let page = self.send(&call).await?;
        let items = data(&page).and_then(|data| read_all(data, read));
        items.ok_or_else(|| Error::of(call.template, Kind::Unreadable))
    }

    /// Everything that `call` lists, read by `read`, each once.
    ///
    /// # Errors
    ///
    /// When a page cannot be had or read, when the pages do not get on, or there are too many.
    pub(super) async fn list<T>(
        &self,
        mut call: Call,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let unreadable = Error::of(call.template, Kind::Unreadable);
        let wanted = call.params.with(&["limit"], PER_PAGE);
        let (mut all, mut seen) = (Vec::new(), HashSet::new());
        call.params = wanted.clone();
        for _ in 0..MAX_PAGES {
            let page = self.send(&call).await?;
            let Some(data) = data(&page) else {
                return Err(unreadable);
            };
            let mut last = None;
            for object in data {
                let id = json::id_of(object);
                // What is made or deleted between two pages may shift one into both.
                if id.as_ref().is_some_and(|id| !seen.insert(id.clone())) {
                    continue;
                }
                last = id;
                if !is_of_another(object, &wanted) {
                    all.push(
                        read(object).ok_or_else(|| Error::of(call.template, Kind::Unreadable))?,
                    );
                }
            }
            if !json::flag(&page, "has_more") {
                return Ok(all);
            }
            let Some(last) = last else {
                return Err(unreadable);
            };
            call.params = after(&wanted, &last);
        }
        Err(unreadable)
    }
}

/// What is on the page. Some leave an empty list out.
fn data(page: &Value) -> Option<&[Value]> {
    let is_empty_list = json::text(page, "object") == Some("list") && !json::flag(page, "has_more");
    match page.get("data") {
        Some(Value::Array(data)) => Some(data),
        Some(Value::Null) | None if is_empty_list => Some(&[]),
        Some(_) | None => None,
    }
}

fn read_all<T>(data: &[Value], read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    data.iter().map(read).collect()
}

/// Whether `object` names another owner than the one whose things were asked for: not all filter as they are told, and
/// nobody is to get what others paid for.
fn is_of_another(object: &Value, wanted: &Params) -> bool {
    OWNERS.into_iter().any(|key| {
        let named = json::id(object, key);
        let asked = wanted.value(key);
        named.is_some_and(|named| asked.is_some_and(|asked| asked != named))
    })
}

fn after(wanted: &Params, last: &str) -> Params {
    wanted.clone().with(&["starting_after"], last)
}
