//! Beginning a checkout: one customer for each user, one session for each intent.

mod customer;
mod session;
mod turn;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

use super::allowance::Allowance;
use super::body::Fields;
use super::failure::Failure;
use super::intent::is_sub;
use super::look::Seen;
use super::{Endpoints, unreachable};
use crate::entitlement::{Catalog, Mode};
use crate::reply;
use crate::stripe::{CheckoutSession, SessionMode};
pub(super) use turn::Turns;

/// How long Stripe may take for one call, retries included.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long the entitlement of a checkout that turns out to be paid is waited for.
const PATIENCE: Duration = Duration::from_secs(4);
/// Checkouts that a user may begin without a pause; then one in [`PERIOD`].
const BURST: u32 = 40;
const PERIOD: Duration = Duration::from_secs(3);
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Stripe's limit for its own keys.
const MAX_KEY: usize = 255;
/// Letters of a made-up plan that are said back.
const MAX_SAID: usize = 40;

/// What is to be bought.
struct Order<'a> {
    user: &'a str,
    plan: String,
    price: String,
    mode: SessionMode,
    /// The client's name for its intent.
    key: Option<&'a str>,
}

impl<'a> Order<'a> {
    fn parse(
        user: &'a str,
        headers: &'a HeaderMap,
        body: &[u8],
        catalog: &Catalog,
    ) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        let name = fields.text("plan_type")?;
        let sold = catalog.plan(name).and_then(|plan| plan.sale.as_ref());
        let sold = sold.and_then(|sale| Some((sale.mode, sale.prices.first()?)));
        let (mode, price) = sold.ok_or_else(|| Failure::PlanType(printable(name)))?;
        Ok(Self {
            user,
            plan: name.to_owned(),
            price: price.clone(),
            mode: match mode {
                Mode::Subscription => SessionMode::Subscription,
                Mode::Payment => SessionMode::Payment,
            },
            key: client_key(headers)?,
        })
    }
}

/// The client's idempotency key.
fn client_key(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.as_bytes(),
        (Some(_), Some(_)) => return Err(Failure::IdempotencyKey),
    };
    let fits = (1..=MAX_KEY).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    let key = std::str::from_utf8(value).ok().filter(|_| fits);
    key.map(Some).ok_or(Failure::IdempotencyKey)
}

/// The beginning of a text that somebody sent, without what could play tricks where it is shown.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let short: String = text.chars().take(MAX_SAID).map(shown).collect();
    if text.chars().nth(MAX_SAID).is_some() {
        short + "…"
    } else {
        short
    }
}

/// How often a user may begin a checkout.
pub(super) fn allowance() -> Allowance {
    Allowance::new(BURST, PERIOD)
}

impl Endpoints {
    /// `POST /stripe/create-checkout-session`.
    pub(super) async fn create_checkout_session(
        &self,
        user: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let terms = self.parts.terms.load_full();
        let order = Order::parse(user, headers, body, &terms.catalog)?;
        let turn = self.checkouts.take(user, Instant::now());
        turn.map_err(|retry_after| Failure::TooManyQuestions { retry_after })?;
        if !is_sub(user) {
            // What is bought would never be found to be the user's.
            return Err(Failure::UnfitUser);
        }
        let _turn = self.turns.take(user).await?;
        let seen = self.look(user).await?;
        if seen.unanswered.contains(&order.plan) {
            // It may be paid already: not to be sold twice.
            return Err(unreachable("checkout_session").into());
        }
        self.refuse_owned(&order, &seen, &terms.catalog).await?;
        let (session, customer) = self.open_session(&order, &seen, &terms.catalog).await?;
        Ok(answer(&session, &customer))
    }

    /// Refuses what the user has already, or has just paid for.
    async fn refuse_owned(
        &self,
        order: &Order<'_>,
        seen: &Seen,
        catalog: &Catalog,
    ) -> Result<(), Failure> {
        let row = self.parts.store.entitlement(order.user).await?;
        let held = self.held(order.user, row.as_ref(), catalog).await;
        let plans = held.into_iter().chain(seen.paid.iter().cloned());
        let highest = plans.max_by_key(|plan| catalog.rank(plan));
        let Some(held) = highest else { return Ok(()) };
        if catalog.rank(&held) >= catalog.rank(&order.plan) {
            let wanted = order.plan.clone();
            return Err(Failure::Owned { held, wanted });
        }
        Ok(())
    }
}

fn answer(session: &CheckoutSession, customer: &str) -> Response<Full<Bytes>> {
    let answer = json!({
        "success": true, "checkout_url": session.url, "session_id": session.id, "customer_id": customer,
    });
    reply::json(StatusCode::CREATED, &answer)
}

#[cfg(test)]
mod tests {
    use super::super::testing::catalog;
    use super::*;

    fn parse(headers: &HeaderMap, body: &str) -> Result<(String, String, Option<String>), String> {
        let order = Order::parse("auth0|1", headers, body.as_bytes(), &catalog());
        let read = |order: Order<'_>| (order.plan, order.price, order.key.map(str::to_owned));
        order
            .map(read)
            .map_err(|failure| failure.into_problem().detail)
    }

    #[test]
    fn only_plans_on_sale_are_sold_at_their_first_price() {
        let body = |name: &str| json!({ "plan_type": name }).to_string();
        let none = HeaderMap::new();
        let sold = ("monthly".to_owned(), "price_monthly".to_owned(), None);
        assert_eq!(parse(&none, &body("monthly")), Ok(sold));
        for (name, said) in [
            ("free", "free".to_owned()),
            ("Monthly", "Monthly".to_owned()),
            ("", String::new()),
            ("a\u{1b}[31m\nb", "a\u{fffd}[31m\u{fffd}b".to_owned()),
            (&"x".repeat(50), "x".repeat(40) + "…"),
        ] {
            let expected = Err(format!("Invalid plan type: {said}"));
            assert_eq!(parse(&none, &body(name)), expected);
        }
    }

    #[test]
    fn a_clients_key_is_visible_ascii_sent_once() {
        let body = r#"{"plan_type": "monthly"}"#;
        let with = |values: &[&str]| {
            let pairs = values.iter().map(|value| {
                let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
                (http::HeaderName::from_static(IDEMPOTENCY_KEY), value)
            });
            parse(&pairs.collect(), body).map(|(_, _, key)| key)
        };
        assert_eq!(with(&["a-1"]), Ok(Some("a-1".to_owned())));
        assert!(with(&[&"k".repeat(255)]).is_ok());
        for values in [
            &[""][..],
            &["a b"],
            &["ä"],
            &["a", "b"],
            &[&"k".repeat(256)],
        ] {
            assert!(with(values).is_err(), "{values:?}");
        }
    }
}
