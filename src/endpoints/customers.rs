//! Which Stripe customers are a user's own. Never found by e-mail: whoever claims one would get another's billing.

use std::time::Duration;

use super::failure::Failure;
use super::intent::is_sub;
use super::{Endpoints, in_time};
use crate::store::{Link, LinkKind, StoreError};
use crate::stripe::{self, Owner};

/// How long asking whether a customer exists may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// A user with more customers than this has the oldest looked at.
const MAX_CUSTOMERS: usize = 10;

/// A customer that has to do with a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// `cus_…`.
    pub(super) id: String,
    /// Whether it is the user's alone, so that what names nobody is the user's, and its billing may be shown.
    pub(super) own: bool,
}

/// Whether `link` makes the customer its user's own, when `others` have to do with it too.
///
/// The customer's own metadata is the merchant's word, which what was bought with it does not weaken. Without it,
/// anybody else may be the one. A reference is no proof: a payment link lets anybody write it.
fn is_own(link: &Link, others: &[&Link]) -> bool {
    match link.kind {
        LinkKind::Owner => !others.iter().any(|other| other.kind == LinkKind::Owner),
        LinkKind::Item => others.is_empty(),
        LinkKind::Reference => false,
    }
}

/// Whether what names `owner`, and belongs to `customer`, is the user's.
pub(super) fn is_users(owner: &Owner, customer: Option<&str>, user: &str, known: &[Known]) -> bool {
    match owner.metadata.as_deref().filter(|named| is_sub(named)) {
        Some(named) => named == user,
        None => known
            .iter()
            .any(|known| known.own && Some(known.id.as_str()) == customer),
    }
}

impl Endpoints {
    /// The customers that have to do with the user and exist, those first that the user owns.
    pub(super) async fn customers(&self, user: &str) -> Result<Vec<Known>, StoreError> {
        let mut links = self.parts.store.customers_of(user).await?;
        links.retain(|link| !link.deleted && link.kind != LinkKind::Reference);
        links.sort_by_key(|link| link.kind != LinkKind::Owner);
        links.truncate(MAX_CUSTOMERS);
        let mut known = Vec::with_capacity(links.len());
        for link in links {
            let users = self.parts.store.users_of(&link.customer).await?;
            let others: Vec<&Link> = users.iter().filter(|other| other.user != user).collect();
            known.push(Known {
                own: is_own(&link, &others),
                id: link.customer,
            });
        }
        Ok(known)
    }

    /// Remembers that the customer is deleted, if that is why a call failed. The customer itself is asked for: one that
    /// Stripe does not know at all is of another account or mode than the key, and nothing became of it.
    ///
    /// # Errors
    ///
    /// The call's own error, when the customer is there.
    pub(super) async fn forget_deleted(
        &self,
        customer: &str,
        error: stripe::Error,
    ) -> Result<(), Failure> {
        if !may_be_about_customer(&error) {
            return Err(error.into());
        }
        let asking = self.parts.stripe.customer(customer);
        match in_time(DEADLINE, "customer", asking).await? {
            Some(found) if found.deleted => Ok(self.parts.store.customer_deleted(customer).await?),
            Some(_) => Err(error.into()),
            None => Err(Failure::StrangeCustomer),
        }
    }

    /// The customer with which the user pays.
    pub(super) async fn own_customer(&self, user: &str) -> Result<Option<String>, StoreError> {
        let known = self.customers(user).await?;
        Ok(known
            .into_iter()
            .find(|known| known.own)
            .map(|known| known.id))
    }
}

/// Whether a call failed because something is missing that may be the customer.
fn may_be_about_customer(error: &stripe::Error) -> bool {
    match &error.kind {
        stripe::Kind::Missing { param } => param.as_deref().is_none_or(|name| name == "customer"),
        stripe::Kind::Unreachable
        | stripe::Kind::Api(_)
        | stripe::Kind::RateLimited
        | stripe::Kind::Auth { .. }
        | stripe::Kind::Card { .. }
        | stripe::Kind::Idempotency
        | stripe::Kind::Invalid { .. }
        | stripe::Kind::Unreadable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(user: &str, kind: LinkKind) -> Link {
        Link {
            customer: "cus_1".into(),
            user: user.into(),
            kind,
            created_at: 0,
            deleted: false,
        }
    }

    #[test]
    fn a_customer_is_the_users_by_its_own_metadata_or_when_nobody_else_has_to_do_with_it() {
        use LinkKind::{Item, Owner, Reference};
        for (kind, other, expected) in [
            (Owner, None, true),
            (Owner, Some(Item), true),
            (Owner, Some(Reference), true),
            (Owner, Some(Owner), false),
            (Item, None, true),
            (Item, Some(Reference), false),
            (Item, Some(Item), false),
            (Item, Some(Owner), false),
            (Reference, None, false),
        ] {
            let others: Vec<Link> = other.map(|kind| link("b", kind)).into_iter().collect();
            let others: Vec<&Link> = others.iter().collect();
            let own = is_own(&link("a", kind), &others);
            assert_eq!(own, expected, "{kind:?} beside {other:?}");
        }
    }

    #[test]
    fn metadata_says_whose_it_is_and_without_it_the_customer_does() {
        let known = |own| {
            [Known {
                id: "cus_1".into(),
                own,
            }]
        };
        let owner = |metadata: Option<&str>| Owner {
            metadata: metadata.map(str::to_owned),
            reference: None,
        };
        assert!(is_users(&owner(Some("a")), None, "a", &[]));
        assert!(!is_users(
            &owner(Some("b")),
            Some("cus_1"),
            "a",
            &known(true)
        ));
        assert!(is_users(&owner(None), Some("cus_1"), "a", &known(true)));
        assert!(is_users(&owner(Some("")), Some("cus_1"), "a", &known(true)));
        assert!(!is_users(&owner(None), Some("cus_1"), "a", &known(false)));
        assert!(!is_users(&owner(None), Some("cus_2"), "a", &known(true)));
        assert!(!is_users(&owner(None), None, "a", &known(true)));
    }
}
