//! The hosted pages, as a browser sees them.

use serde_json::Value;

use super::setup::{Caller, subscriber};
use crate::support::stripe::{PRICE_LIFETIME, Stripe};

/// The path of a page on the stand-in.
fn path(stripe: &Stripe, url: &Value) -> String {
    let url = url.as_str().expect("a URL");
    url.strip_prefix(&stripe.url())
        .expect("a page of ours")
        .to_owned()
}

#[tokio::test]
async fn who_pays_at_the_checkout_is_sent_back_to_the_shop() {
    let stripe = Stripe::start();
    let browser = Caller::of(&stripe);
    let customer = stripe.new_customer("a@example.test", &Value::Null);
    let session = browser.checkout(&customer, PRICE_LIFETIME).await;
    let page = path(&stripe, &stripe.object(&session)["url"]);
    let shown = browser.get(&page).await;
    assert_eq!(
        (shown.status, shown.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    for part in [
        "Premium, for life",
        "199.00 EUR",
        "<button>Pay</button>",
        "href=\"https://shop.test/\"",
    ] {
        assert!(shown.text().contains(part), "{part}: {}", shown.text());
    }
    // Twice, as an impatient buyer clicks.
    for _ in 0..2 {
        let paid = browser.post(&page, "").await;
        let back = format!("https://shop.test/?session={session}");
        assert_eq!(
            (paid.status, paid.header("location")),
            (303, Some(back.as_str()))
        );
    }
    assert_eq!(stripe.object(&session)["payment_status"], "paid");
    assert!(
        browser
            .get(&page)
            .await
            .text()
            .contains("This checkout is complete")
    );
    assert_eq!(browser.get("/pay/cs_test_none").await.status, 404);
}

#[tokio::test]
async fn who_cancels_in_the_portal_sets_cancel_at_alone() {
    let stripe = Stripe::start();
    let browser = Caller::of(&stripe);
    let (customer, _, subscription) = subscriber(&stripe).await;
    let (_, _, of_another) = subscriber(&stripe).await;
    let form = format!("customer={customer}&return_url=https%3A%2F%2Fshop.test%2Fdashboard");
    let portal = browser
        .post("/v1/billing_portal/sessions", &form)
        .await
        .json();
    let page = path(&stripe, &portal["url"]);
    let shown = browser.get(&page).await.text();
    for part in [
        "Premium, by the month: active",
        "Cancel at period end",
        "https://shop.test/dashboard",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for id in [&subscription, &of_another] {
        assert_eq!(
            browser
                .post(&page, &format!("subscription={id}"))
                .await
                .status,
            303
        );
    }
    let ending = stripe.object(&subscription);
    assert_eq!(
        (
            &ending["cancel_at_period_end"],
            ending["cancel_at"].is_i64()
        ),
        (&false.into(), true)
    );
    assert!(stripe.object(&of_another)["cancel_at"].is_null());
    assert!(
        browser
            .get(&page)
            .await
            .text()
            .contains("ends with its period")
    );
}
