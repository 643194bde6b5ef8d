//! The client of Stripe's API, against a server that says what each test tells it to.

mod described;
mod lists;
mod newest;
mod retries;
mod rights;
mod secrets;
mod server;
mod sessions;
mod setup;
pub(crate) mod simple;
mod whole;
mod world;
mod writes;
