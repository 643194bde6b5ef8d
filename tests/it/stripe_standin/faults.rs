//! What goes wrong, and what was done by then.

use super::setup::{Caller, id};
use crate::support::stripe::{Fault, Stripe};

const CUSTOMERS: &str = "/v1/customers";

#[tokio::test]
async fn a_status_from_the_edge_does_nothing_and_keeps_no_key() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.fault_next(1, "POST", CUSTOMERS, Fault::rate_limited(2));
    stripe.fault_next(1, "POST", CUSTOMERS, Fault::should_retry(503, false));
    stripe.fault_next(1, "POST", CUSTOMERS, Fault::status(409));
    let first = caller.post_as("k", CUSTOMERS, "").await;
    assert_eq!(
        (first.status, first.header("retry-after")),
        (429, Some("2"))
    );
    assert!(first.header("stripe-rate-limited-reason").is_some());
    let second = caller.post_as("k", CUSTOMERS, "").await;
    assert_eq!(
        (second.status, second.header("stripe-should-retry")),
        (503, Some("false"))
    );
    assert_eq!(
        caller.post_as("k", CUSTOMERS, "").await.json()["error"]["code"],
        "lock_timeout"
    );
    assert!(stripe.ids("customer").is_empty());
    let last = caller.post_as("k", CUSTOMERS, "").await;
    assert_eq!(
        (last.status, last.header("idempotent-replayed")),
        (200, None)
    );
}

#[tokio::test]
async fn a_cut_comes_before_or_after_the_call_was_done() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    let key = "Idempotency-Key: k\r\n";
    stripe.fault_next(1, "POST", CUSTOMERS, Fault::CutBefore);
    stripe.fault_next(1, "POST", CUSTOMERS, Fault::CutAfter);
    assert!(caller.try_send("POST", CUSTOMERS, "", key).await.is_none());
    assert!(stripe.ids("customer").is_empty());
    assert!(caller.try_send("POST", CUSTOMERS, "", key).await.is_none());
    assert_eq!(stripe.ids("customer").len(), 1);
    let answered = caller.post_as("k", CUSTOMERS, "").await;
    assert_eq!(answered.header("idempotent-replayed"), Some("true"));
    assert_eq!([id(&answered)], *stripe.ids("customer"));
    assert!(stripe.calls()[0].status.is_none());
}

#[tokio::test]
async fn an_answer_comes_late_or_never_or_is_none() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.fault("GET", "/v1/account", Fault::Hang);
    let hang = caller.get("/v1/account");
    tokio::select! {
        _ = hang => unreachable!("it hangs"),
        () = stripe.until_calls(1, "GET", "/v1/account") => {}
    }
    stripe.mend();
    assert_eq!(caller.get("/v1/account").await.status, 200);
    stripe.fault_next(1, "POST", CUSTOMERS, Fault::Late);
    let late = caller.post(CUSTOMERS, "");
    let seen = async {
        stripe.until_calls(1, "POST", CUSTOMERS).await;
        stripe.release();
    };
    assert_eq!(tokio::join!(late, seen).0.status, 200);
    assert_eq!(stripe.calls_of("POST", CUSTOMERS)[0].status, Some(200));
    stripe.fault_next(1, "GET", CUSTOMERS, Fault::Garbage("<html>"));
    assert_eq!(caller.get(CUSTOMERS).await.text(), "<html>");
}

#[tokio::test]
async fn a_held_call_is_done_even_if_its_caller_is_gone() {
    let stripe = Stripe::start();
    let caller = Caller::of(&stripe);
    stripe.fault_next(1, "POST", CUSTOMERS, Fault::Hold);
    tokio::select! {
        _ = caller.post_as("k", CUSTOMERS, "") => unreachable!("it is held"),
        () = async {
            stripe.until_calls(1, "POST", CUSTOMERS).await;
            while caller.post_as("k", CUSTOMERS, "").await.status != 409 {}
        } => {}
    }
    stripe.release();
    stripe.hold_events();
    while stripe.ids("customer").is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(caller.post_as("k", CUSTOMERS, "").await.status, 200);
}

#[tokio::test]
async fn chance_repeats_itself_for_the_same_seed() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let stripe = Stripe::start();
        let caller = Caller::of(&stripe);
        stripe.fault_by_chance(
            7,
            500,
            &[Fault::status(500), Fault::CutAfter, Fault::CutBefore],
        );
        let mut statuses = Vec::new();
        for _ in 0..40 {
            let reply = caller.try_send("GET", CUSTOMERS, "", "").await;
            statuses.push(reply.map(|reply| reply.status));
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    for kind in [Some(200), Some(500), None] {
        assert!(runs[0].contains(&kind), "{kind:?} among {:?}", runs[0]);
    }
}

#[tokio::test]
async fn it_goes_away_and_comes_back_with_all_it_had() {
    let mut stripe = Stripe::start();
    let customer = id(&Caller::of(&stripe).post(CUSTOMERS, "").await);
    stripe.go_down().await;
    assert!(
        tokio::net::TcpStream::connect(stripe.address())
            .await
            .is_err()
    );
    stripe.come_up();
    let path = format!("{CUSTOMERS}/{customer}");
    assert_eq!(Caller::of(&stripe).get(&path).await.status, 200);
}
