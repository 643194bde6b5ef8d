//! Whose is what was bought. Pure.
//!
//! What names a user is that user's; what names nobody is its customer's heir's: the user whom the customer itself
//! names, else the one it was made for, else the first whom something under it names in its metadata, else the first who
//! had to do with it. An e-mail address is never asked.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::{Link, LinkKind, UnixMillis};
use crate::stripe::{CheckoutSession, Owner, Subscription};

/// What Stripe says about one customer, and who has to do with it.
#[derive(Default)]
pub(in crate::sync) struct Account {
    /// `cus_…`.
    pub(in crate::sync) customer: String,
    /// Stripe does not know it nor anything of it, and nobody told us that it was deleted.
    pub(in crate::sync) is_unknown: bool,
    /// The user whom the customer's metadata names.
    pub(in crate::sync) named: Option<String>,
    /// Who has to do with it as far as the ledger knows, the oldest first.
    pub(in crate::sync) links: Vec<Link>,
    pub(in crate::sync) subscriptions: Vec<Subscription>,
    pub(in crate::sync) sessions: Vec<CheckoutSession>,
}

impl Account {
    /// Whose the subscription is. One that names nobody belongs to whom the checkout that made it names.
    pub(in crate::sync) fn owner_of_subscription<'a>(
        &'a self,
        subscription: &'a Subscription,
    ) -> Option<&'a str> {
        self.named_by_subscription(subscription)
            .map(|(user, _)| user)
            .or_else(|| self.heir())
    }

    /// Whose the Checkout Session is.
    pub(in crate::sync) fn owner_of_session<'a>(
        &'a self,
        session: &'a CheckoutSession,
    ) -> Option<&'a str> {
        named(&session.owner)
            .map(|(user, _)| user)
            .or_else(|| self.heir())
    }

    /// Whether Stripe lists the subscription or Checkout Session here.
    pub(in crate::sync) fn shows(&self, id: &str) -> bool {
        let subscriptions = self.subscriptions.iter();
        let mut sessions = self.sessions.iter();
        subscriptions.map(|item| &item.id).any(|known| known == id)
            || sessions.any(|session| session.id == id)
    }

    /// Users who have to do with the customer, and the ledger does not know it, or not so well.
    pub(in crate::sync) fn unlinked(&self) -> Vec<(&str, LinkKind)> {
        let mut found: BTreeMap<&str, LinkKind> = BTreeMap::new();
        let owner = self.named.as_deref().map(|user| (user, LinkKind::Owner));
        for (user, kind) in owner.into_iter().chain(self.named_by_items()) {
            let best = found.entry(user).or_insert(kind);
            *best = kind.max(*best);
        }
        found.retain(|user, kind| !self.is_linked(user, *kind));
        found.into_iter().collect()
    }

    /// Counts whom something here names as if the ledger knew it.
    pub(in crate::sync) fn link_all(&mut self) {
        let found: Vec<(String, LinkKind)> = self
            .unlinked()
            .into_iter()
            .map(|(user, kind)| (user.to_owned(), kind))
            .collect();
        for (user, kind) in found {
            self.count_link(&user, kind);
        }
    }

    /// Counts the user's tie to the customer as if the ledger knew it; the stronger kind stays.
    pub(in crate::sync) fn count_link(&mut self, user: &str, kind: LinkKind) {
        match self.links.iter_mut().find(|link| link.user == user) {
            Some(link) => link.kind = link.kind.max(kind),
            None => self.links.push(Link {
                customer: self.customer.clone(),
                user: user.to_owned(),
                kind,
                created_at: UnixMillis::MAX,
                deleted: false,
            }),
        }
    }

    /// Whether the ledger knows that the user has to do with the customer, at least so well.
    pub(in crate::sync) fn is_linked(&self, user: &str, kind: LinkKind) -> bool {
        let mut links = self.links.iter();
        links.any(|link| link.user == user && link.kind >= kind)
    }

    /// The users who own something here.
    pub(in crate::sync) fn owners(&self) -> BTreeSet<&str> {
        let subscriptions = self.subscriptions.iter();
        let sessions = self.sessions.iter();
        subscriptions
            .filter_map(|subscription| self.owner_of_subscription(subscription))
            .chain(sessions.filter_map(|session| self.owner_of_session(session)))
            .chain(self.named.as_deref())
            .collect()
    }

    /// Whether the merchant says that the subscription or Checkout Session is `user`'s: in its metadata, or because the
    /// customer is the user's own. A reference alone is anybody's word.
    pub(in crate::sync) fn vouches(&self, id: &str, user: &str) -> bool {
        let is_item = |named: Option<(&str, LinkKind)>| named == Some((user, LinkKind::Item));
        let mut subscriptions = self.subscriptions.iter().filter(|item| item.id == id);
        let mut sessions = self.sessions.iter().filter(|session| session.id == id);
        subscriptions.any(|item| is_item(self.named_by_subscription(item)))
            || sessions.any(|session| is_item(named(&session.owner)))
            || (self.shows(id) && self.own() == Some(user))
    }

    /// Whose the customer itself is.
    fn own(&self) -> Option<&str> {
        let made_for = self.links.iter().find(|link| link.kind == LinkKind::Owner);
        self.named
            .as_deref()
            .or_else(|| made_for.map(|link| link.user.as_str()))
    }

    /// Whose is what names nobody. A bare reference inherits nothing while anything stronger exists.
    fn heir(&self) -> Option<&str> {
        let first = |kind| {
            let mut links = self.links.iter().filter(move |link| link.kind == kind);
            links.next().map(|link| link.user.as_str())
        };
        let unlinked = || {
            let items = self.named_by_items();
            let named = items.filter(|(_, kind)| *kind == LinkKind::Item);
            // In the order in which they will be linked.
            named.map(|(user, _)| user).min()
        };
        self.own()
            .or_else(|| first(LinkKind::Item))
            .or_else(unlinked)
            .or_else(|| first(LinkKind::Reference))
    }

    fn named_by_items(&self) -> impl Iterator<Item = (&str, LinkKind)> {
        let subscriptions = self.subscriptions.iter();
        let sessions = self.sessions.iter();
        subscriptions
            .filter_map(|subscription| self.named_by_subscription(subscription))
            .chain(sessions.filter_map(|session| named(&session.owner)))
    }

    fn named_by_subscription<'a>(
        &'a self,
        subscription: &'a Subscription,
    ) -> Option<(&'a str, LinkKind)> {
        let made_it =
            |session: &&CheckoutSession| session.subscription.as_ref() == Some(&subscription.id);
        named(&subscription.owner).or_else(|| {
            let mut sessions = self.sessions.iter().filter(made_it);
            sessions.find_map(|session| named(&session.owner))
        })
    }
}

/// Whom something names, and how far that is to be believed.
pub(in crate::sync) fn named(owner: &Owner) -> Option<(&str, LinkKind)> {
    let metadata = owner.metadata.as_deref().map(|user| (user, LinkKind::Item));
    let reference = owner.reference.as_deref();
    metadata.or_else(|| reference.map(|user| (user, LinkKind::Reference)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::{Payment, SubscriptionStatus};
    use crate::stripe::{SessionMode, SessionStatus};

    fn owner(metadata: &str, reference: &str) -> Owner {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Owner {
            metadata: some(metadata),
            reference: some(reference),
        }
    }

    fn subscription(id: &str, metadata: &str) -> Subscription {
        Subscription {
            id: id.to_owned(),
            customer: Some("cus_1".to_owned()),
            owner: owner(metadata, ""),
            status: SubscriptionStatus::Active,
            prices: Vec::new(),
            amount: None,
            currency: None,
            period_start: None,
            period_end: None,
            ends: false,
        }
    }

    fn session(metadata: &str, reference: &str, made: Option<&str>) -> CheckoutSession {
        CheckoutSession {
            id: "cs_1".to_owned(),
            customer: Some("cus_1".to_owned()),
            owner: owner(metadata, reference),
            mode: SessionMode::Subscription,
            status: SessionStatus::Complete,
            payment_status: "paid".to_owned(),
            payment: Payment::Unpaid,
            prices: Vec::new(),
            metadata: BTreeMap::new(),
            url: None,
            subscription: made.map(str::to_owned),
            created: 0,
        }
    }

    fn account(named: Option<&str>, links: &[(&str, LinkKind)]) -> Account {
        let link = |(at, (user, kind)): (i64, &(&str, LinkKind))| Link {
            customer: "cus_1".to_owned(),
            user: (*user).to_owned(),
            kind: *kind,
            created_at: at,
            deleted: false,
        };
        Account {
            customer: "cus_1".to_owned(),
            named: named.map(str::to_owned),
            links: (0..).zip(links).map(link).collect(),
            ..Account::default()
        }
    }

    #[test]
    fn what_names_a_user_is_that_users_whoever_the_customer_is() {
        let account = account(Some("ann"), &[("ann", LinkKind::Owner)]);
        for (metadata, reference, expected) in [
            ("bob", "", "bob"),
            ("bob", "eve", "bob"),
            ("", "eve", "eve"),
            ("", "", "ann"),
        ] {
            let session = session(metadata, reference, None);
            assert_eq!(account.owner_of_session(&session), Some(expected));
        }
        let subscription = subscription("sub_1", "bob");
        assert_eq!(account.owner_of_subscription(&subscription), Some("bob"));
    }

    #[test]
    fn what_names_nobody_is_the_heirs() {
        use LinkKind::{Item, Owner, Reference};
        let unnamed = session("", "", None);
        for (named, links, expected) in [
            (
                Some("cy"),
                &[("ann", Owner), ("bob", Owner)][..],
                Some("cy"),
            ),
            (None, &[("ann", Item), ("bob", Owner)], Some("bob")),
            (None, &[("ann", Owner), ("bob", Owner)], Some("ann")),
            (None, &[("ann", Reference), ("bob", Item)], Some("bob")),
            (None, &[("ann", Reference), ("bob", Reference)], Some("ann")),
            (
                None,
                &[("eve", Reference), ("cy", Item), ("bob", Item)],
                Some("cy"),
            ),
            (None, &[], None),
        ] {
            let account = account(named, links);
            assert_eq!(account.owner_of_session(&unnamed), expected, "{links:?}");
        }
    }

    #[test]
    fn a_bare_reference_inherits_nothing_while_an_item_names_somebody() {
        let mut account = account(None, &[("eve", LinkKind::Reference)]);
        let unnamed = session("", "", None);
        assert_eq!(account.owner_of_session(&unnamed), Some("eve"));
        account.subscriptions = vec![subscription("sub_1", "bob")];
        assert_eq!(account.owner_of_session(&unnamed), Some("bob"));
    }

    #[test]
    fn the_merchant_vouches_by_metadata_or_by_the_customer_and_never_by_a_reference() {
        use LinkKind::{Item, Owner, Reference};
        for (named, links, metadata, reference, expected) in [
            (None, &[][..], "ann", "", true),
            (None, &[], "ann", "eve", true),
            (None, &[], "", "ann", false),
            (None, &[("ann", Reference)], "", "ann", false),
            (None, &[("ann", Item)], "", "", false),
            (None, &[("ann", Owner)], "", "", true),
            (Some("ann"), &[], "", "", true),
            (Some("eve"), &[("ann", Owner)], "", "ann", false),
        ] {
            let mut account = account(named, links);
            account.sessions = vec![session(metadata, reference, None)];
            let case = format!("{named:?} {links:?} {metadata} {reference}");
            assert_eq!(account.vouches("cs_1", "ann"), expected, "{case}");
            assert!(!account.vouches("cs_2", "ann"), "{case}");
        }
    }

    #[test]
    fn a_subscription_that_names_nobody_is_whose_checkout_made_it() {
        let mut account = account(Some("ann"), &[]);
        account.sessions = vec![session("bob", "", Some("sub_1"))];
        let of = |id: &str, metadata: &str| {
            let subscription = subscription(id, metadata);
            account
                .owner_of_subscription(&subscription)
                .map(str::to_owned)
        };
        assert_eq!(of("sub_1", "").as_deref(), Some("bob"));
        assert_eq!(of("sub_1", "cy").as_deref(), Some("cy"));
        assert_eq!(of("sub_2", "").as_deref(), Some("ann"));
    }

    #[test]
    fn who_is_named_and_not_linked_so_well_is_to_be_linked() {
        use LinkKind::{Item, Owner, Reference};
        let mut account = account(Some("ann"), &[("ann", Reference), ("bob", Owner)]);
        account.subscriptions = vec![subscription("sub_1", "bob"), subscription("sub_2", "cy")];
        account.sessions = vec![session("", "cy", None), session("", "eve", None)];
        assert_eq!(
            account.unlinked(),
            [("ann", Owner), ("cy", Item), ("eve", Reference)]
        );
        assert_eq!(account.owners(), ["ann", "bob", "cy", "eve"].into());
    }
}
