//! `tollgate reconcile`: every customer and every holder of a plan's role, Stripe against Auth0.

mod bar;
mod page;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use arc_swap::ArcSwap;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::bar::Bar;
use self::page::{Answer, print_page};
use super::check::print_as_json;
use super::ledger::{Ledger, block_on};
use super::read_config;
use crate::clock::SystemClock;
use crate::config::Billing;
use crate::sync::{LEASE, Looked, Mended, Parts, Reconciler, Sync, Taking, Trouble};
use crate::telemetry::Metrics;
use crate::{auth0, stripe};

/// Users looked at alone at a time. Each costs Stripe a few calls, of which it takes 25 a second at least.
const AT_ONCE: usize = 4;
/// How often it is tried again while another run is at it, or was killed a moment ago.
const AGAIN: Duration = Duration::from_millis(250);

/// For so long one call to Auth0 is repeated while the tenant's rate limit is used up.
const CALL: Duration = Duration::from_secs(30);

/// What it is told.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Options {
    /// Mend what differs, through the ordinary jobs.
    #[arg(long)]
    pub(super) fix: bool,
    /// With --fix: also take roles away that it would leave, because they may be paid for after all.
    #[arg(long, requires = "fix")]
    pub(super) force: bool,
    /// Begin anew, also when an earlier run was cut short.
    #[arg(long)]
    pub(super) restart: bool,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// 0 nothing differs, or all of it was mended; 1 something differs, or not everybody could be looked at; 2 the config is
/// wrong.
pub(super) fn run(path: &Path, options: &Options, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match read_config(path, out)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let done = block_on(async {
        let Some(billing) = &config.billing else {
            bail!("the config has no `stripe` section, so there is nothing to compare");
        };
        let stop = CancellationToken::new();
        let work = reconcile(billing, options, &stop);
        let mut work = std::pin::pin!(work);
        let (mut interrupted, mut terminated) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        tokio::select! {
            done = &mut work => return done,
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        stop.cancel();
        work.await
    });
    match done {
        Ok(answer) => {
            if options.json {
                print_as_json(&answer, out)?;
            } else {
                print_page(&answer, out)?;
            }
            Ok(u8::from(!answer.is_well()))
        }
        Err(error) => {
            if options.json {
                print_as_json(&serde_json::json!({ "error": format!("{error:#}") }), out)?;
            }
            writeln!(std::io::stderr(), "{error:#}")?;
            Ok(1)
        }
    }
}

async fn reconcile(
    billing: &Billing,
    options: &Options,
    stop: &CancellationToken,
) -> anyhow::Result<Answer> {
    let ledger = Ledger::open(&billing.store).await?;
    let parts = parts(billing, &ledger)?;
    // Jobs have their own ways to try again.
    let patient = Parts {
        auth0: Arc::new(parts.auth0.patient(CALL)),
        ..parts.clone()
    };
    let reconciler = Reconciler::new(&patient, billing.sync.clone(), AT_ONCE);
    let bar = Bar::new(reconciler.progress());
    let looked = bar.beside(look(&reconciler, options.restart, stop)).await;
    let looked = looked.map_err(told)?;
    if !options.fix {
        return Ok(Answer::new(&looked, None));
    }
    let taking = if options.force {
        Taking::Forced
    } else {
        Taking::Asked
    };
    let mending = mend(
        &reconciler,
        (&looked, taking),
        (billing, parts),
        &ledger,
        stop,
    );
    let mended = bar.beside(mending).await.map_err(told_of_mending)?;
    Ok(Answer::new(&looked, Some(&mended)))
}

fn parts(billing: &Billing, ledger: &Ledger) -> anyhow::Result<Parts> {
    let metrics = Arc::new(Metrics::new()?);
    let clock = Arc::new(SystemClock);
    let stripe = stripe::Client::new(billing.stripe.clone(), Arc::clone(&metrics))?;
    let auth0 = auth0::Client::new(
        billing.auth0.clone(),
        Arc::clone(&clock) as _,
        Arc::clone(&metrics),
    )?;
    Ok(Parts {
        stripe: Arc::new(stripe),
        auth0: Arc::new(auth0),
        store: ledger.store(),
        terms: Arc::new(ArcSwap::from_pointee(billing.terms.clone())),
        clock,
        metrics,
    })
}

/// Looks at every user. A run that was killed holds its place for a moment, which is waited for.
async fn look(
    reconciler: &Reconciler,
    restart: bool,
    stop: &CancellationToken,
) -> Result<Looked, Trouble> {
    let began = Instant::now();
    loop {
        let looked = reconciler.look(restart, stop).await;
        let may_be_dead = began.elapsed() <= LEASE;
        if !(may_be_dead && matches!(looked, Err(Trouble::InUse))) {
            return looked;
        }
        if stop.run_until_cancelled(sleep(AGAIN)).await.is_none() {
            return Err(Trouble::Stopped);
        }
    }
}

/// Mends what differs. Where no server works on the jobs, this process does.
async fn mend(
    reconciler: &Reconciler,
    (looked, taking): (&Looked, Taking),
    (billing, parts): (&Billing, Parts),
    ledger: &Ledger,
    stop: &CancellationToken,
) -> Result<Mended, Trouble> {
    let sync = Arc::new(Sync::new(parts, billing.sync.clone()));
    let over = CancellationToken::new();
    let mending = async {
        let mended = reconciler.mend(looked, taking, stop).await;
        over.cancel();
        mended
    };
    let working = async {
        // It takes a while to be sure that no server runs; one that does is at work meanwhile.
        let may_work = over.run_until_cancelled(ledger.may_work()).await;
        if let Some(Ok(true)) = may_work {
            sync.run(over.clone()).await;
        }
    };
    let (mended, ()) = tokio::join!(mending, working);
    mended
}

/// What the operator is told of a run that did not come to its end.
fn told(trouble: Trouble) -> anyhow::Error {
    let kept = "what was looked at is kept; the next run reads the lists again, and goes on there";
    match trouble {
        Trouble::InUse => anyhow::anyhow!(
            "another run is at it, here or in a server's background: wait until it has ended"
        ),
        Trouble::Stopped => anyhow::anyhow!("stopped: {kept}"),
        Trouble::Away(why) => anyhow::anyhow!("{why}: {kept}"),
        Trouble::TakenOver | Trouble::Store(_) => trouble.into(),
    }
}

/// What the operator is told of mending that did not come to its end.
fn told_of_mending(trouble: Trouble) -> anyhow::Error {
    match trouble {
        Trouble::Stopped => anyhow::anyhow!(
            "stopped while mending: what is mended is mended, and jobs that were asked for are still done; run it again"
        ),
        Trouble::InUse | Trouble::TakenOver | Trouble::Away(_) | Trouble::Store(_) => {
            trouble.into()
        }
    }
}
