//! A user's subscriptions, and ending one of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use moka::future::Cache;
use serde::Serialize;
use serde_json::json;

use super::allowance::Allowance;
use super::body::Fields;
use super::customers::{Known, is_users};
use super::failure::Failure;
use super::{Endpoints, in_time, keys};
use crate::entitlement::{Catalog, SubscriptionStatus};
use crate::reply;
use crate::stripe::{self, Subscription};

/// How long Stripe may take, retries included.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long the ledger is waited for once the subscription is set to end: the webhook brings it too.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest part of an id after its prefix.
const MAX_ID: usize = 200;

/// How long a list counts for a user who asks again and again.
const FRESH: Duration = Duration::from_secs(2);
/// Lists that a user may have read without a pause; then one in [`FRESH`].
const LIST_BURST: u32 = 5;
/// Ends that a user may set without a pause; then one in [`END_PERIOD`].
const END_BURST: u32 = 20;
const END_PERIOD: Duration = Duration::from_secs(2);
/// Lists remembered, some 2 KB each.
const MAX_LISTS: u64 = 1_000;

/// What was read lately, and how often each user may ask.
pub(super) struct Subscriptions {
    /// By user, and the number of the last news of them.
    lists: Cache<(String, u64), Arc<Vec<Subscription>>>,
    reading: Allowance,
    ending: Allowance,
}

impl Subscriptions {
    pub(super) fn new() -> Self {
        Self {
            lists: Cache::builder()
                .max_capacity(MAX_LISTS)
                .time_to_live(FRESH)
                .build(),
            reading: Allowance::new(LIST_BURST, FRESH),
            ending: Allowance::new(END_BURST, END_PERIOD),
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    status: &'a str,
    current_period_end: Option<i64>,
    plan_id: Option<&'a str>,
    plan_type: &'a str,
    cancel_at_period_end: bool,
    amount: Option<i64>,
    currency: Option<&'a str>,
}

impl Endpoints {
    /// `GET /stripe/subscriptions`.
    pub(super) async fn subscriptions(&self, user: &str) -> Result<Response<Full<Bytes>>, Failure> {
        let known = self.customers(user).await?;
        let all = self.listed(user, &known).await?;
        let is_shown = |one: &&Subscription| {
            let is_mine = is_users(&one.owner, one.customer.as_deref(), user, &known);
            // One that was never paid never was a subscription to its user.
            is_mine && one.status != SubscriptionStatus::IncompleteExpired
        };
        let terms = self.parts.terms.load();
        let mine = all.iter().filter(is_shown);
        let shown: Vec<_> = mine.map(|one| show(one, &terms.catalog)).collect();
        let answer = json!({ "success": true, "user_id": user, "subscriptions": shown });
        Ok(reply::json(StatusCode::OK, &answer))
    }

    /// All subscriptions of these customers, asked for once for all who ask at once, and as often as the user may.
    async fn listed(&self, user: &str, known: &[Known]) -> Result<Arc<Vec<Subscription>>, Failure> {
        let Subscriptions { lists, reading, .. } = &self.subscribed;
        let key = (user.to_owned(), self.heard.of(user));
        if reading.take(user, Instant::now()).is_ok() {
            lists.invalidate(&key).await;
        }
        let asking = async {
            let mut all = Vec::new();
            for customer in known {
                all.extend(self.parts.stripe.subscriptions(&customer.id).await?);
            }
            Ok(Arc::new(all))
        };
        let asking = in_time(DEADLINE, "subscriptions", asking);
        let read: Result<_, Arc<stripe::Error>> = lists.try_get_with(key, Box::pin(asking)).await;
        Ok(read?)
    }

    /// `POST /stripe/cancel-subscription`.
    pub(super) async fn cancel_subscription(
        &self,
        user: &str,
        body: &[u8],
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let fields = Fields::parse(body)?;
        let id = fields.text("subscription_id")?;
        if !looks_like_subscription(id) {
            return Err(Failure::NoSubscription);
        }
        let turn = self.subscribed.ending.take(user, Instant::now());
        turn.map_err(|retry_after| Failure::TooManyQuestions { retry_after })?;
        let subscription = self.own_subscription(user, id).await?;
        if subscription.status.is_ended() {
            return Err(Failure::SubscriptionEnded);
        }
        // What was never paid has no period that it could end with.
        let is_unpaid = subscription.status == SubscriptionStatus::Incomplete;
        let at_once = self.config.cancel_now || is_unpaid;
        let message = if at_once {
            "Subscription has been canceled"
        } else {
            "Subscription will be canceled at the end of the current period"
        };
        if at_once || !subscription.ends {
            let ended = self.end(&subscription.id, at_once).await;
            // Whatever became of it: what was read before counts no longer.
            self.heard.news(user);
            ended?;
            // It is done in Stripe, whatever the ledger says: the webhook brings it there too.
            if let Err(error) = self.settle(user, "cancel-subscription", PATIENCE).await {
                tracing::warn!(error = %error, "the end of a subscription was not taken in at once");
            }
        }
        let answer = json!({
            "success": true, "message": message, "data": { "subscription_id": subscription.id },
        });
        Ok(reply::json(StatusCode::OK, &answer))
    }

    async fn own_subscription(&self, user: &str, id: &str) -> Result<Subscription, Failure> {
        let call = self.parts.stripe.subscription(id);
        let found = in_time(DEADLINE, "subscription", call).await?;
        let found = found.ok_or(Failure::NoSubscription)?;
        // What names its user needs no ledger: a subscription can be ended while that is away.
        let known = match found.owner.metadata {
            Some(_) => Vec::new(),
            None => self.customers(user).await?,
        };
        if is_users(&found.owner, found.customer.as_deref(), user, &known) {
            Ok(found)
        } else {
            Err(Failure::NoSubscription)
        }
    }

    async fn end(&self, id: &str, at_once: bool) -> Result<(), Failure> {
        let client = &self.parts.stripe;
        let ended = if at_once {
            in_time(DEADLINE, "cancel_now", client.cancel_now(id)).await
        } else {
            // To say it twice does no harm, and a name made of the period would be a trap: who takes the end back
            // and then ends it again would get the first answer, and pay on.
            let key = keys::once();
            let call = client.cancel_at_period_end(id, &key);
            in_time(DEADLINE, "cancel_at_period_end", call).await
        };
        match ended {
            Ok(_) => Ok(()),
            // It ended, or went, since it was read.
            Err(error) if matches!(error.kind, stripe::Kind::Missing { .. }) => {
                Err(Failure::SubscriptionEnded)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn looks_like_subscription(id: &str) -> bool {
    id.strip_prefix("sub_").is_some_and(|rest| {
        (1..=MAX_ID).contains(&rest.len())
            && rest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    })
}

fn show<'a>(one: &'a Subscription, catalog: &'a Catalog) -> Shown<'a> {
    let planned = one
        .prices
        .iter()
        .find_map(|price| Some((price, catalog.plan_of_price(price)?)));
    Shown {
        id: &one.id,
        status: one.status.as_str(),
        current_period_end: one.period_end,
        plan_id: planned
            .map(|(price, _)| price)
            .or(one.prices.first())
            .map(|id| &**id),
        plan_type: planned.map_or("unknown", |(_, plan)| &plan.name),
        cancel_at_period_end: one.ends,
        amount: one.amount,
        currency: one.currency.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::catalog;
    use super::*;
    use crate::stripe::Owner;

    #[test]
    fn a_subscription_is_shown_by_the_item_that_belongs_to_a_plan() {
        let with = |prices: &[&str]| Subscription {
            id: "sub_1".into(),
            customer: None,
            owner: Owner::default(),
            status: SubscriptionStatus::Active,
            prices: prices.iter().map(ToString::to_string).collect(),
            amount: Some(999),
            currency: Some("eur".into()),
            period_start: None,
            period_end: Some(1_700_000_000),
            ends: false,
        };
        for (prices, plan_id, plan_type) in [
            (
                &["price_extra", "price_monthly_old"][..],
                json!("price_monthly_old"),
                "monthly",
            ),
            (&["price_extra"], json!("price_extra"), "unknown"),
            (&[], json!(null), "unknown"),
        ] {
            let expected = json!({
                "id": "sub_1", "status": "active", "current_period_end": 1_700_000_000, "plan_id": plan_id,
                "plan_type": plan_type, "cancel_at_period_end": false, "amount": 999, "currency": "eur",
            });
            let (one, catalog) = (with(prices), catalog());
            assert_eq!(
                serde_json::to_value(show(&one, &catalog)).unwrap(),
                expected
            );
        }
    }

    #[test]
    fn an_id_that_can_be_none_is_not_asked_about() {
        for (id, fits) in [
            ("sub_1AbC", true),
            ("sub_sched-1", true),
            ("sub_", false),
            ("cs_1", false),
            ("sub_1/../x", false),
            ("sub_1?x", false),
            ("", false),
        ] {
            assert_eq!(looks_like_subscription(id), fits, "{id}");
        }
    }
}
