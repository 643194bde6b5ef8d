//! The customer with whom a user pays: the one there is, or a new one of the user's own.

use std::time::Duration;

use super::DEADLINE;
use crate::endpoints::failure::Failure;
use crate::endpoints::{Endpoints, in_time};
use crate::store::LinkKind;
use crate::stripe::{self, Customer};

/// How long the e-mail is waited for: Stripe asks for it on its page when there is none.
const EMAIL_DEADLINE: Duration = Duration::from_secs(2);
/// How long the question for it may wait for its turn.
const EMAIL_TURN: Duration = Duration::from_secs(1);

/// How often, and after which pause, it is looked whether another process has made the customer by now.
const TRIES: u32 = 4;
const AGAIN: Duration = Duration::from_secs(1);

impl Endpoints {
    /// The user's customer. A new one is the user's in the ledger before anything is sold to it.
    pub(super) async fn paying_customer(&self, user: &str) -> Result<String, Failure> {
        if let Some(customer) = self.own_customer(user).await? {
            return Ok(customer);
        }
        let customer = self.new_customer(user).await?.id;
        let now = self.now_millis();
        let store = &self.parts.store;
        store.link(&customer, user, LinkKind::Owner, now).await?;
        Ok(customer)
    }

    /// Makes a customer; two clicks at once make the same one.
    async fn new_customer(&self, user: &str) -> Result<Customer, Failure> {
        let had = self.parts.store.customers_of(user).await?.len().to_string();
        let intent = ["customer", user, &had];
        let email = self.verified_email(user).await;
        match self.create_customer(user, email.as_deref(), &intent).await {
            Err(error) if error.kind == stripe::Kind::Idempotency => {}
            made => return Ok(made?),
        }
        // The first click had other luck with the e-mail, or is under way in another process with this one or that.
        let other = match email {
            Some(_) => None,
            None => self.verified_email(user).await,
        };
        for _ in 0..TRIES {
            for named in [&other, &email] {
                match self.create_customer(user, named.as_deref(), &intent).await {
                    Err(error) if error.kind == stripe::Kind::Idempotency => {}
                    made => return Ok(made?),
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
        // It was another one, and its answer never came: that customer is left behind, rather than the user for a day.
        let named = email.as_deref().unwrap_or_default();
        let intent = ["customer", user, &had, named];
        Ok(self
            .create_customer(user, email.as_deref(), &intent)
            .await?)
    }

    async fn create_customer(
        &self,
        user: &str,
        email: Option<&str>,
        intent: &[&str],
    ) -> Result<Customer, stripe::Error> {
        let next = self.tries.next(intent);
        let call = self.parts.stripe.create_customer(user, email, &next.key);
        let made = in_time(DEADLINE, "create_customer", call).await;
        self.tries.ended(&next, &made);
        made
    }

    /// The user's e-mail, if Auth0 says in time that it is verified. A purchase does not fail without it.
    async fn verified_email(&self, user: &str) -> Option<String> {
        let auth0 = self.parts.auth0.within(EMAIL_TURN);
        let asked = tokio::time::timeout(EMAIL_DEADLINE, auth0.user(user)).await;
        match asked {
            Ok(Ok(found)) => found.filter(|user| user.email_verified)?.email,
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "a customer is made without an e-mail");
                None
            }
            Err(_) => {
                tracing::warn!(
                    "a customer is made without an e-mail: Auth0 did not answer in time"
                );
                None
            }
        }
    }
}
