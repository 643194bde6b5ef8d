//! The status that the frontend keeps for five minutes: the first answer has to be right.

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use sqlx::Executor as _;

use super::{CHECKOUT, STATUS, keys};
use crate::gate::launch;
use crate::shop::{ANN, BOB, Shop, setup};
use crate::support::auth0::{Fault, Trouble};

const SESSIONS: &str = "/v1/checkout/sessions/";

#[tokio::test]
async fn the_status_has_the_shape_of_the_contract() {
    let shop = Shop::open().await;
    let answer = shop.get(STATUS, &shop.token(ANN)).await.json();
    assert_eq!(
        keys(&answer),
        ["premium_status", "success", "timestamp", "user_id"]
    );
    assert_eq!(
        (&answer["success"], &answer["user_id"]),
        (&json!(true), &json!(ANN))
    );
    let free = json!({
        "premium_status": "inactive", "plan_type": "free", "roles": ["free-user"],
        "permissions": ["read:basic-content"], "premium_activated_at": null, "subscription_source": null,
        "role_assigned": null, "status": null, "cancel_at_period_end": null, "current_period_end": null,
    });
    assert_eq!(answer["premium_status"], free);
    shop.buy(ANN, "monthly").await;
    let mut status = shop.premium_status(ANN).await;
    for key in ["premium_activated_at", "current_period_end"] {
        let moment = status[key].take();
        let moment = moment.as_str().unwrap_or_default();
        assert!(
            moment.starts_with("20") && moment.ends_with('Z'),
            "{key}: {moment}"
        );
    }
    let monthly = json!({
        "premium_status": "active", "plan_type": "monthly", "roles": ["premium-monthly"],
        "permissions": ["manage:subscription", "read:basic-content", "read:premium-content"],
        "premium_activated_at": null, "subscription_source": "stripe", "role_assigned": "premium-monthly",
        "status": "active", "cancel_at_period_end": false, "current_period_end": null,
    });
    assert_eq!(status, monthly);
    shop.buy(ANN, "lifetime").await;
    let status = shop.premium_status(ANN).await;
    assert_eq!(status["plan_type"], "lifetime");
    for key in ["status", "cancel_at_period_end", "current_period_end"] {
        assert_eq!(status[key], Value::Null, "{key}");
    }
}

#[tokio::test]
async fn the_first_answer_after_a_payment_is_right_although_the_webhook_is_late() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    for (user, plan) in [(ANN, "monthly"), (BOB, "lifetime")] {
        let session = shop.checkout(user, plan).await;
        // Even right after an answer that was right then.
        assert_eq!(shop.premium_status(user).await["plan_type"], "free");
        shop.stripe.pay(&session);
        let status = shop.premium_status(user).await;
        assert_eq!(status["plan_type"], plan);
        assert_eq!(status["premium_status"], "active");
        assert_eq!(status["role_assigned"], format!("premium-{plan}"));
        assert_eq!(status["roles"], json!([format!("premium-{plan}")]));
        assert_eq!(status["stale"], Value::Null);
    }
}

#[tokio::test]
async fn an_open_checkout_cannot_be_used_to_hammer_stripe() {
    let shop = Shop::open().await;
    shop.checkout(ANN, "monthly").await;
    let before = shop.stripe.calls_of("GET", SESSIONS).len();
    let begun = std::time::Instant::now();
    let token = shop.token(ANN);
    for _ in 0..10 {
        let replies = join_all((0..5).map(|_| shop.get(STATUS, &token))).await;
        assert!(replies.iter().all(|reply| reply.status == 200));
    }
    let turns = usize::try_from(begun.elapsed().as_secs() / 2).expect("a number") + 1;
    let calls = shop.stripe.calls_of("GET", SESSIONS).len() - before;
    assert!(calls <= 10 + turns, "{calls} calls");
    let reads = shop.auth0.count(&Method::GET, "/api/v2/users/*/roles");
    assert!(reads <= 1 + turns, "{reads} readings of roles");
}

#[tokio::test]
async fn without_an_open_checkout_stripe_is_not_asked() {
    let shop = Shop::open().await;
    assert_eq!(shop.premium_status(ANN).await["plan_type"], "free");
    assert!(shop.stripe.calls().is_empty());
}

#[tokio::test]
async fn without_auth0_the_ledger_answers_and_says_that_it_may_be_stale() {
    let mut shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    shop.stripe.hold_events();
    let session = shop.checkout(BOB, "lifetime").await;
    shop.auth0.go_down().await;
    shop.stripe.pay(&session);
    for (user, plan) in [(ANN, "monthly"), (BOB, "lifetime")] {
        let status = shop.premium_status(user).await;
        assert_eq!(
            (&status["plan_type"], &status["stale"]),
            (&json!(plan), &json!(true))
        );
        assert_eq!(status["premium_status"], "active");
        assert_eq!(status["roles"], json!([format!("premium-{plan}")]));
    }
}

#[tokio::test]
async fn while_auth0_hangs_the_answer_comes_all_the_same() {
    let shop = Shop::open().await;
    shop.buy(ANN, "monthly").await;
    let hang = Trouble::Instead(Fault::Hang);
    shop.auth0.trouble(Method::GET, "/api/v2/users/*", hang);
    // What was read just before the trouble may still count.
    let token = shop.token(ANN);
    let stale =
        async { while shop.get(STATUS, &token).await.json()["premium_status"]["stale"] != true {} };
    let reached = tokio::time::timeout(crate::support::raw::DEADLINE, stale).await;
    assert!(reached.is_ok());
    assert_eq!(shop.premium_status(ANN).await["plan_type"], "monthly");
}

#[tokio::test]
async fn without_stripe_an_open_checkout_makes_the_answer_stale() {
    let mut shop = Shop::open().await;
    shop.stripe.hold_events();
    shop.checkout(ANN, "monthly").await;
    shop.stripe.go_down().await;
    let status = shop.premium_status(ANN).await;
    assert_eq!(
        (&status["plan_type"], &status["stale"]),
        (&json!("free"), &json!(true))
    );
}

#[tokio::test]
async fn roles_from_before_the_ledger_count_lifetime_before_monthly_before_admin() {
    let shop = Shop::open().await;
    for (role, plan) in [
        ("admin", "admin"),
        ("premium-monthly", "monthly"),
        ("premium-lifetime", "lifetime"),
    ] {
        // A user of its own each: readings count for two seconds.
        let user = format!("auth0|{plan}");
        shop.auth0.create_user(&user, "x@example.test", true);
        shop.auth0.give_role(&user, "admin");
        if role != "admin" {
            shop.auth0.give_role(&user, role);
        }
        let status = shop.premium_status(&user).await;
        assert_eq!(
            (&status["plan_type"], &status["premium_status"]),
            (&json!(plan), &json!("active"))
        );
        assert_eq!(status["role_assigned"], role);
        assert_eq!(status["subscription_source"], Value::Null);
    }
}

#[tokio::test]
async fn a_refund_ends_it_and_other_roles_stay() {
    let shop = Shop::open().await;
    shop.auth0.give_role(BOB, "admin");
    let session = shop.checkout(BOB, "lifetime").await;
    shop.stripe.pay(&session);
    shop.auth0
        .until_roles(BOB, &["admin", "premium-lifetime"])
        .await;
    assert_eq!(shop.premium_status(BOB).await["plan_type"], "lifetime");
    shop.stripe.refund(&session);
    shop.auth0.until_roles(BOB, &["admin", "free-user"]).await;
    assert_eq!(shop.premium_status(BOB).await["plan_type"], "admin");
}

/// Starts Tollgate again with ten calls to Auth0 a second, and a ledger of its own.
async fn slow_down(shop: &mut Shop) {
    let folder = tempfile::tempdir().expect("a folder");
    let usual = setup(&shop.auth0, &shop.stripe, &shop.backend).yaml_in(folder.path());
    let changed = usual.replace("rate: 1000/s", "rate: 10/s");
    assert_ne!(usual, changed);
    let config = folder.path().join("tollgate.yaml");
    std::fs::write(&config, changed).expect("a config file");
    shop.gate = launch(folder, &config, false).await;
    shop.gate.until_readyz(200).await;
    let url = format!("http://{}/stripe/webhook", shop.gate.address);
    shop.stripe.send_to(&url);
}

#[tokio::test]
async fn many_who_ask_for_their_status_do_not_keep_a_role_from_who_has_paid() {
    let mut shop = Shop::open().await;
    slow_down(&mut shop).await;
    // A little more than we ask for: requests do not take equally long to arrive.
    shop.auth0.limit(20, 10.0);
    let tokens: Vec<String> = (0..120)
        .map(|n| {
            let user = format!("auth0|many{n}");
            shop.auth0.create_user(&user, "x@example.test", true);
            shop.auth0.give_role(&user, "premium-monthly");
            shop.token(&user)
        })
        .collect();
    let session = shop.checkout(ANN, "monthly").await;
    let shop = &shop;
    let begun = std::time::Instant::now();
    let crowd = async {
        let all = tokens.chunks(4).map(|few| async move {
            for token in few {
                let reply = shop.get(STATUS, token).await;
                assert_eq!(reply.json()["premium_status"]["premium_status"], "active");
            }
        });
        join_all(all).await;
        begun.elapsed()
    };
    let buyer = async {
        shop.stripe.pay(&session);
        shop.auth0.until_roles(ANN, &["premium-monthly"]).await;
        begun.elapsed()
    };
    let (all, waited) = tokio::join!(crowd, buyer);
    assert!(waited < all / 2, "{waited:?} of {all:?}");
    let refused = shop.gate.metrics().await;
    assert!(!refused.contains("status=\"429\""), "{refused}");
}

#[tokio::test]
async fn roles_read_lately_count_while_there_is_no_room_to_read_them_again() {
    let shop = Shop::open().await;
    shop.auth0.give_role(ANN, "premium-monthly");
    let token = shop.token(ANN);
    assert_eq!(shop.premium_status(ANN).await["stale"], Value::Null);
    let too_many = Trouble::TooMany {
        retry_after: Some(50),
        reset: None,
    };
    shop.auth0.trouble(Method::GET, "/api/v2/users/*", too_many);
    let reads = || shop.auth0.count(&Method::GET, "/api/v2/users/*/roles");
    let before = reads();
    let asked_again = async {
        while reads() == before {
            shop.get(STATUS, &token).await;
        }
    };
    let reached = tokio::time::timeout(crate::support::raw::DEADLINE, asked_again).await;
    assert!(reached.is_ok());
    let status = shop.premium_status(ANN).await;
    assert_eq!(
        (&status["plan_type"], &status["stale"]),
        (&json!("monthly"), &Value::Null)
    );
}

#[tokio::test]
async fn the_first_answer_after_a_payment_is_right_although_many_were_asked_for_before() {
    for before in [3, 8] {
        let shop = Shop::open().await;
        shop.stripe.hold_events();
        let session = shop.checkout(ANN, "monthly").await;
        for _ in 0..before {
            assert_eq!(shop.premium_status(ANN).await["plan_type"], "free");
        }
        shop.stripe.pay(&session);
        let status = shop.premium_status(ANN).await;
        assert_eq!(
            (&status["plan_type"], &status["stale"]),
            (&json!("monthly"), &Value::Null)
        );
    }
}

#[tokio::test]
async fn an_event_that_was_accepted_shows_in_the_next_answer_whatever_was_asked_before() {
    let shop = Shop::open().await;
    let session = shop.checkout(ANN, "lifetime").await;
    let path = format!("/stripe/verify-session/{session}");
    let token = shop.token(ANN);
    for _ in 0..12 {
        assert_eq!(shop.premium_status(ANN).await["plan_type"], "free");
        assert_eq!(
            shop.get(&path, &token).await.json()["payment_status"],
            "unpaid"
        );
    }
    shop.stripe.pay(&session);
    shop.stripe.until_all_acknowledged().await;
    assert_eq!(shop.premium_status(ANN).await["plan_type"], "lifetime");
    assert_eq!(
        shop.get(&path, &token).await.json()["payment_status"],
        "paid"
    );
}

#[tokio::test]
async fn an_answer_by_an_older_look_at_an_open_checkout_says_that_it_may_be_stale() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    shop.checkout(ANN, "monthly").await;
    let token = shop.token(ANN);
    assert_eq!(shop.premium_status(ANN).await["stale"], Value::Null);
    let stale =
        async { while shop.get(STATUS, &token).await.json()["premium_status"]["stale"] != true {} };
    let reached = tokio::time::timeout(crate::support::raw::DEADLINE, stale).await;
    assert!(reached.is_ok());
}

#[tokio::test]
async fn the_eighth_newest_open_checkout_is_looked_at_too() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let mut sessions = Vec::new();
    for n in 0..8 {
        let (bearer, key) = (format!("Bearer {}", shop.token(ANN)), format!("k-{n}"));
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Idempotency-Key", &key),
        ];
        let body = json!({ "plan_type": "monthly" }).to_string();
        let reply = shop.gate.send("POST", CHECKOUT, &headers, &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        sessions.push(
            reply.json()["session_id"]
                .as_str()
                .expect("an id")
                .to_owned(),
        );
    }
    shop.stripe.pay(&sessions[0]);
    assert_eq!(shop.premium_status(ANN).await["plan_type"], "monthly");
}

#[tokio::test]
async fn one_checkout_of_which_stripe_does_not_say_anything_does_not_hide_another() {
    let shop = Shop::open().await;
    shop.stripe.hold_events();
    let paid = shop.checkout(ANN, "monthly").await;
    let silent = shop.checkout(ANN, "lifetime").await;
    shop.stripe.pay(&paid);
    let path = format!("{SESSIONS}{silent}");
    shop.stripe
        .fault("GET", &path, crate::support::stripe::Fault::Hang);
    let status = shop.premium_status(ANN).await;
    assert_eq!(
        (&status["plan_type"], &status["stale"]),
        (&json!("monthly"), &json!(true))
    );
}

#[tokio::test]
async fn without_the_ledger_auth0_answers_or_the_token_and_it_is_counted() {
    let mut shop = Shop::open().await;
    shop.auth0.give_role(ANN, "premium-monthly");
    let mut ledger = super::ledger(&shop).await;
    ledger
        .execute("ALTER TABLE entitlements RENAME TO lost")
        .await
        .expect("renamed");
    let status = shop.premium_status(ANN).await;
    let expected = json!(["premium-monthly", "active", true]);
    let told = [
        &status["role_assigned"],
        &status["premium_status"],
        &status["stale"],
    ];
    assert_eq!(json!(told), expected);
    let endpoint = [("user", "endpoint")];
    shop.gate
        .until_metric("tollgate_ledger_errors_total", &endpoint, 1.0)
        .await;
    let token = shop.token(BOB);
    shop.auth0.go_down().await;
    let status = shop.get(STATUS, &token).await.json()["premium_status"].clone();
    assert_eq!(
        (&status["plan_type"], &status["stale"]),
        (&json!("free"), &json!(true))
    );
}
