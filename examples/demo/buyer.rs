//! Ann: refused, buys, is let in, cancels, is refused, buys for life, gets her money back, is refused.

use anyhow::Context as _;
use serde_json::{Value, json};
use tollgate::store::{Event, EventFilter, EventState, Store as _};

use crate::scene::{Checkout, INSIGHTS, Scene, begun, checkout, text};
use crate::setup::{ANN, User};
use crate::stage::until;
use crate::web::Ask;

const PREMIUM: &str = "read:basic-content read:premium-content";
/// The audit of one purchase is shorter.
const AUDIT: u32 = 10;

/// Tells it.
pub(crate) async fn tell(scene: &mut Scene) -> anyhow::Result<()> {
    let token = scene.sign_in(ANN).await?;
    refused(scene, &token).await;
    let bought = buys_monthly(scene, &token).await?;
    role_arrives(scene).await?;
    frontend_asks(scene, &token, &bought).await;
    let_in(scene, &token).await;
    let subscription = cancels(scene, &token).await?;
    period_ends(scene, &token, &subscription).await;
    let (bought, newer) = buys_lifetime(scene, &token).await?;
    refunded(scene, &token, &newer, &bought).await;
    Ok(())
}

fn insights(token: &str, with: &str) -> Ask {
    Ask::get(INSIGHTS, with).bearer(token)
}

async fn refused(scene: &mut Scene, token: &str) {
    scene
        .page
        .chapter("Ann, on the free plan, is refused, and told which plans would let her in");
    let reply = scene.ask(insights(token, "Ann's token"), 403).await;
    let upgrade = reply.json()["upgrade"].to_string();
    scene
        .page
        .told("upgrade", &upgrade, r#"["monthly","lifetime"]"#);
}

async fn buys_monthly(scene: &mut Scene, token: &str) -> anyhow::Result<Checkout> {
    scene.page.chapter("She buys the monthly plan");
    let config = scene
        .ask(Ask::get("/stripe/config", "no token"), 200)
        .await
        .json();
    let sold = ["monthly", "lifetime"];
    let all = sold.map(|plan| config[format!("has_{plan}_plan")] == true);
    scene
        .page
        .checked("on sale", &sold.join(", "), all == [true; 2]);
    let checkout = scene.checkout(ANN, token, "monthly").await?;
    scene.page.detail("checkout_url", &checkout.url);
    scene.pay(&checkout.url).await?;
    Ok(checkout)
}

async fn role_arrives(scene: &mut Scene) -> anyhow::Result<()> {
    scene
        .page
        .chapter("Stripe's webhook comes, and her role in Auth0 follows");
    let event = processed(scene, ANN, "checkout.session.completed").await?;
    let after = event.processed_at.unwrap_or_default() - event.received_at;
    scene.page.detail("event", &event.event_type);
    let stripe = &scene.stage.neighbours.stripe;
    let answered = until(async || {
        let attempts = stripe.attempts();
        let first = attempts.iter().find(|attempt| attempt.event == event.id);
        first.and_then(|attempt| attempt.status)
    });
    let status = answered.await.unwrap_or_default();
    let told = format!("answered {status}, processed {after} ms after it came");
    scene.page.checked("webhook", &told, status == 200);
    scene.until_roles(ANN, "free-user", "premium-monthly").await;
    let mut audit = scene.tollgate.store.role_changes(ANN.sub, AUDIT).await?;
    audit.reverse();
    let audit: Vec<String> = audit
        .iter()
        .map(|change| format!("{} {}", change.action.word(), change.subject))
        .collect();
    scene.page.told(
        "audit in the ledger",
        &audit.join(", "),
        "assign premium-monthly, remove free-user",
    );
    Ok(())
}

async fn frontend_asks(scene: &mut Scene, token: &str, bought: &Checkout) {
    scene.page.chapter("Back at the frontend, she has paid");
    let path = format!("/stripe/verify-session/{}", bought.session);
    let ask = Ask::get(&path, "Ann's token").bearer(token);
    let verified = scene.ask(ask, 200).await.json();
    let paid = text(&verified, "payment_status").unwrap_or_default();
    scene.page.told("payment_status", &paid, "paid");
    let ask = Ask::get("/auth/premium-status", "Ann's token").bearer(token);
    let status = scene.ask(ask, 200).await.json();
    let status = &status["premium_status"];
    for (name, expected) in [("premium_status", "active"), ("plan_type", "monthly")] {
        let value = status[name].as_str().unwrap_or_default();
        scene.page.told(name, value, expected);
    }
}

async fn let_in(scene: &mut Scene, token: &str) {
    scene
        .page
        .chapter("The same token is let in: no refresh, no new sign-in");
    let reply = scene
        .ask_until(insights(token, "the same token"), 200)
        .await;
    scene.tell_plan(&reply, "monthly", PREMIUM);
}

/// Waits until the newest event of this type about the user is processed.
async fn processed(scene: &Scene, user: User, kind: &str) -> anyhow::Result<Event> {
    let filter = EventFilter {
        event_type: Some(kind.to_owned()),
        user: Some(user.sub.to_owned()),
        limit: 1,
        ..EventFilter::default()
    };
    let found = until(async || {
        let event = scene.tollgate.store.events(&filter).await.ok()?.pop()?;
        (event.state == EventState::Processed).then_some(event)
    });
    found
        .await
        .with_context(|| format!("{kind} was not processed"))
}

async fn cancels(scene: &mut Scene, token: &str) -> anyhow::Result<String> {
    scene
        .page
        .chapter("She cancels in the customer portal, and keeps what she has paid for");
    let ask = Ask::post("/stripe/customer-portal", "Ann's token", &json!({})).bearer(token);
    let reply = scene.ask(ask, 201).await;
    let url = text(&reply.json(), "portal_url")?;
    scene.page.detail("portal_url", &url);
    let portal = scene.browse(&url, "browser, at Stripe").await?;
    scene.press(&portal, "Cancel at period end").await?;
    let subscription = subscription(scene, ANN, token).await?;
    let status = subscription["status"].as_str().unwrap_or_default();
    let ends = &subscription["cancel_at_period_end"];
    scene.page.told(
        "status",
        &format!("{status}, cancel_at_period_end: {ends}"),
        "active, cancel_at_period_end: true",
    );
    scene.ask(insights(token, "the same token"), 200).await;
    text(&subscription, "id")
}

/// The newest subscription of the user.
pub(crate) async fn subscription(
    scene: &mut Scene,
    user: User,
    token: &str,
) -> anyhow::Result<Value> {
    let with = format!("{}'s token", user.shown);
    let ask = Ask::get("/stripe/subscriptions", &with).bearer(token);
    let answer = scene.ask(ask, 200).await.json();
    let found = answer["subscriptions"].get(0);
    Ok(found.context("no subscription")?.clone())
}

async fn period_ends(scene: &mut Scene, token: &str, subscription: &str) {
    scene
        .page
        .chapter("Her period ends: the same token is refused");
    scene.stage.neighbours.stripe.end_period(subscription);
    let reply = scene
        .ask_until(insights(token, "the same token"), 403)
        .await;
    scene.tell_why(&reply);
    scene.until_roles(ANN, "premium-monthly", "free-user").await;
}

async fn buys_lifetime(scene: &mut Scene, token: &str) -> anyhow::Result<(Checkout, String)> {
    scene.page.chapter("She buys for life, with a double click");
    let gate = scene.stage.addresses.gate;
    let clicks = [1, 2].map(|click| checkout(&format!("click {click}"), token, "lifetime"));
    let (first, second) = tokio::join!(clicks[0].send(gate), clicks[1].send(gate));
    for (click, reply) in clicks.iter().zip([&first, &second]) {
        scene.page.step(&click.line(), &click.with, reply, 201);
    }
    let (first, second) = (begun(&first)?, begun(&second)?);
    let is_one = first.session == second.session;
    scene
        .page
        .checked("session_id", "the same for both", is_one);
    scene.pay_again(&first.url).await?;
    let reply = scene
        .ask_until(insights(token, "the same token"), 200)
        .await;
    scene.tell_plan(&reply, "lifetime", PREMIUM);
    scene
        .until_roles(ANN, "free-user", "premium-lifetime")
        .await;
    let newer = scene.sign_in(ANN).await?;
    scene.ask(insights(&newer, "a newer token"), 200).await;
    Ok((first, newer))
}

async fn refunded(scene: &mut Scene, token: &str, newer: &str, bought: &Checkout) {
    scene
        .page
        .chapter("The payment is refunded: the same token and the newer one are refused");
    scene.stage.neighbours.stripe.refund(&bought.session);
    scene
        .ask_until(insights(token, "the same token"), 403)
        .await;
    let reply = scene.ask(insights(newer, "the newer token"), 403).await;
    scene.tell_why(&reply);
    scene
        .until_roles(ANN, "premium-lifetime", "free-user")
        .await;
}
