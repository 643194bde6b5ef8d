//! What is set up in the account.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate::stripe::{API_VERSION, Client, Config, EVENT_TYPES, IdempotencyKey, Kind};
use tollgate::telemetry::Metrics;
use tollgate::types::Secret;

use super::server::{Say, Stripe, ok, page, refused};
use super::simple::Simple;
use super::world::but;
use crate::support::stripe::{Fault, KEY, PRICE_LIFETIME, PRICE_MONTHLY, Stripe as Standin};

fn key(word: &str) -> IdempotencyKey {
    IdempotencyKey(word.to_owned())
}

/// A client of the stand-in, with another attempt or two.
pub(super) fn client(stripe: &Standin) -> Client {
    let config = Config {
        url: stripe.url(),
        secret_key: Secret::new(KEY.to_owned()),
        timeout: Duration::from_secs(5),
        retries: 2,
    };
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let client = Client::new(config, metrics).expect("a client");
    client.with_backoff(Duration::from_millis(1))
}

/// What one answer makes of a call.
pub(super) async fn told<T>(say: Say, ask: impl AsyncFn(Client) -> T) -> T {
    let stripe = Stripe::saying(vec![say]);
    ask(stripe.client(0)).await
}

#[tokio::test]
async fn the_account_says_what_it_is_called_and_whether_it_takes_money() {
    for (object, name, charges) in [
        (
            json!({ "id": "acct_1", "charges_enabled": false,
                "settings": { "dashboard": { "display_name": "Shop" } } }),
            Some("Shop"),
            Some(false),
        ),
        (
            json!({ "id": "acct_1", "business_profile": { "name": "Ltd" }, "settings": null }),
            Some("Ltd"),
            None,
        ),
        (json!({ "id": "acct_1" }), None, None),
    ] {
        let found = told(ok(object), async |client| client.account().await).await;
        let found = found.expect("an account");
        assert_eq!(
            (
                found.id.as_str(),
                found.name.as_deref(),
                found.charges_enabled
            ),
            ("acct_1", name, charges)
        );
    }
    let refused = refused(401, json!({ "type": "invalid_request_error" }));
    let error = told(refused, async |client| client.account().await).await;
    assert!(matches!(
        error.expect_err("an error").kind,
        Kind::Auth { .. }
    ));
}

#[tokio::test]
async fn a_price_is_of_the_kind_that_its_type_or_its_interval_says() {
    for (object, active, recurring, live) in [
        (
            json!({ "type": "recurring", "active": true, "livemode": true }),
            true,
            Some(true),
            Some(true),
        ),
        (
            json!({ "type": "one_time", "active": false, "livemode": false }),
            false,
            Some(false),
            Some(false),
        ),
        (
            json!({ "recurring": { "interval": "month" } }),
            true,
            Some(true),
            None,
        ),
        (
            json!({ "type": "later", "recurring": null, "active": null }),
            true,
            Some(false),
            None,
        ),
        (json!({}), true, None, None),
    ] {
        let object = but(object, "id", json!("price_1"));
        let object = but(object, "product", json!({ "id": "prod_1" }));
        let found = told(ok(object), async |client| client.price("price_1").await).await;
        let found = found.expect("an answer").expect("a price");
        assert_eq!(
            (found.active, found.recurring, found.live),
            (active, recurring, live)
        );
        assert_eq!(found.product.as_deref(), Some("prod_1"));
    }
}

#[tokio::test]
async fn a_price_that_is_not_there_or_of_the_other_mode_is_none() {
    let stripe = Standin::start();
    let client = client(&stripe);
    let found = client.price(PRICE_MONTHLY).await.expect("an answer");
    assert_eq!(found.map(|price| price.recurring), Some(Some(true)));
    let found = client.price(PRICE_LIFETIME).await.expect("an answer");
    assert_eq!(found.map(|price| price.recurring), Some(Some(false)));
    stripe.move_to_other_mode(PRICE_MONTHLY, true);
    for id in [PRICE_MONTHLY, "price_none", "../account"] {
        assert_eq!(client.price(id).await.expect("an answer"), None, "{id}");
    }
    stripe.withhold("price_read");
    let error = client.price(PRICE_MONTHLY).await.expect_err("an error");
    assert!(matches!(error.kind, Kind::Auth { .. }));
}

#[tokio::test]
async fn endpoints_are_read_from_all_pages_and_with_what_is_absent() {
    let stripe = Stripe::start(|asked, _| {
        if asked.form.contains("starting_after=we_2") {
            page(&[json!({ "id": "we_1", "url": "https://c.test/" })], false)
        } else {
            let full = json!({ "id": "we_3", "url": "https://a.test/", "enabled_events": ["*"], "livemode": true,
                "api_version": API_VERSION, "status": "disabled" });
            let null = json!({ "id": "we_2", "url": "https://b.test/", "enabled_events": null, "api_version": null,
                "status": "enabled" });
            page(&[full, null], true)
        }
    });
    let all = stripe.client(0).webhook_endpoints().await.expect("a list");
    let ids: Vec<&str> = all.iter().map(|endpoint| endpoint.id.as_str()).collect();
    assert_eq!(ids, ["we_3", "we_2", "we_1"]);
    assert_eq!(all[0].events, ["*"]);
    assert_eq!(all[0].api_version.as_deref(), Some(API_VERSION));
    let enabled = all.iter().map(|endpoint| endpoint.enabled);
    assert_eq!(enabled.collect::<Vec<_>>(), [false, true, true]);
    let live = all.iter().map(|endpoint| endpoint.live);
    assert_eq!(live.collect::<Vec<_>>(), [Some(true), None, None]);
    let unknown = Simple::start().client().webhook_endpoints().await;
    let unknown = unknown.expect_err("an error").kind;
    assert!(matches!(unknown, Kind::Invalid { status: 404, .. }));
}

#[tokio::test]
async fn an_endpoint_is_made_once_though_the_answer_was_lost_and_tells_its_secret() {
    let stripe = Standin::start_empty();
    let client = client(&stripe);
    stripe.fault_next(1, "POST", "/v1/webhook_endpoints", Fault::CutAfter);
    let url = "https://shop.test/stripe/webhook";
    let made = client
        .create_webhook_endpoint(url, EVENT_TYPES, &key("hook"))
        .await;
    let (made, secret) = made.expect("an endpoint");
    assert_eq!(stripe.ids("webhook_endpoint"), [made.id.as_str()]);
    assert_eq!(stripe.secret_of(&made.id), secret.expose());
    assert_eq!(format!("{secret:?}"), "[redacted]");
    assert_eq!((made.url.as_str(), made.enabled), (url, true));
    assert_eq!(made.events, EVENT_TYPES);
    assert_eq!(made.api_version.as_deref(), Some(API_VERSION));
    let calls = stripe.calls_of("POST", "/v1/webhook_endpoints");
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert_eq!(call.idempotency_key.as_deref(), Some("hook"));
        assert!(call.params["description"].is_string());
    }
    let listed = client.webhook_endpoints().await.expect("a list");
    assert_eq!(listed, [made]);
}

#[tokio::test]
async fn an_endpoint_without_a_secret_is_no_answer() {
    for secret in [Value::Null, json!(""), json!("whsec_1\n"), json!(7)] {
        let made = json!({ "id": "we_1", "url": "https://x.test/", "secret": secret });
        let made = told(ok(made), async |client| {
            client
                .create_webhook_endpoint("https://x.test/", &["*"], &key("hook"))
                .await
        });
        let error = made.await.expect_err("an error");
        assert_eq!(error.kind, Kind::Unreadable, "{secret}");
    }
}

#[tokio::test]
async fn an_endpoint_is_changed_in_what_is_asked_for_alone() {
    let stripe = Standin::start();
    let client = client(&stripe);
    let url = "https://shop.test/hook";
    let id = stripe.new_webhook_endpoint(url, &["invoice.paid"], Some("2024-06-20"));
    stripe.pretend(&id, json!({ "status": "disabled" }));
    let events = ["invoice.paid", "customer.deleted"].map(str::to_owned);
    let changed = client
        .update_webhook_endpoint(&id, Some(&events), false, &key("a"))
        .await
        .expect("an endpoint");
    assert_eq!((&changed.events[..], changed.enabled), (&events[..], false));
    let changed = client
        .update_webhook_endpoint(&id, None, true, &key("b"))
        .await
        .expect("an endpoint");
    assert_eq!((&changed.events[..], changed.enabled), (&events[..], true));
    assert_eq!(changed.url, url);
    assert_eq!(changed.api_version.as_deref(), Some("2024-06-20"));
    let none = client
        .update_webhook_endpoint("we_none", None, true, &key("c"))
        .await;
    let none = none.expect_err("an error").kind;
    assert!(matches!(none, Kind::Missing { .. }));
    stripe.withhold("webhook_write");
    let refused = client
        .create_webhook_endpoint(url, &["*"], &key("d"))
        .await
        .expect_err("an error");
    assert!(matches!(refused.kind, Kind::Auth { .. }));
}

#[tokio::test]
async fn the_portal_is_set_up_when_its_usual_configuration_is_active() {
    let stripe = Standin::start_empty();
    let client = client(&stripe);
    assert!(!client.has_portal().await.expect("an answer"));
    stripe.set_up_portal(true);
    assert!(client.has_portal().await.expect("an answer"));
    for (object, expected) in [
        (json!({ "active": true, "is_default": true }), true),
        (json!({}), true),
        (json!({ "active": false, "is_default": true }), false),
        // Not all filter as they are told.
        (json!({ "active": true, "is_default": false }), false),
    ] {
        let listed = page(&[but(object.clone(), "id", json!("bpc_1"))], false);
        let found = told(listed, async |client| client.has_portal().await).await;
        assert_eq!(found.expect("an answer"), expected, "{object}");
    }
    let without_filter = Stripe::start(|asked, _| {
        if asked.form.contains("is_default") {
            refused(400, json!({ "code": "parameter_unknown" }))
        } else {
            page(&[json!({ "id": "bpc_1" })], false)
        }
    });
    let found = without_filter.client(0).has_portal().await;
    assert!(found.expect("an answer"));
}
