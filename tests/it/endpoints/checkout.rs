//! Beginning a checkout.

use serde_json::{Value, json};

use super::{CHECKOUT, error, keys};
use crate::shop::{ANN, BOB, FRONTEND, Shop};
use crate::support::raw::Reply;
use crate::support::stripe::{Fault, KEY, PRICE_LIFETIME, PRICE_MONTHLY};

async fn begin(shop: &Shop, user: &str, plan: &str) -> Reply {
    let body = json!({ "plan_type": plan });
    shop.post(CHECKOUT, &shop.token(user), &body).await
}

#[tokio::test]
async fn a_checkout_is_made_as_the_contract_says() {
    let shop = Shop::open().await;
    for (plan, price, mode, data) in [
        (
            "monthly",
            PRICE_MONTHLY,
            "subscription",
            "subscription_data",
        ),
        ("lifetime", PRICE_LIFETIME, "payment", "payment_intent_data"),
    ] {
        let reply = begin(&shop, ANN, plan).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let answer = reply.json();
        let names = ["checkout_url", "customer_id", "session_id", "success"];
        assert_eq!(
            (keys(&answer), &answer["success"]),
            (names.to_vec(), &json!(true))
        );
        let call = shop
            .stripe
            .calls_of("POST", "/v1/checkout/sessions")
            .pop()
            .expect("a call");
        let sent = &call.params;
        let metadata = json!({ "auth0_user_id": ANN, "plan_type": plan });
        assert_eq!(sent["mode"], mode);
        assert_eq!(sent["line_items"]["0"]["price"], price);
        assert_eq!(sent["customer"], answer["customer_id"]);
        assert_eq!(sent["client_reference_id"], ANN);
        assert_eq!(sent["metadata"], metadata);
        assert_eq!(sent[data]["metadata"], metadata);
        let success =
            format!("{FRONTEND}?payment=success&plan={plan}&session_id={{CHECKOUT_SESSION_ID}}");
        assert_eq!(sent["success_url"], success);
        assert_eq!(sent["cancel_url"], format!("{FRONTEND}?payment=canceled"));
        for unwanted in ["payment_method_types", "ui_mode", "customer_email"] {
            assert_eq!(sent[unwanted], Value::Null, "{unwanted}");
        }
        assert!(call.idempotency_key.is_some());
    }
    assert_eq!(
        shop.stripe.ids("customer").len(),
        1,
        "one customer for each user"
    );
}

#[tokio::test]
async fn a_plan_that_is_not_sold_is_refused_by_its_name() {
    let shop = Shop::open().await;
    for plan in ["gold", "free", "Monthly", ""] {
        let (status, _, detail) = error(&begin(&shop, ANN, plan).await);
        assert_eq!(
            (status, detail),
            (400, format!("Invalid plan type: {plan}"))
        );
    }
    assert!(shop.stripe.calls().is_empty());
}

#[tokio::test]
async fn who_holds_the_plan_or_a_higher_one_is_told_what_to_do_instead() {
    let shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    let (status, code, detail) = error(&begin(&shop, ANN, "monthly").await);
    assert_eq!((status, code.as_str()), (409, "already_owned"));
    assert!(detail.contains("customer portal"), "{detail}");
    shop.buy(ANN, "lifetime").await;
    for plan in ["monthly", "lifetime"] {
        assert_eq!(begin(&shop, ANN, plan).await.status, 409, "{plan}");
    }
}

#[tokio::test]
async fn what_was_just_paid_is_not_sold_again_although_the_webhook_is_late() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let session = shop.checkout(ANN, "lifetime").await;
    shop.stripe.pay(&session);
    let reply = begin(&shop, ANN, "lifetime").await;
    assert_eq!(error(&reply).0, 409);
    assert_eq!(shop.stripe.ids("checkout.session"), [session]);
}

#[tokio::test]
async fn stripe_away_is_503_busy_429_and_refusing_502() {
    let mut shop = Shop::open().await;
    let wait = |reply: &Reply| reply.header("retry-after").map(str::to_owned);
    shop.stripe
        .fault("POST", "/v1/customers", Fault::rate_limited(7));
    let reply = begin(&shop, ANN, "monthly").await;
    assert_eq!((error(&reply).0, wait(&reply).as_deref()), (429, Some("7")));
    shop.stripe.mend();
    shop.stripe.revoke_key(KEY);
    let reply = begin(&shop, ANN, "monthly").await;
    assert_eq!(error(&reply).0, 502);
    assert!(!reply.text().contains(KEY), "{}", reply.text());
    shop.stripe.accept_key(KEY);
    shop.stripe.go_down().await;
    let reply = begin(&shop, ANN, "monthly").await;
    assert_eq!(error(&reply).0, 503);
    assert!(wait(&reply).is_some());
    shop.stripe.come_up();
    assert_eq!(begin(&shop, ANN, "monthly").await.status, 201);
}

#[tokio::test]
async fn two_users_never_share_a_session_or_a_customer() {
    let shop = Shop::open().await;
    let (ann, bob) = (
        begin(&shop, ANN, "monthly").await,
        begin(&shop, BOB, "monthly").await,
    );
    for key in ["session_id", "customer_id"] {
        assert_ne!(ann.json()[key], bob.json()[key], "{key}");
    }
}

#[tokio::test]
async fn a_plan_whose_role_the_user_has_from_before_is_not_sold_again() {
    let shop = Shop::open().await;
    shop.auth0.give_role(ANN, "premium-lifetime");
    assert_eq!(shop.premium_status(ANN).await["premium_status"], "active");
    for plan in ["monthly", "lifetime"] {
        let (status, code, _) = error(&begin(&shop, ANN, plan).await);
        assert_eq!((status, code.as_str()), (409, "already_owned"), "{plan}");
    }
    // One that nobody has asked about before, with a lower plan.
    shop.auth0.give_role(BOB, "premium-monthly");
    assert_eq!(error(&begin(&shop, BOB, "monthly").await).0, 409);
    assert_eq!(begin(&shop, BOB, "lifetime").await.status, 201);
    assert_eq!(shop.stripe.ids("checkout.session").len(), 1);
}

#[tokio::test]
async fn while_auth0_is_away_the_ledger_alone_says_what_is_held() {
    let mut shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    shop.auth0.give_role(BOB, "premium-monthly");
    shop.auth0.go_down().await;
    assert_eq!(error(&begin(&shop, ANN, "monthly").await).0, 409);
    assert_eq!(begin(&shop, BOB, "monthly").await.status, 201);
}

#[tokio::test]
async fn a_500_that_stripe_repeats_for_a_day_costs_one_try() {
    for path in ["/v1/checkout/sessions", "/v1/customers"] {
        let shop = Shop::open().await;
        shop.stripe.fault_next(1, "POST", path, Fault::Broken);
        assert_eq!(error(&begin(&shop, ANN, "monthly").await).0, 503, "{path}");
        let first = begin(&shop, ANN, "monthly").await;
        assert_eq!(first.status, 201, "{path}: {}", first.text());
        let again = begin(&shop, ANN, "monthly").await.json();
        assert_eq!(again["session_id"], first.json()["session_id"], "{path}");
        assert_eq!(shop.stripe.ids("customer").len(), 1, "{path}");
    }
}

#[tokio::test]
async fn many_checkouts_of_one_user_cannot_hammer_stripe() {
    let shop = Shop::open().await;
    let bearer = format!("Bearer {}", shop.token(ANN));
    let body = json!({ "plan_type": "monthly" }).to_string();
    let begun = std::time::Instant::now();
    let mut limited = Vec::new();
    for n in 0..60 {
        let key = format!("k-{n}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Idempotency-Key", &key),
        ];
        let reply = shop.gate.send("POST", CHECKOUT, &headers, &body).await;
        match reply.status {
            201 => {}
            status => {
                assert_eq!((status, error(&reply).0), (429, 429));
                limited.push(reply.header("retry-after").is_some());
            }
        }
    }
    let turns = usize::try_from(begun.elapsed().as_secs() / 3).expect("a number") + 1;
    assert!(limited.len() >= 20 - turns.min(20) && limited.iter().all(|told| *told));
    let made = shop.stripe.ids("checkout.session").len();
    assert!((40..=40 + turns).contains(&made), "{made} sessions");
    assert_eq!(begin(&shop, BOB, "monthly").await.status, 201);
}

#[tokio::test]
async fn what_may_be_paid_already_is_not_sold_again_while_stripe_does_not_say() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let session = shop.checkout(ANN, "monthly").await;
    shop.stripe.pay(&session);
    let path = format!("/v1/checkout/sessions/{session}");
    shop.stripe.fault("GET", &path, Fault::status(503));
    let bearer = format!("Bearer {}", shop.token(ANN));
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Idempotency-Key", "another"),
    ];
    let body = json!({ "plan_type": "monthly" }).to_string();
    let reply = shop.gate.send("POST", CHECKOUT, &headers, &body).await;
    let (status, code, _) = error(&reply);
    assert_eq!((status, code.as_str()), (503, "payments_unavailable"));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(shop.stripe.ids("checkout.session"), [session]);
    assert_eq!(begin(&shop, ANN, "lifetime").await.status, 201);
}

#[tokio::test]
async fn nothing_is_sold_to_a_user_whom_no_event_could_name() {
    let shop = Shop::open().await;
    let long = format!("auth0|{}", "a".repeat(250));
    let (status, code, _) = error(&begin(&shop, &long, "monthly").await);
    assert_eq!((status, code.as_str()), (403, "unsupported_user"));
    assert!(shop.stripe.calls().is_empty());
}
