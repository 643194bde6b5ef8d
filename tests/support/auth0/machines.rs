//! The client that may use the Management API, and the tokens it bought.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{CLIENT_ID, CLIENT_SECRET};
use crate::support::token::Token;

/// What it is granted from the start: what Tollgate needs to keep roles in line.
const SCOPES: [&str; 6] = [
    "read:roles",
    "read:users",
    "update:users",
    "read:role_members",
    "create:role_members",
    "delete:role_members",
];

/// What set-up needs besides.
pub(super) const SETUP_SCOPES: [&str; 5] = [
    "create:roles",
    "update:roles",
    "read:resource_servers",
    "create:resource_servers",
    "update:resource_servers",
];

/// Auth0's default, in seconds.
const DAY: u64 = 24 * 60 * 60;

pub(super) struct Machines {
    pub(super) granted: Vec<String>,
    /// How long a token lives, in seconds.
    pub(super) life: u64,
    /// Whether the answer says how long.
    pub(super) says_life: bool,
    sold: HashMap<String, Sold>,
    serial: u64,
}

/// What a token of the Management API may do, and until when.
#[derive(Clone)]
struct Sold {
    scopes: Vec<String>,
    ends: Instant,
}

impl Default for Machines {
    fn default() -> Self {
        Self {
            granted: SCOPES.map(str::to_owned).to_vec(),
            life: DAY,
            says_life: true,
            sold: HashMap::new(),
            serial: 0,
        }
    }
}

impl Machines {
    /// Makes a token, not yet signed, and the answer it goes into.
    pub(super) fn sell(
        &mut self,
        id: &str,
        secret: &str,
        token: impl FnOnce(String, u64) -> Token,
    ) -> Result<(Token, Value), &'static str> {
        if (id, secret) != (CLIENT_ID, CLIENT_SECRET) {
            return Err("Unauthorized");
        }
        self.serial += 1;
        let scope = self.granted.join(" ");
        let mut answer = json!({ "scope": scope, "token_type": "Bearer" });
        if self.says_life {
            answer["expires_in"] = self.life.into();
        }
        Ok((token(scope, self.serial), answer))
    }

    /// Accepts `token` from now on.
    pub(super) fn remember(&mut self, token: &str) {
        let sold = Sold {
            scopes: self.granted.clone(),
            ends: Instant::now() + Duration::from_secs(self.life),
        };
        self.sold.insert(token.to_owned(), sold);
    }

    /// What `token` may do.
    pub(super) fn scopes(&self, token: &str) -> Result<&[String], &'static str> {
        let sold = self.sold.get(token).ok_or("Invalid token")?;
        if sold.ends <= Instant::now() {
            return Err("Expired token received for JSON Web Token validation");
        }
        Ok(&sold.scopes)
    }

    /// Accepts no token that was sold so far.
    pub(super) fn revoke(&mut self) {
        self.sold.clear();
    }
}
