//! What a user has a right to: plans, what backs them, and what that means for a token. Pure: no async, no I/O, no
//! clock but the one passed in.

mod catalog;
mod derive;
mod oddity;
mod overlay;
mod state;

pub use catalog::{Catalog, Mode, Plan, Role, Sale};
pub use derive::{Backing, Entitlement, PastDue, Terms, derive};
pub use oddity::{Oddity, oddities};
pub use overlay::{Change, effective};
pub use state::{DisputeStatus, Payment, Purchase, State, Subscription, SubscriptionStatus};
