//! `tollgate doctor`: live checks of everything that Tollgate depends on, each with its mend.
//!
//! Nothing is changed anywhere, but for a probe file, made and removed again beside a ledger that is not there yet. What
//! does not depend on each other is looked at at once, each look has its deadline, and the lines come in a fixed order.

mod account;
mod apis;
mod clock;
mod file;
mod keys;
mod ledger;
mod patience;
mod plain;
mod prices;
mod report;
mod roles;
mod tenant;
mod upstream;
mod webhook;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use self::apis::Tokens;
use self::ledger::Ledger;
use self::patience::{CALL, Patience};
use self::plain::Plain;
use self::report::{Area, Check, Report, Status};
use self::webhook::Arrivals;
use super::check::{print_as_json, report_mistakes};
use super::ledger::block_on;
use super::wanted::{Wanted, Webhook};
use crate::config::{self, Config};
use crate::stripe;
use crate::telemetry::Metrics;

/// What it is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Options {
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

const AFTER_HELP: &str = "\
Nothing is changed anywhere: not in Auth0, not in Stripe, not in the ledger; beside a ledger that is not there yet a probe \
file is made and removed again. Each line says PASS; or WARN: it works, or could not be looked at, and somebody should have a \
look; or FAIL: something that the config promises does not work. WARN and FAIL say what helps.

Exit status: 0 when no check failed, with warnings too; 1 when one failed; 2 when the config is wrong.";

/// 0 good, 1 found problems, 2 the config is wrong.
pub(super) fn run(path: &Path, options: &Options, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match config::load_unfinished(path, &config::process_env) {
        Ok(config) => config,
        Err(report) => {
            report_mistakes(&report, options.json, out)?;
            return Ok(2);
        }
    };
    let report = block_on(look(&config))?;
    if options.json {
        print_as_json(&report.answer(), out)?;
    } else {
        report.print(colours(), out)?;
    }
    Ok(u8::from(report.count(Status::Fail) > 0))
}

/// Colours are for people, unless they asked for none (no-color.org).
fn colours() -> bool {
    let unwanted = config::process_env("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !unwanted
}

/// Looks at everything.
async fn look(config: &Config) -> anyhow::Result<Report> {
    let patience = Patience::begin();
    let billing = config.billing.as_ref();
    let visit = Visit {
        config,
        wanted: Wanted::of(config),
        plain: Plain::new()?,
        patience,
        metrics: Arc::new(Metrics::new()?),
        ledger: billing.map(|billing| Ledger::new(&billing.store, patience)),
    };
    let (upstream, auth0, stripe, ledger) = tokio::join!(
        upstream::check(&config.proxy, patience),
        visit.auth0(),
        visit.stripe(),
        visit.ledger(),
    );
    Ok(Report::new(vec![
        (Area::Config, file::check(config)),
        (Area::Upstream, vec![upstream]),
        (Area::Auth0, auth0),
        (Area::Stripe, stripe),
        (Area::Ledger, ledger),
    ]))
}

/// One look at everything, and what it is done with.
struct Visit<'a> {
    config: &'a Config,
    wanted: Wanted,
    plain: Plain,
    patience: Patience,
    metrics: Arc<Metrics>,
    ledger: Option<Ledger<'a>>,
}

impl Visit<'_> {
    async fn auth0(&self) -> Vec<Check> {
        let Some(auth) = &self.config.auth else {
            return Vec::new();
        };
        let billing = self.config.billing.as_ref();
        let named = billing.map(|billing| billing.auth0.url.as_str());
        let tenant = named.or_else(|| keys::tenant_of(auth)).unwrap_or_default();
        let management = async {
            match billing {
                Some(billing) => {
                    let tokens = Tokens {
                        algorithms: &auth.algorithms,
                        max_age: billing.max_token_age,
                    };
                    let wanted = &self.wanted;
                    tenant::check(billing, wanted, tokens, self.patience, &self.metrics).await
                }
                None => Vec::new(),
            }
        };
        let (plain, url) = (&self.plain, &auth.jwks.url);
        let (mut checks, issuer, clock, management) = tokio::join!(
            keys::key_set(auth, self.patience),
            keys::issuer(auth, tenant, plain),
            clock::check("Auth0", plain.get(url), auth.leeway, "auth0.leeway"),
            management,
        );
        checks.extend([issuer, clock]);
        checks.extend(management);
        checks
    }

    async fn stripe(&self) -> Vec<Check> {
        let (Some(billing), Some(ledger), Some(webhook)) =
            (&self.config.billing, &self.ledger, &self.wanted.webhook)
        else {
            return Vec::new();
        };
        let tolerance = billing.endpoints.webhook_tolerance;
        let limited_by = "stripe.webhook.tolerance";
        // Whatever the key may do, the answer tells the time.
        let timed = format!("{}/v1/account", billing.stripe.url);
        let plain = &self.plain;
        let (mut checks, address, clock) = tokio::join!(
            self.account(Arrivals { billing, ledger }, webhook),
            webhook::address(plain, webhook, self.patience),
            clock::check(
                "Stripe",
                plain.get_with(&timed, &billing.stripe.secret_key),
                tolerance,
                limited_by
            ),
        );
        checks.extend([webhook::secret(billing), address, clock]);
        checks
    }

    async fn account(&self, arrivals: Arrivals<'_>, webhook: &Webhook) -> Vec<Check> {
        let mut config = arrivals.billing.stripe.clone();
        config.timeout = config.timeout.min(CALL);
        // Once more after a connection that broke; more would only be waited for.
        config.retries = config.retries.min(1);
        match stripe::Client::new(config, Arc::clone(&self.metrics)) {
            Ok(client) => account::check(&client, arrivals, webhook, self.patience).await,
            Err(error) => {
                let mend = "Check `stripe.secret_key`, and the system's certificates.";
                vec![Check::fail("key", error.to_string(), mend)]
            }
        }
    }

    async fn ledger(&self) -> Vec<Check> {
        match &self.ledger {
            Some(ledger) => ledger.check().await,
            None => Vec::new(),
        }
    }
}
