//! The worker between Stripe, Auth0 and the ledger, driven step by step.

mod decided;
mod faults;
pub(crate) mod log;
pub(crate) mod market;
mod lost;
mod open;
mod replaced;
mod running;
mod simple;
mod story;
mod unknown;
