//! Stand-ins for the two neighbours of Tollgate, on loopback: Auth0 and a backend.
//!
//! The integration tests and the demo share them.

pub(crate) mod auth0;
pub(crate) mod backend;
pub(crate) mod frame;
pub(crate) mod h2;
pub(crate) mod keys;
pub(crate) mod net;
pub(crate) mod raw;
pub(crate) mod token;
