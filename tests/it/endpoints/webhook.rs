//! Events from Stripe.

use serde_json::{Value, json};
use sqlx::Executor as _;

use super::{error, ledger};
use crate::gate::launch;
use crate::shop::{ANN, Shop, setup};
use crate::support::raw::Reply;
use crate::support::stripe::{Form, SECRET, Stripe};
use crate::support::token;

const PATH: &str = "/stripe/webhook";

/// An event with this type, signed now.
async fn send(shop: &Shop, event: &Value) -> Reply {
    let body = event.to_string();
    let signature = shop.stripe.signature(&body);
    shop.stripe
        .post(&body, &signature)
        .await
        .expect("an answer")
}

fn event(id: &str, event_type: &str) -> Value {
    json!({
        "id": id, "object": "event", "type": event_type, "livemode": false, "created": token::now(),
        "data": { "object": { "id": "cus_unknown", "object": "customer", "metadata": {} } },
    })
}

#[tokio::test]
async fn an_event_is_queued_once_and_then_a_duplicate() {
    let shop = Shop::open().await;
    let sent = event("evt_1", "customer.updated");
    for (status, answer) in [
        ("queued", send(&shop, &sent).await),
        ("duplicate", send(&shop, &sent).await),
    ] {
        let expected = json!({
            "received": true, "error": null,
            "result": { "status": status, "event_type": "customer.updated", "event_id": "evt_1" },
        });
        assert_eq!((answer.status, answer.json()), (200, expected));
    }
    // What is told of a later event is told after all that is told of these.
    send(&shop, &event("evt_2", "customer.deleted")).await;
    let told = |event: &Value| {
        let text = event["message"].as_str().unwrap_or_default();
        text.strip_prefix("Webhook processed successfully: ")
            .map(str::to_owned)
    };
    let is_last = |event: &Value| told(event).as_deref() == Some("customer.deleted");
    shop.gate.log.until("the later one", 1, is_last).await;
    let events = shop.gate.log.events();
    let told: Vec<String> = events.iter().filter_map(told).collect();
    assert_eq!(told, ["customer.updated", "customer.deleted"]);
}

#[tokio::test]
async fn what_changes_nothing_or_is_not_ours_is_ignored_with_the_reason() {
    let shop = Shop::open().await;
    let mut live = event("evt_live", "customer.updated");
    live["livemode"] = json!(true);
    for (sent, reason) in [
        (
            event("evt_type", "product.created"),
            "events of this type change nothing here",
        ),
        (live, "it is of live mode, the secret key of test mode"),
    ] {
        let reply = send(&shop, &sent).await;
        let expected = json!({
            "received": true, "error": null,
            "result": { "status": "ignored", "event_type": sent["type"], "event_id": sent["id"], "reason": reason },
        });
        assert_eq!((reply.status, reply.json()), (200, expected));
    }
    let other = [("type", "other"), ("result", "ignored")];
    shop.gate
        .until_metric("tollgate_webhook_events_total", &other, 1.0)
        .await;
}

#[tokio::test]
async fn a_signature_that_is_missing_or_malformed_is_400_and_one_that_does_not_count_401() {
    let shop = Shop::open().await;
    let body = event("evt_1", "customer.updated").to_string();
    let now = token::now();
    let other = Stripe::sign(&body, &["whsec_other"], now);
    let tampered = Stripe::sign(&format!("{body} "), &[SECRET], now);
    let old = Stripe::sign(&body, &[SECRET], now - 301);
    let ahead = Stripe::sign(&body, &[SECRET], now + 3600);
    for (signature, status) in [
        ("nonsense", 400),
        ("t=1", 400),
        ("v1=00", 400),
        (other.as_str(), 401),
        (&tampered, 401),
        (&old, 401),
        (&ahead, 401),
    ] {
        let reply = shop.stripe.post(&body, signature).await.expect("an answer");
        assert_eq!(error(&reply).0, status, "{signature}");
    }
    assert_eq!(
        error(&shop.gate.send("POST", PATH, &[], &body).await).0,
        400
    );
    let mut ledger = ledger(&shop).await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM events")
        .fetch_one(&mut ledger)
        .await
        .expect("a count");
    assert_eq!(kept, 0, "a bad signature costs no write");
    let unverified = [("type", "other"), ("result", "unverified")];
    shop.gate
        .until_metric("tollgate_webhook_events_total", &unverified, 4.0)
        .await;
    // Anybody can send them, so they are no alarm; the line of the access log is enough.
    let is_refused = |line: &Value| !line["request.id"].is_null() && line["http.status"] == 401;
    shop.gate.log.until("the refusals", 4, is_refused).await;
    let events = shop.gate.log.events();
    assert!(
        events.iter().all(|line| line["level"] != "WARN"),
        "{}",
        shop.gate.log.text()
    );
}

#[tokio::test]
async fn each_of_several_secrets_and_of_several_signatures_counts() {
    let mut shop = Shop::open().await;
    two_secrets(&mut shop).await;
    let body = event("evt_1", "customer.updated").to_string();
    for (secrets, status) in [
        (&[SECRET][..], 200),
        (&["whsec_new"], 200),
        (&["whsec_other", "whsec_new"], 200),
        (&[SECRET, "whsec_other"], 200),
        (&["whsec_other"], 401),
    ] {
        let signature = Stripe::sign(&body, secrets, token::now());
        let reply = shop.stripe.post(&body, &signature).await;
        assert_eq!(reply.expect("an answer").status, status, "{secrets:?}");
    }
}

/// Starts Tollgate again with another secret beside the usual one, and a ledger of its own.
async fn two_secrets(shop: &mut Shop) {
    let folder = tempfile::tempdir().expect("a folder");
    let usual = setup(&shop.auth0, &shop.stripe, &shop.backend).yaml_in(folder.path());
    let one = format!("secrets: [{SECRET}]");
    let changed = usual.replace(&one, &format!("secrets: [{SECRET}, whsec_new]"));
    assert_ne!(usual, changed);
    let config = folder.path().join("tollgate.yaml");
    std::fs::write(&config, changed).expect("a config file");
    shop.gate = launch(folder, &config, false).await;
    shop.gate.until_readyz(200).await;
    let url = format!("http://{}{PATH}", shop.gate.address);
    shop.stripe.send_to(&url);
}

#[tokio::test]
async fn a_signed_body_that_is_no_event_is_400() {
    let shop = Shop::open().await;
    for body in ["", "{", "[]", "{}", r#"{"id":"evt_1","object":"event"}"#] {
        let signature = shop.stripe.signature(body);
        let reply = shop.stripe.post(body, &signature).await.expect("an answer");
        assert_eq!(error(&reply).0, 400, "{body}");
    }
}

#[tokio::test]
async fn it_is_post_alone_at_most_a_mebibyte_and_as_it_was_signed() {
    let shop = Shop::open().await;
    for method in ["GET", "HEAD", "PUT"] {
        assert_eq!(
            shop.gate.send(method, PATH, &[], "").await.status,
            405,
            "{method}"
        );
    }
    let large = "x".repeat((1 << 20) + 1);
    let signature = shop.stripe.signature(&large);
    let headers = [("Stripe-Signature", signature.as_str())];
    assert_eq!(
        error(&shop.gate.send("POST", PATH, &headers, &large).await).0,
        413
    );
    let body = event("evt_1", "customer.updated").to_string();
    let signature = shop.stripe.signature(&body);
    let headers = [
        ("Stripe-Signature", signature.as_str()),
        ("Content-Encoding", "gzip"),
    ];
    assert_eq!(
        error(&shop.gate.send("POST", PATH, &headers, &body).await).0,
        415
    );
    let twice = [
        ("Stripe-Signature", signature.as_str()),
        ("Stripe-Signature", signature.as_str()),
    ];
    assert_eq!(
        error(&shop.gate.send("POST", PATH, &twice, &body).await).0,
        400
    );
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_is_503_and_the_event_is_taken_when_it_comes_again() {
    let shop = Shop::open().await;
    let mut lock = ledger(&shop).await;
    lock.execute("BEGIN IMMEDIATE").await.expect("the lock");
    let sent = event("evt_1", "customer.updated");
    let reply = send(&shop, &sent).await;
    assert_eq!(error(&reply).0, 503);
    assert!(reply.header("retry-after").is_some());
    let body = json!({ "plan_type": "monthly" });
    let reply = shop.post(super::CHECKOUT, &shop.token(ANN), &body).await;
    assert_eq!(error(&reply).0, 503);
    assert!(shop.stripe.ids("checkout.session").is_empty());
    lock.execute("ROLLBACK").await.expect("released");
    let again = send(&shop, &sent).await.json();
    let status = again["result"]["status"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        ["queued", "duplicate"].contains(&status.as_str()),
        "{again}"
    );
}

#[tokio::test]
async fn thin_events_and_older_shapes_come_on_the_same_path() {
    for (form, older) in [(Form::Thin, false), (Form::Snapshot, true)] {
        let shop = Shop::open().await;
        shop.stripe.send_as(form);
        shop.stripe.send_in_older_shapes(older);
        let session = shop.buy(ANN, "lifetime").await;
        shop.stripe.refund(&session);
        shop.auth0.until_roles(ANN, &["free-user"]).await;
        shop.stripe.until_all_acknowledged().await;
    }
}

#[tokio::test]
async fn a_signature_header_that_never_counts_is_refused_before_the_body_comes() {
    let shop = Shop::open().await;
    for signature in ["nonsense", "t=1", "v1=00", "t=1,t=2,v1=00"] {
        let mut wire = shop.gate.wire().await;
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nStripe-Signature: {signature}\r\n\r\n"
        );
        wire.send(head).await;
        let reply = wire.try_reply(false).await.expect("an answer");
        assert_eq!(error(&reply).0, 400, "{signature}");
    }
}
