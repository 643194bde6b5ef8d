//! After the story: lines to paste into a shell, and what can be done to the stand-ins meanwhile.

use std::io::stdin;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::page::Page;
use crate::scene::{INSIGHTS, Scene, begun, checkout, text};
use crate::setup::{ADMIN_TOKEN, FREE, user_named};
use crate::stage::{Addresses, Stage};
use crate::support::auth0::Auth0;
use crate::support::raw::Reply;
use crate::support::stripe::Stripe;
use crate::web::Ask;

/// What can be typed.
pub(crate) const HELP: &str = "Type here:
   auth0 down | auth0 up          stop Auth0 and start it again: who pays meanwhile is let in, the role waits
   checkout monthly | lifetime    a new checkout page for user free
   portal [on]                    a new page of the customer portal for user free; `on` sets the portal up in Stripe
   refund                         give back what user free has paid last
   end                            end the period of the subscriptions of user free
   take USER ROLE                 take a role by hand in Auth0, as in its dashboard; `tollgate reconcile` finds it
   give USER ROLE                 give one
   quit                           or Ctrl-C";

/// Stays up until the reader has had enough.
pub(crate) async fn stay(stage: &mut Stage, page: &mut Page) -> anyhow::Result<()> {
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
            Some(line) => obey(stage, page, line).await,
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

async fn obey(stage: &mut Stage, page: &mut Page, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let told = match words[..] {
        [] => return,
        ["auth0", "down"] => {
            stage.neighbours.auth0.go_down().await;
            "Auth0 is stopped; `auth0 up` starts it again".to_owned()
        }
        ["auth0", "up"] => {
            stage.neighbours.auth0.come_up();
            "Auth0 is up".to_owned()
        }
        ["checkout", plan] => new_checkout(stage, plan).await.unwrap_or_else(|why| why),
        ["portal"] => new_portal(stage).await.unwrap_or_else(|why| why),
        ["portal", "on"] => {
            stage.neighbours.stripe.set_up_portal(true);
            "the customer portal is set up".to_owned()
        }
        ["refund"] => refund(&stage.neighbours.stripe),
        ["end"] => end(&stage.neighbours.stripe),
        ["take", user, role] => change_role(&stage.neighbours.auth0, user, role, false),
        ["give", user, role] => change_role(&stage.neighbours.auth0, user, role, true),
        _ => HELP.to_owned(),
    };
    page.line(&told);
}

/// The checkout page; else why there is none.
async fn new_checkout(stage: &Stage, plan: &str) -> Result<String, String> {
    let token = stage.neighbours.auth0.token_for(FREE.sub);
    let ask = checkout("", &token, plan);
    let reply = ask.send(stage.addresses.gate).await;
    let begun = begun(&reply).map_err(|_| why(&reply))?;
    Ok(begun.url)
}

/// The portal's page; else why there is none.
async fn new_portal(stage: &Stage) -> Result<String, String> {
    let token = stage.neighbours.auth0.token_for(FREE.sub);
    let ask = Ask::post("/stripe/customer-portal", "", &serde_json::json!({})).bearer(&token);
    let reply = ask.send(stage.addresses.gate).await;
    text(&reply.json(), "portal_url").map_err(|_| why(&reply))
}

/// Changes a user's roles as the dashboard does; says which they are now.
fn change_role(auth0: &Auth0, name: &str, role: &str, give: bool) -> String {
    let Some(user) = user_named(name) else {
        return format!("no user {name}; there are free, ann, bob and cleo");
    };
    let known = auth0.role_names();
    if known.is_empty() {
        return "the tenant has no roles yet: `tollgate bootstrap`".to_owned();
    }
    if !known.iter().any(|known| known == role) {
        return format!("no role {role}; there are {}", known.join(", "));
    }
    if give {
        auth0.give_role(user.sub, role);
    } else {
        auth0.take_role(user.sub, role);
    }
    let roles = auth0.roles_of(user.sub);
    if roles.is_empty() {
        return format!("user {name} holds no role now");
    }
    format!("user {name} holds {} now", roles.join(", "))
}

/// Why a request was refused.
fn why(reply: &Reply) -> String {
    text(&reply.json(), "detail").unwrap_or_else(|_| reply.text())
}

fn refund(stripe: &Stripe) -> String {
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

fn end(stripe: &Stripe) -> String {
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

/// What to try, once the story is told.
pub(crate) async fn invite(scene: &mut Scene) -> anyhow::Result<()> {
    let stage = &scene.stage;
    let monthly = new_checkout(stage, "monthly").await;
    let monthly = monthly.map_err(|why| anyhow::anyhow!("no checkout: {why}"))?;
    let portal = new_portal(stage).await;
    let portal = portal.map_err(|why| anyhow::anyhow!("no portal: {why}"))?;
    let Addresses { gate, admin } = stage.addresses;
    let told = format!(
        r"
It stays up. Try it yourself, in another terminal (users: free, ann, bob, cleo, premium; any password):

   {exports}
   {token}
   curl -i http://{gate}{INSIGHTS} {BEARER}    # refused
   curl -i -X POST {monthly}    # pays; or open it in a browser
   curl -s http://{gate}/auth/premium-status {BEARER}
   curl -i http://{gate}{INSIGHTS} {BEARER}    # let in, with the same token
   tollgate events list    # show ID, replay ID
   tollgate reconcile      # after `take free premium-monthly` below; --fix mends it

In a browser:

   the console, for operators    http://{admin}/    (token for actions: {ADMIN_TOKEN})
   the customer portal           {portal}

{HELP}",
        exports = stage.program.exports(),
        token = token_line(&stage.neighbours.auth0),
    );
    scene.page.line(&told);
    Ok(())
}

/// Sends the token that [`token_line`] got.
pub(crate) const BEARER: &str = "-H \"Authorization: Bearer $TOKEN\"";

/// The command that signs user free in.
pub(crate) fn token_line(auth0: &Auth0) -> String {
    format!(
        r#"TOKEN=$(curl -s {}oauth/token -H 'Content-Type: application/json' \
     -d '{{"grant_type":"password","username":"free","password":"any"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')"#,
        auth0.url()
    )
}
