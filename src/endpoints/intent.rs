//! From the envelope of an event to what the ledger is to do with it. Pure: whom it concerns, as far as it tells.

use bytes::Bytes;

use crate::store::{Concern, Intent, LinkKind, NewEvent, UnixMillis};
use crate::stripe::{Envelope, Owner, matters};

/// The longest `sub` that Auth0 issues.
const MAX_SUB: usize = 255;

/// Which events are ours.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    /// Whether the secret key is of live mode.
    pub live: bool,
    /// The own account's id; while it is not known, events of all accounts count.
    pub account: Option<&'a str>,
}

/// The event to keep: `body` is every byte that was signed, `envelope` what is believed of it.
#[must_use]
pub fn new_event(
    envelope: &Envelope,
    body: Bytes,
    received_at: UnixMillis,
    ours: Ours<'_>,
) -> NewEvent {
    NewEvent {
        id: envelope.id.clone(),
        event_type: envelope.event_type.clone(),
        live: envelope.live.unwrap_or(ours.live),
        created_at: envelope.created_at,
        received_at,
        body,
        intent: intent(envelope, ours),
    }
}

/// The user that something of Stripe's names, and how it is known; `of_customer` when it is the customer itself.
///
/// Names that no Auth0 user can have are nobody's.
#[must_use]
pub fn user(owner: &Owner, of_customer: bool) -> Option<(String, LinkKind)> {
    let kind = if of_customer {
        LinkKind::Owner
    } else {
        LinkKind::Item
    };
    let named = |user: &Option<String>, kind| {
        let user = user.as_ref().filter(|user| is_sub(user))?;
        Some((user.clone(), kind))
    };
    named(&owner.metadata, kind).or_else(|| named(&owner.reference, LinkKind::Reference))
}

/// Visible ASCII is what the gate takes for a `sub` too.
pub(super) fn is_sub(text: &str) -> bool {
    (1..=MAX_SUB).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn intent(envelope: &Envelope, ours: Ours<'_>) -> Intent {
    if let Some(live) = envelope.live.filter(|live| *live != ours.live) {
        let mode = |live| if live { "live" } else { "test" };
        let reason = format!(
            "it is of {} mode, the secret key of {} mode",
            mode(live),
            mode(ours.live)
        );
        return Intent::Ignore(reason);
    }
    let is_others = |own| envelope.account.as_deref().is_some_and(|id| id != own);
    if ours.account.is_some_and(is_others) {
        return Intent::Ignore("it is of another account".to_owned());
    }
    if !matters(&envelope.event_type) {
        return Intent::Ignore("events of this type change nothing here".to_owned());
    }
    Intent::Sync(concern(envelope))
}

fn concern(envelope: &Envelope) -> Concern {
    let is_customer = envelope.object.as_deref() == Some("customer");
    let customer = envelope
        .customer
        .clone()
        .or_else(|| envelope.object_id.clone().filter(|_| is_customer));
    let user = user(&envelope.owner, is_customer);
    let is_session = envelope.object.as_deref() == Some("checkout.session");
    // Anybody can begin checkouts at a payment link with somebody else's name and leave them: only what went through is
    // remembered as that user's.
    let is_left = matches!(
        envelope.event_type.as_str(),
        "checkout.session.expired" | "checkout.session.async_payment_failed"
    );
    let is_guests = is_session && !is_left && user.is_some() && customer.is_none();
    // A lookup is needed only where nobody is named.
    let is_nameless = customer.is_none() && user.is_none();
    Concern {
        object: is_nameless.then(|| looked_up(envelope)).flatten(),
        session: envelope.object_id.clone().filter(|_| is_guests),
        customer_deleted: is_customer && envelope.event_type == "customer.deleted",
        customer,
        user,
    }
}

/// What tells whose it is: disputes and refunds name nobody, but the charge they are of does.
fn looked_up(envelope: &Envelope) -> Option<(String, String)> {
    let named = |object: &str, id: &Option<String>| Some((object.to_owned(), id.clone()?));
    named("charge", &envelope.charge)
        .or_else(|| named("payment_intent", &envelope.payment_intent))
        .or_else(|| named(envelope.object.as_deref()?, &envelope.object_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const TEST: Ours<'static> = Ours {
        live: false,
        account: Some("acct_us"),
    };

    fn event(event_type: &str, object: &Value) -> Value {
        json!({
            "id": "evt_1", "object": "event", "type": event_type, "livemode": false, "created": 1_700_000_000,
            "data": { "object": object },
        })
    }

    fn read(event: &Value) -> NewEvent {
        let body = Bytes::from(event.to_string());
        let envelope = Envelope::parse(&body).unwrap();
        new_event(&envelope, body, 1_700_000_001_234, TEST)
    }

    fn concern_of(event_type: &str, object: &Value) -> Concern {
        match read(&event(event_type, object)).intent {
            Intent::Sync(concern) => concern,
            Intent::Ignore(reason) => unreachable!("{event_type} is ignored: {reason}"),
        }
    }

    #[test]
    fn the_event_is_kept_as_it_came() {
        let sent = event(
            "customer.deleted",
            &json!({ "id": "cus_1", "object": "customer" }),
        );
        let kept = read(&sent);
        assert_eq!(kept.body, sent.to_string().as_bytes());
        assert_eq!((kept.id.as_str(), kept.live), ("evt_1", false));
        assert_eq!(
            (kept.created_at, kept.received_at),
            (1_700_000_000_000, 1_700_000_001_234)
        );
    }

    #[test]
    fn the_user_is_found_by_metadata_then_by_reference() {
        let session = |metadata: Value, reference: Value| {
            json!({
                "id": "cs_1", "object": "checkout.session", "customer": "cus_1", "metadata": metadata,
                "client_reference_id": reference,
            })
        };
        let mine = json!({ "auth0_user_id": "auth0|1" });
        let long = json!({ "auth0_user_id": "u".repeat(256) });
        for (metadata, reference, expected) in [
            (
                mine.clone(),
                json!("auth0|2"),
                Some(("auth0|1", LinkKind::Item)),
            ),
            (
                json!({}),
                json!("auth0|2"),
                Some(("auth0|2", LinkKind::Reference)),
            ),
            (
                json!({ "auth0_user_id": "" }),
                json!("auth0|2"),
                Some(("auth0|2", LinkKind::Reference)),
            ),
            (json!({ "auth0_user_id": "a b" }), Value::Null, None),
            (json!({ "auth0_user_id": "ä" }), Value::Null, None),
            (long, Value::Null, None),
            (Value::Null, json!("new\nline"), None),
        ] {
            let found = concern_of("checkout.session.completed", &session(metadata, reference));
            let expected = expected.map(|(user, kind)| (user.to_owned(), kind));
            assert_eq!(found.user, expected);
            assert_eq!(
                (found.customer, found.object),
                (Some("cus_1".to_owned()), None)
            );
        }
        let customer = json!({ "id": "cus_1", "object": "customer", "metadata": mine });
        let found = concern_of("customer.updated", &customer);
        assert_eq!(found.user, Some(("auth0|1".to_owned(), LinkKind::Owner)));
    }

    #[test]
    fn an_event_that_names_nobody_is_looked_up_by_its_charge_or_itself() {
        for (event_type, object, expected) in [
            (
                "charge.dispute.created",
                json!({ "id": "dp_1", "object": "dispute", "charge": "ch_1", "payment_intent": "pi_1" }),
                ("charge", "ch_1"),
            ),
            (
                "charge.dispute.closed",
                json!({ "id": "dp_1", "object": "dispute", "payment_intent": "pi_1" }),
                ("payment_intent", "pi_1"),
            ),
            (
                "refund.failed",
                json!({ "id": "re_1", "object": "refund", "charge": { "id": "ch_1", "object": "charge" } }),
                ("charge", "ch_1"),
            ),
            (
                "charge.refunded",
                json!({ "id": "ch_1", "object": "charge", "customer": null }),
                ("charge", "ch_1"),
            ),
            (
                "payment_intent.succeeded",
                json!({ "id": "pi_1", "object": "payment_intent" }),
                ("payment_intent", "pi_1"),
            ),
            (
                "invoice.paid",
                json!({ "id": "in_1", "object": "invoice" }),
                ("invoice", "in_1"),
            ),
        ] {
            let found = concern_of(event_type, &object);
            let expected = (expected.0.to_owned(), expected.1.to_owned());
            assert_eq!(found.object, Some(expected), "{event_type}");
            assert_eq!((found.customer, found.user), (None, None), "{event_type}");
        }
    }

    #[test]
    fn the_checkout_of_a_guest_is_remembered_with_its_user_once_it_went_through() {
        let ours = json!("auth0|1");
        for (event_type, customer, reference, remembered) in [
            ("completed", Value::Null, ours.clone(), true),
            ("async_payment_succeeded", Value::Null, ours.clone(), true),
            ("completed", json!("cus_1"), ours.clone(), false),
            ("completed", Value::Null, Value::Null, false),
            // Anybody can make thousands of these, with anybody's name.
            ("expired", Value::Null, ours.clone(), false),
            ("async_payment_failed", Value::Null, ours, false),
        ] {
            let session = json!({
                "id": "cs_1", "object": "checkout.session", "customer": customer, "client_reference_id": reference,
            });
            let found = concern_of(&format!("checkout.session.{event_type}"), &session);
            let expected = remembered.then(|| "cs_1".to_owned());
            assert_eq!(found.session, expected, "{event_type}");
        }
    }

    #[test]
    fn a_customer_that_is_named_needs_no_lookup() {
        for customer in [
            json!("cus_1"),
            json!({ "id": "cus_1", "object": "customer" }),
        ] {
            let charge = json!({ "id": "ch_1", "object": "charge", "customer": customer });
            let found = concern_of("charge.refunded", &charge);
            assert_eq!(
                (found.customer, found.object),
                (Some("cus_1".to_owned()), None)
            );
        }
    }

    #[test]
    fn a_deleted_customer_is_told_as_such_and_nothing_else_is() {
        let customer = json!({ "id": "cus_1", "object": "customer", "deleted": true });
        let found = concern_of("customer.deleted", &customer);
        assert_eq!(
            (found.customer, found.customer_deleted),
            (Some("cus_1".to_owned()), true)
        );
        let subscription = json!({ "id": "sub_1", "object": "subscription", "customer": "cus_1" });
        assert!(!concern_of("customer.subscription.deleted", &subscription).customer_deleted);
    }

    #[test]
    fn a_thin_event_names_its_object_alone() {
        let thin = |object: &str, id: &str, event_type: &str| {
            json!({
                "id": "evt_2", "object": "v2.core.event", "type": format!("v1.{event_type}"), "livemode": false,
                "created": "2026-11-23T04:31:00.000Z", "related_object": { "id": id, "type": object, "url": "/v1/x" },
            })
        };
        let Intent::Sync(found) = read(&thin(
            "subscription",
            "sub_1",
            "customer.subscription.updated",
        ))
        .intent
        else {
            unreachable!("it matters");
        };
        assert_eq!(
            found.object,
            Some(("subscription".to_owned(), "sub_1".to_owned()))
        );
        let Intent::Sync(found) = read(&thin("customer", "cus_1", "customer.deleted")).intent
        else {
            unreachable!("it matters");
        };
        assert_eq!(
            (found.customer, found.customer_deleted),
            (Some("cus_1".to_owned()), true)
        );
    }

    #[test]
    fn events_of_the_other_mode_of_another_account_or_of_no_interest_are_ignored() {
        let object = json!({ "id": "sub_1", "object": "subscription", "customer": "cus_1" });
        let mut other_mode = event("customer.subscription.updated", &object);
        other_mode["livemode"] = json!(true);
        let mut other_account = event("customer.subscription.updated", &object);
        other_account["account"] = json!("acct_them");
        for (event, reason) in [
            (
                other_mode,
                "it is of live mode, the secret key of test mode",
            ),
            (other_account, "it is of another account"),
            (
                event("product.created", &object),
                "events of this type change nothing here",
            ),
        ] {
            assert_eq!(read(&event).intent, Intent::Ignore(reason.to_owned()));
        }
        let mut ours = event("customer.subscription.updated", &object);
        ours["account"] = json!("acct_us");
        assert!(matches!(read(&ours).intent, Intent::Sync(_)));
    }

    #[test]
    fn while_the_own_account_is_not_known_events_of_any_account_count() {
        let object = json!({ "id": "sub_1", "object": "subscription", "customer": "cus_1" });
        let mut named = event("customer.subscription.updated", &object);
        named["account"] = json!("acct_us");
        let body = Bytes::from(named.to_string());
        let envelope = Envelope::parse(&body).unwrap();
        let unknown = Ours {
            account: None,
            ..TEST
        };
        let kept = new_event(&envelope, body, 0, unknown);
        assert!(matches!(kept.intent, Intent::Sync(_)));
    }
}
