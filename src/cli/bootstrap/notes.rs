//! What should be known, though nothing can be done about it here; most of it of the signing secret, which Stripe tells
//! once.

use std::path::Path;

use super::mend::Problem;
use super::plan::{Api, Present, extension};
use super::secret_file::{Content, content};
use crate::cli::wanted::Wanted;
use crate::config::Billing;

/// Where an endpoint's secret is shown.
const DASHBOARD: &str = "its dashboard, under Developers > Webhooks";

/// What is to be said beside the plan.
pub(super) fn notes(billing: &Billing, wanted: &Wanted, present: &Present) -> Vec<String> {
    let mut notes: Vec<String> = of_secret(billing, wanted, present).into_iter().collect();
    notes.extend(of_address(wanted, present));
    notes.extend(of_tokens(wanted, present));
    notes
}

/// An endpoint that is to be made at an address that nobody wrote.
fn of_address(wanted: &Wanted, present: &Present) -> Option<String> {
    let webhook = wanted
        .webhook
        .as_ref()
        .filter(|webhook| webhook.is_guessed)?;
    let endpoints = present.endpoints.as_ref()?;
    webhook.best(endpoints).is_none().then(|| {
        format!(
            "the address {} is guessed from frontend_url and base_path; write stripe.webhook.url if it is another",
            webhook.url
        )
    })
}

/// APIs that do not tell what is in their tokens, and lack nothing else.
pub(super) fn of_tokens(wanted: &Wanted, present: &Present) -> Vec<String> {
    let untold = present.apis.iter().filter(|(_, api)| match api {
        Api::There(api) => {
            let lacking = extension(api, &wanted.permissions);
            !wanted.permissions.is_empty() && !api.puts_permissions() && lacking.dialect.is_none()
        }
        Api::Missing | Api::Unseen => false,
    });
    let note = |(identifier, _): &(String, Api)| {
        format!(
            "Auth0 does not say whether access tokens of API {identifier} hold permissions: see that \"Add Permissions in \
             the Access Token\" is on in its settings"
        )
    };
    untold.map(note).collect()
}

fn of_secret(billing: &Billing, wanted: &Wanted, present: &Present) -> Option<String> {
    let known = billing.endpoints.webhook_secrets.len();
    let unset = billing.unset_secrets.len();
    if known > 0 && unset > 0 {
        return Some(format!(
            "{unset} of the {} signing secrets that stripe.webhook.secrets names lead to nothing yet; `serve` starts with all \
             of them alone",
            known + unset
        ));
    }
    let endpoint = wanted.webhook.as_ref().zip(present.endpoints.as_ref());
    let endpoint = endpoint.and_then(|(webhook, endpoints)| webhook.best(endpoints));
    endpoint.filter(|_| known == 0).map(|endpoint| {
        format!(
            "the config has no signing secret, and that of the webhook endpoint {} ({}) cannot be read: Stripe shows it in \
             {DASHBOARD}",
            endpoint.url, endpoint.id
        )
    })
}

/// Why `file` gets no secret, though whoever named it may wait for one: the endpoint is there already. A file that holds
/// one was written by an earlier run.
pub(super) fn unwritten(
    billing: &Billing,
    wanted: &Wanted,
    present: &Present,
    file: &Path,
) -> Option<Problem> {
    let endpoint = wanted.webhook.as_ref()?.best(present.endpoints.as_ref()?)?;
    let is_lacking =
        !billing.unset_secrets.is_empty() || billing.endpoints.webhook_secrets.is_empty();
    let is_needed = match content(file) {
        Content::Nothing => true,
        Content::Secret => false,
        Content::Other => is_lacking,
    };
    is_needed.then(|| {
        let what = format!("the file {} for the signing secret", file.display());
        let error = format!(
            "the webhook endpoint {} ({}) is there already, and Stripe tells its secret only when it is made",
            endpoint.url, endpoint.id
        );
        let mend = format!(
            "have Stripe show the secret or roll it, in {DASHBOARD}, and write it to the file; or delete the endpoint there \
             and run this again"
        );
        Problem::new(what, error, &mend)
    })
}
