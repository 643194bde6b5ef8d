//! What a user has a right to, read from the objects of the stand-in by rules of its own: that the code under test
//! derives the same is what the tests show.

use serde_json::{Value, json};

use crate::support::stripe::{PRICE_MONTHLY, Stripe};
use crate::sync::market::Market;

/// What a user has bought, as the test knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bought {
    /// Subscriptions, of whatever price.
    pub(crate) subscriptions: Vec<String>,
    /// Checkout Sessions for the lifetime plan.
    pub(crate) lifetime: Vec<String>,
}

impl Bought {
    /// The plan that is due now.
    pub(crate) fn plan(&self, stripe: &Stripe) -> &'static str {
        if self.lifetime.iter().any(|session| is_kept(stripe, session)) {
            "lifetime"
        } else if self.subscriptions.iter().any(|id| gives(stripe, id)) {
            "monthly"
        } else {
            "free"
        }
    }
}

/// Whether a subscription gives the monthly plan. Renewals that failed are kept, as the market's terms say.
fn gives(stripe: &Stripe, subscription: &str) -> bool {
    let now = stripe.object(subscription);
    let sold = now["items"]["data"].as_array().into_iter().flatten();
    let mut prices = sold.map(|item| &item["price"]["id"]);
    let stands = ["active", "trialing", "past_due"].map(Value::from);
    stands.contains(&now["status"]) && prices.any(|price| *price == PRICE_MONTHLY)
}

/// Whether the money for a session came and stayed, or none was asked for.
fn is_kept(stripe: &Stripe, session: &str) -> bool {
    let now = stripe.object(session);
    if now["status"] != "complete" {
        return false;
    }
    match now["payment_status"].as_str() {
        Some("no_payment_required") => true,
        Some("paid") => {
            let intent = stripe.object(now["payment_intent"].as_str().expect("an intent"));
            let charge = stripe.object(intent["latest_charge"].as_str().expect("a charge"));
            charge["amount_refunded"] != charge["amount"] && !is_taken_back(stripe, &charge["id"])
        }
        _ => false,
    }
}

/// Whether a bank holds the money of a charge back.
fn is_taken_back(stripe: &Stripe, charge: &Value) -> bool {
    let taking = ["needs_response", "under_review", "lost"].map(Value::from);
    let disputes = stripe.ids("dispute").into_iter();
    let mut disputes = disputes.map(|id| stripe.object(&id));
    disputes.any(|dispute| dispute["charge"] == *charge && taking.contains(&dispute["status"]))
}

/// The role of a plan.
pub(crate) fn role(plan: &str) -> &'static str {
    match plan {
        "lifetime" => "premium-lifetime",
        "monthly" => "premium-monthly",
        _ => "free-user",
    }
}

/// Whether a role is a plan's.
pub(super) fn is_managed(role: &str) -> bool {
    ["free-user", "premium-monthly", "premium-lifetime"].contains(&role)
}

/// Sees that the ledger, the roles and `app_metadata` say that `user` has `plan`; of roles of no plan these and no
/// others are there.
pub(super) async fn assert_settled(market: &Market, user: &str, plan: &str, others: &[&str]) {
    let row = market.store.entitlement(user).await.expect("a ledger");
    let row = row.unwrap_or_else(|| unreachable!("{user} is not in the ledger"));
    assert_eq!(
        row.derived.plan.as_deref(),
        Some(plan),
        "{user} in the ledger"
    );
    assert_eq!(
        row.derived.paid,
        plan != "free",
        "{user} has paid in the ledger"
    );
    let mut wanted: Vec<&str> = others.iter().copied().chain([role(plan)]).collect();
    wanted.sort_unstable();
    assert_eq!(market.auth0.roles_of(user), wanted, "{user} in Auth0");
    if row.changed_at.is_some() {
        assert!(row.confirmed_at.is_some(), "{user} is not confirmed");
    }
    let metadata = Value::from(market.auth0.app_metadata(user));
    let is_empty = metadata.as_object().is_some_and(serde_json::Map::is_empty);
    if plan == "free" && is_empty {
        return; // Nothing was ever paid, as far as anybody looked.
    }
    let status = if plan == "free" { "inactive" } else { "active" };
    let source = if plan == "free" {
        Value::Null
    } else {
        json!("stripe")
    };
    for (key, value) in [
        ("premium_status", json!(status)),
        ("plan_type", json!(plan)),
        ("role_assigned", json!(role(plan))),
        ("subscription_source", source),
    ] {
        assert_eq!(metadata[key], value, "{user}: {key} of app_metadata");
    }
}
