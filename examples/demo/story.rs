//! What happens, step by step.

use serde_json::Value;

use crate::page::Page;
use crate::stage::Stage;
use crate::support::keys::Key;
use crate::support::raw::Reply;
use crate::support::token::now;

const INSIGHTS: &str = "/premium/insights";

/// Tells the whole story.
pub(crate) async fn tell(stage: &Stage, page: &mut Page) {
    page.line("Tollgate, between a stand-in Auth0 and a small backend, all on this machine");
    page.line(&format!("   Auth0     {}", stage.auth0.url()));
    page.line(&format!("   backend   {}", stage.backend.url()));
    page.line(&format!("   Tollgate  http://{}", stage.gate));
    open_to_all(stage, page).await;
    free_user(stage, page).await;
    premium_user(stage, page).await;
    expired_and_forged(stage, page).await;
    other_spellings(stage, page).await;
    rotation(stage, page).await;
    page.line(if page.all_right() {
        "\nEvery answer was the expected one."
    } else {
        "\nSomething went wrong."
    });
}

async fn open_to_all(stage: &Stage, page: &mut Page) {
    page.chapter("A public route needs no token");
    ask(stage, page, "/", None, "no token", 200).await;
    page.chapter("A guarded route does");
    let reply = ask(stage, page, INSIGHTS, None, "no token", 401).await;
    page.detail(
        "WWW-Authenticate",
        reply.header("www-authenticate").unwrap_or_default(),
    );
    tell_why(page, &reply);
}

async fn free_user(stage: &Stage, page: &mut Page) {
    page.chapter("A free user signs in, and lacks a permission");
    let token = stage.sign_in("free").await;
    let reply = ask(
        stage,
        page,
        INSIGHTS,
        Some(&token),
        "the free user's token",
        403,
    )
    .await;
    page.detail(
        "WWW-Authenticate",
        reply.header("www-authenticate").unwrap_or_default(),
    );
    page.detail("plans that sell it", &reply.json()["upgrade"].to_string());
    tell_why(page, &reply);
}

async fn premium_user(stage: &Stage, page: &mut Page) {
    page.chapter("A premium user gets through, and the backend is told who it is");
    let token = stage.sign_in("premium").await;
    let reply = ask(
        stage,
        page,
        INSIGHTS,
        Some(&token),
        "the premium user's token",
        200,
    )
    .await;
    let echo = reply.json();
    for name in [
        "x-auth-subject",
        "x-auth-permissions",
        "x-request-id",
        "x-forwarded-for",
    ] {
        page.detail(name, &echoed(&echo, name));
    }
}

async fn expired_and_forged(stage: &Stage, page: &mut Page) {
    let draft = stage
        .auth0
        .draft("auth0|premium-user", &["read:premium-content"]);
    page.chapter("An expired token");
    let expired = stage.auth0.sign(&draft.clone().claim("exp", now() - 3600));
    let reply = ask(
        stage,
        page,
        INSIGHTS,
        Some(&expired),
        "a token of yesterday",
        401,
    )
    .await;
    tell_why(page, &reply);
    page.chapter("A forged token: the right key id, signed by somebody else");
    let forged = draft.sign(&Key::nth(2).named(&stage.auth0.key().kid));
    let reply = ask(stage, page, INSIGHTS, Some(&forged), "a forged token", 401).await;
    tell_why(page, &reply);
    page.chapter("No signature at all (alg: none)");
    let unsigned = draft.unsigned(&stage.auth0.key().kid);
    let reply = ask(
        stage,
        page,
        INSIGHTS,
        Some(&unsigned),
        "an unsigned token",
        401,
    )
    .await;
    tell_why(page, &reply);
}

async fn other_spellings(stage: &Stage, page: &mut Page) {
    page.chapter("A guarded path in other spellings is guarded, or refused");
    for (path, expected) in [
        ("/%61dmin/command", 401),
        ("/Admin/Command/", 401),
        ("/x/../admin", 401),
        ("/x/..%2fadmin", 400),
    ] {
        ask(stage, page, path, None, "no token", expected).await;
    }
}

async fn rotation(stage: &Stage, page: &mut Page) {
    page.chapter("Auth0 rotates its signing key");
    let old = stage.sign_in("premium").await;
    stage.auth0.rotate_to(Key::nth(1));
    let new = stage.sign_in("premium").await;
    page.sent(
        &format!("GET {INSIGHTS}"),
        "a token signed with the new key",
    );
    let reply = stage.until(INSIGHTS, &new, 200).await;
    page.got(&reply, 200);
    ask(
        stage,
        page,
        INSIGHTS,
        Some(&old),
        "a token of the old key, still published",
        200,
    )
    .await;
    page.chapter("Auth0 revokes the old key");
    stage.auth0.revoke("key-0");
    page.sent(&format!("GET {INSIGHTS}"), "a token of the old key");
    let reply = stage.until(INSIGHTS, &old, 401).await;
    page.got(&reply, 401);
    tell_why(page, &reply);
}

/// Prints lines to paste into a shell.
pub(crate) fn invite(stage: &Stage, page: &mut Page) {
    let gate = stage.gate;
    page.line("\nIt stays up until Ctrl-C. Try it yourself, in another terminal:\n");
    page.line(&format!("   curl -i http://{gate}/"));
    page.line(&format!("   curl -i http://{gate}{INSIGHTS}"));
    for user in ["free", "premium"] {
        page.line(&format!(
            "\n   TOKEN=$(curl -s {}oauth/token -H 'Content-Type: application/json' \\",
            stage.auth0.url()
        ));
        page.line(&format!(
            "     -d '{{\"grant_type\":\"password\",\"username\":\"{user}\",\"password\":\"any\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')"
        ));
        page.line(&format!(
            "   curl -i http://{gate}{INSIGHTS} -H \"Authorization: Bearer $TOKEN\""
        ));
    }
}

async fn ask(
    stage: &Stage,
    page: &mut Page,
    path: &str,
    token: Option<&str>,
    with: &str,
    expected: u16,
) -> Reply {
    page.sent(&format!("GET {path}"), with);
    let reply = stage.get(path, token).await;
    page.got(&reply, expected);
    reply
}

fn tell_why(page: &mut Page, reply: &Reply) {
    page.detail(
        "detail",
        reply.json()["detail"].as_str().unwrap_or_default(),
    );
}

fn echoed(echo: &Value, name: &str) -> String {
    crate::support::backend::echoed(echo, "headers", name).join(", ")
}
