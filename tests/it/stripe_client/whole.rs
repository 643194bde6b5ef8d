//! Everything that an account has, a page at a time.

use serde_json::json;
use tollgate::entitlement::Payment;
use tollgate::stripe::{Error, Kind, Page, SessionStatus};

use super::server::{Stripe, ok, page, refused};
use super::setup::{client, told};
use super::simple::Simple;
use super::world::{but, paid_session};
use crate::support::stripe::{PRICE_LIFETIME, PRICE_MONTHLY, Stripe as Standin};

/// Reads page after page to the end; gives what was on each.
async fn pages<T>(ask: impl AsyncFn(Option<String>) -> Result<Page<T>, Error>) -> Vec<Vec<T>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = ask(after).await.expect("a page");
        all.push(page.items);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// A page of a list that is there.
fn there<T>(page: Result<Option<Page<T>>, Error>) -> Result<Page<T>, Error> {
    page.map(|page| page.expect("such a list"))
}

#[tokio::test]
async fn all_customers_subscriptions_and_completed_sessions_come_in_pages() {
    let stripe = Standin::start();
    let client = client(&stripe);
    let mut subscriptions = Vec::new();
    let mut bought = Vec::new();
    for number in 0..201 {
        let user = json!({ "auth0_user_id": format!("auth0|{number}") });
        let customer = stripe.new_customer(&format!("{number}@x.test"), &user);
        stripe.new_checkout(&customer, PRICE_LIFETIME);
        let session = stripe.new_checkout(&customer, PRICE_LIFETIME);
        stripe.pay(&session);
        bought.push(session);
        subscriptions.push(stripe.create_subscription_by_hand(&customer, &[PRICE_MONTHLY]));
    }
    stripe.cancel_now(&subscriptions[0]);
    stripe.refund(&bought[0]);
    stripe.delete_customer(&stripe.ids("customer")[200]);
    let customers =
        pages(async |after| there(client.customers_after(after.as_deref()).await)).await;
    let counts: Vec<usize> = customers.iter().map(Vec::len).collect();
    assert_eq!(counts, [100, 100]);
    let last = &customers[1][99];
    assert_eq!(
        (last.user.as_deref(), last.email.as_deref(), last.deleted),
        (Some("auth0|0"), Some("0@x.test"), false)
    );
    let found = pages(async |after| client.subscriptions_after(after.as_deref()).await).await;
    let counts: Vec<usize> = found.iter().map(Vec::len).collect();
    assert_eq!(counts, [100, 100, 1]);
    assert_eq!(found[2][0].id, subscriptions[0]);
    assert_eq!(found[2][0].status.as_str(), "canceled");
    let before = stripe.calls().len();
    let found = pages(async |after| there(client.sessions_after(after.as_deref()).await)).await;
    let counts: Vec<usize> = found.iter().map(Vec::len).collect();
    assert_eq!(counts, [100, 100, 1]);
    assert_eq!(stripe.calls().len(), before + 3, "a page is one call");
    let refunded = &found[2][0];
    assert_eq!(
        (&refunded.id, &refunded.prices[0][..]),
        (&bought[0], PRICE_LIFETIME)
    );
    let unseen = Payment::Paid {
        refunded: false,
        disputes: Vec::new(),
    };
    assert_eq!(
        (&refunded.status, &refunded.payment),
        (&SessionStatus::Complete, &unseen)
    );
}

#[tokio::test]
async fn a_page_that_does_not_get_on_is_unreadable() {
    let cases = [
        (page(&[], true), None),
        (page(&[json!({ "id": "cus_1" })], true), Some("cus_1")),
        (page(&[json!({ "name": "no id" })], false), None),
        (ok(json!({ "object": "list", "has_more": true })), None),
        (ok(json!({ "data": {} })), None),
    ];
    for (say, after) in cases {
        let found = told(say.clone(), async |client| {
            there(client.customers_after(after).await)
        })
        .await;
        assert_eq!(
            found.expect_err("an error").kind,
            Kind::Unreadable,
            "{say:?}"
        );
    }
    let found = told(ok(json!({ "object": "list" })), async |client| {
        there(client.customers_after(None).await)
    });
    let found = found.await.expect("a page");
    assert_eq!((found.items, found.next), (Vec::new(), None));
}

#[tokio::test]
async fn sessions_are_all_listed_where_the_completed_ones_cannot_be_asked_for() {
    let open = but(
        but(paid_session(), "id", json!("cs_2")),
        "status",
        json!("open"),
    );
    let stripe = Stripe::start(move |asked, _| {
        if asked.form.contains("status=") {
            return refused(
                400,
                json!({ "code": "parameter_unknown", "param": "status" }),
            );
        }
        page(&[paid_session(), open.clone()], true)
    });
    let found = stripe.client(0).sessions_after(Some("cs_0")).await;
    let found = there(found).expect("a page");
    assert_eq!(
        (found.items.len(), found.next.as_deref()),
        (2, Some("cs_2"))
    );
    assert_eq!(found.items[0].prices, ["price_life"]);
    let asked = stripe.asked();
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert!(asked.form.contains("starting_after=cs_0"), "{}", asked.form);
    }
}

#[tokio::test]
async fn a_list_that_there_is_not_is_told_from_an_empty_one() {
    let stripe = Simple::start();
    let client = stripe.client();
    assert_eq!(client.customers_after(None).await.expect("an answer"), None);
    assert_eq!(client.sessions_after(None).await.expect("an answer"), None);
    let found = client.customers_by_email("a@x.test").await;
    assert_eq!(found.expect("an answer"), []);
    // To take them for none would end what everybody pays for.
    assert!(client.subscriptions_after(None).await.is_err());
}

#[tokio::test]
async fn customers_are_found_by_their_e_mail_and_by_no_other() {
    let stripe = Standin::start();
    let client = client(&stripe);
    let user = json!({ "auth0_user_id": "auth0|ann" });
    let ann = stripe.new_customer("ann+1@x.test", &user);
    stripe.new_customer("bob@x.test", &json!({}));
    let found = client.customers_by_email("ann+1@x.test").await;
    let found = found.expect("a list");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].id.as_str(), found[0].user.as_deref()),
        (ann.as_str(), Some("auth0|ann"))
    );
    let nobody = client.customers_by_email("cleo@x.test").await;
    assert_eq!(nobody.expect("a list"), []);
    let before = stripe.calls().len();
    for none in ["", &"x".repeat(513)] {
        assert_eq!(client.customers_by_email(none).await.expect("a list"), []);
    }
    assert_eq!(stripe.calls().len(), before, "no e-mail is not every one");
}

#[tokio::test]
async fn customers_of_another_e_mail_are_left_out_where_the_list_does_not_filter() {
    let all = [
        json!({ "id": "cus_1", "email": "bob@x.test" }),
        json!({ "id": "cus_2", "email": "Ann@x.test" }),
        json!({ "id": "cus_3", "email": null }),
        json!({ "id": "cus_4", "deleted": true }),
    ];
    let stripe = Stripe::saying(vec![page(&all, true)]);
    let found = stripe.client(0).customers_by_email("ann@x.test").await;
    let found = found.expect("a list");
    assert_eq!((found.len(), found[0].id.as_str()), (1, "cus_2"));
    let asked = stripe.asked();
    assert_eq!(asked.len(), 1, "one page is enough");
    assert_eq!(asked[0].form, "email=ann%40x.test&limit=20");
}

#[tokio::test]
async fn a_search_by_e_mail_that_is_refused_is_an_error() {
    let stripe = Standin::start();
    stripe.withhold("customer_read");
    let found = client(&stripe).customers_by_email("ann@x.test").await;
    let error = found.expect_err("an error").kind;
    assert!(matches!(error, Kind::Auth { .. }), "{error:?}");
    let odd = told(ok(json!({ "data": {} })), async |client| {
        client.customers_by_email("ann@x.test").await
    });
    assert_eq!(odd.await.expect_err("an error").kind, Kind::Unreadable);
}
