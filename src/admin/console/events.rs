//! The events that came, the newest first.

use super::form::Form;
use super::html::Html;
use super::overview;
use super::page::{Page, Section};
use super::parts::{count, event_badge, event_link, moment, or_dash, table, user_link};
use super::trouble::{Trouble, ask};
use super::{Payments, Visit};
use crate::store::{Event, EventFilter, EventState};

/// Events shown where nobody says how many.
const LIMIT: u32 = 50;
/// Events shown at most.
const MAX_LIMIT: u32 = 500;

/// The page.
pub(super) async fn page(visit: &Visit<'_>, payments: &Payments) -> Result<Page, Trouble> {
    let filter = filter(&visit.query);
    let events = ask(payments.store.events(&filter)).await?;
    let page = Page::new(Section::Events, "Events", |h| {
        form(h, &filter);
        let shown = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let more = if events.len() >= filter.limit as usize {
            ", there may be more"
        } else {
            ""
        };
        let text = format!("{}{more}.", count(shown, "event", "events"));
        h.line("p", &[("class", "hint")], &text);
        if events.iter().any(|event| event.reason.is_some()) {
            with_reasons(h, &events);
        } else {
            overview::events(h, &events);
        }
    });
    Ok(page)
}

fn filter(query: &Form) -> EventFilter {
    let limit = query.field("limit").and_then(|text| text.parse().ok());
    EventFilter {
        state: query.field("state").and_then(EventState::from_word),
        event_type: query.field("type").map(str::to_owned),
        user: query.field("user").map(str::to_owned),
        limit: limit.unwrap_or(LIMIT).clamp(1, MAX_LIMIT),
    }
}

fn form(h: &mut Html, filter: &EventFilter) {
    let attributes = [
        ("method", "get"),
        ("action", "/events"),
        ("class", "filter"),
        ("role", "search"),
    ];
    h.tag("form", &attributes, |h| {
        field(h, "State", |h| {
            h.tag("select", &[("name", "state")], |h| {
                option(h, "", "all", filter.state.is_none());
                for state in [
                    EventState::Queued,
                    EventState::Processed,
                    EventState::Ignored,
                    EventState::Unmatched,
                ] {
                    option(h, state.word(), state.word(), filter.state == Some(state));
                }
            });
        });
        let kind = filter.event_type.as_deref().unwrap_or_default();
        field(h, "Type", |h| {
            input(h, "type", kind, "customer.subscription.updated");
        });
        let user = filter.user.as_deref().unwrap_or_default();
        field(h, "User", |h| input(h, "user", user, "auth0|…"));
        field(h, "At most", |h| {
            let (limit, most) = (filter.limit.to_string(), MAX_LIMIT.to_string());
            let attributes = [
                ("type", "number"),
                ("name", "limit"),
                ("min", "1"),
                ("max", most.as_str()),
                ("value", limit.as_str()),
            ];
            h.void("input", &attributes);
        });
        h.line("button", &[], "Show");
    });
}

/// A field with its label.
pub(super) fn field(h: &mut Html, name: &str, inside: impl FnOnce(&mut Html)) {
    h.tag("label", &[], |h| {
        h.line("span", &[], name);
        inside(h);
    });
}

/// An entry of a list to choose from.
pub(super) fn option(h: &mut Html, value: &str, text: &str, chosen: bool) {
    let plain = [("value", value)];
    let selected = [("value", value), ("selected", "")];
    let attributes: &[_] = if chosen { &selected } else { &plain };
    h.line("option", attributes, text);
}

/// A line to write into.
pub(super) fn input(h: &mut Html, name: &'static str, value: &str, example: &str) {
    let attributes = [
        ("type", "text"),
        ("name", name),
        ("value", value),
        ("placeholder", example),
        ("autocapitalize", "none"),
        ("autocomplete", "off"),
        ("spellcheck", "false"),
    ];
    h.void("input", &attributes);
}

/// The table with why events were ignored.
fn with_reasons(h: &mut Html, events: &[Event]) {
    let columns = &["Received", "State", "Type", "Event", "User", "Reason"];
    table(h, columns, events, "", |row, event| {
        row.cell(|h| moment(h, event.received_at));
        row.cell(|h| event_badge(h, event.state));
        row.text(&event.event_type);
        row.cell(|h| event_link(h, &event.id));
        row.cell(|h| match &event.user {
            Some(user) => user_link(h, user),
            None => or_dash(h, event.customer.as_deref()),
        });
        row.cell(|h| or_dash(h, event.reason.as_deref()));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_and_bounded_and_what_makes_no_sense_filters_nothing() {
        let read = |query: &str| filter(&Form::parse(query));
        let all = read("state=processed&type=invoice.paid&user=auth0%7Cann&limit=7");
        assert_eq!(all.state, Some(EventState::Processed));
        assert_eq!(all.event_type.as_deref(), Some("invoice.paid"));
        assert_eq!(all.user.as_deref(), Some("auth0|ann"));
        assert_eq!(all.limit, 7);
        assert_eq!(read("limit=0").limit, 1);
        assert_eq!(read("limit=99999").limit, MAX_LIMIT);
        let odd = read("state=lost&limit=many");
        assert_eq!((odd.state, odd.limit), (None, LIMIT));
    }
}
