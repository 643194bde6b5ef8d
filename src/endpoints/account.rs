//! The own Stripe account's id: what the config says, else what Stripe says, once an event names an account.
//!
//! Nobody waits for it: until it is known, events of whichever account are taken. What they bring is read from Stripe
//! with the own key, so that one of another account changes nothing.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Endpoints, in_time};

/// How long Stripe may take, retries included.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long nothing is asked after a failure: it may be a right that the key lacks.
const PAUSE: Duration = Duration::from_secs(600);

/// The own account's id, as far as it is known.
pub(super) struct Account {
    id: OnceLock<String>,
    wanted: Notify,
}

impl Account {
    pub(super) fn new(configured: Option<String>) -> Self {
        Self {
            id: configured.map_or_else(OnceLock::new, OnceLock::from),
            wanted: Notify::new(),
        }
    }

    /// The id. One that is not known is asked for meanwhile.
    pub(super) fn id(&self) -> Option<&str> {
        let id = self.id.get();
        if id.is_none() {
            self.wanted.notify_one();
        }
        id.map(String::as_str)
    }
}

impl Endpoints {
    /// Learns the own account's id from Stripe as soon as it is wanted; ends once it is known.
    pub fn learn_account(&self) -> impl Future<Output = ()> + Send + use<> {
        let (account, stripe) = (Arc::clone(&self.account), Arc::clone(&self.parts.stripe));
        async move {
            while account.id.get().is_none() {
                account.wanted.notified().await;
                match in_time(DEADLINE, "account_id", stripe.account_id()).await {
                    Ok(id) => {
                        tracing::info!(stripe.account = %id, "events of other accounts are ignored from now on");
                        // Nobody else sets it.
                        let _ = account.id.set(id);
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "the own Stripe account is not known: events of all accounts are taken");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }
}
