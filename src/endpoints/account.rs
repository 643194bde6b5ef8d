//! The own Stripe account's id: what the config says, else what Stripe says, once an event names an account.
//!
//! The first such event waits for the answer, not for long: where it does not come, or where the key may not ask, events
//! of whichever account are taken. What they bring is read from Stripe with the own key, so that one of another account
//! changes nothing, while one of the own that was taken for another's would be lost.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::{Endpoints, in_time};

/// How long Stripe may take, retries included.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long an event waits for the answer: Stripe gives up on who takes long to accept one.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long nothing is asked after a first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The most that a pause grows to, as each is twice the one before: it may be a right that the key lacks.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The own account's id, as far as it is known.
pub(super) struct Account {
    id: OnceLock<String>,
    wanted: Notify,
    /// Whether there is nothing to wait for: the id is known, or will not be for a while.
    is_settled: watch::Sender<bool>,
}

impl Account {
    pub(super) fn new(configured: Option<String>) -> Self {
        let (is_settled, _) = watch::channel(configured.is_some());
        Self {
            id: configured.map_or_else(OnceLock::new, OnceLock::from),
            wanted: Notify::new(),
            is_settled,
        }
    }

    /// The id. One that is not known is asked for, and waited for briefly.
    pub(super) async fn id(&self) -> Option<&str> {
        if self.id.get().is_none() {
            self.wanted.notify_one();
            let mut settling = self.is_settled.subscribe();
            let settled = settling.wait_for(|is_settled| *is_settled);
            // Whether it came in time is seen below.
            let _ = tokio::time::timeout(PATIENCE, settled).await;
        }
        self.id.get().map(String::as_str)
    }
}

impl Endpoints {
    /// Learns the own account's id from Stripe as soon as it is wanted; ends once it is known.
    pub fn learn_account(&self) -> impl Future<Output = ()> + Send + use<> {
        let (account, stripe) = (Arc::clone(&self.account), Arc::clone(&self.parts.stripe));
        async move {
            let mut pause = FIRST_PAUSE;
            while account.id.get().is_none() {
                account.wanted.notified().await;
                match in_time(DEADLINE, "account_id", stripe.account_id()).await {
                    Ok(id) => {
                        tracing::info!(stripe.account = %id, "events of other accounts are ignored from now on");
                        // Nobody else sets it.
                        let _ = account.id.set(id);
                        account.is_settled.send_replace(true);
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "the own Stripe account is not known: events of all accounts are taken");
                        account.is_settled.send_replace(true);
                        tokio::time::sleep(pause).await;
                        account.is_settled.send_replace(false);
                        pause = LONGEST_PAUSE.min(pause * 2);
                    }
                }
            }
        }
    }
}
