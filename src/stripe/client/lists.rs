//! What the whole account has, a page a call: there may be more of it than anybody wants to hold at once.

use super::Client;
use super::call::Call;
use crate::stripe::account::Page;
use crate::stripe::error::Error;
use crate::stripe::form::Params;
use crate::stripe::object::read;
use crate::stripe::object::{CheckoutSession, Customer, Subscription};

/// More customers of one e-mail than an operator looks at.
const NAMESAKES: &str = "20";
/// Longest e-mail that Stripe asks for.
const MAX_EMAIL: usize = 512;

impl Client {
    /// A page of all customers that are there, after the customer `after`, or the first; `None` where there is no such
    /// list.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses, or the page does not get on.
    pub async fn customers_after(
        &self,
        after: Option<&str>,
    ) -> Result<Option<Page<Customer>>, Error> {
        let call = Call::get(super::CUSTOMERS, Params::none());
        let page = self.sender.page(call, after, read::customer).await;
        let therefore = "customers are not to be listed: only those that the ledger knows count";
        self.unless_lacking(page, therefore)
    }

    /// The newest customers with this e-mail, in whichever letter case; none where there is no such list. Whoever pays
    /// writes an e-mail as they like: this is for the eyes of an operator, and proves nothing.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses, or the list cannot be read.
    pub async fn customers_by_email(&self, email: &str) -> Result<Vec<Customer>, Error> {
        // No e-mail is not every customer.
        if email.is_empty() || email.chars().count() > MAX_EMAIL {
            return Ok(Vec::new());
        }
        let params = Params::none().with(&["email"], email);
        let call = Call::get(super::CUSTOMERS, params);
        let found = self.sender.first(call, NAMESAKES, read::customer).await;
        let therefore = "customers are not to be listed: nobody is found by their e-mail in Stripe";
        let mut found = self.unless_lacking(found, therefore)?.unwrap_or_default();
        // Not all filter as they are told.
        found.retain(|customer| {
            let has = customer.email.as_deref();
            has.is_some_and(|has| has.to_lowercase() == email.to_lowercase())
        });
        Ok(found)
    }

    /// A page of everybody's subscriptions, whichever their status, after the subscription `after`, or the first. Of their
    /// items those count that came along.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses, or the page does not get on.
    pub async fn subscriptions_after(
        &self,
        after: Option<&str>,
    ) -> Result<Page<Subscription>, Error> {
        // Without `status` the canceled ones are left out.
        let params = Params::none().with(&["status"], "all");
        let call = Call::get(super::SUBSCRIPTIONS, params);
        let read = |object: &_| read::subscription(object).map(|part| part.object);
        self.sender.page(call, after, read).await
    }

    /// A page of everybody's completed Checkout Sessions, after the session `after`, or the first; others are among them
    /// where the list cannot be told to leave them out, and it is `None` where there is no such list. What became of the
    /// money is not looked at: what was paid counts as kept. Of their prices those count that came along.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be asked, or refuses, or the page does not get on.
    pub async fn sessions_after(
        &self,
        after: Option<&str>,
    ) -> Result<Option<Page<CheckoutSession>>, Error> {
        let read = |object: &_| read::session(object).map(|part| part.object.session);
        let all = Params::none().expand("data.line_items");
        let complete = all.clone().with(&["status"], "complete");
        let complete = Call::get(super::SESSIONS, complete);
        let page = match self.sender.page(complete, after, read).await {
            Err(error) if error.is_invalid() => {
                let all = Call::get(super::SESSIONS, all);
                self.sender.page(all, after, read).await
            }
            page => page,
        };
        let therefore = "checkouts are not to be listed: only those that the ledger knows count";
        self.unless_lacking(page, therefore)
    }
}
