//! Lists, read to their end or not at all: half a list would take away what was paid for.

use std::collections::HashSet;

use serde_json::Value;

use super::call::Call;
use super::send::Sender;
use crate::stripe::error::{Error, Kind};
use crate::stripe::form::Params;
use crate::stripe::json;

/// The most that Stripe puts on a page.
const PER_PAGE: &str = "100";

/// Five thousand objects of one customer is beyond any that pays.
const MAX_PAGES: usize = 50;

impl Sender {
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
            let Some(data) = page.get("data").and_then(Value::as_array) else {
                return Err(unreadable);
            };
            let mut last = None;
            for object in data {
                let (Some(id), Some(read)) = (json::id_of(object), read(object)) else {
                    return Err(unreadable);
                };
                // What is made or deleted between two pages may shift one into both.
                if seen.insert(id.clone()) {
                    all.push(read);
                    last = Some(id);
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

fn after(wanted: &Params, last: &str) -> Params {
    wanted.clone().with(&["starting_after"], last)
}
