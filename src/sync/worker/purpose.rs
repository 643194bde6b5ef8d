//! What a user is read for: a job writes down what it learns on the way, a look writes nothing.

use std::collections::BTreeMap;

use crate::store::{LinkKind, Purchase};

/// What a reading is for.
#[derive(Clone, Copy)]
pub(in crate::sync) enum Purpose<'a> {
    /// A job: what is learned on the way is written down.
    Job,
    /// A look: nothing is written, and what Stripe's lists said of the user counts as if the ledger knew it.
    Look(&'a Ties),
}

/// What of Stripe's names a user, and may be new to the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sync) struct Ties {
    /// Customers, and how far they are to be believed.
    pub(in crate::sync) customers: BTreeMap<String, LinkKind>,
    /// Checkouts that no customer lists.
    pub(in crate::sync) purchases: Vec<Purchase>,
}

impl Purpose<'_> {
    pub(super) fn writes(self) -> bool {
        match self {
            Self::Job => true,
            Self::Look(_) => false,
        }
    }
}

impl Ties {
    /// Adds what the ledger did not say.
    pub(super) fn add_to(&self, customers: &mut Vec<(String, bool)>, known: &mut Vec<Purchase>) {
        for customer in self.customers.keys() {
            if !customers.iter().any(|(known, _)| known == customer) {
                customers.push((customer.clone(), false));
            }
        }
        for purchase in &self.purchases {
            if !known.iter().any(|known| known.session == purchase.session) {
                known.push(purchase.clone());
            }
        }
    }
}
