//! What an address of the console stands for.

use http::Uri;

use super::act::{self, Action};
use super::asset::Asset;
use super::form::{Form, decode};
use super::page::Section;
use super::parts::{event_path, user_path};

/// What an address stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Asset(Asset),
    Show(Show),
    Do(Deed),
    SignIn,
    SignOut,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Overview,
    Events,
    Event(String),
    Jobs,
    Users,
    User(String),
    Drift,
    Health,
    Routes,
}

/// Something to do, as far as the address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Replay(String),
    Retry,
    RetryDead,
    Sync(String),
    Fix,
}

impl Place {
    /// What `path` stands for. An id is one segment, percent-encoded.
    pub(super) fn of(path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        Some(match segments.as_slice() {
            [""] => Self::Show(Show::Overview),
            ["events"] => Self::Show(Show::Events),
            ["events", id] => Self::Show(Show::Event(segment(id)?)),
            ["events", id, "replay"] => Self::Do(Deed::Replay(segment(id)?)),
            ["jobs"] => Self::Show(Show::Jobs),
            ["jobs", "retry"] => Self::Do(Deed::Retry),
            ["jobs", "retry-dead"] => Self::Do(Deed::RetryDead),
            ["users"] => Self::Show(Show::Users),
            ["users", user] => Self::Show(Show::User(segment(user)?)),
            ["users", user, "sync"] => Self::Do(Deed::Sync(segment(user)?)),
            ["drift"] => Self::Show(Show::Drift),
            ["drift", "fix"] => Self::Do(Deed::Fix),
            ["health"] => Self::Show(Show::Health),
            ["routes"] => Self::Show(Show::Routes),
            ["sign-in"] => Self::SignIn,
            ["sign-out"] => Self::SignOut,
            ["assets", name] => Self::Asset(Asset::named(name)?),
            _ => return None,
        })
    }

    /// The page to come back to from here after signing in: what a form was sent to is none.
    pub(super) fn page(&self, uri: &Uri) -> String {
        match self {
            Self::Show(_) => {
                // What was done is not to be said once more.
                let pairs = uri.query().unwrap_or_default().split('&');
                let kept = |pair: &&str| !pair.starts_with("done=") && !pair.starts_with("jobs=");
                match pairs.filter(kept).collect::<Vec<_>>().join("&").as_str() {
                    "" => uri.path().to_owned(),
                    query => format!("{}?{query}", uri.path()),
                }
            }
            Self::Do(Deed::Replay(id)) => event_path(id),
            Self::Do(Deed::Retry | Deed::RetryDead) => "/jobs".to_owned(),
            Self::Do(Deed::Sync(user)) => user_path(user),
            Self::Do(Deed::Fix) => "/drift".to_owned(),
            Self::Asset(_) | Self::SignIn | Self::SignOut => "/".to_owned(),
        }
    }

    /// Value of `Allow`.
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Self::Asset(_) | Self::Show(_) => "GET, HEAD",
            Self::SignIn => "GET, HEAD, POST",
            Self::Do(_) | Self::SignOut => "POST",
        }
    }
}

fn segment(text: &str) -> Option<String> {
    let decoded = decode(text);
    (!decoded.is_empty()).then_some(decoded)
}

impl Show {
    /// Where in the navigation it stands.
    pub(super) fn section(&self) -> Section {
        match self {
            Self::Overview => Section::Overview,
            Self::Events | Self::Event(_) => Section::Events,
            Self::Jobs => Section::Jobs,
            Self::Users | Self::User(_) => Section::Users,
            Self::Drift => Section::Drift,
            Self::Health => Section::Health,
            Self::Routes => Section::Routes,
        }
    }
}

impl Deed {
    /// What is to be done, the form included; `None` where that does not say.
    pub(super) fn action(self, form: &Form) -> Option<Action> {
        match self {
            Self::Replay(id) => Some(Action::Replay(id)),
            Self::Retry => act::job_key(form).map(Action::Retry),
            Self::RetryDead => Some(Action::RetryDead),
            Self::Sync(user) => act::is_id(&user).then_some(Action::Sync(user)),
            Self::Fix => act::job_key(form).map(Action::Fix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_an_address_may_hold_anything() {
        let user = Place::Show(Show::User("samlp|a/b c".into()));
        assert_eq!(Place::of("/users/samlp%7Ca%2Fb%20c"), Some(user));
        let replay = Place::Do(Deed::Replay("evt_1".into()));
        assert_eq!(Place::of("/events/evt_1/replay"), Some(replay));
    }

    #[test]
    fn signing_in_leads_back_to_a_page_that_can_be_looked_at_and_says_nothing_twice() {
        for (address, expected) in [
            ("/users?q=a%7Cb&plan=monthly", "/users?q=a%7Cb&plan=monthly"),
            ("/?done=signed-out", "/"),
            ("/jobs?done=retried-dead&jobs=3", "/jobs"),
            ("/events/evt_1?done=replayed", "/events/evt_1"),
            ("/jobs/retry", "/jobs"),
            ("/jobs/retry-dead", "/jobs"),
            ("/drift/fix", "/drift"),
            ("/users/auth0%7Cann/sync", "/users/auth0%7Cann"),
            ("/events/evt_1/replay", "/events/evt_1"),
            ("/sign-out", "/"),
        ] {
            let uri: Uri = address.parse().unwrap();
            let place = Place::of(uri.path()).unwrap();
            assert_eq!(place.page(&uri), expected, "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        for path in [
            "",
            "events",
            "/events/",
            "/nothing",
            "/users/a/b",
            "/assets/x",
            "//",
        ] {
            assert_eq!(Place::of(path), None, "{path}");
        }
    }
}
