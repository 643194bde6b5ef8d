//! Finding out whose a customer, or an object, is.

use super::failure::Failure;
use super::owner::named;
use super::read::purchase;
use super::{Job, Sync};
use crate::store::{LinkKind, Match};
use crate::stripe::{Envelope, Owner};

/// What a one-time purchase without a customer is known by.
const CHECKOUT_SESSION: &str = "checkout.session";

impl Sync {
    /// Finds out whose customer `customer` is.
    pub(super) async fn find_customer(&self, job: &Job, customer: &str) -> Result<(), Failure> {
        let is_known = !self.parts.store.users_of(customer).await?.is_empty();
        let found = if is_known {
            Match::Customer(customer.to_owned())
        } else {
            self.owner_of_customer(customer).await?
        };
        Ok(self.parts.store.matched(job, &found, self.now()).await?)
    }

    /// Finds out whose the object `id` is.
    pub(super) async fn find_object(
        &self,
        job: &Job,
        object: &str,
        id: &str,
    ) -> Result<(), Failure> {
        let found = if object == CHECKOUT_SESSION {
            self.owner_of_session(id).await?
        } else {
            match self.owner_of_object(object, id).await {
                // Not every object can be asked for by itself where this runs.
                Err(Failure::Stripe(error)) if !error.is_retryable() => {
                    let found = match self.owner_by_snapshot(job).await? {
                        Some(found) => Some(found),
                        None => self.owner_by_list(object, id).await?,
                    };
                    found.ok_or(error)?
                }
                found => found?,
            }
        };
        Ok(self.parts.store.matched(job, &found, self.now()).await?)
    }

    async fn owner_of_object(&self, object: &str, id: &str) -> Result<Match, Failure> {
        let whose = self.parts.stripe.whose(object, id).await?;
        Ok(whose.map_or(Match::Nobody, |whose| belongs(&whose.owner, whose.customer)))
    }

    /// Whose the object is as a list of such has it; `None` where that does not lead on.
    async fn owner_by_list(&self, object: &str, id: &str) -> Result<Option<Match>, Failure> {
        match self.parts.stripe.whose_listed(object, id).await {
            Ok(whose) => Ok(whose.map(|whose| belongs(&whose.owner, whose.customer))),
            Err(error) if error.is_retryable() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Whose the object of a thin event is by the snapshot that the event names; `None` where that does not lead on.
    async fn owner_by_snapshot(&self, job: &Job) -> Result<Option<Match>, Failure> {
        let Some(event) = &job.cause.event else {
            return Ok(None);
        };
        let body = self
            .parts
            .store
            .event(event)
            .await?
            .and_then(|event| event.body);
        let thin = body.and_then(|body| Envelope::parse(&body).ok());
        let Some(id) = thin.and_then(|thin| thin.snapshot_event) else {
            return Ok(None);
        };
        let snapshot = match self.parts.stripe.event(&id).await {
            Ok(Some(snapshot)) => snapshot,
            Err(error) if error.is_retryable() => return Err(error.into()),
            Ok(None) | Err(_) => return Ok(None),
        };
        let found = belongs(&snapshot.owner, snapshot.customer);
        let charge = snapshot.charge.map(|id| ("charge", id));
        let payment = snapshot.payment_intent.map(|id| ("payment_intent", id));
        match (found, charge.or(payment)) {
            (Match::Nobody, Some((object, id))) => {
                self.owner_of_object(object, &id).await.map(Some)
            }
            (Match::Nobody, None) => Ok(None),
            (found, _) => Ok(Some(found)),
        }
    }

    /// The user whom the customer names, else one whom something under it names.
    async fn owner_of_customer(&self, id: &str) -> Result<Match, Failure> {
        let stripe = &self.parts.stripe;
        let customer = stripe.customer(id).await?;
        let owner = customer.and_then(|customer| customer.user);
        if let Some(user) = owner {
            return Ok(user_of(&user, LinkKind::Owner, Some(id.to_owned())));
        }
        let subscriptions = stripe.subscriptions(id).await?;
        let sessions = stripe.checkout_sessions(id).await?;
        let best = subscriptions
            .iter()
            .map(|subscription| &subscription.owner)
            .chain(sessions.iter().map(|session| &session.owner))
            .filter_map(named)
            .max_by_key(|(_, kind)| *kind);
        Ok(best.map_or(Match::Nobody, |(user, kind)| {
            user_of(user, kind, Some(id.to_owned()))
        }))
    }

    /// Whose a Checkout Session is. No customer may ever list it, so the ledger remembers it.
    async fn owner_of_session(&self, id: &str) -> Result<Match, Failure> {
        let Some(session) = self.parts.stripe.checkout_session(id).await? else {
            return Ok(Match::Nobody);
        };
        if let Some((user, _)) = named(&session.owner) {
            let terms = self.parts.terms.load_full();
            if let Some(purchase) = purchase(&session, user, &terms.catalog) {
                self.parts.store.record_purchase(&purchase).await?;
            }
        }
        Ok(belongs(&session.owner, session.customer))
    }
}

fn belongs(owner: &Owner, customer: Option<String>) -> Match {
    match (named(owner), customer) {
        (Some((user, kind)), customer) => user_of(user, kind, customer),
        (None, Some(customer)) => Match::Customer(customer),
        (None, None) => Match::Nobody,
    }
}

fn user_of(user: &str, kind: LinkKind, customer: Option<String>) -> Match {
    Match::User {
        user: user.to_owned(),
        kind,
        customer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_counts_before_the_reference_and_both_before_the_customer() {
        let owner = |metadata: Option<&str>, reference: Option<&str>| Owner {
            metadata: metadata.map(str::to_owned),
            reference: reference.map(str::to_owned),
        };
        let customer = || Some("cus_1".to_owned());
        assert_eq!(
            belongs(&owner(Some("a"), Some("b")), customer()),
            user_of("a", LinkKind::Item, customer())
        );
        assert_eq!(
            belongs(&owner(None, Some("b")), customer()),
            user_of("b", LinkKind::Reference, customer())
        );
        assert_eq!(
            belongs(&owner(None, None), customer()),
            Match::Customer("cus_1".into())
        );
        assert_eq!(belongs(&owner(None, None), None), Match::Nobody);
    }
}
