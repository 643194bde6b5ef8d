//! After the story: lines to paste into a shell, and what can be done to the stand-ins meanwhile.

use std::io::stdin;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::scene::{INSIGHTS, Scene, begun, checkout, text};
use crate::setup::FREE;
use crate::support::raw::Reply;
use crate::web::Ask;

/// What can be typed.
const HELP: &str = "Type here:
   auth0 down | auth0 up          stop Auth0 and start it again: who pays meanwhile is let in, the role waits
   checkout monthly | lifetime    a new checkout page for user free
   portal                         a new page of the customer portal for user free
   refund                         give back what user free has paid last
   end                            end the period of the subscriptions of user free
   quit                           or Ctrl-C";

/// Stays up until the reader has had enough.
pub(crate) async fn open(scene: &mut Scene) -> anyhow::Result<()> {
    invite(scene).await?;
    let mut typed = lines();
    let mut is_open = true;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    loop {
        let line = tokio::select! {
            line = typed.recv(), if is_open => line,
            _ = interrupted.recv() => return Ok(()),
            _ = terminated.recv() => return Ok(()),
        };
        match line.as_deref().map(str::trim) {
            Some("quit" | "exit") => return Ok(()),
            Some(line) => obey(scene, line).await,
            // Standard input is closed, as it is for a process in the background.
            None => is_open = false,
        }
    }
}

/// Lines from standard input. A thread of its own: reading cannot be broken off, and the end must not wait for it.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

async fn obey(scene: &mut Scene, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let told = match words[..] {
        [] => return,
        ["auth0", "down"] => {
            scene.stage.neighbours.auth0.go_down().await;
            "Auth0 is stopped; `auth0 up` starts it again".to_owned()
        }
        ["auth0", "up"] => {
            scene.stage.neighbours.auth0.come_up();
            "Auth0 is up".to_owned()
        }
        ["checkout", plan] => new_checkout(scene, plan).await.unwrap_or_else(|why| why),
        ["portal"] => new_portal(scene).await.unwrap_or_else(|why| why),
        ["refund"] => refund(scene),
        ["end"] => end(scene),
        _ => HELP.to_owned(),
    };
    scene.page.line(&told);
}

/// The checkout page; else why there is none.
async fn new_checkout(scene: &Scene, plan: &str) -> Result<String, String> {
    let token = scene.stage.neighbours.auth0.token_for(FREE.sub);
    let reply = checkout("", &token, plan).send(scene.stage.gate).await;
    let begun = begun(&reply).map_err(|_| why(&reply))?;
    Ok(begun.url)
}

/// The portal's page; else why there is none.
async fn new_portal(scene: &Scene) -> Result<String, String> {
    let token = scene.stage.neighbours.auth0.token_for(FREE.sub);
    let ask = Ask::post("/stripe/customer-portal", "", &serde_json::json!({})).bearer(&token);
    let reply = ask.send(scene.stage.gate).await;
    text(&reply.json(), "portal_url").map_err(|_| why(&reply))
}

/// Why a request was refused.
fn why(reply: &Reply) -> String {
    text(&reply.json(), "detail").unwrap_or_else(|_| reply.text())
}

fn refund(scene: &Scene) -> String {
    let stripe = &scene.stage.neighbours.stripe;
    let mut paid = stripe.ids("checkout.session");
    paid.retain(|id| {
        let session = stripe.object(id);
        session["client_reference_id"] == FREE.sub
            && session["payment_status"] == "paid"
            && stripe.object(&stripe.charge_of(id))["refunded"] == false
    });
    let Some(session) = paid.last() else {
        return format!(
            "user {} has paid nothing that could be given back",
            FREE.name
        );
    };
    stripe.refund(session);
    if stripe.object(session)["mode"] == "subscription" {
        "refunded; a subscription goes on until it is canceled: `portal`, then `end`".to_owned()
    } else {
        "refunded; the token is refused now, and the role goes".to_owned()
    }
}

fn end(scene: &Scene) -> String {
    let stripe = &scene.stage.neighbours.stripe;
    let mut told = Vec::new();
    for id in stripe.ids("subscription") {
        let subscription = stripe.object(&id);
        if subscription["metadata"]["auth0_user_id"] == FREE.sub
            && subscription["status"] == "active"
        {
            stripe.end_period(&id);
            told.push(if stripe.object(&id)["status"] == "canceled" {
                format!("{id} has ended")
            } else {
                format!("{id} was not canceled, so it is renewed; cancel it first: `portal`")
            });
        }
    }
    if told.is_empty() {
        told.push(format!("user {} has no active subscription", FREE.name));
    }
    told.join("\n")
}

async fn invite(scene: &mut Scene) -> anyhow::Result<()> {
    let monthly = new_checkout(scene, "monthly").await;
    let monthly = monthly.map_err(|why| anyhow::anyhow!("no checkout: {why}"))?;
    let portal = new_portal(scene).await;
    let portal = portal.map_err(|why| anyhow::anyhow!("no portal: {why}"))?;
    let (gate, auth0) = (scene.stage.gate, scene.stage.neighbours.auth0.url());
    let file = scene.stage.config_file();
    let file = file.display();
    let bearer = "-H \"Authorization: Bearer $TOKEN\"";
    let told = format!(
        r#"
It stays up. Try it yourself, in another terminal (users: free, ann, bob, cleo, premium; any password):

   TOKEN=$(curl -s {auth0}oauth/token -H 'Content-Type: application/json' \
     -d '{{"grant_type":"password","username":"free","password":"any"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
   curl -i http://{gate}{INSIGHTS} {bearer}    # refused
   curl -i -X POST {monthly}    # pays; or open it in a browser
   curl -s http://{gate}/auth/premium-status {bearer}
   curl -i http://{gate}{INSIGHTS} {bearer}    # let in, with the same token
   cargo run --release -- events list -c {file}    # show ID, replay ID

Cancel in the customer portal, in a browser: {portal}

{HELP}"#
    );
    scene.page.line(&told);
    Ok(())
}
