//! What should be known of the signing secret, though nothing can be done about it here: Stripe tells it once.

use std::path::Path;

use super::mend::Problem;
use super::plan::Present;
use super::secret_file::{Content, content};
use crate::cli::wanted::Wanted;
use crate::config::Billing;

/// Where an endpoint's secret is shown.
const DASHBOARD: &str = "its dashboard, under Developers > Webhooks";

/// What is to be said beside the plan.
pub(super) fn notes(billing: &Billing, wanted: &Wanted, present: &Present) -> Vec<String> {
    let known = billing.endpoints.webhook_secrets.len();
    let unset = billing.unset_secrets;
    if known > 0 && unset > 0 {
        return vec![format!(
            "{unset} of the {} signing secrets that stripe.webhook.secrets names lead to nothing yet; `serve` starts with all \
             of them alone",
            known + unset
        )];
    }
    let endpoint = wanted.webhook.as_ref().zip(present.endpoints.as_ref());
    let endpoint = endpoint.and_then(|(webhook, endpoints)| webhook.best(endpoints));
    let note = endpoint.filter(|_| known == 0).map(|endpoint| {
        format!(
            "the config has no signing secret, and that of the webhook endpoint {} ({}) cannot be read: Stripe shows it in \
             {DASHBOARD}",
            endpoint.url, endpoint.id
        )
    });
    note.into_iter().collect()
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
    let is_lacking = billing.unset_secrets > 0 || billing.endpoints.webhook_secrets.is_empty();
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
