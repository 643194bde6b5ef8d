//! The worker between Stripe, Auth0 and the ledger, driven step by step.

mod decided;
mod faults;
mod log;
mod market;
mod replaced;
mod running;
mod story;
