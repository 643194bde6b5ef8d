//! The stand-in of Stripe is as strict as Stripe, and tells what Stripe tells: else the tests on top of it prove little.

mod deliveries;
mod faults;
mod idempotency;
mod lists;
mod pages;
mod refusals;
mod sequences;
mod setup;
mod shapes;
mod webhooks;
