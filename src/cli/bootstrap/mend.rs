//! What went wrong, and the sentence that helps.

use crate::{auth0, stripe};

/// Where scopes are granted.
const GRANTS: &str =
    "in Auth0 under Applications > APIs > Auth0 Management API > Machine to Machine Applications";

/// How many webhook endpoints Stripe keeps for an account, in each mode (its documentation).
const MAX_ENDPOINTS: usize = 16;

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

/// Somebody deleted it between the look and the change.
pub(super) fn deleted(what: String) -> Problem {
    Problem::new(what, "it was deleted meanwhile", "run this again")
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
        Kind::Invalid { param, .. } if param.as_deref() == Some("url") => {
            "Stripe sends events to public addresses only, in live mode by https: write one as stripe.webhook.url; on your \
             own machine `stripe listen --forward-to` brings them and tells the secret"
                .to_owned()
        }
        Kind::Invalid { .. } => refused(error),
        Kind::Missing { .. } => "it was deleted meanwhile: run this again".to_owned(),
        Kind::Card { .. } | Kind::Unreadable => "run this again; it can also be done by hand in Stripe's dashboard".to_owned(),
    };
    Problem::new(what, error.to_string(), &mend)
}

/// The same for the list of webhook endpoints, which some that stand in for Stripe do not have.
pub(super) fn of_list(what: String, error: &stripe::Error) -> Problem {
    use stripe::Kind;
    let problem = of_stripe(what, error);
    match &error.kind {
        Kind::Missing { .. } | Kind::Invalid { status: 404, .. } => {
            let mend = "what answers at stripe.url has no webhook endpoints to list: make the endpoint by hand where it is \
                        made, and set its secret as stripe.webhook.secrets";
            Problem {
                mend: mend.to_owned(),
                ..problem
            }
        }
        Kind::Unreachable
        | Kind::Api(_)
        | Kind::RateLimited
        | Kind::Auth { .. }
        | Kind::Card { .. }
        | Kind::Idempotency
        | Kind::Invalid { .. }
        | Kind::Unreadable => problem,
    }
}

/// What was refused for a reason that only Stripe knows.
fn refused(error: &stripe::Error) -> String {
    let which = match &error.request_id {
        Some(id) => format!("the request {id}"),
        None => "this request".to_owned(),
    };
    format!("Stripe's dashboard says why, under Developers > Logs, at {which}")
}

/// The same for an endpoint that is to be made beside so many others.
pub(super) fn of_new_endpoint(what: String, error: &stripe::Error, others: usize) -> Problem {
    let problem = of_stripe(what, error);
    let is_limit = match &error.kind {
        stripe::Kind::Invalid { param, .. } => param.is_none() && others >= MAX_ENDPOINTS,
        stripe::Kind::Unreachable
        | stripe::Kind::Api(_)
        | stripe::Kind::RateLimited
        | stripe::Kind::Auth { .. }
        | stripe::Kind::Card { .. }
        | stripe::Kind::Idempotency
        | stripe::Kind::Missing { .. }
        | stripe::Kind::Unreadable => false,
    };
    if !is_limit {
        return problem;
    }
    let mend = format!(
        "the account has {others} webhook endpoints, and Stripe keeps {MAX_ENDPOINTS} in each mode: delete one that nobody \
         needs, under Developers > Webhooks, then run this again"
    );
    Problem { mend, ..problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid(param: Option<&str>) -> stripe::Error {
        stripe::Error {
            kind: stripe::Kind::Invalid {
                status: 400,
                code: None,
                param: param.map(str::to_owned),
                portal: false,
            },
            call: "POST /v1/webhook_endpoints",
            request_id: Some("req_7".to_owned()),
            retry_after: None,
        }
    }

    #[test]
    fn a_list_that_is_not_there_is_told_as_such() {
        let mut error = invalid(Some("url"));
        error.kind = stripe::Kind::Missing { param: None };
        let missing = of_list("it".to_owned(), &error).mend;
        error.kind = stripe::Kind::Invalid {
            status: 404,
            code: None,
            param: None,
            portal: false,
        };
        let unknown = of_list("it".to_owned(), &error).mend;
        assert!(
            missing.contains("no webhook endpoints to list"),
            "{missing}"
        );
        assert_eq!(missing, unknown);
    }

    fn mend(param: Option<&str>, others: usize) -> String {
        of_new_endpoint("it".to_owned(), &invalid(param), others).mend
    }

    #[test]
    fn a_refusal_is_about_the_address_only_where_stripe_says_so() {
        assert!(mend(Some("url"), 1).contains("public addresses"));
        for param in [None, Some("enabled_events[3]")] {
            let mend = mend(param, 1);
            assert!(
                mend.contains("req_7") && !mend.contains("addresses"),
                "{mend}"
            );
        }
    }

    #[test]
    fn an_account_that_is_full_of_endpoints_is_told_so() {
        assert!(mend(None, 16).contains("has 16 webhook endpoints"));
        assert!(mend(Some("url"), 16).contains("public addresses"));
    }
}
