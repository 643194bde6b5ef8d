//! Who is who, and what was bought.

use std::sync::Arc;

use tollgate::store::{LinkKind, Purchase, PurchaseState, Store};

use super::{START, event, of_customer, of_user, receive};

pub(super) async fn only_the_strongest_kind_of_a_link_is_kept(store: &Arc<dyn Store>) {
    for (at, kind, kept) in [
        (0, LinkKind::Reference, LinkKind::Reference),
        (1, LinkKind::Item, LinkKind::Item),
        (2, LinkKind::Reference, LinkKind::Item),
        (3, LinkKind::Owner, LinkKind::Owner),
        (4, LinkKind::Item, LinkKind::Owner),
    ] {
        let linked = store.link("cus_1", "auth0|1", kind, START + at);
        linked.await.expect("linked");
        let links = store.users_of("cus_1").await.expect("links");
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].kind, kept);
        assert_eq!(links[0].created_at, START, "since it was first known");
    }
}

pub(super) async fn a_customer_may_have_to_do_with_two_users_and_a_user_with_two_customers(
    store: &Arc<dyn Store>,
) {
    for (at, customer, user) in [
        (2, "cus_1", "auth0|1"),
        (1, "cus_1", "auth0|2"),
        (3, "cus_2", "auth0|1"),
        (4, "cus_0", "auth0|1"),
    ] {
        let linked = store.link(customer, user, LinkKind::Item, START + at);
        linked.await.expect("linked");
    }
    let users = store.users_of("cus_1").await.expect("links");
    let users: Vec<_> = users.iter().map(|link| link.user.as_str()).collect();
    assert_eq!(users, ["auth0|2", "auth0|1"], "the oldest first");
    let customers = store.customers_of("auth0|1").await.expect("links");
    let customers: Vec<_> = customers
        .iter()
        .map(|link| link.customer.as_str())
        .collect();
    assert_eq!(customers, ["cus_1", "cus_2", "cus_0"]);
    assert!(store.users_of("cus_9").await.expect("none").is_empty());
}

pub(super) async fn a_deleted_customer_stays_deleted_for_every_user_old_and_new(
    store: &Arc<dyn Store>,
) {
    for customer in ["cus_1", "cus_2", "cus_3"] {
        let linked = store.link(customer, "auth0|1", LinkKind::Item, START);
        linked.await.expect("linked");
    }
    store.customer_deleted("cus_1").await.expect("marked");
    let mut deleted = of_customer("cus_2");
    deleted.customer_deleted = true;
    receive(store, event("evt_1", deleted)).await;
    for customer in ["cus_1", "cus_2", "cus_3"] {
        for user in ["auth0|1", "auth0|2"] {
            let linked = store.link(customer, user, LinkKind::Owner, START + 1);
            linked.await.expect("linked");
        }
        let links = store.users_of(customer).await.expect("links");
        assert_eq!(links.len(), 2);
        for link in links {
            assert_eq!(link.deleted, customer != "cus_3", "{link:?}");
        }
    }
}

pub(super) async fn an_event_with_user_and_customer_links_the_two(store: &Arc<dyn Store>) {
    let mut both = of_user("auth0|1");
    both.customer = Some("cus_1".to_owned());
    receive(store, event("evt_1", both)).await;
    let links = store.customers_of("auth0|1").await.expect("links");
    assert_eq!(links.len(), 1);
    assert_eq!(links[0].customer, "cus_1");
    assert_eq!(links[0].kind, LinkKind::Item);
    assert_eq!((links[0].created_at, links[0].deleted), (START, false));
    let kept = store.event("evt_1").await.expect("an answer").expect("it");
    assert_eq!(kept.user.as_deref(), Some("auth0|1"));
}

fn purchase(session: &str, state: PurchaseState) -> Purchase {
    Purchase {
        session: session.to_owned(),
        user: "auth0|1".to_owned(),
        customer: Some("cus_1".to_owned()),
        plan: "lifetime".to_owned(),
        state,
        created_at: START,
    }
}

pub(super) async fn a_purchase_that_is_closed_never_opens_again(store: &Arc<dyn Store>) {
    use PurchaseState::{Complete, Expired, Open};
    for (number, (before, then, after)) in [
        (Open, Open, Open),
        (Open, Complete, Complete),
        (Open, Expired, Expired),
        (Complete, Open, Complete),
        (Complete, Expired, Complete),
        (Expired, Open, Expired),
        (Expired, Complete, Complete),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("cs_{number}");
        let first = purchase(&id, before);
        store.record_purchase(&first).await.expect("recorded");
        let mut second = purchase(&id, then);
        second.user = String::from("auth0|thief");
        second.created_at += 1;
        store.record_purchase(&second).await.expect("recorded");
        let kept = store.purchase(&id).await.expect("an answer");
        assert_eq!(kept, Some(purchase(&id, after)), "{before:?} then {then:?}");
    }
}

pub(super) async fn purchases_are_listed_by_user_the_oldest_first(store: &Arc<dyn Store>) {
    for (session, at, user) in [
        ("cs_1", 2, "auth0|1"),
        ("cs_2", 1, "auth0|1"),
        ("cs_3", 0, "auth0|2"),
    ] {
        let mut one = purchase(session, PurchaseState::Open);
        one.customer = None;
        one.created_at += at;
        one.user = user.to_owned();
        store.record_purchase(&one).await.expect("recorded");
    }
    let mut seen = purchase("cs_1", PurchaseState::Complete);
    seen.customer = Some("cus_7".to_owned());
    store.record_purchase(&seen).await.expect("recorded");
    let list = store.purchases_of("auth0|1").await.expect("purchases");
    let sessions: Vec<_> = list.iter().map(|one| one.session.as_str()).collect();
    assert_eq!(sessions, ["cs_2", "cs_1"]);
    assert_eq!(list[1].customer.as_deref(), Some("cus_7"), "learnt later");
    assert_eq!(store.purchase("cs_9").await.expect("an answer"), None);
}
