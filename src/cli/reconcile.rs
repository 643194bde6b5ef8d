//! `tollgate reconcile`: every customer and every holder of a plan's role, Stripe against Auth0.

mod bar;
mod page;

use std::io::{self, Write};
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
use super::check::{print_as_json, report_mistakes};
use super::ledger::{Ledger, block_on, depends_on_folder, place};
use crate::clock::SystemClock;
use crate::config::{self, Billing};
use crate::sync::{LEASE, Looked, Mended, Parts, Reconciler, Sync, Taking, Trouble};
use crate::telemetry::Metrics;
use crate::{auth0, stripe};

/// Users looked at alone at a time. Each costs Stripe a few calls, of which it takes 25 a second at least.
const AT_ONCE: usize = 4;
/// How often it is tried again while another run is at it, or was killed a moment ago.
const AGAIN: Duration = Duration::from_millis(250);

/// For so long one call to Auth0 is repeated while the tenant's rate limit is used up.
const CALL: Duration = Duration::from_secs(30);

/// The same in a job, which makes several calls before its deadline.
const CALL_OF_A_JOB: Duration = Duration::from_secs(15);

/// What it is told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
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

const AFTER_HELP: &str = "\
Without --fix nothing is changed in Stripe or Auth0. --fix makes the ledger where there is none yet; \
but not where `store.url` names it without its folder, for in another folder that is another ledger.

Exit status: 0 when nothing differs, or --fix mended all of it; 1 when something differs, somebody could not be looked at, a \
list could not be had, or a job that is at it has failed before and is tried on; 2 when the config is wrong, or sells nothing. A \
user whose first job is still under way is no difference.";

/// 0 nothing differs, or all of it was mended; 1 something differs, or not everybody could be looked at; 2 the config is
/// wrong.
pub(super) fn run(path: &Path, options: &Options, out: &mut dyn Write) -> anyhow::Result<u8> {
    // No event is heard here, so the signing secrets of the webhook endpoint may be missing.
    let config = match config::load_unfinished(path, &config::process_env) {
        Ok(config) => config,
        Err(report) => {
            report_mistakes(&report, options.json, out)?;
            return Ok(2);
        }
    };
    let Some(billing) = &config.billing else {
        let why = "the config has no `stripe` section, so there is nothing to compare";
        refuse(why, options, out)?;
        return Ok(2);
    };
    match block_on(until_told(billing, options)) {
        Ok(answer) => {
            if options.json {
                print_as_json(&answer, out)?;
            } else {
                print_page(&answer, out)?;
            }
            Ok(u8::from(!answer.is_well()))
        }
        Err(error) => {
            refuse(&format!("{error:#}"), options, out)?;
            Ok(1)
        }
    }
}

/// Says why there is no outcome.
fn refuse(why: &str, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    if options.json {
        print_as_json(&serde_json::json!({ "error": why }), out)?;
    }
    writeln!(io::stderr(), "{why}")
}

/// Compares, to the end or until a signal asks for it.
async fn until_told(billing: &Billing, options: &Options) -> anyhow::Result<Answer> {
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
}

/// The ledger. Where there is none, an empty one does for a look, and the operator is told; mending makes it, unless its name
/// means another one in another folder.
async fn ledger(billing: &Billing, options: &Options) -> anyhow::Result<(Ledger, Option<String>)> {
    if let Some(ledger) = Ledger::open(&billing.store).await? {
        return Ok((ledger, None));
    }
    let place = place(&billing.store);
    if options.fix {
        if depends_on_folder(&billing.store) {
            bail!(
                "there is no ledger {place}: `tollgate serve` makes it, and --fix needs the one that the server uses"
            );
        }
        let note = format!("there was no ledger {place}: it was made");
        return Ok((Ledger::make(&billing.store).await?, Some(note)));
    }
    let who = if depends_on_folder(&billing.store) {
        "`tollgate serve` makes it, and --fix needs the one that the server uses"
    } else {
        "--fix makes it, and so does `tollgate serve`"
    };
    let note = format!("there is no ledger {place}, so nothing of this look is kept: {who}");
    Ok((Ledger::passing().await?, Some(note)))
}

async fn reconcile(
    billing: &Billing,
    options: &Options,
    stop: &CancellationToken,
) -> anyhow::Result<Answer> {
    let (ledger, note) = ledger(billing, options).await?;
    let parts = parts(billing, &ledger)?;
    // Jobs have their own ways to try again.
    let patient = Parts {
        auth0: Arc::new(parts.auth0.patient(CALL)),
        ..parts.clone()
    };
    let reconciler = Reconciler::new(&patient, billing.sync.clone(), AT_ONCE);
    let bar = Bar::new(reconciler.progress());
    let looked = bar.beside(look(&reconciler, options.restart, stop)).await;
    let mut looked = match note {
        Some(_) => looked?,
        None => looked.map_err(told)?,
    };
    looked.notes.extend(note);
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
    let mut parts = parts;
    // A job that waits its turn is over sooner than one that fails for it and comes again.
    parts.auth0 = Arc::new(parts.auth0.patient(CALL_OF_A_JOB));
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
        if may_work.transpose()?.unwrap_or(false) {
            sync.run(over.clone()).await;
        }
        Ok::<(), Trouble>(())
    };
    // Where it cannot be known who does the jobs, nobody may: there is nothing to wait for.
    let (mended, ()) = tokio::try_join!(async { Ok(mending.await) }, working)?;
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
