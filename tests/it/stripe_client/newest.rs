//! Looking for one object among the newest.

use serde_json::{Value, json};

use super::server::{Asked, Stripe, ok, page};

/// Page `number` of refunds: the next ones are older.
fn refunds(number: usize) -> Vec<Value> {
    let first = number * 2;
    let refund = |n: usize| json!({ "id": format!("re_{n}"), "charge": "ch_1" });
    vec![refund(first), refund(first + 1)]
}

/// Which page is asked for by `starting_after`.
fn number(asked: &Asked) -> usize {
    let mut parameters = asked.form.split('&');
    let after = parameters.find_map(|one| one.strip_prefix("starting_after=re_"));
    after.map_or(0, |last| {
        last.parse::<usize>().expect("a number").div_ceil(2)
    })
}

#[tokio::test]
async fn a_refund_is_looked_for_on_a_few_pages_the_newest_first() {
    for (id, is_found, pages) in [("re_0", true, 1), ("re_5", true, 3), ("re_99", false, 5)] {
        let stripe = Stripe::start(|asked, _| match asked.path.as_str() {
            "/v1/refunds" => page(&refunds(number(asked)), true),
            _ => ok(json!({ "id": "ch_1", "customer": "cus_1" })),
        });
        let found = stripe.client(0).whose_listed("refund", id).await;
        let customer = found.expect("an answer").and_then(|whose| whose.customer);
        assert_eq!(customer.as_deref(), is_found.then_some("cus_1"), "{id}");
        let asked = stripe.asked();
        let lists = asked.iter().filter(|asked| asked.path == "/v1/refunds");
        assert_eq!(lists.count(), pages, "{id}");
    }
}

#[tokio::test]
async fn what_is_neither_a_dispute_nor_a_refund_is_not_looked_for() {
    let stripe = Stripe::start(|_, _| page(&[], false));
    for object in ["charge", "invoice", "customer"] {
        let found = stripe.client(0).whose_listed(object, "x_1").await;
        assert!(found.expect("an answer").is_none(), "{object}");
    }
    assert!(stripe.asked().is_empty());
}
