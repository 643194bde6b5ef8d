//! The console in a real browser, with JavaScript and without.

use std::path::PathBuf;

use super::browser::Browser;
use super::visitor::encode;
use super::{TOKEN, drift, event_of, kill_a_job, mend, receive, shop};
use crate::shop::{ANN, BOB, Shop};

/// Finds a user, signs in, replays an event, retries the dead: the same with and without JavaScript.
async fn story(browser: &Browser, shop: &Shop, javascript: bool) {
    let admin = format!("http://{}", shop.gate.admin);
    let event = kill_a_job(shop).await;
    browser.go(&format!("{admin}/")).await;
    browser.until("1 job was given up").await;
    browser.click("nav a[href='/users']").await;
    browser.write("input[name=q]", "auth0|an").await;
    browser.click("form[role=search] button").await;
    browser.click("a[href='/users/auth0%7Cann']").await;
    browser.until("Sign in to sync this user").await;
    assert_eq!(browser.count("form[method=post]").await, 0);
    browser.click(".corner a").await;
    browser.write("#token", TOKEN).await;
    browser.click("form.sign-in button").await;
    browser.until("You are signed in").await;
    let here = format!("{admin}/users/auth0%7Cann");
    assert!(
        browser.url().await.starts_with(&here),
        "{}",
        browser.url().await
    );
    mend(shop);
    browser.go(&format!("{admin}/events/{event}")).await;
    browser.click("form.act button").await;
    browser.until("The event is queued again").await;
    shop.auth0.until_roles(ANN, &["premium-lifetime"]).await;
    shop.auth0.delete_role("premium-monthly");
    let session = shop.checkout(BOB, "monthly").await;
    shop.stripe.pay(&session);
    shop.until_dead(BOB).await;
    shop.auth0
        .create_role("premium-monthly", &["read:premium-content"]);
    browser.go(&format!("{admin}/jobs")).await;
    browser.until(BOB).await;
    browser
        .click("form[action='/jobs/retry-dead'] button")
        .await;
    browser.until("queued again.").await;
    shop.auth0.until_roles(BOB, &["premium-monthly"]).await;
    fix(browser, shop, javascript).await;
    browser.click("form[action='/sign-out'] button").await;
    browser.until("You are signed out").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// Fixes drift: it may take a role away, so a script asks before.
async fn fix(browser: &Browser, shop: &Shop, javascript: bool) {
    shop.settled().await;
    drift(shop).await;
    let admin = format!("http://{}", shop.gate.admin);
    browser.go(&format!("{admin}/drift")).await;
    let button = "form[action='/drift/fix'] button";
    if javascript {
        browser.click(button).await;
        let question = browser.say_no().await;
        assert_eq!(
            question,
            format!("Bring the roles of {BOB} in line with Stripe?")
        );
    }
    browser.click(button).await;
    if javascript {
        browser.say_yes().await;
    }
    browser.until("A job is queued").await;
}

#[tokio::test]
async fn an_operator_works_in_a_browser_with_javascript() {
    let Some(browser) = Browser::start(true).await else {
        return;
    };
    let shop = shop().await;
    story(&browser, &shop, true).await;
}

#[tokio::test]
async fn an_operator_works_in_a_browser_without_javascript() {
    let Some(browser) = Browser::start(false).await else {
        return;
    };
    let shop = shop().await;
    story(&browser, &shop, false).await;
}

#[tokio::test]
async fn with_javascript_moments_are_told_from_now_and_pages_stay_fresh() {
    let Some(browser) = Browser::start(true).await else {
        return;
    };
    let shop = shop().await;
    shop.buy(ANN, "monthly").await;
    shop.settled().await;
    let admin = format!("http://{}", shop.gate.admin);
    browser.go(&format!("{admin}/")).await;
    let iso = browser.attribute("main time", "datetime").await;
    let title = browser.attribute("main time", "title").await;
    assert!(iso.is_some() && iso == title, "{iso:?} {title:?}");
    let told = browser
        .run("return document.querySelector('main time').textContent")
        .await;
    let told = told.as_str().unwrap_or_default().to_owned();
    assert!(told == "now" || told.ends_with("ago"), "{told}");
    browser.run("window.kept = true").await;
    kill_a_job(&shop).await;
    browser.until("1 job was given up").await;
    assert_eq!(
        browser.run("return window.kept").await,
        true,
        "the page was not loaded anew"
    );
    browser.go(&format!("{admin}/?done=replayed")).await;
    browser.until("The event is queued again").await;
    assert_eq!(browser.url().await, format!("{admin}/"));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn no_markup_of_a_buyer_runs_in_a_browser() {
    let Some(browser) = Browser::start(true).await else {
        return;
    };
    let shop = shop().await;
    let user = "\"><img/src=x/onerror=document.title='caught'><svg/onload=document.title='caught'>";
    let kind = "<script>document.title='caught'</script>";
    let body = "{\"a\":\"</pre><script>document.title='caught'</script>\"}";
    receive(&shop, "evt_odd", kind, user, body).await;
    for path in [
        "/",
        "/events/evt_odd",
        &format!("/users/{}", encode(user)),
        "/users?q=%3Csvg",
    ] {
        browser
            .go(&format!("http://{}{path}", shop.gate.admin))
            .await;
        browser.find("h1").await;
        let title = browser.run("return document.title").await;
        assert!(
            !title.as_str().unwrap_or_default().contains("caught"),
            "{path}"
        );
        assert_eq!(
            browser.count("main img, main svg, main script").await,
            0,
            "{path}"
        );
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// On a phone nothing may be cut off at the side, and everything that can be pressed has a name.
#[tokio::test]
async fn every_page_fits_a_phone_and_a_desktop_light_and_dark() {
    let Some(browser) = Browser::start(true).await else {
        return;
    };
    let shop = shop().await;
    shop.buy(BOB, "monthly").await;
    shop.settled().await;
    let event = kill_a_job(&shop).await;
    drift(&shop).await;
    let invoice = event_of(&shop, "invoice.paid");
    let admin = format!("http://{}", shop.gate.admin);
    let pictures = std::env::var_os("TOLLGATE_PICTURES").map(PathBuf::from);
    browser.go(&format!("{admin}/sign-in")).await;
    let events = [format!("/events/{event}"), format!("/events/{invoice}")];
    let users = [ANN, BOB].map(|user| format!("/users/{}", encode(user)));
    let pages = [
        ("sign-in", "/sign-in"),
        ("overview", "/"),
        ("events", "/events"),
        ("event", &events[0]),
        ("event-of-another", &events[1]),
        ("jobs", "/jobs"),
        ("users", "/users"),
        ("search", "/users?q=somebody%40example.test"),
        ("user-ann", &users[0]),
        ("user-bob", &users[1]),
        ("drift", "/drift"),
        ("health", "/health"),
        (
            "routes",
            "/routes?path=/premium&as=user&permissions=read:basic-content",
        ),
        ("not-found", "/nothing"),
    ];
    for (name, path) in pages {
        if name == "overview" {
            browser.write("#token", TOKEN).await;
            browser.click("form.sign-in button").await;
            browser.until("You are signed in").await;
        }
        for (width, size) in [("desktop", (1280, 900)), ("phone", (390, 800))] {
            for scheme in ["light", "dark"] {
                browser.look(size, scheme).await;
                browser.go(&format!("{admin}{path}")).await;
                browser.find("h1").await;
                let cut = browser.run(SIDEWAYS).await;
                assert_eq!(cut, serde_json::json!([]), "{name} on a {width}");
                assert_eq!(
                    browser.run(PALE).await,
                    serde_json::json!([]),
                    "{name}, {scheme}"
                );
                assert_eq!(browser.run(NAMELESS).await, 0, "{name}");
                if let Some(folder) = &pictures {
                    let file = folder.join(format!("{name}-{width}-{scheme}.png"));
                    browser.picture(&file).await;
                }
            }
        }
    }
}

/// What stands out of the window at its side.
const SIDEWAYS: &str = "
    const wide = document.documentElement.clientWidth;
    const out = (box) => box.right > wide + 1 && box.width > 0;
    const scrolls = (e) => e.closest('.table, pre, .skip, .hidden') !== null && wide > 800 || e.closest('pre, .skip, .hidden, thead') !== null;
    return [...document.querySelectorAll('body *')]
        .filter((e) => out(e.getBoundingClientRect()) && !scrolls(e))
        .map((e) => e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 40));";

/// Text whose contrast with what is behind it is less than 4.5 to 1 (WCAG 2.2, success criterion 1.4.3, level AA).
const PALE: &str = "
    const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const behind = (e) => {
        for (let at = e; at; at = at.parentElement) {
            const color = parse(getComputedStyle(at).backgroundColor);
            if (color.length === 3 || color[3] > 0.99) return color;
        }
        return [255, 255, 255];
    };
    const pale = [];
    for (const e of document.querySelectorAll('body *')) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== '');
        if (!own || !e.checkVisibility()) continue;
        const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
        const contrast = (a + 0.05) / (b + 0.05);
        if (contrast < 4.5) pale.push(contrast.toFixed(2) + ' ' + e.textContent.slice(0, 40));
    }
    return pale;";

/// Controls that a screen reader could not name.
const NAMELESS: &str = "
    const named = (e) => e.textContent.trim() !== '' || e.labels?.length > 0 || e.getAttribute('aria-label');
    return [...document.querySelectorAll('a, button, select, input:not([type=hidden])')]
        .filter((e) => e.checkVisibility() && !named(e)).length;";
