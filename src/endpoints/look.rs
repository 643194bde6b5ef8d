//! Looking at a user's open checkouts before an answer, so that the first answer after a payment is right although the
//! webhook is late.
//!
//! Bounded: one look at a time for each user, some at once and then one in two seconds, a few for all users together,
//! each with a deadline. In between, the ledger and the last look are what counts, until an event of the user's comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use tokio::sync::Semaphore;

use super::allowance::Allowance;
use super::{Endpoints, in_time};
use crate::store::{Purchase, PurchaseState, StoreError, UnixMillis};
use crate::stripe::{CheckoutSession, SessionMode, SessionStatus};
use crate::together::together;

/// How long a look counts, and how often a user may cause one.
const FRESH: Duration = Duration::from_secs(2);
/// Looks that a user may cause without a pause: some before the payment, and some after it.
const BURST: u32 = 10;
/// Looks at a time, for all users together.
const AT_ONCE: usize = 8;
/// Checkouts that are asked about, the newest: somebody who opens more has left the others behind.
const CHECKOUTS: usize = 8;
/// How long to wait for a turn among all users' looks.
const TURN: Duration = Duration::from_secs(1);
/// How long asking may take then.
const DEADLINE: Duration = Duration::from_secs(3);
/// How long the entitlement is waited for.
const PATIENCE: Duration = Duration::from_secs(4);
/// Checkouts live for 24 hours at most; one more for clocks that differ.
const LIFE: UnixMillis = 25 * 60 * 60 * 1000;
/// Looks remembered, some 200 bytes each.
const MAX_LOOKS: u64 = 10_000;

/// The looks of all users.
pub(super) struct Looks {
    /// By user, and the number of the last news of them.
    seen: Cache<(String, u64), Arc<Seen>>,
    allowance: Allowance,
    at_once: Semaphore,
}

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Something may have been paid that the ledger does not know of yet: Stripe did not say, or said so before somebody
    /// else asked.
    pub(super) stale: bool,
    /// Plans of checkouts of which Stripe did not say how they stand.
    pub(super) unanswered: Vec<String>,
    /// Checkouts that can still be paid.
    pub(super) open: Vec<String>,
    /// Plans that are paid for at Stripe, while the ledger does not have them yet.
    pub(super) paid: Vec<String>,
}

impl Looks {
    pub(super) fn new() -> Self {
        Self {
            seen: Cache::builder()
                .max_capacity(MAX_LOOKS)
                .time_to_live(FRESH)
                .build(),
            allowance: Allowance::new(BURST, FRESH),
            at_once: Semaphore::new(AT_ONCE),
        }
    }
}

impl Endpoints {
    /// Looks at the user's open checkouts, if there are any.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be used.
    pub(super) async fn look(&self, user: &str) -> Result<Arc<Seen>, StoreError> {
        let purchases = self.parts.store.purchases_of(user).await?;
        let open = open(purchases, self.now_millis());
        if open.is_empty() {
            return Ok(Arc::default());
        }
        let looks = &self.looks;
        let key = (user.to_owned(), self.heard.of(user));
        if looks.allowance.take(user, Instant::now()).is_ok() {
            looks.seen.invalidate(&key).await;
        }
        let look = async { Arc::new(self.look_at(user, &open).await) };
        let looked = looks.seen.entry(key).or_insert_with(Box::pin(look)).await;
        let is_own = looked.is_fresh();
        let seen = looked.into_value();
        Ok(if is_own || seen.open.is_empty() {
            seen
        } else {
            // It may have been paid since.
            Arc::new(Seen {
                stale: true,
                ..Seen::clone(&seen)
            })
        })
    }

    async fn look_at(&self, user: &str, open: &[Purchase]) -> Seen {
        let mut seen = Seen::default();
        let mut complete = Vec::new();
        for (purchase, answer) in open.iter().zip(self.ask_all(open).await) {
            let Some(session) = answer else {
                seen.unanswered.push(purchase.plan.clone());
                continue;
            };
            if session.as_ref().is_some_and(is_paid) {
                seen.paid.push(purchase.plan.clone());
            }
            match session.map(|session| session.status) {
                Some(SessionStatus::Complete) => complete.push(purchase),
                Some(SessionStatus::Open | SessionStatus::Unknown(_)) => {
                    seen.open.push(purchase.session.clone());
                }
                // What does not exist can no longer be paid.
                Some(SessionStatus::Expired) | None => {
                    self.close(purchase, PurchaseState::Expired).await;
                }
            }
        }
        seen.stale = !seen.unanswered.is_empty();
        if !complete.is_empty() {
            if self.take_in(user, &complete).await {
                seen.paid.clear();
            } else {
                seen.stale = true;
            }
        }
        seen
    }

    /// Asks Stripe how each of these checkouts stands, all at once. Nothing where it does not say in time.
    async fn ask_all(&self, open: &[Purchase]) -> Vec<Option<Option<CheckoutSession>>> {
        let turn = tokio::time::timeout(TURN, self.looks.at_once.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            tracing::warn!("open checkouts could not be looked at: too many are looked at already");
            return vec![None; open.len()];
        };
        let answers = together(open.iter().map(|purchase| {
            let call = self.parts.stripe.checkout_session(&purchase.session);
            in_time(DEADLINE, "checkout_session", call)
        }));
        let answers = answers.await;
        // One line, however many there are.
        if let Some(error) = answers.iter().find_map(|answer| answer.as_ref().err()) {
            tracing::warn!(error = %error, "an open checkout could not be looked at");
        }
        answers.into_iter().map(Result::ok).collect()
    }

    /// Waits until what was paid counts. Only then are the checkouts closed: until then the next look asks again.
    async fn take_in(&self, user: &str, complete: &[&Purchase]) -> bool {
        match self.settle(user, "open-checkout", PATIENCE).await {
            Ok(true) => {
                for purchase in complete {
                    self.close(purchase, PurchaseState::Complete).await;
                }
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::warn!(error = %error, "a finished checkout could not be taken in");
                false
            }
        }
    }

    /// Remembers that a checkout is over. When the ledger does not take it, the next look finds it again.
    async fn close(&self, purchase: &Purchase, state: PurchaseState) {
        let closed = Purchase {
            state,
            ..purchase.clone()
        };
        if let Err(error) = self.parts.store.record_purchase(&closed).await {
            tracing::warn!(error = %error, "a finished checkout could not be recorded");
        }
    }
}

/// Whether the checkout went through and its money came and stays.
fn is_paid(session: &CheckoutSession) -> bool {
    let came = matches!(
        session.payment_status.as_str(),
        "paid" | "no_payment_required"
    );
    let stays = session.mode != SessionMode::Payment || session.payment.is_kept();
    session.status == SessionStatus::Complete && came && stays
}

/// The checkouts to look at, the newest first.
fn open(mut purchases: Vec<Purchase>, now: UnixMillis) -> Vec<Purchase> {
    let oldest = now.saturating_sub(LIFE);
    purchases.retain(|known| known.state == PurchaseState::Open && known.created_at > oldest);
    purchases.reverse();
    purchases.truncate(CHECKOUTS);
    purchases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_checkouts_that_may_still_be_paid_are_looked_at() {
        let now = 100 * LIFE;
        let purchase = |session: &str, state, age: i64| Purchase {
            session: session.into(),
            user: "a".into(),
            customer: None,
            plan: "monthly".into(),
            state,
            created_at: now - age,
        };
        let few = vec![
            purchase("old", PurchaseState::Open, LIFE),
            purchase("1", PurchaseState::Open, LIFE - 1),
            purchase("paid", PurchaseState::Complete, 250),
            purchase("2", PurchaseState::Open, 200),
            purchase("gone", PurchaseState::Expired, 150),
            purchase("3", PurchaseState::Open, 100),
        ];
        let looked = |all| -> Vec<_> { open(all, now).into_iter().map(|p| p.session).collect() };
        assert_eq!(looked(few), ["3", "2", "1"]);
        let many = (0..12).map(|n| purchase(&n.to_string(), PurchaseState::Open, 100 - n));
        let newest = ["11", "10", "9", "8", "7", "6", "5", "4"];
        assert_eq!(looked(many.collect()), newest);
    }
}
