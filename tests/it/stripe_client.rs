//! The client of Stripe's API, against a server that says what each test tells it to.

mod described;
mod lists;
mod retries;
mod secrets;
mod server;
mod sessions;
pub(crate) mod simple;
mod world;
mod writes;
