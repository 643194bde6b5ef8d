//! What the pages tell.

use http::Method;
use serde_json::json;

use super::visitor::{Visitor, encode};
use super::{TOKEN, drift, event_of, kill_a_job, receive, shop};
use crate::gate::World;
use crate::shop::{ANN, BOB, Shop, setup};
use crate::support::auth0::{Auth0, Fault, Trouble};
use crate::support::backend::Backend;
use crate::support::postgres::Server;
use crate::support::raw::Reply;
use crate::support::stripe::Stripe;

/// Every page that is there whatever the ledger holds.
const PAGES: [&str; 7] = [
    "/", "/events", "/jobs", "/users", "/drift", "/health", "/routes",
];

/// Asserts that `text` has all of `parts`.
#[track_caller]
fn tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_purchase_is_told_on_every_page_it_concerns() {
    let shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    shop.settled().await;
    let visitor = Visitor::of(&shop.gate);
    let event = event_of(&shop, "checkout.session.completed");
    let overview = visitor.page("/").await;
    tells(
        &overview,
        &[
            "users who paid",
            "1 monthly",
            "premium-monthly",
            &event,
            ANN,
        ],
    );
    let events = visitor
        .page("/events?type=checkout.session.completed")
        .await;
    tells(&events, &[&event, "1 event."]);
    assert!(!events.contains("invoice.paid"), "{events}");
    let shown = visitor.page(&format!("/events/{event}")).await;
    tells(
        &shown,
        &[
            "checkout.session.completed",
            ANN,
            "processed",
            "client_reference_id",
            "test",
        ],
    );
    let page = visitor.page(&format!("/users/{}", encode(ANN))).await;
    let subscription = shop.stripe.ids("subscription")[0].clone();
    let customer = shop.stripe.ids("customer")[0].clone();
    tells(
        &page,
        &[
            "monthly",
            "bought",
            &subscription,
            "active",
            "confirmed",
            "its period ends",
            &customer,
            "role given: ",
            "role taken: ",
            "premium-monthly",
            "free-user",
            "complete",
            &event,
        ],
    );
}

#[tokio::test]
async fn a_refund_and_a_cancellation_are_told_as_why_somebody_has_no_access_any_more() {
    let shop = Shop::open().await;
    let session = shop.buy(ANN, "lifetime").await;
    let user = format!("/users/{}", encode(ANN));
    let visitor = Visitor::of(&shop.gate);
    tells(&visitor.page(&user).await, &[&session, "was paid once"]);
    shop.stripe.refund(&session);
    shop.auth0.until_roles(ANN, &["free-user"]).await;
    shop.settled().await;
    tells(
        &visitor.page(&user).await,
        &["Nothing that was bought", "not bought"],
    );
    let session = shop.buy(BOB, "monthly").await;
    let subscription = shop.stripe.subscription_of(&session);
    shop.stripe.cancel_at_end(&subscription);
    shop.settled().await;
    let bob = format!("/users/{}", encode(BOB));
    tells(&visitor.page(&bob).await, &["it is set to end"]);
}

#[tokio::test]
async fn users_are_found_by_id_by_customer_and_by_e_mail() {
    let shop = Shop::open().await;
    shop.auth0
        .create_user("auth0|cleo", "cleo@example.test", true);
    shop.buy(ANN, "monthly").await;
    shop.settled().await;
    let visitor = Visitor::of(&shop.gate);
    let customer = shop.stripe.ids("customer")[0].clone();
    tells(&visitor.page("/users").await, &[ANN]);
    tells(
        &visitor.page("/users?q=AUTH0%7CAN").await,
        &[ANN, "monthly"],
    );
    tells(&visitor.page(&format!("/users?q={customer}")).await, &[ANN]);
    let found = visitor.page("/users?q=cleo%40example.test").await;
    tells(&found, &["auth0|cleo", "not in the ledger", "(verified)"]);
    tells(
        &visitor.page("/users?q=nobody").await,
        &["Nobody was found"],
    );
    let monthly = visitor.page("/users?plan=monthly").await;
    tells(&monthly, &[ANN]);
    assert!(!visitor.page("/users?plan=lifetime").await.contains(ANN));
    let unknown = visitor.page("/users/auth0%7Cnobody").await;
    tells(&unknown, &["auth0|nobody", "no entitlement"]);
}

#[tokio::test]
async fn a_search_by_e_mail_says_so_when_auth0_is_away() {
    let mut shop = Shop::open().await;
    shop.auth0.go_down().await;
    let page = Visitor::of(&shop.gate)
        .page("/users?q=ann%40example.test")
        .await;
    tells(&page, &["Auth0 could not be asked"]);
}

#[tokio::test]
async fn a_search_by_e_mail_finds_who_pays_under_it_though_auth0_lacks_the_call() {
    let shop = Shop::open().await;
    let named = json!({ "auth0_user_id": BOB });
    let customer = shop.stripe.new_customer("bob@paid.test", &named);
    let not_there = Trouble::Instead(Fault::Status(404));
    shop.auth0
        .trouble(Method::GET, "/api/v2/users-by-email", not_there);
    let visitor = Visitor::of(&shop.gate);
    let found = visitor.page("/users?q=bob%40paid.test").await;
    tells(&found, &["Auth0 could not be asked", BOB, &customer]);
    let nobody = visitor.page("/users?q=nobody%40paid.test").await;
    tells(&nobody, &["Auth0 could not be asked", "Nobody was found"]);
}

#[tokio::test]
async fn a_search_by_e_mail_asks_stripe_too_and_shows_each_user_once() {
    let shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    shop.settled().await;
    let customer = shop.stripe.ids("customer")[0].clone();
    let ann = format!("href=\"/users/{}\"", encode(ANN));
    let named = json!({ "auth0_user_id": ANN });
    shop.stripe.new_customer("somebody@example.test", &named);
    let visitor = Visitor::of(&shop.gate);
    let both = visitor.page("/users?q=somebody%40example.test").await;
    assert_eq!(both.matches(&ann).count(), 1, "{both}");
    assert!(!both.contains("could not be asked"), "{both}");
    // It names nobody any more; the ledger knows whose it is.
    let fields = json!({ "email": "ann@paid.test", "metadata": {} });
    shop.stripe.pretend(&customer, fields);
    let linked = visitor.page("/users?q=ann%40paid.test").await;
    assert_eq!(linked.matches(&ann).count(), 1, "{linked}");
    tells(&linked, &[&customer, "monthly"]);
    shop.stripe.withhold("customer_read");
    let without = visitor.page("/users?q=somebody%40example.test").await;
    tells(&without, &["Stripe could not be asked", ANN, BOB]);
}

#[tokio::test]
async fn a_dead_job_and_drift_stand_out_first() {
    let shop = Shop::open().await;
    let visitor = Visitor::of(&shop.gate);
    tells(&visitor.page("/").await, &["All is well"]);
    kill_a_job(&shop).await;
    drift(&shop).await;
    let overview = visitor.page("/").await;
    tells(&overview, &["1 job was given up", "1 user has other roles"]);
    let alert = overview.find("1 job was given up");
    assert!(alert < overview.find("users who paid"), "{overview}");
    let jobs = visitor.page("/jobs").await;
    tells(&jobs, &["Given up (1)", ANN, "premium-lifetime"]);
    let drift = visitor.page("/drift").await;
    tells(
        &drift,
        &[
            BOB,
            "subscription sub_9 is active",
            "free-user",
            "role missing",
            "2 of 2 users",
        ],
    );
}

#[tokio::test]
async fn what_comes_from_outside_is_shown_as_text_and_never_as_html() {
    let shop = shop().await;
    let (kind, user) = (
        "<script>alert(1)</script>",
        "\"><img/src=x/onerror=alert(2)>",
    );
    let body = "{\"name\":\"</pre><script>alert(3)</script>\u{202e}\"}";
    receive(&shop, "evt_<b>'x", kind, user, body).await;
    let operator = Visitor::of(&shop.gate).sign_in(TOKEN).await;
    for path in [
        "/",
        "/events",
        "/events?type=%3Cscript%3Ealert(1)%3C%2Fscript%3E&user=%22%3E%3Cimg",
        "/events/evt_%3Cb%3E%27x",
        "/users?q=%22%3E%3Cimg%2Fsrc%3Dx",
        &format!("/users/{}", encode(user)),
        "/routes?method=%22%3E%3Cimg&path=%22%3E%3Cscript%3E&as=user&permissions=%3Cb%3E",
        "/jobs?done=%3Cb%3E",
        "/nothing/%3Cscript%3E",
    ] {
        let page = operator.get(path).await.text();
        for tag in [
            "<script>",
            "<img/",
            "<b>'",
            "<b>&#39;x",
            "</pre><script",
            "\u{202e}",
        ] {
            assert!(!page.contains(tag), "{tag} in {path}:\n{page}");
        }
        assert!(!page.contains("\"><img src=x"), "{page}");
    }
    let page = operator.page("/events/evt_%3Cb%3E%27x").await;
    tells(
        &page,
        &["&lt;script&gt;alert(1)&lt;/script&gt;", "alert(3)"],
    );
}

#[tokio::test]
async fn every_answer_forbids_what_the_console_does_not_need() {
    let shop = shop().await;
    let visitor = Visitor::of(&shop.gate);
    let others = [
        "/sign-in",
        "/assets/console.css",
        "/assets/console.js",
        "/assets/icon.svg",
        "/nothing",
        "/users/x",
        "/events/x",
    ];
    for path in PAGES.iter().chain(&others) {
        assert_guarded(&visitor.get(path).await, path);
    }
    assert_guarded(&visitor.post("/jobs/retry-dead", &[]).await, "a refusal");
    assert_guarded(
        &visitor.post("/sign-in", &[("token", TOKEN)]).await,
        "sign-in",
    );
    let page = visitor.page("/").await;
    for outside in ["http://", "https://", "style=\"", "onclick", "<style"] {
        assert!(!page.contains(outside), "{outside} in\n{page}");
    }
}

#[track_caller]
fn assert_guarded(reply: &Reply, what: &str) {
    let policy = reply.header("content-security-policy").unwrap_or_default();
    for rule in [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(rule), "{what}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{what}");
    }
}

#[tokio::test]
async fn head_follows_get_and_other_methods_are_told_which_are_allowed() {
    let shop = Shop::open().await;
    let visitor = Visitor::of(&shop.gate);
    for path in PAGES {
        let reply = visitor.send("HEAD", path, &[], "").await;
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{path}");
        assert_guarded(&reply, path);
    }
    for (method, path, allow) in [
        ("POST", "/", "GET, HEAD"),
        ("PUT", "/jobs", "GET, HEAD"),
        ("GET", "/jobs/retry", "POST"),
        ("DELETE", "/sign-in", "GET, HEAD, POST"),
        ("POST", "/metrics", "GET, HEAD"),
    ] {
        let reply = visitor.send(method, path, &[], "").await;
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some(allow)),
            "{path}"
        );
    }
    assert_eq!(visitor.get("/nothing").await.status, 404);
    assert_eq!(visitor.get("/events/evt_none").await.status, 404);
}

#[tokio::test]
async fn a_gate_alone_shows_health_and_routes_and_says_that_it_has_no_ledger() {
    let world = World::start().await;
    let visitor = Visitor::of(&world.gate);
    let overview = visitor.page("/").await;
    tells(&overview, &["gate alone", "href=\"/routes\""]);
    assert!(!overview.contains("href=\"/jobs\""), "{overview}");
    for path in [
        "/events",
        "/events/x",
        "/jobs",
        "/users",
        "/users/x",
        "/drift",
    ] {
        let reply = visitor.get(path).await;
        assert_eq!(reply.status, 404, "{path}");
        tells(&reply.text(), &["no ledger here"]);
    }
    let health = visitor.page("/health").await;
    tells(
        &health,
        &[
            &world.backend.url().replace("http://", ""),
            "In force",
            "tollgate.yaml",
        ],
    );
    let routes = visitor.page("/routes").await;
    tells(
        &routes,
        &[
            "/reports/{id}",
            "permissions: [read:premium]",
            "any other path",
            "deny",
        ],
    );
}

#[tokio::test]
async fn the_explain_form_gives_the_verdict_of_the_command() {
    let world = World::start().await;
    let visitor = Visitor::of(&world.gate);
    for (query, parts) in [
        ("path=/pub/x", &["ALLOW", "forwarded as anonymous"][..]),
        ("path=/premium", &["DENY 401", "a token is needed"]),
        (
            "path=/premium&as=user&permissions=read:other",
            &["DENY 403", "the token lacks read:premium"],
        ),
        ("path=/premium&as=user&permissions=read:premium", &["ALLOW"]),
        ("method=post&path=/premium", &["DENY 405"]),
        ("path=/a%252fb", &["DENY 400", "encoded slash"]),
        ("path=/x&method=G%20ET", &["is no method"]),
        ("path=/pub/x&method=CONNECT", &["DENY 405", "not supported"]),
    ] {
        tells(&visitor.page(&format!("/routes?{query}")).await, parts);
    }
}

#[tokio::test]
async fn the_route_table_is_the_one_in_force_and_a_failed_reload_is_told() {
    let (auth0, backend) = (Auth0::start(), Backend::start());
    let setup = crate::gate::Setup::new(&auth0, &backend.url());
    let gate = setup.clone().start().await;
    let visitor = Visitor::of(&gate);
    let changed = setup
        .clone()
        .routes("default: deny\nroutes: [{ path: /new-one, access: public }]");
    gate.rewrite_config(&changed);
    gate.signal("HUP");
    gate.until_metric("tollgate_config_reloads_total", &[("result", "ok")], 1.0)
        .await;
    tells(&visitor.page("/routes").await, &["/new-one"]);
    gate.rewrite_config(&setup.routes("routes: nonsense"));
    gate.signal("HUP");
    let failed = [("result", "error")];
    gate.until_metric("tollgate_config_reloads_total", &failed, 1.0)
        .await;
    tells(
        &visitor.page("/").await,
        &["The config file was changed and has mistakes"],
    );
    tells(&visitor.page("/health").await, &["failed", "SIGHUP"]);
    tells(&visitor.page("/routes").await, &["/new-one"]);
}

#[tokio::test]
async fn an_upstream_that_is_away_stands_out() {
    let world = World::with(|setup| setup.upstream_url("http://127.0.0.1:1")).await;
    let visitor = Visitor::of(&world.gate);
    tells(
        &visitor.page("/").await,
        &["The upstream cannot be reached"],
    );
    tells(&visitor.page("/health").await, &["away", "127.0.0.1:1"]);
}

#[tokio::test]
async fn webhooks_that_are_signed_with_another_secret_stand_out_until_one_fits() {
    let shop = Shop::open().await;
    let visitor = Visitor::of(&shop.gate);
    tells(
        &visitor.page("/health").await,
        &["None came since the start"],
    );
    let signature = format!("t=1,v1={}", "0".repeat(64));
    let headers = [
        ("Stripe-Signature", signature.as_str()),
        ("Content-Type", "application/json"),
    ];
    let reply = shop
        .gate
        .send("POST", "/stripe/webhook", &headers, "{}")
        .await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    tells(
        &visitor.page("/").await,
        &["none is signed with any of `stripe.webhook.secrets`"],
    );
    tells(
        &visitor.page("/health").await,
        &["unverified", "tollgate doctor -c"],
    );
    shop.buy(ANN, "monthly").await;
    shop.settled().await;
    tells(&visitor.page("/").await, &["All is well"]);
}

#[tokio::test]
async fn ids_that_no_ledger_holds_are_not_found_and_no_outage() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database().await;
    let (auth0, stripe, backend) = (Auth0::start(), Stripe::start(), Backend::start());
    let url = format!("store: {{ url: \"{}\" }}", database.url);
    let setup = setup(&auth0, &stripe, &backend);
    let gate = setup.replace_section("store:", &url).start().await;
    let visitor = Visitor::of(&gate);
    let long = "x".repeat(4000);
    for (path, status) in [
        ("/users/%00", 200),
        ("/events/evt_%00", 404),
        ("/events/%FF%FE", 404),
        ("/users/a%2Fb%2F..", 200),
        ("/users/auth0|ann", 200),
        ("/users?q=%00", 200),
        ("/users?q=cus_%00&plan=%00", 200),
        ("/events?user=%00&type=%00", 200),
        (&format!("/users?q={long}"), 200),
        (&format!("/users/{long}"), 200),
        ("/users/", 404),
        ("/health/", 404),
    ] {
        let reply = visitor.get(path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_stand_out() {
    let (mut auth0, backend) = (Auth0::start(), Backend::start());
    auth0.go_down().await;
    let setup = crate::gate::Setup::new(&auth0, &backend.url());
    let gate = setup.start_unready().await;
    tells(
        &Visitor::of(&gate).page("/").await,
        &["There are no keys of Auth0"],
    );
}

#[tokio::test]
async fn without_the_ledger_each_page_says_so_and_the_rest_stays() {
    let Some(server) = Server::own() else {
        return;
    };
    let database = server.database().await;
    let (auth0, stripe, backend) = (Auth0::start(), Stripe::start(), Backend::start());
    let url = format!("store: {{ url: \"{}\" }}", database.url);
    let setup = setup(&auth0, &stripe, &backend);
    let gate = setup
        .replace_section("store:", &url)
        .admin_token(TOKEN)
        .start()
        .await;
    let operator = Visitor::of(&gate).sign_in(TOKEN).await;
    let csrf = operator.csrf().await;
    let stopped = std::sync::Arc::clone(&server);
    let stopping = tokio::task::spawn_blocking(move || stopped.end());
    stopping.await.expect("the server stops");
    for path in [
        "/",
        "/events",
        "/events/x",
        "/jobs",
        "/users",
        "/users/x",
        "/drift",
    ] {
        let reply = operator.get(path).await;
        assert_eq!(reply.status, 503, "{path}: {}", reply.text());
        tells(
            &reply.text(),
            &["ledger does not answer", "href=\"/jobs\"", "Sign out"],
        );
    }
    tells(
        &operator.page("/health").await,
        &["away", "The log says why"],
    );
    tells(&operator.page("/routes").await, &["/premium"]);
    let refused = operator.post("/jobs/retry-dead", &[("csrf", &csrf)]).await;
    assert_eq!(refused.status, 503);
    tells(&refused.text(), &["nothing was done"]);
}
