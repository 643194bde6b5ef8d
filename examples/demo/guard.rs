//! The gate: who gets through, and who does not.

use crate::scene::{INSIGHTS, Scene};
use crate::setup::{CONTENT, PREMIUM};
use crate::support::backend::echoed;
use crate::support::keys::Key;
use crate::support::token::now;
use crate::web::Ask;

/// Tells it.
pub(crate) async fn tell(scene: &mut Scene) -> anyhow::Result<()> {
    with_and_without_a_token(scene).await?;
    unbelievable_tokens(scene).await;
    other_spellings(scene).await;
    key_rotation(scene).await
}

async fn with_and_without_a_token(scene: &mut Scene) -> anyhow::Result<()> {
    scene
        .page
        .chapter("A public route needs no token, a guarded one does");
    scene.ask(Ask::get("/", "no token"), 200).await;
    let refused = scene.ask(Ask::get(INSIGHTS, "no token"), 401).await;
    let challenge = refused.header_all("www-authenticate").join(", ");
    scene.page.detail("WWW-Authenticate", &challenge);
    let token = scene.sign_in(PREMIUM).await?;
    let ask = Ask::get(INSIGHTS, "a token with the permission").bearer(&token);
    let reply = scene.ask(ask, 200).await;
    let echo = reply.json();
    for name in ["X-Auth-Subject", "X-Auth-Permissions"] {
        let seen = echoed(&echo, "headers", &name.to_lowercase());
        scene.page.detail(name, &seen.join(", "));
    }
    Ok(())
}

async fn unbelievable_tokens(scene: &mut Scene) {
    scene.page.chapter("Tokens that are not believed");
    let auth0 = &scene.stage.neighbours.auth0;
    let draft = auth0.draft(PREMIUM.sub, &[CONTENT]);
    let kid = auth0.key().kid;
    for (token, with) in [
        (
            auth0.sign(&draft.clone().claim("exp", now() - 3600)),
            "an expired token",
        ),
        (draft.sign(&Key::nth(2).named(&kid)), "signed by another"),
        (draft.unsigned(&kid), "not signed (alg: none)"),
    ] {
        let reply = scene
            .ask(Ask::get(INSIGHTS, with).bearer(&token), 401)
            .await;
        scene.tell_why(&reply);
    }
}

async fn other_spellings(scene: &mut Scene) {
    scene
        .page
        .chapter("A guarded path in other spellings is guarded, or refused");
    for (path, expected) in [
        ("/%61dmin/command", 401),
        ("/Admin/Command/", 401),
        ("/x/../admin", 401),
        ("/x/..%2fadmin", 400),
    ] {
        scene.ask(Ask::get(path, "no token"), expected).await;
    }
}

async fn key_rotation(scene: &mut Scene) -> anyhow::Result<()> {
    scene
        .page
        .chapter("Auth0 rotates its signing key, then revokes the old one");
    let old = scene.sign_in(PREMIUM).await?;
    scene.stage.neighbours.auth0.rotate_to(Key::nth(1));
    let new = scene.sign_in(PREMIUM).await?;
    let with = |token: &str, with: &str| Ask::get(INSIGHTS, with).bearer(token);
    scene
        .ask_until(with(&new, "a token of the new key"), 200)
        .await;
    scene.ask(with(&old, "a token of the old key"), 200).await;
    scene.stage.neighbours.auth0.revoke("key-0");
    scene
        .ask_until(with(&old, "the same, key revoked"), 401)
        .await;
    Ok(())
}
