//! What becomes of subscriptions.

use fastrand::Rng;
use serde_json::Value;

use super::{Buyer, PRICE_UNKNOWN, short};
use crate::support::stripe::{PRICE_MONTHLY, Stripe};

/// Something that can happen, and its name.
type Turn = (&'static str, fn(&Stripe, &str));

/// Of a subscription that runs on.
const RUNNING: [Turn; 11] = [
    ("renew", Stripe::renew),
    ("fail_renewal", Stripe::fail_renewal),
    ("cancel_now", Stripe::cancel_now),
    ("cancel_at_end", Stripe::cancel_at_end),
    ("set_cancel_at", Stripe::set_cancel_at),
    ("pause", Stripe::pause),
    ("pause_collection", Stripe::pause_collection),
    ("another price", |stripe, id| {
        stripe.switch_price(id, PRICE_UNKNOWN);
    }),
    ("the old price", |stripe, id| {
        stripe.switch_price(id, PRICE_MONTHLY);
    }),
    ("a trial", |stripe, id| stripe.trial(id, 7)),
    ("a new status", |stripe, id| {
        stripe.set_status(id, "hibernating");
    }),
];

impl Buyer {
    /// A subscription goes on, or does not.
    pub(super) fn live_on(&self, random: &mut Rng, stripe: &Stripe) -> Option<String> {
        let id = random.choice(&self.bought.subscriptions)?;
        let now = stripe.object(id);
        let (word, act) = random.choice(turns(&now))?;
        act(stripe, id);
        Some(format!("{word} {}", short(id)))
    }
}

/// What can become of a subscription.
fn turns(now: &Value) -> &'static [Turn] {
    match now["status"].as_str().unwrap_or_default() {
        "active" | "trialing" if now["cancel_at"].is_null() => &RUNNING,
        "active" | "trialing" => &[
            ("keep_going", Stripe::keep_going),
            ("end_period", Stripe::end_period),
            ("cancel_now", Stripe::cancel_now),
            ("the old price", |stripe, id| {
                stripe.switch_price(id, PRICE_MONTHLY);
            }),
        ],
        "past_due" => &[
            ("recover", Stripe::recover),
            ("exhaust", |stripe, id| stripe.exhaust(id, "unpaid")),
            ("exhaust, and the end", |stripe, id| {
                stripe.exhaust(id, "canceled");
            }),
            ("cancel_now", Stripe::cancel_now),
        ],
        "unpaid" => &[
            ("recover", Stripe::recover),
            ("cancel_now", Stripe::cancel_now),
        ],
        "paused" => &[
            ("resume", Stripe::resume),
            ("cancel_now", Stripe::cancel_now),
        ],
        "canceled" => &[],
        _ => &[
            ("active", |stripe, id| stripe.set_status(id, "active")),
            ("cancel_now", Stripe::cancel_now),
        ],
    }
}
