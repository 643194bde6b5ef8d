//! What the ledger keeps, and what the metrics count.

use anyhow::Context as _;
use tollgate::store::{EventFilter, EventState, Store as _};
use tollgate::stripe::EVENT_TYPES;

use crate::scene::Scene;
use crate::stage::until;
use crate::web::Ask;

/// More events than the story makes.
const ALL: u32 = 10_000;
/// How many are shown.
const SHOWN: usize = 8;

/// Tells it.
pub(crate) async fn tell(scene: &mut Scene) -> anyhow::Result<()> {
    events(scene).await?;
    metrics(scene).await
}

async fn events(scene: &mut Scene) -> anyhow::Result<()> {
    scene
        .page
        .chapter("The ledger has every event, and what became of it");
    let sent = until_quiet(scene).await;
    let filter = EventFilter {
        limit: ALL,
        ..EventFilter::default()
    };
    let all = scene.tollgate.store.events(&filter).await?;
    let said = scene.command(&["events", "list"], 0).await?;
    scene.page.quote(said.text.lines(), SHOWN);
    let of = |state| all.iter().filter(|event| event.state == state).count();
    let told = format!(
        "{sent} events sent, {} kept, {} processed",
        all.len(),
        of(EventState::Processed),
    );
    let is_done = all.len() == sent && of(EventState::Queued) + of(EventState::Unmatched) == 0;
    scene.page.checked("all together", &told, is_done);
    Ok(())
}

/// Waits until Stripe has no event to send, and Tollgate nothing to do. Gives the number of events.
pub(crate) async fn until_quiet(scene: &Scene) -> usize {
    let stripe = &scene.stage.neighbours.stripe;
    let asked_for = || {
        let mut events = stripe.outbox();
        events.retain(|event| EVENT_TYPES.contains(&event.kind.as_str()));
        events
    };
    until(async || {
        let taken = stripe.acknowledged();
        let jobs = scene.tollgate.store.totals().await.ok()?;
        let is_quiet = asked_for().iter().all(|event| taken.contains(&event.id));
        (is_quiet && jobs.queued + jobs.running == 0).then_some(())
    })
    .await;
    asked_for().len()
}

async fn metrics(scene: &mut Scene) -> anyhow::Result<()> {
    scene.page.chapter("The metrics of it");
    let reply = Ask::get("/metrics", "")
        .send(scene.stage.addresses.admin)
        .await;
    let text = reply.text();
    let mut dead = None;
    for line in text.lines() {
        if line.starts_with("tollgate_jobs{") || line.starts_with("tollgate_role_changes_total{") {
            scene.page.line(&format!("   {line}"));
        }
        if let Some(count) = line.strip_prefix("tollgate_jobs{state=\"dead\"} ") {
            dead = Some(count.to_owned());
        }
    }
    let dead = dead.context("no tollgate_jobs among the metrics")?;
    scene.page.told("jobs given up", &dead, "0");
    Ok(())
}
