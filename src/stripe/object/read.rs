//! Stripe's objects out of JSON, from older and newer API versions alike. `None` is what is no such object.

mod account;

use serde_json::Value;

pub(in crate::stripe) use account::{
    account, is_usual_portal, price, signing_secret, webhook_endpoint,
};

use super::{
    CheckoutSession, Customer, Owner, PortalSession, SessionMode, SessionStatus, Subscription,
    Whose,
};
use crate::clock::UnixSeconds;
use crate::entitlement::{DisputeStatus, Payment, SubscriptionStatus};
use crate::stripe::json;

/// Longest e-mail address that is kept (RFC 5321, section 4.5.3.1.3).
const MAX_EMAIL: usize = 254;

/// An object that may lack the rest of a list.
pub(in crate::stripe) struct Part<T> {
    pub(in crate::stripe) object: T,
    /// The list in it is there, to its end.
    pub(in crate::stripe) whole: bool,
}

/// An item of a subscription.
pub(in crate::stripe) struct Item {
    price: Option<String>,
    amount: Option<i64>,
    currency: Option<String>,
    period_start: Option<UnixSeconds>,
    period_end: Option<UnixSeconds>,
}

/// A session, with where to look for its money.
pub(in crate::stripe) struct Session {
    pub(in crate::stripe) session: CheckoutSession,
    /// `pi_…`.
    pub(in crate::stripe) intent: Option<String>,
}

/// What a charge says of its money.
pub(in crate::stripe) struct Charge {
    pub(in crate::stripe) id: String,
    /// All of it was given back.
    pub(in crate::stripe) refunded: bool,
    /// There are disputes to look at.
    pub(in crate::stripe) disputed: bool,
}

pub(in crate::stripe) fn customer(object: &Value) -> Option<Customer> {
    Some(Customer {
        id: json::id_of(object)?,
        user: json::user(object),
        email: json::text(object, "email")
            .filter(|email| email.len() <= MAX_EMAIL)
            .map(str::to_owned),
        deleted: json::flag(object, "deleted"),
        is_withheld: false,
    })
}

/// A subscription, with the items that came with it.
pub(in crate::stripe) fn subscription(object: &Value) -> Option<Part<Subscription>> {
    let (items, whole) = embedded(object, "items", item)?;
    let mut subscription = Subscription {
        id: json::id_of(object)?,
        customer: json::id(object, "customer"),
        owner: json::owner(object),
        status: SubscriptionStatus::from(json::text(object, "status")?),
        prices: Vec::new(),
        amount: None,
        currency: json::owned(object, "currency"),
        period_start: json::time(object, "current_period_start"),
        period_end: json::time(object, "current_period_end"),
        ends: json::flag(object, "cancel_at_period_end") || json::is_set(object, "cancel_at"),
    };
    set_items(&mut subscription, items);
    // Before there were items, a subscription had one plan.
    let alone = (!whole && subscription.prices.is_empty())
        .then(|| json::id(object, "plan"))
        .flatten();
    let whole = whole || alone.is_some();
    if let Some(plan) = alone {
        set_items(&mut subscription, item(object).into_iter().collect());
        subscription.prices = vec![plan];
    }
    Some(Part {
        object: subscription,
        whole,
    })
}

/// Sets what the items say; periods and currency stay as they are where no item says any.
pub(in crate::stripe) fn set_items(subscription: &mut Subscription, items: Vec<Item>) {
    // Items of different intervals: a renewal that fails began the latest period, and the earliest end is the next
    // that is paid for.
    let start = items.iter().filter_map(|item| item.period_start).max();
    let end = items.iter().filter_map(|item| item.period_end).min();
    subscription.period_start = start.or(subscription.period_start);
    subscription.period_end = end.or(subscription.period_end);
    if let Some(first) = items.first() {
        subscription.amount = first.amount;
        subscription.currency = subscription.currency.take().or(first.currency.clone());
    }
    subscription.prices = items.into_iter().filter_map(|item| item.price).collect();
}

/// An item of a subscription; of a subscription itself where it has one plan and no items.
pub(in crate::stripe) fn item(object: &Value) -> Option<Item> {
    if !object.is_object() {
        return None;
    }
    let price = ["price", "plan"]
        .into_iter()
        .find_map(|key| object.get(key).filter(|value| value.is_object()))
        .unwrap_or(&Value::Null);
    let unit = json::integer(price, "unit_amount").or_else(|| json::integer(price, "amount"));
    let quantity = json::integer(object, "quantity").unwrap_or(1);
    Some(Item {
        price: price_of(object),
        amount: unit.and_then(|unit| unit.checked_mul(quantity)),
        currency: json::owned(price, "currency"),
        period_start: json::time(object, "current_period_start"),
        period_end: json::time(object, "current_period_end"),
    })
}

/// The price of an item: its own, else its plan, which is what prices were called before.
pub(in crate::stripe) fn price_of(item: &Value) -> Option<String> {
    json::id(item, "price").or_else(|| json::id(item, "plan"))
}

/// The price of a line item; `None` is what is no line item, `Some(None)` one without a price.
#[expect(
    clippy::option_option,
    reason = "to be unreadable is not the same as to have no price"
)]
pub(in crate::stripe) fn line(object: &Value) -> Option<Option<String>> {
    object.is_object().then(|| price_of(object))
}

/// A session, with the line items that came with it. What became of the money of one that is paid is not known yet:
/// it counts as paid and kept until the charge was looked at.
pub(in crate::stripe) fn session(object: &Value) -> Option<Part<Session>> {
    let (lines, whole) = embedded(object, "line_items", line)?;
    let mode = mode(json::text(object, "mode")?);
    let status = status(json::text(object, "status").unwrap_or_default());
    let payment_status = json::owned(object, "payment_status")?;
    let metadata = object.get("metadata").and_then(Value::as_object);
    let session = CheckoutSession {
        id: json::id_of(object)?,
        customer: json::id(object, "customer"),
        owner: json::owner(object),
        payment: payment(&mode, &status, &payment_status),
        mode,
        status,
        payment_status,
        prices: lines.into_iter().flatten().collect(),
        metadata: metadata
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        url: json::owned(object, "url"),
        subscription: json::id(object, "subscription"),
        created: json::time(object, "created").unwrap_or_default(),
    };
    Some(Part {
        object: Session {
            session,
            intent: json::id(object, "payment_intent"),
        },
        whole,
    })
}

fn mode(word: &str) -> SessionMode {
    match word {
        "payment" => SessionMode::Payment,
        "subscription" => SessionMode::Subscription,
        other => SessionMode::Other(other.to_owned()),
    }
}

fn status(word: &str) -> SessionStatus {
    match word {
        "open" => SessionStatus::Open,
        "complete" => SessionStatus::Complete,
        "expired" => SessionStatus::Expired,
        other => SessionStatus::Unknown(other.to_owned()),
    }
}

fn payment(mode: &SessionMode, status: &SessionStatus, word: &str) -> Payment {
    match (mode, status) {
        (SessionMode::Payment, SessionStatus::Complete) => {}
        (SessionMode::Payment, SessionStatus::Unknown(word)) if !word.is_empty() => {
            return Payment::Unknown(word.clone());
        }
        (SessionMode::Payment | SessionMode::Subscription | SessionMode::Other(_), _) => {
            return Payment::Unpaid;
        }
    }
    match word {
        "paid" => Payment::Paid {
            refunded: false,
            disputes: Vec::new(),
        },
        "no_payment_required" => Payment::NotRequired,
        "unpaid" => Payment::Unpaid,
        other => Payment::Unknown(other.to_owned()),
    }
}

pub(in crate::stripe) fn portal(object: &Value) -> Option<PortalSession> {
    Some(PortalSession {
        id: json::id_of(object)?,
        url: json::owned(object, "url")?,
    })
}

pub(in crate::stripe) fn charge(object: &Value) -> Option<Charge> {
    Some(Charge {
        id: json::id_of(object)?,
        // True only for a full refund; one that failed later makes it false again, and the amount smaller.
        refunded: json::flag(object, "refunded") || is_given_back(object),
        disputed: json::flag(object, "disputed"),
    })
}

/// Whether the amounts say that nothing of it is left.
fn is_given_back(charge: &Value) -> bool {
    let amount = json::integer(charge, "amount").filter(|amount| *amount > 0);
    let back = json::integer(charge, "amount_refunded");
    amount.is_some_and(|amount| back.is_some_and(|back| back >= amount))
}

pub(in crate::stripe) fn dispute(object: &Value) -> Option<DisputeStatus> {
    json::text(object, "status").map(DisputeStatus::from)
}

pub(in crate::stripe) fn whose(object: &Value) -> Option<Whose> {
    object.is_object().then(|| Whose {
        customer: json::customer(object),
        owner: json::owner(object),
    })
}

impl Owner {
    /// Whether it names nobody.
    pub(in crate::stripe) fn is_nobody(&self) -> bool {
        self.metadata.is_none() && self.reference.is_none()
    }
}

/// The list under `key`, and whether it is there to its end; `None` when one of it cannot be read.
fn embedded<T>(
    object: &Value,
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<(Vec<T>, bool)> {
    let list = object.get(key).unwrap_or(&Value::Null);
    let Some(data) = list.get("data").and_then(Value::as_array) else {
        return Some((Vec::new(), false));
    };
    let read: Option<Vec<T>> = data.iter().map(read).collect();
    Some((read?, !json::flag(list, "has_more")))
}

#[cfg(test)]
mod tests;
