//! The list of the admin panel.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::{USERS, error, keys};
use crate::shop::{ANN, BOB, Shop};
use crate::support::auth0::{Fault, Trouble};
use crate::support::raw::Reply;

/// A shop where so many users hold a plan's role that was not bought here, and the admin is Bob.
async fn crowded(count: usize) -> Shop {
    let shop = Shop::open().await;
    shop.auth0.give_role(BOB, "admin");
    for n in 0..count {
        let user = format!("auth0|crowd{n:03}");
        shop.auth0
            .create_user(&user, &format!("u{n}@example.test"), true);
        shop.auth0.give_role(&user, "premium-monthly");
    }
    shop
}

async fn list(shop: &Shop, query: &str) -> Reply {
    shop.get(&format!("{USERS}{query}"), &shop.token(BOB)).await
}

fn users(answer: &Value) -> Vec<(String, String)> {
    let text = |user: &Value, key: &str| user[key].as_str().unwrap_or_default().to_owned();
    let all = answer["premium_users"].as_array().expect("a list");
    assert_eq!(answer["count"], all.len());
    all.iter()
        .map(|user| (text(user, "user_id"), text(user, "role")))
        .collect()
}

#[tokio::test]
async fn only_an_admin_may_see_it() {
    let shop = Shop::open().await;
    let reply = shop.get(USERS, &shop.token(ANN)).await;
    assert_eq!(error(&reply).0, 403);
}

#[tokio::test]
async fn all_pages_are_read_and_the_ledger_tells_since_when() {
    let shop = crowded(215).await;
    shop.auth0.give_role("auth0|crowd007", "premium-lifetime");
    shop.buy(ANN, "lifetime").await;
    let answer = list(&shop, "").await.json();
    assert_eq!(
        keys(&answer),
        ["count", "premium_users", "success", "timestamp"]
    );
    let found = users(&answer);
    assert_eq!(found.len(), 215 + 2);
    let twice = found
        .iter()
        .filter(|(user, _)| user == "auth0|crowd007")
        .count();
    assert_eq!(twice, 2, "once for each role");
    let of = |id: &str| {
        let all = answer["premium_users"].as_array().expect("a list");
        all.iter()
            .find(|user| user["user_id"] == id)
            .cloned()
            .expect("listed")
    };
    let mut ann = of(ANN);
    assert!(ann["premium_activated_at"].take().is_string());
    let expected = json!({
        "user_id": ANN, "email": "somebody@example.test", "name": "somebody", "role": "premium-lifetime",
        "created_at": null, "last_login": null, "premium_activated_at": null, "subscription_source": "stripe",
    });
    assert_eq!(ann, expected);
    let stranger = of("auth0|crowd001");
    assert_eq!(
        (
            &stranger["subscription_source"],
            &stranger["premium_activated_at"]
        ),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn parts_of_the_list_make_up_the_whole() {
    let shop = crowded(130).await;
    shop.auth0.give_role("auth0|crowd007", "premium-lifetime");
    let whole: BTreeSet<_> = users(&list(&shop, "").await.json()).into_iter().collect();
    for limit in [1000, 131, 130, 60, 37] {
        let (mut parts, mut query) = (Vec::new(), format!("?limit={limit}"));
        loop {
            let answer = list(&shop, &query).await.json();
            let part = users(&answer);
            assert!(part.len() <= limit, "{} of {limit}", part.len());
            parts.extend(part);
            match answer.get("next_cursor") {
                Some(Value::String(next)) => query = format!("?limit={limit}&cursor={next}"),
                Some(Value::Null) => break,
                other => unreachable!("{other:?}"),
            }
        }
        assert_eq!(parts.len(), whole.len(), "limit {limit}");
        assert_eq!(
            parts.into_iter().collect::<BTreeSet<_>>(),
            whole,
            "limit {limit}"
        );
    }
}

#[tokio::test]
async fn one_plan_may_be_asked_for_and_what_is_wrong_is_named() {
    let shop = crowded(2).await;
    assert_eq!(users(&list(&shop, "?plan=monthly").await.json()).len(), 2);
    assert_eq!(users(&list(&shop, "?plan=lifetime").await.json()).len(), 0);
    for (query, status) in [
        ("?plan=gold", 422),
        ("?limit=0", 422),
        ("?limit=1001", 422),
        ("?limit=many", 422),
        ("?cursor=nonsense", 400),
        // A place that Auth0 never gave: ["monthly","from:x",0].
        ("?cursor=WyJtb250aGx5IiwiZnJvbTp4IiwwXQ", 400),
        // A plan that is not listed: ["gold",null,0].
        ("?cursor=WyJnb2xkIixudWxsLDBd", 400),
    ] {
        assert_eq!(error(&list(&shop, query).await).0, status, "{query}");
    }
}

#[tokio::test]
async fn auth0_away_is_503() {
    let mut shop = crowded(1).await;
    shop.auth0.go_down().await;
    let reply = list(&shop, "").await;
    assert_eq!(error(&reply).0, 503);
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn the_same_list_is_read_once_for_all_who_ask_at_once_and_not_again_and_again() {
    let shop = crowded(3).await;
    let reads = || shop.auth0.count(&Method::GET, "/api/v2/roles/*/users");
    list(&shop, "").await;
    let one = reads();
    let begun = std::time::Instant::now();
    for _ in 0..8 {
        let replies = join_all((0..5).map(|_| list(&shop, ""))).await;
        assert!(replies.iter().all(|reply| users(&reply.json()).len() == 3));
    }
    let turns = usize::try_from(begun.elapsed().as_secs() / 3).expect("a number") + 1;
    let lists = reads() / one;
    assert!(lists <= 3 + 2 * turns, "{lists} lists were read");
}

#[tokio::test]
async fn who_sent_no_cursor_is_not_told_that_it_is_wrong() {
    let shop = crowded(1050).await;
    // Checkpoints are refused, so it goes on by number, which ends at a thousand.
    let refusal = Trouble::Instead(Fault::Status(400));
    let members = "/api/v2/roles/*/users";
    shop.auth0.trouble_times(1, Method::GET, members, refusal);
    let (status, code, _) = error(&list(&shop, "?plan=monthly").await);
    assert_eq!((status, code.as_str()), (503, "users_unavailable"));
}

#[tokio::test]
async fn a_list_that_leads_back_to_itself_is_not_taken_for_the_whole() {
    let shop = crowded(1).await;
    let again = json!({ "users": [], "next": "again" }).to_string();
    let again = Trouble::Instead(Fault::Body(again));
    shop.auth0
        .trouble(Method::GET, "/api/v2/roles/*/users", again);
    let (status, code, _) = error(&list(&shop, "").await);
    assert_eq!((status, code.as_str()), (503, "users_unavailable"));
}
