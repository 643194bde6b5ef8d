//! What may be done in the console, and by whom.

use tollgate::store::Cause;

use super::visitor::{Visitor, encode};
use super::{TOKEN, drift, event_of, kill_a_job, mend, shop, shop_with, until_done_for};
use crate::shop::{ANN, BOB, Shop};
use crate::support::raw::Reply;

/// Everything that can be done, by address.
const DEEDS: [&str; 5] = [
    "/events/evt_1/replay",
    "/jobs/retry",
    "/jobs/retry-dead",
    "/users/auth0%7Cann/sync",
    "/drift/fix",
];

#[track_caller]
fn assert_refused(reply: &Reply, status: u16, told: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(reply.text().contains(told), "{}", reply.text());
}

/// The lines of the log about the console.
async fn logged(shop: &Shop, message: &str) -> serde_json::Value {
    let found = shop
        .gate
        .log
        .until(message, 1, |event| event["message"] == message)
        .await;
    found[0].clone()
}

#[tokio::test]
async fn without_a_token_in_the_config_the_console_is_read_only_and_says_so() {
    let shop = Shop::open().await;
    kill_a_job(&shop).await;
    let visitor = Visitor::of(&shop.gate);
    let event = event_of(&shop, "checkout.session.completed");
    let user = format!("/users/{}", encode(ANN));
    for path in ["/jobs", "/drift", &user, &format!("/events/{event}")] {
        let page = visitor.page(path).await;
        assert!(page.contains("The console is read-only"), "{path}: {page}");
        assert!(!page.contains("method=\"post\""), "{path}: {page}");
    }
    for path in DEEDS {
        assert_refused(&visitor.post(path, &[]).await, 403, "read-only");
    }
    let guess = [("Authorization", "Bearer ")];
    let reply = visitor.post_with("/jobs/retry-dead", &[], &guess).await;
    assert_refused(&reply, 403, "read-only");
    assert_refused(
        &visitor.post("/sign-in", &[("token", "")]).await,
        403,
        "read-only",
    );
    assert_refused(&visitor.get("/sign-in").await, 403, "read-only");
}

#[tokio::test]
async fn nobody_acts_without_signing_in() {
    let shop = shop().await;
    kill_a_job(&shop).await;
    let mut visitor = Visitor::of(&shop.gate);
    let page = visitor.page("/jobs").await;
    assert!(page.contains("href=\"/sign-in?next=%2Fjobs\""), "{page}");
    assert!(!page.contains("method=\"post\""), "{page}");
    for path in DEEDS {
        assert_refused(&visitor.post(path, &[]).await, 401, "Sign in first");
    }
    visitor.cookie = Some("tollgate_console=made-up".to_owned());
    let reply = visitor
        .post("/jobs/retry-dead", &[("csrf", "made-up")])
        .await;
    assert_refused(&reply, 401, "Sign in first");
    let line = logged(&shop, "console: an action was refused").await;
    assert_eq!(line["client.address"], "127.0.0.1");
}

#[tokio::test]
async fn signing_in_gives_a_cookie_that_scripts_and_other_sites_cannot_use() {
    let shop = shop().await;
    let visitor = Visitor::of(&shop.gate);
    let fields = [("token", TOKEN), ("next", "/jobs")];
    let reply = visitor.post("/sign-in", &fields).await;
    assert_eq!(reply.status, 303);
    assert_eq!(reply.header("location"), Some("/jobs?done=signed-in"));
    let cookie = reply.header("set-cookie").unwrap_or_default();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN), "{cookie}");
    let away = [("token", TOKEN), ("next", "https://evil.example/")];
    let reply = visitor.post("/sign-in", &away).await;
    assert_eq!(reply.header("location"), Some("/?done=signed-in"));
    assert!(
        !shop.gate.log.text().contains(TOKEN),
        "the token is in the log"
    );
}

#[tokio::test]
async fn signing_out_ends_the_session_on_our_side_too() {
    let shop = shop().await;
    let operator = Visitor::of(&shop.gate).sign_in(TOKEN).await;
    let csrf = operator.csrf().await;
    let reply = operator.press("/sign-out", &[]).await;
    assert_eq!(reply.status, 303);
    let cookie = reply.header("set-cookie").unwrap_or_default();
    assert!(cookie.contains("Max-Age=0"), "{cookie}");
    let reply = operator.post("/jobs/retry-dead", &[("csrf", &csrf)]).await;
    assert_refused(&reply, 401, "Sign in first");
}

#[tokio::test]
async fn wrong_tokens_are_refused_and_after_ten_in_a_minute_the_right_one_of_the_address_too() {
    let shop = shop().await;
    let visitor = Visitor::of(&shop.gate);
    for _ in 0..5 {
        let reply = visitor.post("/sign-in", &[("token", "a-guess")]).await;
        assert_refused(&reply, 401, "This is not the token");
        assert!(reply.header("set-cookie").is_none());
        let bearer = [("Authorization", "Bearer a-guess")];
        let reply = visitor.post_with("/jobs/retry-dead", &[], &bearer).await;
        assert_refused(&reply, 401, "This is not the token");
    }
    let reply = visitor.post("/sign-in", &[("token", TOKEN)]).await;
    assert_refused(&reply, 429, "Too many wrong tokens");
    assert!(reply.header("retry-after").is_some());
    let bearer = format!("Bearer {TOKEN}");
    let bearer = [("Authorization", bearer.as_str())];
    let reply = visitor.post_with("/jobs/retry-dead", &[], &bearer).await;
    assert_eq!(reply.status, 429);
    assert_eq!(visitor.get("/jobs").await.status, 200, "reading goes on");
}

#[tokio::test]
async fn who_must_sign_in_first_comes_back_to_a_page_that_is_there() {
    let shop = shop().await;
    let visitor = Visitor::of(&shop.gate);
    for (path, back) in [
        ("/jobs/retry-dead", "%2Fjobs\""),
        ("/drift/fix", "%2Fdrift\""),
        ("/users/auth0%7Cann/sync", "%2Fusers%2Fauth0%257Cann\""),
    ] {
        let reply = visitor.post(path, &[]).await;
        assert_refused(&reply, 401, &format!("href=\"/sign-in?next={back}"));
    }
    let signed_out = visitor.page("/?done=signed-out").await;
    assert!(signed_out.contains("You are signed out."), "{signed_out}");
    assert!(
        signed_out.contains("href=\"/sign-in?next=%2F\""),
        "{signed_out}"
    );
}

#[tokio::test]
async fn a_form_of_another_session_or_of_another_site_does_nothing() {
    let shop = shop().await;
    let operator = Visitor::of(&shop.gate).sign_in(TOKEN).await;
    let other = Visitor::of(&shop.gate).sign_in(TOKEN).await;
    let (csrf, foreign) = (operator.csrf().await, other.csrf().await);
    assert_ne!(csrf, foreign);
    let path = "/users/google-oauth2%7Cbob/sync";
    for wrong in ["", "made-up", &foreign, &csrf[1..]] {
        let reply = operator.post(path, &[("csrf", wrong)]).await;
        assert_refused(&reply, 403, "does not belong to this session");
    }
    let fields = [("csrf", csrf.as_str())];
    for headers in [
        [("Origin", "http://evil.example")],
        [("Origin", "http://127.0.0.1:1")],
        [("Origin", "null")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
    ] {
        let reply = operator.post_with(path, &fields, &headers).await;
        assert_refused(&reply, 403, "another site");
        let fields = [("token", TOKEN)];
        let reply = operator.post_with("/sign-in", &fields, &headers).await;
        assert_refused(&reply, 403, "another site");
    }
    let own = format!("http://{}", shop.gate.admin);
    let headers = [("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")];
    let reply = operator.post_with(path, &fields, &headers).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
}

#[tokio::test]
async fn an_operator_retries_what_was_given_up() {
    let shop = shop().await;
    kill_a_job(&shop).await;
    let operator = Visitor::of(&shop.gate).sign_in(TOKEN).await;
    let page = operator.page("/jobs").await;
    assert!(page.contains("action=\"/jobs/retry-dead\""), "{page}");
    mend(&shop);
    let reply = operator.press("/jobs/retry-dead", &[]).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    let next = reply.header("location").unwrap_or_default();
    assert_eq!(next, "/jobs?done=retried-dead&jobs=1");
    assert!(operator.page(next).await.contains("1 job queued again."));
    shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
    let line = logged(&shop, "console: done").await;
    assert_eq!(
        (&line["action"], &line["client.address"]),
        (&"retry dead".into(), &"127.0.0.1".into())
    );
}

#[tokio::test]
async fn an_operator_retries_one_job_and_one_that_is_not_there_is_told() {
    let shop = shop().await;
    kill_a_job(&shop).await;
    let operator = Visitor::of(&shop.gate).sign_in(TOKEN).await;
    mend(&shop);
    let none = [("about", "user"), ("id", "auth0|nobody")];
    assert_refused(
        &operator.press("/jobs/retry", &none).await,
        404,
        "no such thing",
    );
    let nonsense = [("about", "thing"), ("id", "x")];
    assert_refused(
        &operator.press("/jobs/retry", &nonsense).await,
        400,
        "does not say",
    );
    let long = "x".repeat(513);
    for odd in [
        [("about", "user"), ("id", "not a user"), ("kind", "")],
        [("about", "object"), ("id", "dp_1"), ("kind", &long)],
    ] {
        for path in ["/jobs/retry", "/drift/fix"] {
            assert_refused(&operator.press(path, &odd).await, 400, "does not say");
        }
    }
    let ann = [("about", "user"), ("id", ANN)];
    assert_eq!(operator.press("/jobs/retry", &ann).await.status, 303);
    shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
    until_done_for(&shop, ANN, |cause| cause.why == "console").await;
}

#[tokio::test]
async fn an_operator_replays_an_event_by_its_page() {
    let shop = shop().await;
    let event = kill_a_job(&shop).await;
    let operator = Visitor::of(&shop.gate).sign_in(TOKEN).await;
    mend(&shop);
    let button = format!("/events/{event}/replay");
    let page = operator.page(&format!("/events/{event}")).await;
    assert!(page.contains(&format!("action=\"{button}\"")), "{page}");
    let reply = operator.press(&button, &[]).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
    let is_it =
        |cause: &Cause| cause.why == "replay" && cause.event.as_deref() == Some(event.as_str());
    until_done_for(&shop, ANN, is_it).await;
    let none = operator.press("/events/evt_none/replay", &[]).await;
    assert_refused(&none, 404, "no such thing");
}

#[tokio::test]
async fn an_operator_syncs_a_user_whose_roles_were_changed_by_hand() {
    let shop = shop().await;
    shop.buy(ANN, "monthly").await;
    shop.settled().await;
    shop.auth0.take_role(ANN, "premium-monthly");
    let operator = Visitor::of(&shop.gate).sign_in(TOKEN).await;
    let reply = operator.press("/users/auth0%7Cann/sync", &[]).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    shop.auth0.until_roles(ANN, &["premium-monthly"]).await;
    until_done_for(&shop, ANN, |cause| cause.why == "console").await;
    let odd = operator.press("/users/a%20b/sync", &[]).await;
    assert_refused(&odd, 400, "does not say");
}

#[tokio::test]
async fn an_operator_fixes_drift_by_an_ordinary_job() {
    let shop = shop().await;
    shop.buy(BOB, "monthly").await;
    shop.settled().await;
    drift(&shop).await;
    shop.auth0.take_role(BOB, "premium-monthly");
    let operator = Visitor::of(&shop.gate).sign_in(TOKEN).await;
    let page = operator.page("/drift").await;
    assert!(page.contains("action=\"/drift/fix\""), "{page}");
    let bob = [("about", "user"), ("id", BOB)];
    assert_eq!(operator.press("/drift/fix", &bob).await.status, 303);
    shop.auth0.until_roles(BOB, &["premium-monthly"]).await;
    until_done_for(&shop, BOB, |cause| cause.why == "reconcile").await;
}

#[tokio::test]
async fn a_script_acts_with_the_token_in_a_header_and_gets_json() {
    let shop = shop().await;
    kill_a_job(&shop).await;
    mend(&shop);
    let script = Visitor::of(&shop.gate);
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", bearer.as_str())];
    let reply = script.send("POST", "/jobs/retry-dead", &headers, "").await;
    assert_eq!((reply.status, &reply.json()["ok"]), (200, &true.into()));
    assert_eq!(reply.json()["message"], "1 job queued again.");
    shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
    let none = script
        .send("POST", "/events/evt_none/replay", &headers, "")
        .await;
    assert_eq!(
        (none.status, &none.json()["status_code"]),
        (404, &404.into())
    );
}

#[tokio::test]
async fn a_body_that_is_no_form_or_too_large_is_refused() {
    let shop = shop_with(|setup| setup).await;
    let operator = Visitor::of(&shop.gate).sign_in(TOKEN).await;
    let json = [("Content-Type", "application/json")];
    let reply = operator.send("POST", "/jobs/retry-dead", &json, "{}").await;
    assert_refused(&reply, 415, "application/x-www-form-urlencoded");
    let large = "x".repeat(17 << 10);
    let reply = operator.post("/jobs/retry-dead", &[("a", &large)]).await;
    assert_refused(&reply, 413, "16 KiB");
}

#[tokio::test]
async fn the_console_answers_to_addresses_localhost_and_the_names_in_the_config_alone() {
    let admin = "admin: { listen: 127.0.0.1:0, hosts: [Console.internal.test] }";
    let shop = Shop::with(|setup| setup.replace_section("admin:", admin)).await;
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:9901", 200),
        ("[::1]:9901", 200),
        ("console.internal.TEST:9901", 200),
        ("internal.test", 403),
        ("evil.example", 403),
    ] {
        let mut wire = crate::support::raw::Wire::connect(shop.gate.admin).await;
        wire.send(format!("GET /users HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        assert_eq!(wire.reply().await.status, status, "{host}");
    }
    // One that names us and one that does not: whoever looks at the other one only would let a strange page in.
    for (first, second) in [
        ("127.0.0.1", "evil.test"),
        ("evil.test", "127.0.0.1"),
        ("localhost", "localhost"),
    ] {
        for path in ["/users", "/readyz", "/metrics"] {
            let mut wire = crate::support::raw::Wire::connect(shop.gate.admin).await;
            let hosts = format!("Host: {first}\r\nHost: {second}\r\n");
            wire.send(format!("GET {path} HTTP/1.1\r\n{hosts}\r\n"))
                .await;
            let status = wire.reply().await.status;
            assert_eq!(status, 400, "{path}, {first} and {second}");
        }
    }
    // Browsers name a host always; what asks for no more than whether we live may be older than that.
    for (path, status) in [("/readyz", 200), ("/metrics", 200), ("/users", 403)] {
        let mut wire = crate::support::raw::Wire::connect(shop.gate.admin).await;
        wire.send(format!("GET {path} HTTP/1.0\r\n\r\n")).await;
        assert_eq!(wire.reply().await.status, status, "{path}");
    }
}
