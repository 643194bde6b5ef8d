//! The steps that the parts of the story have in common.

use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::page::Page;
use crate::program::Said;
use crate::setup::User;
use crate::stage::{Stage, Tollgate, until};
use crate::support::auth0::AUDIENCE;
use crate::support::backend::echoed;
use crate::support::raw::Reply;
use crate::web::{Ask, Shown};

/// The route behind which premium content is.
pub(crate) const INSIGHTS: &str = "/premium/insights";

/// Tollgate on the stage, and the page on which is written what happens there.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) tollgate: Tollgate,
    pub(crate) page: Page,
}

/// A checkout that was begun.
pub(crate) struct Checkout {
    pub(crate) session: String,
    pub(crate) url: String,
}

impl Scene {
    /// Starts Tollgate.
    pub(crate) async fn open(stage: Stage, page: Page) -> anyhow::Result<Self> {
        Ok(Self {
            tollgate: Tollgate::start(&stage).await?,
            stage,
            page,
        })
    }

    /// Runs a command of the program's.
    pub(crate) async fn command(&mut self, words: &[&str], expected: i32) -> anyhow::Result<Said> {
        let program = &self.stage.program;
        program.tell(&mut self.page, words, expected).await
    }

    /// Asks Tollgate.
    pub(crate) async fn ask(&mut self, ask: Ask, expected: u16) -> Reply {
        let reply = ask.send(self.stage.addresses.gate).await;
        self.page.step(&ask.line(), &ask.with, &reply, expected);
        reply
    }

    /// Asks Tollgate again until the answer has this status.
    pub(crate) async fn ask_until(&mut self, ask: Ask, expected: u16) -> Reply {
        let (begun, mut last) = (Instant::now(), Reply::default());
        until(async || {
            last = ask.send(self.stage.addresses.gate).await;
            (last.status == expected).then_some(())
        })
        .await;
        let waited = Some(begun.elapsed());
        self.page
            .step_after(&ask.line(), &ask.with, &last, expected, waited);
        last
    }

    /// Signs `user` in and gives the access token.
    pub(crate) async fn sign_in(&self, user: User) -> anyhow::Result<String> {
        let body = json!({ "grant_type": "password", "username": user.name, "password": "any", "audience": AUDIENCE });
        let ask = Ask::post("/oauth/token", "", &body);
        let reply = ask.send(self.stage.neighbours.auth0.address()).await;
        text(&reply.json(), "access_token").with_context(|| format!("{} cannot sign in", user.name))
    }

    /// Begins a checkout of `plan`.
    pub(crate) async fn checkout(
        &mut self,
        user: User,
        token: &str,
        plan: &str,
    ) -> anyhow::Result<Checkout> {
        let with = format!("{}'s token, {plan}", user.shown);
        let reply = self.ask(checkout(&with, token, plan), 201).await;
        begun(&reply)
    }

    /// Does on the checkout page what a browser would: shows it, presses the button, goes where it is sent.
    pub(crate) async fn pay(&mut self, url: &str) -> anyhow::Result<()> {
        let checkout = self.browse(url, "browser, at Stripe").await?;
        let paid = self.press(&checkout, "Pay").await?;
        self.browse(&paid.location()?, "browser, at the frontend")
            .await?;
        Ok(())
    }

    /// The same, told in one line.
    pub(crate) async fn pay_again(&mut self, url: &str) -> anyhow::Result<()> {
        let checkout = Shown::open(url, "").await?;
        self.press(&checkout, "Pay").await?;
        Ok(())
    }

    /// Opens a page in the browser.
    pub(crate) async fn browse(&mut self, url: &str, site: &str) -> anyhow::Result<Shown> {
        let shown = Shown::open(url, site).await?;
        self.page
            .step(&shown.ask.line(), &shown.ask.with, &shown.reply, 200);
        Ok(shown)
    }

    /// Presses a button of a page.
    pub(crate) async fn press(&mut self, on: &Shown, button: &str) -> anyhow::Result<Shown> {
        let shown = on.press(button).await?;
        self.page
            .step(&shown.ask.line(), &shown.ask.with, &shown.reply, 303);
        Ok(shown)
    }

    /// Names of the user's roles in Auth0.
    pub(crate) fn roles(&self, user: User) -> String {
        self.stage.neighbours.auth0.roles_of(user.sub).join(", ")
    }

    /// Waits until Auth0 has these roles of the user, and says so.
    pub(crate) async fn until_roles(&mut self, user: User, before: &str, expected: &str) {
        until(async || (self.roles(user) == expected).then_some(())).await;
        let now = self.roles(user);
        self.page.told(
            "roles in Auth0",
            &format!("{before} -> {now}"),
            &format!("{before} -> {expected}"),
        );
    }

    /// Says what the backend was told.
    pub(crate) fn tell_plan(&mut self, reply: &Reply, plan: &str, permissions: &str) {
        let echo = reply.json();
        let header = |name: &str| echoed(&echo, "headers", name).join(", ");
        self.page.told("X-Auth-Plan", &header("x-auth-plan"), plan);
        self.page.told(
            "X-Auth-Permissions",
            &header("x-auth-permissions"),
            permissions,
        );
    }

    /// Says why a request was refused.
    pub(crate) fn tell_why(&mut self, reply: &Reply) {
        let why = text(&reply.json(), "detail").unwrap_or_default();
        self.page.detail("detail", &why);
    }
}

/// The request that begins a checkout.
pub(crate) fn checkout(with: &str, token: &str, plan: &str) -> Ask {
    let body = json!({ "plan_type": plan });
    Ask::post("/stripe/create-checkout-session", with, &body).bearer(token)
}

/// The checkout that an answer tells of.
pub(crate) fn begun(reply: &Reply) -> anyhow::Result<Checkout> {
    let answer = reply.json();
    Ok(Checkout {
        session: text(&answer, "session_id")?,
        url: text(&answer, "checkout_url")?,
    })
}

/// A text in an answer.
pub(crate) fn text(answer: &Value, name: &str) -> anyhow::Result<String> {
    let found = answer[name].as_str();
    Ok(found
        .with_context(|| format!("no {name} in the answer"))?
        .to_owned())
}
