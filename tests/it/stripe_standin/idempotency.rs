//! The same call under the same key is done once.

use super::setup::{Caller, id};
use crate::support::stripe::{Fault, Stripe};

const CUSTOMERS: &str = "/v1/customers";

#[tokio::test]
async fn the_first_answer_is_replayed_whatever_the_order_of_the_parameters() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let first = caller.post_as("k", CUSTOMERS, "email=a%40b&name=A").await;
    let second = caller.post_as("k", CUSTOMERS, "name=A&email=a%40b").await;
    assert_eq!(
        (
            first.header("idempotent-replayed"),
            second.header("idempotent-replayed")
        ),
        (None, Some("true"))
    );
    assert_eq!(first.json(), second.json());
    assert_eq!(stripe.ids("customer").len(), 1);
    let calls = stripe.calls();
    assert_eq!((calls[0].replayed, calls[1].replayed), (false, true));
    assert_eq!(calls[1].idempotency_key.as_deref(), Some("k"));
    assert_eq!(calls[1].version.as_deref(), Some("2026-05-27.dahlia"));
    assert_eq!(
        (calls[1].params["name"].as_str(), calls[1].status),
        (Some("A"), Some(200))
    );
}

#[tokio::test]
async fn other_parameters_or_another_path_under_a_key_are_an_error() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let customer = id(&caller.post_as("k", CUSTOMERS, "name=A").await);
    for (path, form) in [
        (CUSTOMERS.to_owned(), "name=B"),
        (format!("{CUSTOMERS}/{customer}"), "name=A"),
    ] {
        let reply = caller.post_as("k", &path, form).await;
        assert_eq!(
            (reply.status, reply.json()["error"]["type"].as_str()),
            (400, Some("idempotency_error"))
        );
    }
    assert_eq!(
        caller.post_as(&"k".repeat(256), CUSTOMERS, "").await.status,
        400
    );
}

#[tokio::test]
async fn a_call_that_still_runs_holds_its_key() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.fault_next(1, "POST", CUSTOMERS, Fault::Hold);
    let first = caller.post_as("k", CUSTOMERS, "name=A");
    let others = async {
        stripe.until_calls(1, "POST", CUSTOMERS).await;
        // The first is written down before it is let in, and is let in without waiting for anything.
        loop {
            let reply = caller.post_as("k", CUSTOMERS, "name=A").await;
            if reply.status == 409 {
                break reply;
            }
        }
    };
    let (first, second) = tokio::join!(first, async {
        let second = others.await;
        stripe.release();
        second
    });
    assert_eq!(second.json()["error"]["code"], "idempotency_key_in_use");
    assert_eq!(first.status, 200);
    assert_eq!(stripe.ids("customer").len(), 1);
}

#[tokio::test]
async fn a_failure_within_is_replayed_and_wrong_parameters_are_not() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.fault_next(1, "POST", CUSTOMERS, Fault::Broken);
    assert_eq!(caller.post_as("k", CUSTOMERS, "name=A").await.status, 500);
    let again = caller.post_as("k", CUSTOMERS, "name=A").await;
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (500, Some("true"))
    );
    let wrong = caller.post_as("l", CUSTOMERS, "nickname=A").await;
    assert_eq!(wrong.status, 400);
    assert_eq!(caller.post_as("l", CUSTOMERS, "name=A").await.status, 200);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.set_time(Some(1_800_000_000));
    let first = id(&caller.post_as("k", CUSTOMERS, "name=A").await);
    stripe.set_time(Some(1_800_000_000 + 24 * 3600 - 1));
    assert_eq!(id(&caller.post_as("k", CUSTOMERS, "name=A").await), first);
    stripe.set_time(Some(1_800_000_000 + 24 * 3600));
    assert_ne!(id(&caller.post_as("k", CUSTOMERS, "name=A").await), first);
}
