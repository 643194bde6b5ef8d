//! What the ledger keeps, and what the metrics count.

use anyhow::Context as _;
use tollgate::reply::timestamp;
use tollgate::store::{Event, EventFilter, EventState, Store as _};

use crate::scene::Scene;
use crate::stage::{Stage, until};
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
        .chapter("The ledger, as `tollgate events list` shows it");
    let sent = until_quiet(&scene.stage).await;
    let filter = EventFilter {
        limit: ALL,
        ..EventFilter::default()
    };
    let all = scene.stage.store.events(&filter).await?;
    for line in lines(&all).take(SHOWN) {
        scene.page.line(&line);
    }
    let of = |state| all.iter().filter(|event| event.state == state).count();
    let told = format!(
        "{sent} events sent, {} kept; {} processed, {} ignored",
        all.len(),
        of(EventState::Processed),
        of(EventState::Ignored),
    );
    let is_done = all.len() == sent && of(EventState::Queued) + of(EventState::Unmatched) == 0;
    scene.page.checked("all together", &told, is_done);
    Ok(())
}

/// Waits until Stripe has no event to send, and Tollgate nothing to do. Gives the number of events.
async fn until_quiet(stage: &Stage) -> usize {
    let stripe = &stage.neighbours.stripe;
    until(async || {
        let taken = stripe.acknowledged();
        let sent = stripe.outbox();
        let jobs = stage.store.totals().await.ok()?;
        let is_quiet = sent.iter().all(|event| taken.contains(&event.id));
        (is_quiet && jobs.queued + jobs.running == 0).then_some(())
    })
    .await;
    stripe.outbox().len()
}

fn lines(events: &[Event]) -> impl Iterator<Item = String> {
    let wide = |text: fn(&Event) -> usize| events.iter().map(text).max().unwrap_or_default();
    let id = wide(|event| event.id.len());
    let kind = wide(|event| event.event_type.len());
    events.iter().map(move |event| {
        let about = event.user.as_ref().or(event.customer.as_ref());
        let about = about.or(event.reason.as_ref()).map_or("-", String::as_str);
        format!(
            "   {:20}  {:9}  {:id$}  {:kind$}  {about}",
            timestamp(event.received_at.div_euclid(1000)),
            event.state.word(),
            event.id,
            event.event_type
        )
    })
}

async fn metrics(scene: &mut Scene) -> anyhow::Result<()> {
    scene.page.chapter("The metrics of it");
    let reply = Ask::get("/metrics", "").send(scene.stage.admin).await;
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
