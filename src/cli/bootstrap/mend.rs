//! What went wrong, and the sentence that helps.

use crate::{auth0, stripe};

/// Where scopes are granted.
const GRANTS: &str =
    "in Auth0 under Applications > APIs > Auth0 Management API > Machine to Machine Applications";

/// Something that could not be looked at, or done.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// What it is about.
    pub(super) what: String,
    pub(super) error: String,
    pub(super) mend: String,
    /// Every other call to the same place would fail in the same way.
    pub(super) is_everywhere: bool,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, error: impl Into<String>, mend: &str) -> Self {
        Self {
            what: what.into(),
            error: error.into(),
            mend: mend.to_owned(),
            is_everywhere: false,
        }
    }
}

pub(super) fn of_auth0(what: String, error: &auth0::Error) -> Problem {
    use auth0::Kind;
    let mend = match &error.kind {
        Kind::Unreachable => "check auth0.domain or auth0.url, and the way there".to_owned(),
        Kind::Client => format!(
            "check client_id and client_secret in auth0.management, and that this application may use the API, {GRANTS}"
        ),
        Kind::Scope(scopes) => {
            format!("grant `{scopes}` to the application, {GRANTS}, then run this again")
        }
        Kind::Api(_) | Kind::RateLimited => {
            "run this again later: what was done is not done twice".to_owned()
        }
        Kind::NoRole(_) => "the role was deleted meanwhile: run this again".to_owned(),
        Kind::NoUser | Kind::Invalid(_) | Kind::Unreadable => {
            "do it by hand in Auth0's dashboard, then run this again".to_owned()
        }
    };
    Problem {
        is_everywhere: matches!(error.kind, Kind::Unreachable | Kind::Client),
        ..Problem::new(what, error.to_string(), &mend)
    }
}

pub(super) fn of_stripe(what: String, error: &stripe::Error) -> Problem {
    use stripe::{Kind, Right};
    let right = Right::WebhookEndpointsWrite.name();
    let mend = match &error.kind {
        Kind::Unreachable => "check stripe.url and the way there, then run this again".to_owned(),
        Kind::Auth { .. } => format!(
            "check stripe.secret_key; a restricted key needs the right `{right}` for this, in Stripe under Developers > API keys"
        ),
        Kind::Api(_) | Kind::RateLimited | Kind::Idempotency => {
            "run this again later: what was done is not done twice".to_owned()
        }
        Kind::Invalid { .. } => "Stripe sends events to public addresses only, in live mode by https: write one as \
            stripe.webhook.url; on your own machine `stripe listen --forward-to` brings them and tells the secret"
            .to_owned(),
        Kind::Missing { .. } => "it was deleted meanwhile: run this again".to_owned(),
        Kind::Card { .. } | Kind::Unreadable => "run this again; it can also be done by hand in Stripe's dashboard".to_owned(),
    };
    Problem::new(what, error.to_string(), &mend)
}
