//! Tokens: who sent this request, according to a signature that Auth0's published keys confirm.

mod bearer;
mod cache;
mod config;
mod error;
mod jose;
mod jwks;
mod verify;

pub use bearer::bearer;
pub use config::{Cache, Config, Jwks};
pub use error::TokenError;
pub use jwks::{FetchError, KeyHealth, Keys, PublishedKey};
pub use verify::{LastToken, Outcome, Verifier};
