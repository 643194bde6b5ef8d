//! People who buy, cancel, are refunded and dispute, by lot, at the stand-in itself: the replicas may be away.

use fastrand::Rng;
use serde_json::json;

use crate::schedules::oracle::{Bought, role};
use crate::shop::Shop;
use crate::support::stripe::{PRICE_LIFETIME, PRICE_MONTHLY, Stripe};

/// One of them.
pub(super) struct Customer {
    pub(super) user: String,
    id: String,
    bought: Bought,
    disputes: Vec<String>,
}

impl Customer {
    pub(super) fn new(shop: &Shop, number: usize) -> Self {
        let user = format!("auth0|customer-{number}");
        shop.auth0.create_user(&user, "buyer@example.test", true);
        shop.auth0.give_role(&user, "free-user");
        let metadata = json!({ "auth0_user_id": user });
        let id = shop.stripe.new_customer("buyer@example.test", &metadata);
        Self {
            user,
            id,
            bought: Bought::default(),
            disputes: Vec::new(),
        }
    }

    /// Something happens.
    pub(super) fn act(&mut self, random: &mut Rng, stripe: &Stripe) {
        let living = |id: &&String| stripe.object(id)["status"] == "active";
        let subscription = self.bought.subscriptions.iter().find(living).cloned();
        let kept = |id: &&String| {
            let charge = stripe.object(&stripe.charge_of(id));
            charge["refunded"] == false && charge["disputed"] == false
        };
        let lifetime = self.bought.lifetime.iter().find(kept).cloned();
        match (random.u8(0..8), subscription, lifetime, self.disputes.pop()) {
            (0 | 1, Some(id), ..) => stripe.cancel_now(&id),
            (2, Some(id), ..) => stripe.fail_renewal(&id),
            (3 | 4, _, Some(id), _) => drop(stripe.refund(&id)),
            (5, _, Some(id), _) => self.disputes.push(stripe.dispute(&id, "needs_response")),
            (6, _, _, Some(dispute)) => {
                let outcome = if random.bool() { "won" } else { "lost" };
                stripe.dispute_status(&dispute, outcome);
            }
            (0..=3, ..) => {
                let session = stripe.new_checkout(&self.id, PRICE_MONTHLY);
                stripe.pay(&session);
                let subscription = stripe.subscription_of(&session);
                self.bought.subscriptions.push(subscription);
            }
            _ => self.buy_lifetime(stripe),
        }
    }

    /// Pays for the lifetime plan.
    pub(super) fn buy_lifetime(&mut self, stripe: &Stripe) {
        let session = stripe.new_checkout(&self.id, PRICE_LIFETIME);
        stripe.pay(&session);
        self.bought.lifetime.push(session);
    }

    /// Is given the last payment back.
    pub(super) fn is_refunded(&self, stripe: &Stripe) {
        stripe.refund(self.bought.lifetime.last().expect("a purchase"));
    }

    /// Whether Auth0 says of the user what Stripe says.
    pub(super) fn is_settled(&self, shop: &Shop) -> bool {
        let wanted = role(self.bought.plan(&shop.stripe));
        shop.auth0.roles_of(&self.user) == [wanted]
    }
}
