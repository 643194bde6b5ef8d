//! What could go wrong: an admin who cancels, Auth0 away, a forged event.

use anyhow::Context as _;
use serde_json::json;
use tollgate::store::{JobKey, JobStatus, Store as _};

use crate::buyer::subscription;
use crate::scene::{INSIGHTS, Scene, text};
use crate::setup::{BOB, CLEO};
use crate::stage::until;
use crate::support::stripe::Stripe;
use crate::support::token::now;
use crate::web::Ask;

/// The id of the forged event.
const FORGED: &str = "evt_forged";

/// Tells it.
pub(crate) async fn tell(scene: &mut Scene) -> anyhow::Result<()> {
    admin(scene).await?;
    auth0_away(scene).await?;
    forged_webhook(scene).await
}

async fn admin(scene: &mut Scene) -> anyhow::Result<()> {
    scene
        .page
        .chapter("Bob is admin; he buys and cancels, and stays admin");
    let token = scene.sign_in(BOB).await?;
    let checkout = scene.checkout(BOB, &token, "monthly").await?;
    scene.pay_again(&checkout.url).await?;
    scene
        .until_roles(BOB, "admin, free-user", "admin, premium-monthly")
        .await;
    let found = subscription(scene, BOB, &token).await?;
    let id = text(&found, "id")?;
    let body = json!({ "subscription_id": id });
    let ask = Ask::post("/stripe/cancel-subscription", "Bob's token", &body).bearer(&token);
    scene.ask(ask, 200).await;
    scene.stage.neighbours.stripe.end_period(&id);
    scene
        .until_roles(BOB, "admin, premium-monthly", "admin, free-user")
        .await;
    for path in ["/admin/command", INSIGHTS] {
        let ask = Ask::get(path, "the same token").bearer(&token);
        scene.ask(ask, 200).await;
    }
    Ok(())
}

async fn auth0_away(scene: &mut Scene) -> anyhow::Result<()> {
    scene
        .page
        .chapter("Auth0 is away while Cleo pays: she is let in at once, her role follows");
    let token = scene.sign_in(CLEO).await?;
    let checkout = scene.checkout(CLEO, &token, "monthly").await?;
    scene.stage.neighbours.auth0.go_down().await;
    scene.page.detail("Auth0", "stopped");
    let paid = scene.pay_again(&checkout.url).await;
    let ask = Ask::get(INSIGHTS, "the same token").bearer(&token);
    scene.ask_until(ask, 200).await;
    let job = waiting(scene).await;
    let has_role = scene.roles(CLEO) != "free-user";
    scene.page.checked(
        "her job",
        &job.as_ref().map_or("none".to_owned(), told),
        job.is_some() && !has_role,
    );
    scene.stage.neighbours.auth0.come_up();
    scene.page.detail("Auth0", "back");
    paid?;
    scene
        .until_roles(CLEO, "free-user", "premium-monthly")
        .await;
    Ok(())
}

/// Cleo's job, once it was tried.
async fn waiting(scene: &Scene) -> Option<JobStatus> {
    let key = JobKey::User(CLEO.sub.to_owned());
    until(async || {
        let job = scene.tollgate.store.job(&key).await.ok()??;
        (job.attempts > 0).then_some(job)
    })
    .await
}

fn told(job: &JobStatus) -> String {
    format!("waits; tries so far: {}", job.attempts)
}

async fn forged_webhook(scene: &mut Scene) -> anyhow::Result<()> {
    scene
        .page
        .chapter("A webhook that Stripe did not sign leaves no trace");
    let event = json!({ "id": FORGED, "object": "event", "type": "checkout.session.completed",
        "livemode": false, "created": now(),
        "data": { "object": { "id": "cs_test_forged", "object": "checkout.session", "client_reference_id": CLEO.sub } } });
    let signature = Stripe::sign(&event.to_string(), &["whsec_guessed"], now());
    let ask = Ask::post("/stripe/webhook", "signed by another", &event)
        .header("Stripe-Signature", &signature);
    let reply = scene.ask(ask, 401).await;
    scene.tell_why(&reply);
    let kept = scene.tollgate.store.event(FORGED).await;
    let kept = kept.context("the ledger cannot be read")?;
    let found = if kept.is_some() { FORGED } else { "nothing" };
    scene.page.told("in the ledger", found, "nothing");
    Ok(())
}
