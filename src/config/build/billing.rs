//! `stripe`, with what it needs of the other sections.

use std::time::Duration;

use super::auth::Tenant;
use super::plans::Sold;
use crate::config::billing::{Billing, Cancel, Store};
use crate::config::raw::Document;
use crate::config::raw::billing::{Reconcile, Stripe};
use crate::config::read::{At, Field, Invalid, Positive};
use crate::config::report::{Mistake, Mistakes};
use crate::entitlement::Terms;
use crate::types::Secret;
use crate::{auth0, endpoints, stripe, sync};

/// Attempts after the first: with Stripe's usual pauses they take two seconds.
const STRIPE_RETRIES: u32 = 2;
/// After a failure a job waits up to a second, then up to two, and so on.
const BACKOFF: Duration = Duration::from_secs(1);
/// A job that keeps failing is tried every ten minutes at least, so that a mended tenant is noticed soon.
const MAX_BACKOFF: Duration = Duration::from_secs(10 * 60);

/// One try asks Stripe and Auth0 a few things one after the other, over the Internet: in less time none would ever end.
const LEAST_DEADLINE: Duration = Duration::from_secs(1);
/// A look that starts anew sooner would keep a small shop's account and tenant busy without a pause.
const LEAST_EVERY: Duration = Duration::from_secs(1);

/// Billing, if the file has a `stripe` section.
///
/// # Errors
///
/// When something in it, or in what it needs, is wrong.
pub(super) fn billing(
    document: &Document,
    tenant: Option<&Tenant>,
    sold: Option<&Sold>,
    mistakes: &mut Mistakes,
) -> Result<Option<Billing>, Invalid> {
    if let Some(reconcile) = document
        .reconcile
        .get()
        .filter(|_| document.stripe.is_absent())
    {
        let message = "`reconcile` needs `stripe`, which is missing: without payments there is nothing to compare";
        let help = "add `stripe: { … }`, or take `reconcile` away";
        mistakes.add(Mistake::new(reconcile.place, message).help(help));
    }
    document
        .stripe
        .built(|raw| built(document, raw, tenant, sold, mistakes))
}

fn built(
    document: &Document,
    raw: &At<Stripe>,
    tenant: Option<&Tenant>,
    sold: Option<&Sold>,
    mistakes: &mut Mistakes,
) -> Option<Billing> {
    needs(document, raw, mistakes);
    let live = keys(raw, mistakes);
    let webhook = webhook(raw, mistakes);
    let workers = workers(document, mistakes);
    let reconcile = document.reconcile.built(|raw| rounds(raw, mistakes));
    let tenant = tenant?;
    let auth0 = document.auth0.get()?;
    let (webhook_secrets, webhook_tolerance) = webhook?;
    Some(Billing {
        stripe: stripe::Config {
            url: without_slash(&raw.url.value()?.text),
            secret_key: raw.secret_key.value()?,
            timeout: raw.timeout.value()?.0,
            retries: STRIPE_RETRIES,
        },
        auth0: management(document, tenant)?,
        endpoints: endpoints::Config {
            publishable_key: raw.publishable_key.value()?.0,
            live: live?,
            account: raw.account.optional().ok()?.map(|account| account.0),
            webhook_secrets,
            webhook_tolerance,
            frontend_url: without_slash(&raw.frontend_url.value()?.text),
            cancel_now: raw.cancel.value()? == Cancel::Immediately,
            max_token_age: auth0.max_token_age.value()?.0,
        },
        terms: Terms {
            catalog: sold?.catalog(),
            past_due: raw.past_due.value()?,
        },
        store: store(document)?,
        sync: workers?,
        reconcile: reconcile.ok()?,
        webhook_url: webhook_url(document, raw)?,
        webhook_url_is_guessed: raw.webhook.get()?.url.optional().ok()?.is_none(),
        unset_secrets: Vec::new(),
        max_token_age: auth0.max_token_age.value()?.0,
        leeway: tenant.auth.leeway,
    })
}

/// The look at all users now and then.
fn rounds(raw: &Reconcile, mistakes: &mut Mistakes) -> Option<sync::Reconcile> {
    at_least(
        LEAST_EVERY,
        &raw.every,
        "looks would follow one another without a pause",
        mistakes,
    );
    Some(sync::Reconcile {
        every: raw.every.value()?.0,
        fix: raw.fix.value()?,
    })
}

/// Reports a time that is shorter than `least`, and why that is too short.
fn at_least(least: Duration, time: &Field<Positive<Duration>>, why: &str, mistakes: &mut Mistakes) {
    if let Some(time) = time.get().filter(|time| time.value.0 < least) {
        let message = format!("this is too short: {why}");
        let help = format!("write `{}s` or more", least.as_secs());
        mistakes.add(Mistake::new(time.place, message).help(help));
    }
}

/// How jobs are worked on.
fn workers(document: &Document, mistakes: &mut Mistakes) -> Option<sync::Config> {
    let raw = document.sync.get()?;
    at_least(
        LEAST_DEADLINE,
        &raw.deadline,
        "no try of a job would ever end",
        mistakes,
    );
    let retention = match document.store.get() {
        Some(store) => store.retention.value()?.0,
        None => return None,
    };
    Some(sync::Config {
        workers: raw.workers.value()?.0,
        max_age: raw.max_age.value()?.0,
        deadline: raw.deadline.value()?.0,
        retention,
        backoff: BACKOFF,
        max_backoff: MAX_BACKOFF,
    })
}

/// Reports what `stripe` cannot do without.
fn needs(document: &Document, stripe: &At<Stripe>, mistakes: &mut Mistakes) {
    let management = document
        .auth0
        .get()
        .is_some_and(|auth0| auth0.management.is_absent());
    let missing = [
        (
            "plans",
            "what is sold: `plans: [{ name: …, role: …, price: …, mode: … }]`",
            document.plans.is_absent(),
        ),
        (
            "store",
            "the ledger: `store: { url: sqlite://tollgate.db }`",
            document.store.is_absent(),
        ),
        (
            "auth0",
            "the tenant whose roles follow the payments: `auth0: { … }`",
            document.auth0.is_absent(),
        ),
        (
            "auth0.management",
            "the client that may assign roles: `management: { client_id: …, client_secret: … }`",
            management,
        ),
    ];
    for (key, help, _) in missing.iter().filter(|(_, _, missing)| *missing) {
        let message = format!("`stripe` needs `{key}`, which is missing");
        mistakes.add(Mistake::new(stripe.place, message).help(format!("add {help}")));
    }
}

/// Checks both keys; `true` is live mode.
fn keys(raw: &Stripe, mistakes: &mut Mistakes) -> Option<bool> {
    let secret = raw.secret_key.get()?;
    let Some(live) = mode(secret.expose()) else {
        let message = if secret.expose().starts_with("pk_") {
            "this is a publishable key, not the secret one"
        } else {
            "this is no secret key of Stripe's"
        };
        let help =
            "it starts with `sk_test_`, `sk_live_`, or `rk_test_`, `rk_live_` for a restricted one";
        return mistakes.none(Mistake::new(secret.place, message).help(help));
    };
    let publishable = raw.publishable_key.get()?;
    if publishable.value.0.starts_with("pk_live_") != live {
        let name = |live| if live { "live" } else { "test" };
        let message = format!(
            "this key is of {} mode, the secret key of {} mode",
            name(!live),
            name(live)
        );
        return mistakes
            .none(Mistake::new(publishable.place, message).help("take both from the same mode"));
    }
    Some(live)
}

/// Whether a secret key is of live mode; `None` when it is none.
fn mode(key: &str) -> Option<bool> {
    let rest = key
        .strip_prefix("sk_")
        .or_else(|| key.strip_prefix("rk_"))?;
    match rest.split_once('_')? {
        ("live", id) if !id.is_empty() => Some(true),
        ("test", id) if !id.is_empty() => Some(false),
        _ => None,
    }
}

/// The signing secrets, and how old a signature may be.
fn webhook(raw: &Stripe, mistakes: &mut Mistakes) -> Option<(Vec<Secret>, Duration)> {
    let webhook = raw.webhook.get()?;
    let secrets = webhook.secrets.get()?;
    for secret in &secrets.0.items {
        if secret
            .expose()
            .strip_prefix("whsec_")
            .is_none_or(str::is_empty)
        {
            let message = "this is no signing secret of a webhook endpoint";
            let help = "it starts with `whsec_`; Stripe shows it beside the endpoint";
            mistakes.add(Mistake::new(secret.place, message).help(help));
        }
    }
    let secrets = secrets.0.values().cloned().collect();
    Some((secrets, webhook.tolerance.value()?.0))
}

/// Where Stripe sends events: as written, else on the frontend's host, where a reverse proxy before both usually has it.
fn webhook_url(document: &Document, raw: &Stripe) -> Option<String> {
    if let Some(url) = raw.webhook.get()?.url.optional().ok()? {
        return Some(url.text);
    }
    let frontend = raw.frontend_url.value()?;
    let base = document.server.get()?.base_path.optional().ok()?;
    let base = base.as_ref().map(|base| base.0.as_str());
    Some(format!(
        "{}://{}{}/stripe/webhook",
        frontend.scheme,
        frontend.authority,
        base.unwrap_or_default()
    ))
}

fn store(document: &Document) -> Option<Store> {
    let url: Secret = document.store.get()?.url.get()?.value.0.clone();
    Some(if url.expose().starts_with("sqlite:") {
        Store::Sqlite(url)
    } else {
        Store::Postgres(url)
    })
}

fn management(document: &Document, tenant: &Tenant) -> Option<auth0::Config> {
    let raw = document.auth0.get()?.management.get()?;
    let audience = raw.audience.optional().ok()?.map(|url| url.text);
    Some(auth0::Config {
        url: tenant.url.clone(),
        client_id: raw.client_id.value()?,
        client_secret: raw.client_secret.value()?,
        audience: audience.unwrap_or_else(|| format!("{}api/v2/", tenant.url)),
        timeout: raw.timeout.value()?.0,
        rate: raw.rate.value()?,
    })
}

fn without_slash(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}
