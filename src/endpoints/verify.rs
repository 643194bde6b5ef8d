//! What the browser asks on its way back from Stripe, often before the webhook came.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use moka::future::Cache;
use serde::Serialize;

use super::allowance::Allowance;
use super::customers::is_users;
use super::failure::Failure;
use super::intent;
use super::{Endpoints, in_time};
use crate::reply::json;
use crate::store::{Purchase, PurchaseState};
use crate::stripe::{self, CheckoutSession, SessionStatus};

/// How long an answer of Stripe's counts.
const FRESH: Duration = Duration::from_secs(2);
/// Questions about a user's own checkouts without a pause; then one in [`FRESH`].
const OWN_BURST: u32 = 10;
/// Questions about checkouts that the ledger does not have as the user's, and more about those it has, without a pause;
/// then one in [`STRANGE_PERIOD`].
const STRANGE_BURST: u32 = 30;
const STRANGE_PERIOD: Duration = Duration::from_secs(6);
/// How long a checkout is remembered not to be a user's.
const NOT_OWN: Duration = Duration::from_secs(60);
/// Checkouts remembered for that time, up to some 30 KB each.
const MAX_ANSWERS: u64 = 1_000;
/// Checkouts remembered not to be a user's, some 500 bytes each.
const MAX_NOT_OWN: u64 = 10_000;
/// How long Stripe may take.
const DEADLINE: Duration = Duration::from_secs(8);
/// How long the entitlement is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest part of an id after its prefix; Stripe's have some 60.
const MAX_ID: usize = 200;
/// Said in every case, so that nobody learns which sessions there are.
const NOT_FOUND: &str = "No such checkout session of yours";

/// A question to Stripe. What was answered before something happened is an answer to another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    user: String,
    id: String,
    /// The number of the last news of the user.
    heard: u64,
    /// Whether the ledger has the checkout as over.
    is_over: bool,
}

/// What was asked lately.
pub(super) struct Verifications {
    answers: Cache<Question, Option<Arc<CheckoutSession>>>,
    /// By user and id.
    not_own: Cache<(String, String), ()>,
    own: Allowance,
    strange: Allowance,
}

/// A checkout of the user's.
struct Looked {
    session: Arc<CheckoutSession>,
    /// Whether Stripe was asked for this request.
    is_new: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    success: bool,
    session_id: Option<&'a str>,
    payment_status: Option<&'a str>,
    customer_id: Option<&'a str>,
    metadata: Option<&'a BTreeMap<String, String>>,
    error: Option<&'a str>,
}

impl Verifications {
    pub(super) fn new() -> Self {
        Self {
            answers: Cache::builder()
                .max_capacity(MAX_ANSWERS)
                .time_to_live(FRESH)
                .build(),
            not_own: Cache::builder()
                .max_capacity(MAX_NOT_OWN)
                .time_to_live(NOT_OWN)
                .build(),
            own: Allowance::new(OWN_BURST, FRESH),
            strange: Allowance::new(STRANGE_BURST, STRANGE_PERIOD),
        }
    }
}

impl Endpoints {
    /// `GET /stripe/verify-session/{id}`.
    pub(super) async fn verify_session(
        &self,
        user: &str,
        id: &str,
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let Some(Looked { session, is_new }) = self.own_session(user, id).await? else {
            return Ok(not_found());
        };
        // Only for what was asked now: the allowance bounds what the workers are given to do, too.
        if is_new && is_paid(&session) && !self.counts_already(user, &session).await? {
            let settled = self.settle(user, "verify-session", PATIENCE).await?;
            if settled {
                self.remember(user, &session, PurchaseState::Complete)
                    .await?;
            }
        }
        Ok(found(&session))
    }

    /// The checkout, if it is the user's. What is not, for whichever reason, takes from the same allowance, so that the
    /// reasons cannot be told apart by when it is used up.
    async fn own_session(&self, user: &str, id: &str) -> Result<Option<Looked>, Failure> {
        let heard = self.heard.of(user);
        let is_sane = looks_like_session(id);
        let known = if is_sane {
            self.catch_up(user).await?;
            self.parts.store.purchase(id).await?
        } else {
            None
        };
        let is_known = known.as_ref().is_some_and(|known| known.user == user);
        let is_others = known.is_some() && !is_known;
        let question = Question {
            user: user.to_owned(),
            id: id.to_owned(),
            heard,
            is_over: known.is_some_and(|known| known.state != PurchaseState::Open),
        };
        let is_new = self.may_ask(&question, is_known)?;
        let (pair, not_own) = (
            (user.to_owned(), id.to_owned()),
            &self.verifications.not_own,
        );
        if !is_sane || is_others || (!is_known && not_own.contains_key(&pair)) {
            return Ok(None);
        }
        let session = match self.ask_session(question, is_new).await? {
            Some(session) if self.is_own(user, &session, is_known).await? => session,
            Some(_) | None => {
                not_own.insert(pair, ()).await;
                return Ok(None);
            }
        };
        if !is_known {
            self.take_over(user, &session).await?;
        }
        Ok(Some(Looked { session, is_new }))
    }

    /// Whether Stripe may be asked anew; if not, there is an answer from before.
    fn may_ask(&self, question: &Question, is_known: bool) -> Result<bool, Failure> {
        let Verifications {
            answers,
            own,
            strange,
            ..
        } = &self.verifications;
        let (user, now) = (&question.user, Instant::now());
        let allowance = if is_known { own } else { strange };
        let Err(retry_after) = allowance.take(user, now) else {
            return Ok(true);
        };
        if is_known && answers.contains_key(question) {
            return Ok(false);
        }
        // What an event has made new may be asked about although the allowance is used up.
        if is_known && strange.take(user, now).is_ok() {
            return Ok(true);
        }
        Err(Failure::TooManyQuestions { retry_after })
    }

    /// Asks Stripe, once for all who ask the same at once.
    async fn ask_session(
        &self,
        question: Question,
        is_new: bool,
    ) -> Result<Option<Arc<CheckoutSession>>, Failure> {
        let answers = &self.verifications.answers;
        if is_new {
            answers.invalidate(&question).await;
        }
        let id = question.id.clone();
        let asking = async {
            let call = self.parts.stripe.checkout_session(&id);
            let session = in_time(DEADLINE, "checkout_session", call).await?;
            Ok(session.map(Arc::new))
        };
        let asked: Result<_, Arc<stripe::Error>> =
            answers.try_get_with(question, Box::pin(asking)).await;
        Ok(asked?)
    }

    /// Whose it is: what it says itself counts, then the ledger, then its customer.
    async fn is_own(
        &self,
        user: &str,
        session: &CheckoutSession,
        is_known: bool,
    ) -> Result<bool, Failure> {
        if let Some((named, _)) = intent::user(&session.owner, false) {
            return Ok(named == user);
        }
        if is_known {
            return Ok(true);
        }
        let known = self.customers(user).await?;
        let customer = session.customer.as_deref();
        Ok(is_users(&session.owner, customer, user, &known))
    }

    /// Remembers a checkout of the user that was not made here.
    async fn take_over(&self, user: &str, session: &CheckoutSession) -> Result<(), Failure> {
        let now = self.now_millis();
        if let (Some(customer), Some((_, kind))) =
            (&session.customer, intent::user(&session.owner, false))
        {
            let store = &self.parts.store;
            store.link(customer, user, kind, now).await?;
        }
        let state = match session.status {
            SessionStatus::Expired => PurchaseState::Expired,
            // One that is complete is closed once it counts.
            SessionStatus::Open | SessionStatus::Complete | SessionStatus::Unknown(_) => {
                PurchaseState::Open
            }
        };
        self.remember(user, session, state).await
    }

    async fn remember(
        &self,
        user: &str,
        session: &CheckoutSession,
        state: PurchaseState,
    ) -> Result<(), Failure> {
        let purchase = Purchase {
            session: session.id.clone(),
            user: user.to_owned(),
            customer: session.customer.clone(),
            plan: self.plan_of(session),
            state,
            created_at: session.created.saturating_mul(1000),
        };
        Ok(self.parts.store.record_purchase(&purchase).await?)
    }

    /// The plan that a checkout sells: by its price, else by what it says.
    pub(super) fn plan_of(&self, session: &CheckoutSession) -> String {
        let terms = self.parts.terms.load();
        let mut prices = session.prices.iter();
        let by_price = prices.find_map(|price| terms.catalog.plan_of_price(price));
        let named = session.metadata.get("plan_type");
        let by_name = || named.and_then(|name| terms.catalog.plan(name));
        let plan = by_price.or_else(by_name);
        plan.map_or_else(|| "unknown".to_owned(), |plan| plan.name.clone())
    }

    /// Whether the user's entitlement rests on this very checkout already.
    async fn counts_already(&self, user: &str, session: &CheckoutSession) -> Result<bool, Failure> {
        let row = self.parts.store.entitlement(user).await?;
        let backing = row.and_then(|row| row.derived.backing);
        Ok(backing.is_some_and(|backing| {
            backing == session.id || Some(&backing) == session.subscription.as_ref()
        }))
    }
}

/// Whether the money is there, or the checkout is through and none is needed.
fn is_paid(session: &CheckoutSession) -> bool {
    let is_complete = session.status == SessionStatus::Complete;
    match session.payment_status.as_str() {
        "paid" => true,
        // A trial says so before anybody agreed to it.
        "no_payment_required" => is_complete,
        _ => false,
    }
}

fn looks_like_session(id: &str) -> bool {
    id.strip_prefix("cs_").is_some_and(|rest| {
        (1..=MAX_ID).contains(&rest.len())
            && rest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    })
}

fn found(session: &CheckoutSession) -> Response<Full<Bytes>> {
    let answer = Answer {
        success: true,
        session_id: Some(&session.id),
        payment_status: Some(&session.payment_status),
        customer_id: session.customer.as_deref(),
        metadata: Some(&session.metadata),
        error: None,
    };
    json(StatusCode::OK, &answer)
}

fn not_found() -> Response<Full<Bytes>> {
    let answer = Answer {
        success: false,
        session_id: None,
        payment_status: None,
        customer_id: None,
        metadata: None,
        error: Some(NOT_FOUND),
    };
    json(StatusCode::OK, &answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_can_be_none_is_not_asked_about() {
        for (id, fits) in [
            ("cs_test_a1B2", true),
            ("cs_1", true),
            ("cs_test_a-1", true),
            ("cs_", false),
            ("", false),
            ("sub_1", false),
            ("cs_a/b", false),
            ("cs_a?b", false),
            ("cs_a.b", false),
            ("CS_a", false),
            (&format!("cs_{}", "a".repeat(200)), true),
            (&format!("cs_{}", "a".repeat(201)), false),
        ] {
            assert_eq!(looks_like_session(id), fits, "{id}");
        }
    }
}
