//! Auth0's Management API: the calls we need, under the tenant's rate limit, with one token for all of them.

mod api;
mod client;
mod error;
mod limit;
mod members;
mod pages;
mod read;
mod roles;
mod setup;
mod token;
mod wire;

use std::time::Duration;

pub use client::Client;
pub use error::{Error, Kind};
pub use setup::{Permission, ResourceServer};

use crate::types::{Rate, Secret};

/// How to reach the tenant.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tenant's URL, with its slash at the end.
    pub url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Secret,
    /// The API's identifier.
    pub audience: String,
    /// Deadline of one call.
    pub timeout: Duration,
    /// Calls, at most; what the tenant's own headers say is obeyed beside it.
    pub rate: Rate,
}

/// A role of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `rol_…`.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `sub`.
    pub id: String,
    /// The e-mail.
    pub email: Option<String>,
    /// Whether the e-mail is verified.
    pub email_verified: bool,
    /// The name.
    pub name: Option<String>,
}

/// Some of the users who hold a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// They.
    pub users: Vec<User>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}
