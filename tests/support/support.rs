//! Stand-ins for the neighbours of Tollgate, on loopback: Auth0, Stripe and a backend.
//!
//! The integration tests and the demo share them.

pub(crate) mod auth0;
pub(crate) mod backend;
pub(crate) mod balancer;
pub(crate) mod frame;
pub(crate) mod h2;
pub(crate) mod keys;
pub(crate) mod net;
pub(crate) mod openapi;
pub(crate) mod postgres;
pub(crate) mod raw;
pub(crate) mod stripe;
pub(crate) mod token;
