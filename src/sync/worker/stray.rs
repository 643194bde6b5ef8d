//! Checkouts of the user's that no customer lists: each is asked about by itself.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::Sync;
use super::failure::Failure;
use super::owner::Account;
use super::purpose::Purpose;
use crate::store::{Purchase, PurchaseState};
use crate::stripe::{CheckoutSession, SessionStatus};

/// Open checkouts that are asked about at a time, the newest first. Whoever begins more has left the others behind, and
/// one that is paid is in its customer's list.
const OPEN: usize = 20;
/// Questions about single checkouts at once.
const AT_ONCE: usize = 4;

impl Sync {
    /// What Stripe says of the checkouts that are not over, as far as the ledger knows, and in no list; and those that
    /// it does not know, which were open.
    ///
    /// Of the open ones the newest are asked about, and older ones only while all of the newer turn out to be over.
    pub(super) async fn strays(
        &self,
        accounts: &[Account],
        known: &[Purchase],
        purpose: Purpose<'_>,
    ) -> Result<(Vec<CheckoutSession>, Vec<Purchase>), Failure> {
        let sessions = accounts.iter().flat_map(|account| &account.sessions);
        let listed: HashSet<&str> = sessions.map(|session| session.id.as_str()).collect();
        let unlisted = |state: PurchaseState| {
            let unlisted = known
                .iter()
                .filter(|known| known.state == state && !listed.contains(known.session.as_str()));
            unlisted.cloned().collect::<Vec<_>>()
        };
        let complete = self
            .ask_about(&unlisted(PurchaseState::Complete), purpose)
            .await?;
        let mut strays: Vec<_> = complete
            .into_iter()
            .filter_map(|(_, found)| found)
            .collect();
        let mut gone = Vec::new();
        let mut open = unlisted(PurchaseState::Open);
        open.reverse();
        for newest in open.chunks(OPEN) {
            let mut are_all_over = true;
            for (purchase, found) in self.ask_about(newest, purpose).await? {
                match found {
                    Some(session) => {
                        are_all_over &= is_over(&session);
                        strays.push(session);
                    }
                    None => gone.push(purchase),
                }
            }
            if !are_all_over {
                break;
            }
        }
        Ok((strays, gone))
    }

    /// What Stripe says of each of these, a few at once. That one has expired is written down as soon as it is known:
    /// should the rest fail, the next try has less to ask. What went through is not: it must count first.
    async fn ask_about(
        &self,
        purchases: &[Purchase],
        purpose: Purpose<'_>,
    ) -> Result<Vec<(Purchase, Option<CheckoutSession>)>, Failure> {
        let (mut waiting, mut asked) = (purchases.iter().cloned(), JoinSet::new());
        let mut answers = Vec::new();
        loop {
            for purchase in waiting.by_ref().take(AT_ONCE - asked.len()) {
                let stripe = Arc::clone(&self.parts.stripe);
                asked.spawn(async move {
                    let found = stripe.checkout_session(&purchase.session).await;
                    (purchase, found)
                });
            }
            let Some(answer) = asked.join_next().await else {
                return Ok(answers);
            };
            let (purchase, found) = answer.map_err(|_| Failure::Broken)?;
            let found = found?;
            let is_expired = |session: &CheckoutSession| session.status == SessionStatus::Expired;
            if purpose.writes() && found.as_ref().is_some_and(is_expired) {
                self.parts
                    .store
                    .record_purchase(&expired(&purchase))
                    .await?;
            }
            answers.push((purchase, found));
        }
    }
}

/// Whether nobody can pay it any more.
fn is_over(session: &CheckoutSession) -> bool {
    match session.status {
        SessionStatus::Complete | SessionStatus::Expired => true,
        SessionStatus::Open | SessionStatus::Unknown(_) => false,
    }
}

pub(super) fn expired(purchase: &Purchase) -> Purchase {
    Purchase {
        state: PurchaseState::Expired,
        ..purchase.clone()
    }
}
