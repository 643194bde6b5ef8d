//! Who looks at the page, and the buttons that are there for those who may act.

use super::form::encode;
use super::html::Html;

/// Who looks at the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hand {
    /// Nobody may act: the config has no `admin.token`.
    ReadOnly,
    /// Somebody who did not sign in; and where to come back to.
    Stranger { here: String },
    /// Somebody who did.
    Operator { csrf: String },
}

/// A button that does something.
pub(super) struct Button<'a> {
    pub(super) label: &'a str,
    /// Where its form goes.
    pub(super) to: &'a str,
    /// What its form holds.
    pub(super) fields: &'a [(&'static str, &'a str)],
    /// What the script asks before: where it may take something from somebody.
    pub(super) question: Option<&'a str>,
}

impl Hand {
    /// The corner of each page that says who one is.
    pub(super) fn corner(&self, h: &mut Html) {
        h.tag("div", &[("class", "corner")], |h| match self {
            Self::ReadOnly => {
                let title = "Nobody may act here: the config has no admin.token";
                h.line(
                    "span",
                    &[("class", "badge calm"), ("title", title)],
                    "read-only",
                );
            }
            Self::Stranger { here } => {
                let href = format!("/sign-in?next={}", encode(here));
                h.line("a", &[("href", &href)], "Sign in");
            }
            Self::Operator { csrf } => {
                let form = [("method", "post"), ("action", "/sign-out")];
                h.tag("form", &form, |h| {
                    hidden(h, "csrf", csrf);
                    h.line("button", &[("class", "quiet")], "Sign out");
                });
            }
        });
    }

    /// Whether there are buttons.
    pub(super) fn may_act(&self) -> bool {
        match self {
            Self::ReadOnly | Self::Stranger { .. } => false,
            Self::Operator { .. } => true,
        }
    }

    /// A button, for those who may press it; nothing for the others, whom [`Hand::why_not`] tells why.
    pub(super) fn button(&self, h: &mut Html, button: &Button<'_>) {
        let Self::Operator { csrf } = self else {
            return;
        };
        let mut form = vec![("method", "post"), ("action", button.to), ("class", "act")];
        form.extend(button.question.map(|question| ("data-confirm", question)));
        h.tag("form", &form, |h| {
            hidden(h, "csrf", csrf);
            for (name, value) in button.fields {
                hidden(h, name, value);
            }
            h.line("button", &[], button.label);
        });
    }

    /// Why there is no button where one would be.
    pub(super) fn why_not(&self, h: &mut Html, what: &str) {
        match self {
            Self::Operator { .. } => {}
            Self::ReadOnly => h.tag("p", &[("class", "hint")], |h| {
                h.text("The console is read-only: set ");
                h.line("code", &[], "admin.token");
                h.text(&format!(" in the config to {what} here."));
            }),
            Self::Stranger { here } => h.tag("p", &[("class", "hint")], |h| {
                let href = format!("/sign-in?next={}", encode(here));
                h.line("a", &[("href", &href)], "Sign in");
                h.text(&format!(" to {what}."));
            }),
        }
    }
}

fn hidden(h: &mut Html, name: &str, value: &str) {
    let attributes = [("type", "hidden"), ("name", name), ("value", value)];
    h.void("input", &attributes);
}
