//! The small things that pages are made of: tables, facts, moments, badges, links.

use super::form::encode;
use super::html::Html;
use crate::reply::timestamp;
use crate::store::{Action, EventState, JobKey, JobState, RoleChange, UnixMillis};

/// How something stands, which gives it its colour; the words beside it say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    Bad,
    Warn,
    Good,
    Calm,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Good => "good",
            Self::Calm => "calm",
        }
    }
}

/// One row of a table in the making.
pub(super) struct Row<'a> {
    h: &'a mut Html,
    columns: &'static [&'static str],
    next: usize,
}

impl Row<'_> {
    /// The next cell. It knows its column's name, which a narrow screen shows beside it.
    pub(super) fn cell(&mut self, inside: impl FnOnce(&mut Html)) {
        let name = self.columns.get(self.next).copied().unwrap_or_default();
        self.next += 1;
        // A box of its own, so that a narrow screen has two to set beside each other.
        let wrapped = |h: &mut Html| h.tag("div", &[], inside);
        self.h.tag("td", &[("data-label", name)], wrapped);
    }

    /// The next cell, of text.
    pub(super) fn text(&mut self, text: &str) {
        self.cell(|h| h.text(text));
    }
}

/// A table, or what to say where it has no rows. A column without a name is one of buttons.
pub(super) fn table<T>(
    h: &mut Html,
    columns: &'static [&'static str],
    rows: &[T],
    empty: &str,
    write: impl Fn(&mut Row<'_>, &T),
) {
    if rows.is_empty() {
        h.line("p", &[("class", "empty")], empty);
        return;
    }
    h.tag("div", &[("class", "table")], |h| {
        h.tag("table", &[], |h| {
            h.tag("thead", &[], |h| {
                h.tag("tr", &[], |h| {
                    for name in columns {
                        head_cell(h, name);
                    }
                });
            });
            h.tag("tbody", &[], |h| {
                for row in rows {
                    h.tag("tr", &[], |h| {
                        let next = 0;
                        write(&mut Row { h, columns, next }, row);
                    });
                }
            });
        });
    });
}

fn head_cell(h: &mut Html, name: &str) {
    let attributes = [("scope", "col")];
    if name.is_empty() {
        h.tag("th", &attributes, |h| {
            h.line("span", &[("class", "hidden")], "Action");
        });
    } else {
        h.line("th", &attributes, name);
    }
}

/// A section with its heading.
pub(super) fn section(h: &mut Html, title: &str, inside: impl FnOnce(&mut Html)) {
    h.tag("section", &[("class", "card")], |h| {
        h.line("h2", &[], title);
        inside(h);
    });
}

/// A list of names and what they are.
pub(super) fn facts(h: &mut Html, inside: impl FnOnce(&mut Html)) {
    h.tag("dl", &[("class", "facts")], inside);
}

/// One of [`facts`].
pub(super) fn fact(h: &mut Html, name: &str, inside: impl FnOnce(&mut Html)) {
    h.tag("div", &[], |h| {
        h.line("dt", &[], name);
        h.tag("dd", &[], inside);
    });
}

/// A moment, as an ISO date that the script turns into "3 min ago".
pub(super) fn moment(h: &mut Html, millis: UnixMillis) {
    let iso = timestamp(millis.div_euclid(1000));
    let shown = iso.replace('T', " ").replace('Z', "");
    h.line("time", &[("datetime", &iso)], &shown);
}

/// A moment that may not have come.
pub(super) fn maybe_moment(h: &mut Html, millis: Option<UnixMillis>, none: &str) {
    match millis {
        Some(millis) => moment(h, millis),
        None => h.line("span", &[("class", "quiet")], none),
    }
}

/// A word with a colour.
pub(super) fn badge(h: &mut Html, tone: Tone, word: &str) {
    let class = format!("badge {}", tone.class());
    h.line("span", &[("class", &class)], word);
}

/// Text, or a dash.
pub(super) fn or_dash(h: &mut Html, text: Option<&str>) {
    match text {
        Some(text) => h.text(text),
        None => h.line("span", &[("class", "quiet")], "–"),
    }
}

/// A link whose text is an id.
pub(super) fn id_link(h: &mut Html, href: &str, id: &str) {
    h.tag("a", &[("href", href), ("class", "id")], |h| h.text(id));
}

/// The user's page.
pub(super) fn user_link(h: &mut Html, user: &str) {
    id_link(h, &user_path(user), user);
}

/// Where the user's page is.
pub(super) fn user_path(user: &str) -> String {
    format!("/users/{}", encode(user))
}

/// The event's page.
pub(super) fn event_link(h: &mut Html, id: &str) {
    id_link(h, &event_path(id), id);
}

/// Where the event's page is.
pub(super) fn event_path(id: &str) -> String {
    format!("/events/{}", encode(id))
}

/// Whose the customer is.
pub(super) fn customer_link(h: &mut Html, customer: &str) {
    id_link(h, &format!("/users?q={}", encode(customer)), customer);
}

/// What a job is about.
pub(super) fn job_link(h: &mut Html, key: &JobKey) {
    match key {
        JobKey::User(user) => user_link(h, user),
        JobKey::Customer(customer) => customer_link(h, customer),
        JobKey::Object(kind, id) => h.tag("span", &[("class", "id")], |h| {
            h.text(&format!("{kind} {id}"));
        }),
    }
}

/// How an event stands.
pub(super) fn event_badge(h: &mut Html, state: EventState) {
    let tone = match state {
        EventState::Queued => Tone::Warn,
        EventState::Processed => Tone::Good,
        EventState::Ignored => Tone::Calm,
        EventState::Unmatched => Tone::Bad,
    };
    badge(h, tone, state.word());
}

/// How a job stands.
pub(super) fn job_badge(h: &mut Html, state: JobState) {
    let tone = match state {
        JobState::Queued => Tone::Calm,
        JobState::Running => Tone::Good,
        JobState::Dead => Tone::Bad,
    };
    badge(h, tone, state.word());
}

/// Lines of the audit, with the users they are about where `with_user` says so.
pub(super) fn audit(h: &mut Html, changes: &[RoleChange], with_user: bool) {
    let columns: &'static [&'static str] = if with_user {
        &["When", "User", "What", "Why", "Result"]
    } else {
        &["When", "What", "Why", "Result"]
    };
    table(
        h,
        columns,
        changes,
        "No role was changed yet.",
        |row, change| {
            row.cell(|h| moment(h, change.at));
            if with_user {
                row.cell(|h| user_link(h, &change.user));
            }
            row.cell(|h| {
                h.text(match change.action {
                    Action::Assign => "role given: ",
                    Action::Remove => "role taken: ",
                    Action::EndSubscription => "set to end: ",
                });
                h.line("b", &[], &change.subject);
            });
            row.cell(|h| match &change.cause.event {
                Some(event) => {
                    h.text(&format!("{} ", change.cause.why));
                    event_link(h, event);
                }
                None => h.text(&change.cause.why),
            });
            row.cell(|h| match &change.error {
                None => badge(h, Tone::Good, "done"),
                Some(error) => {
                    badge(h, Tone::Bad, "failed");
                    h.line("span", &[("class", "error")], error);
                }
            });
        },
    );
}

/// `1 job`, `2 jobs`.
pub(super) fn count(number: i64, one: &str, many: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {many}")
    }
}
