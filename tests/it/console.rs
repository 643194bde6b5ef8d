//! The console: what operators see, and what they may do there.

mod acting;
mod browser;
mod browsing;
mod pages;
mod visitor;

use bytes::Bytes;
use tollgate::store::{
    Cause, Concern, Drift, DriftKind, Intent, LinkKind, Looks as _, NewEvent, Store as _,
};

use crate::gate::Setup;
use crate::shop::{ANN, BOB, Shop};

/// Whoever knows it may act.
const TOKEN: &str = "a-token-of-the-operator-7f3a";

/// A shop whose console can be acted in.
async fn shop() -> Shop {
    Shop::with(|setup| setup.admin_token(TOKEN)).await
}

/// The same with a changed config.
async fn shop_with(change: impl FnOnce(Setup) -> Setup) -> Shop {
    Shop::with(|setup| change(setup.admin_token(TOKEN))).await
}

/// A job that was given up, because Auth0 has no such role: [`ANN`] bought lifetime. The id of the checkout's event.
async fn kill_a_job(shop: &Shop) -> String {
    shop.auth0.delete_role("premium-lifetime");
    let session = shop.checkout(ANN, "lifetime").await;
    shop.stripe.pay(&session);
    shop.until_dead(ANN).await;
    event_of(shop, "checkout.session.completed")
}

/// Makes what the dead job lacked.
fn mend(shop: &Shop) {
    let permissions = ["read:basic-content", "read:premium-content"];
    shop.auth0.create_role("premium-lifetime", &permissions);
}

/// The id of the last event of this type.
fn event_of(shop: &Shop, kind: &str) -> String {
    let mut sent = shop.stripe.outbox().into_iter().rev();
    let found = sent.find(|event| event.kind == kind);
    found.expect("the event was sent").id
}

/// Writes into the ledger what a look over all customers would have found: [`BOB`] paid and has no role.
async fn drift(shop: &Shop) {
    let ledger = shop.ledger().await;
    let now = 1_760_000_000_000;
    let mut look = ledger
        .begin_look(false, now, 60_000)
        .await
        .expect("the ledger")
        .expect("nobody else looks");
    (look.total, look.checked, look.drifted) = (2, 2, 1);
    let row = ledger.entitlement(BOB).await.expect("the ledger");
    let found = Drift {
        subject: BOB.to_owned(),
        kind: DriftKind::Missing,
        user: Some(BOB.to_owned()),
        customer: None,
        plan: Some("monthly".to_owned()),
        roles: vec!["free-user".to_owned()],
        why: "subscription sub_9 is active".to_owned(),
        found_at: now,
        look: look.id,
        sequence: row.map(|row| row.sequence),
    };
    let written = ledger.look_on(&look, &[found], &[], now, 60_000).await;
    written.expect("the drift is written");
    ledger.end_look(&look, now).await.expect("the look ends");
}

/// Writes an event of this type, of this user, with this body.
async fn receive(shop: &Shop, id: &str, event_type: &str, user: &str, body: &str) {
    let event = NewEvent {
        id: id.to_owned(),
        event_type: event_type.to_owned(),
        live: false,
        created_at: 1_760_000_000_000,
        received_at: 1_760_000_000_000,
        body: Bytes::from(body.to_owned()),
        intent: Intent::Sync(Concern {
            user: Some((user.to_owned(), LinkKind::Owner)),
            customer: Some("cus_of_a_story".to_owned()),
            ..Concern::default()
        }),
    };
    let taken = shop.ledger().await.receive(&[event]).await;
    taken.expect("the event is kept");
}

/// Waits until something was done to the user for this reason.
async fn until_done_for(shop: &Shop, user: &str, is_it: impl Fn(&Cause) -> bool) {
    shop.until_in_ledger("the audit", async |ledger| {
        let changes = ledger.role_changes(user, 100).await.expect("the ledger");
        changes.iter().any(|change| is_it(&change.cause))
    })
    .await;
}
