//! Stripe's objects, as far as they count here.

pub(super) mod read;

use std::collections::BTreeMap;

use crate::clock::UnixSeconds;
use crate::entitlement::{Payment, SubscriptionStatus};

/// The Auth0 user that something of Stripe's names, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Metadata `auth0_user_id`, which only the merchant can write.
    pub metadata: Option<String>,
    /// `client_reference_id`, which a payment link lets anybody write.
    pub reference: Option<String>,
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// `cus_…`.
    pub id: String,
    /// Metadata `auth0_user_id`.
    pub user: Option<String>,
    /// Where it is written to, unproved: for the eyes of an operator who looks for it.
    pub email: Option<String>,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Whether it was not to be seen: nothing of the above is known then.
    pub is_withheld: bool,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// `sub_…`.
    pub id: String,
    /// `cus_…`.
    pub customer: Option<String>,
    /// Whose it says it is.
    pub owner: Owner,
    /// Its status.
    pub status: SubscriptionStatus,
    /// The prices of all its items, in order.
    pub prices: Vec<String>,
    /// `unit_amount` times quantity of the first item, in the currency's smallest unit.
    pub amount: Option<i64>,
    /// Three letters.
    pub currency: Option<String>,
    /// When the current period began: of the items, else of the subscription (before 2025-03-31).
    pub period_start: Option<UnixSeconds>,
    /// When the current period ends.
    pub period_end: Option<UnixSeconds>,
    /// `cancel_at_period_end`, or `cancel_at` is set.
    pub ends: bool,
}

/// `mode` of a Checkout Session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionMode {
    /// Bought once.
    Payment,
    /// Bought again and again.
    Subscription,
    /// Anything else.
    Other(String),
}

/// `status` of a Checkout Session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// It may still be paid.
    Open,
    /// It went through; the payment may still be on its way.
    Complete,
    /// It can no longer be paid.
    Expired,
    /// A word that did not exist when this was written.
    Unknown(String),
}

/// A Checkout Session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutSession {
    /// `cs_…`.
    pub id: String,
    /// `cus_…`.
    pub customer: Option<String>,
    /// Whose it says it is.
    pub owner: Owner,
    /// How it buys.
    pub mode: SessionMode,
    /// Where it stands.
    pub status: SessionStatus,
    /// Stripe's word: `paid`, `unpaid`, `no_payment_required`.
    pub payment_status: String,
    /// What became of the money, refunds and disputes included; of mode `payment` only.
    pub payment: Payment,
    /// The prices bought.
    pub prices: Vec<String>,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Where the user pays; while it is open.
    pub url: Option<String>,
    /// The subscription that it made.
    pub subscription: Option<String>,
    /// When it was made.
    pub created: UnixSeconds,
}

/// A session of the customer portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalSession {
    /// `bps_…`.
    pub id: String,
    /// Where the user goes.
    pub url: String,
}

/// Whose an object is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// `cus_…`.
    pub customer: Option<String>,
    /// Whom it names.
    pub owner: Owner,
}
