//! When a call is tried again, and when not (Stripe's documentation, "Advanced error handling").

use std::time::{Duration, Instant};

use serde_json::json;
use tollgate::stripe::{Customer, Error, IdempotencyKey, Kind};

use super::server::{KEY, Say, Stripe, missing, ok, refused, refused_with};

fn good() -> Say {
    ok(json!({ "id": "cus_1", "object": "customer", "metadata": { "auth0_user_id": "auth0|1" } }))
}

/// What becomes of asking for a customer, with three more attempts, and how many requests came.
async fn ask(script: Vec<Say>) -> (Result<Option<Customer>, Error>, usize) {
    // Only who hears nothing has to wait for the end of it.
    let timeout = match script[0] {
        Say::Hang => Duration::from_secs(2),
        Say::Json(..) | Say::Text(..) | Say::Cut | Say::CutBody | Say::Giant => {
            Duration::from_secs(5)
        }
    };
    let stripe = Stripe::saying(script);
    let (client, _) = stripe.patient(3, timeout);
    let found = client.customer("cus_1").await;
    (found, stripe.asked().len())
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let in_use = json!({ "type": "idempotency_error", "code": "idempotency_key_in_use" });
    let lock = json!({ "type": "invalid_request_error", "code": "lock_timeout" });
    for trouble in [
        Say::Cut,
        Say::CutBody,
        Say::Hang,
        refused_with(500, &[]),
        refused_with(503, &[]),
        refused_with(429, &[]),
        refused(409, in_use),
        refused(409, lock.clone()),
        refused(429, lock),
        Say::Text(502, "<html>".to_owned()),
        refused_with(400, &[("stripe-should-retry", "true")]),
    ] {
        let (found, requests) = ask(vec![trouble.clone(), good()]).await;
        assert!(matches!(found, Ok(Some(_))), "{trouble:?}: {found:?}");
        assert_eq!(requests, 2, "{trouble:?}");
    }
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    let other = json!({ "type": "idempotency_error", "message": "Keys for idempotent requests" });
    for trouble in [
        refused_with(500, &[("stripe-should-retry", "false")]),
        refused_with(409, &[("stripe-should-retry", "false")]),
        refused_with(429, &[("stripe-should-retry", "false")]),
        refused(400, json!({ "type": "invalid_request_error" })),
        refused(400, other),
        refused_with(401, &[]),
        refused_with(403, &[]),
        refused(402, json!({ "type": "card_error" })),
        missing(),
        Say::Giant,
        Say::Text(200, "<html>".to_owned()),
        Say::Text(200, "[]".to_owned()),
        Say::Json(302, vec![("location", "/v1/elsewhere")], json!({})),
    ] {
        let (_, requests) = ask(vec![trouble.clone(), good()]).await;
        assert_eq!(requests, 1, "{trouble:?}");
    }
}

#[tokio::test]
async fn there_are_no_more_attempts_than_the_config_allows() {
    for (trouble, kind) in [
        (Say::Cut, Kind::Unreachable),
        (refused_with(500, &[]), Kind::Api(500)),
        (refused_with(429, &[]), Kind::RateLimited),
    ] {
        let (found, requests) = ask(vec![trouble]).await;
        let error = found.expect_err("an error");
        assert_eq!((error.kind, requests), (kind, 4));
    }
    let stripe = Stripe::saying(vec![Say::Cut]);
    let error = stripe
        .client(0)
        .customer("cus_1")
        .await
        .expect_err("an error");
    assert!(error.is_retryable());
    assert_eq!(stripe.asked().len(), 1);
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let stripe = Stripe::saying(vec![good()]);
    let client = stripe.client(1);
    drop(stripe);
    let error = loop {
        // The listener goes away in its own time.
        if let Err(error) = client.customer("cus_1").await {
            break error;
        }
    };
    assert_eq!(error.kind, Kind::Unreachable);
}

#[tokio::test]
async fn a_hanging_stripe_costs_no_more_than_the_deadline_of_each_attempt() {
    let stripe = Stripe::saying(vec![Say::Hang]);
    let (client, metrics) = stripe.patient(1, Duration::from_millis(200));
    let begun = Instant::now();
    let error = client.customer("cus_1").await.expect_err("an error");
    assert_eq!(error.kind, Kind::Unreachable);
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(5),
        "{took:?}"
    );
    let text = metrics.render(None);
    let line = r#"tollgate_stripe_requests_total{endpoint="/v1/customers/{id}",status="error"} 2"#;
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn retry_after_is_waited_for_when_it_is_short() {
    let stripe = Stripe::saying(vec![refused_with(429, &[("retry-after", "1")]), good()]);
    let begun = Instant::now();
    let found = stripe.client(3).customer("cus_1").await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_long_retry_after_is_left_to_the_caller() {
    let script = vec![
        refused_with(429, &[("retry-after", "60"), ("request-id", "req_1")]),
        good(),
    ];
    let (found, requests) = ask(script).await;
    let error = found.expect_err("an error");
    assert_eq!(error.kind, Kind::RateLimited);
    assert_eq!(error.retry_after, Some(Duration::from_secs(60)));
    assert_eq!(error.request_id.as_deref(), Some("req_1"));
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn the_idempotency_key_is_on_every_post_and_stays_the_same_over_its_attempts() {
    let stripe = Stripe::start(|asked, count| match (asked.path.as_str(), count % 3) {
        (_, 0 | 1) => refused_with(500, &[]),
        ("/v1/customers", _) => good(),
        (_, _) => ok(json!({ "id": "bps_1", "url": "https://billing.test/" })),
    });
    let client = stripe.client(3);
    let key = IdempotencyKey("customer:auth0|1".to_owned());
    client
        .create_customer("auth0|1", None, &key)
        .await
        .expect("a customer");
    client
        .create_portal_session("cus_1", "https://x.test/")
        .await
        .expect("a portal");
    client
        .create_portal_session("cus_1", "https://x.test/")
        .await
        .expect("a portal");
    let asked = stripe.asked();
    let keys: Vec<&str> = asked
        .iter()
        .map(|asked| asked.header("idempotency-key").expect("a key"))
        .collect();
    assert_eq!(keys.len(), 9);
    assert_eq!(&keys[..3], [key.0.as_str(); 3]);
    assert_eq!(&keys[3..6], [keys[3]; 3]);
    assert_eq!(&keys[6..], [keys[6]; 3]);
    assert!(keys[3] != keys[6] && keys[3].len() >= 16);
}

#[tokio::test]
async fn reads_and_deletions_carry_no_idempotency_key() {
    let stripe = Stripe::saying(vec![ok(json!({
        "id": "sub_1", "status": "canceled", "items": { "data": [] }
    }))]);
    let client = stripe.client(0);
    client.subscription("sub_1").await.expect("an answer");
    client.cancel_now("sub_1").await.expect("an answer");
    for asked in stripe.asked() {
        assert_eq!(asked.header("idempotency-key"), None, "{asked:?}");
    }
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_found_done() {
    let stripe = Stripe::start(|asked, count| match (asked.method.as_str(), count) {
        (_, 0) => Say::Cut,
        ("DELETE", _) => missing(),
        (_, _) => ok(json!({ "id": "sub_1", "status": "canceled", "items": { "data": [] } })),
    });
    let ended = stripe
        .client(2)
        .cancel_now("sub_1")
        .await
        .expect("it is done");
    assert!(ended.status.is_ended());
    let gone = Stripe::saying(vec![missing()]);
    let error = gone
        .client(2)
        .cancel_now("sub_1")
        .await
        .expect_err("there is none");
    assert!(matches!(error.kind, Kind::Missing { .. }));
}

#[tokio::test]
async fn every_request_names_the_version_the_key_and_the_sender() {
    let stripe = Stripe::saying(vec![good()]);
    stripe.client(0).customer("cus_1").await.expect("an answer");
    let asked = &stripe.asked()[0];
    assert_eq!(
        asked.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
    assert_eq!(
        asked.header("stripe-version"),
        Some(tollgate::stripe::API_VERSION)
    );
    let agent = asked.header("user-agent").expect("a sender");
    assert!(agent.starts_with("tollgate/"), "{agent}");
}

#[tokio::test]
async fn a_redirection_is_not_followed_and_the_key_goes_nowhere_else() {
    let elsewhere = Stripe::saying(vec![good()]);
    let location = format!("{}/v1/customers/cus_1", elsewhere.url()).leak();
    let stripe = Stripe::saying(vec![Say::Json(
        307,
        vec![("location", location)],
        json!({}),
    )]);
    let error = stripe
        .client(2)
        .customer("cus_1")
        .await
        .expect_err("an error");
    assert_eq!(error.kind, Kind::Unreadable);
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_no_json_is_unreadable() {
    for answer in [
        Say::Giant,
        Say::Text(200, "no".into()),
        ok(json!([])),
        ok(json!({})),
    ] {
        let (found, _) = ask(vec![answer.clone()]).await;
        assert_eq!(
            found.expect_err("an error").kind,
            Kind::Unreadable,
            "{answer:?}"
        );
    }
}
