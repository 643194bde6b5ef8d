//! The operator's hand: what is missing is found and made, and roles that were changed by hand are found and mended.

use anyhow::{Context as _, ensure};
use tollgate::store::Store as _;

use crate::ledger::until_quiet;
use crate::page::Page;
use crate::program::Said;
use crate::scene::Scene;
use crate::setup::{self, CLEO, FREE, User};
use crate::stage::Stage;

/// How many lines of a long answer are shown.
const SHOWN: usize = 6;

/// Before Tollgate runs: an empty tenant and an empty account are made ready.
pub(crate) async fn set_up(stage: &Stage, page: &mut Page) -> anyhow::Result<()> {
    page.chapter("An empty tenant, an empty account: doctor says what is missing");
    let said = stage.program.tell(page, &["doctor"], 1).await?;
    page.quote(lines(&said, "FAIL"), SHOWN);
    page.quote(said.text.lines().last(), 1);
    page.chapter("bootstrap makes it: permissions, roles, settings, the webhook endpoint");
    let secret = stage.secret_file();
    let secret = secret.to_str().context("a folder with a strange name")?;
    let made = ["bootstrap", "--yes", "--write-secret", secret];
    let said = stage.program.tell(page, &made, 0).await?;
    ensure!(said.status == Some(0), "nothing to go on with");
    page.quote(lines(&said, "done"), SHOWN);
    let neighbours = &stage.neighbours;
    neighbours.stripe.set_up_portal(true);
    page.detail("by hand, in Stripe", "the customer portal is switched on");
    setup::give_roles(&neighbours.auth0);
    page.detail(
        "by hand, in Auth0",
        "who signs up gets the role free-user; Bob is admin",
    );
    Ok(())
}

/// Once Tollgate runs: nothing is missing.
pub(crate) async fn look_again(scene: &mut Scene) -> anyhow::Result<()> {
    scene
        .page
        .chapter("Tollgate is started, and doctor finds nothing amiss");
    let said = scene.command(&["doctor"], 0).await?;
    let odd = said
        .text
        .lines()
        .filter(|line| line.starts_with("WARN") || line.starts_with("FAIL"));
    let last = said.text.lines().last().unwrap_or_default();
    let is_green = odd.clone().next().is_none();
    scene.page.quote(odd, SHOWN);
    scene.page.checked("doctor", last, is_green);
    scene.page.line(
        "\nFrom here on, each line: what is sent, with what, the status that comes back, whether it is the expected one.",
    );
    Ok(())
}

/// Roles that were changed by hand.
pub(crate) async fn reconcile(scene: &mut Scene) -> anyhow::Result<()> {
    scene
        .page
        .chapter("Somebody changes roles by hand in Auth0: reconcile finds it, and mends it");
    // What a job is still at is no drift.
    until_quiet(scene).await;
    let auth0 = &scene.stage.neighbours.auth0;
    auth0.take_role(CLEO.sub, "premium-monthly");
    auth0.give_role(FREE.sub, "premium-lifetime");
    for (what, role) in [
        ("taken from Cleo", "premium-monthly, for which she pays"),
        ("given to Free", "premium-lifetime, for which nobody paid"),
    ] {
        scene.page.detail(what, role);
    }
    let said = scene.command(&["reconcile"], 1).await?;
    scene.page.quote(filled(&said), SHOWN);
    let said = scene.command(&["reconcile", "--fix"], 0).await?;
    scene.page.quote(said.text.lines().last(), 1);
    scene.until_roles(CLEO, "none", "premium-monthly").await;
    scene
        .until_roles(FREE, "free-user, premium-lifetime", "free-user")
        .await;
    audit(scene, CLEO).await?;
    let said = scene.command(&["reconcile"], 0).await?;
    scene.page.quote(filled(&said), SHOWN);
    Ok(())
}

/// Why the user's roles were last changed.
async fn audit(scene: &mut Scene, user: User) -> anyhow::Result<()> {
    let changes = scene.tollgate.store.role_changes(user.sub, 1).await?;
    let last = changes.first().context("no line in the audit")?;
    let told = format!(
        "{} {}, because of {}",
        last.action.word(),
        last.subject,
        last.cause.why
    );
    scene.page.told(
        "audit in the ledger",
        &told,
        "assign premium-monthly, because of reconcile",
    );
    Ok(())
}

/// The lines that begin so.
fn lines<'a>(said: &'a Said, start: &str) -> impl Iterator<Item = &'a str> {
    let lines = said.text.lines();
    lines.filter(move |line| line.starts_with(start))
}

/// The lines that are not empty.
fn filled(said: &Said) -> impl Iterator<Item = &str> {
    said.text.lines().filter(|line| !line.is_empty())
}
