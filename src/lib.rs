//! Tollgate: a reverse proxy that checks Auth0 access tokens, enforces the permission each route needs, and
//! keeps Auth0 roles true to what was paid through Stripe.
//!
//! Modules stand in layers; one uses only lower ones. The way of a request is
//! [`server`] → [`gate`] → ([`auth`], [`policy`]) → [`proxy`]; [`app`] puts them together.

pub mod admin;
pub mod app;
pub mod auth;
pub mod auth0;
mod cause;
pub mod cli;
pub mod clock;
pub mod config;
pub mod endpoints;
pub mod entitlement;
pub mod gate;
pub mod policy;
pub mod proxy;
pub mod reply;
pub mod server;
pub mod stop;
pub mod store;
pub mod stripe;
pub mod sync;
pub mod telemetry;
mod together;
pub mod types;
