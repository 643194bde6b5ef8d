//! The worker between Stripe, Auth0 and the ledger, driven step by step.

mod decided;
mod faults;
mod kept;
mod listed;
pub(crate) mod log;
mod lost;
pub(crate) mod market;
mod open;
mod replaced;
mod running;
mod simple;
mod story;
mod unknown;
