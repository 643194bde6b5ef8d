//! The calls of set-up: the API and its permissions, roles and what they allow, what the client itself may do.
//!
//! Each says what is there or adds to it; none takes anything away.

mod apis;
mod make;
mod roles;

use std::time::Duration;

use super::{Client, Error};

/// The dialect of tokens that hold permissions.
const AUTHZ: &str = "access_token_authz";
/// What the name of each such dialect ends with.
const AUTHZ_ENDING: &str = "_authz";

/// An API of the tenant; Auth0 calls it a resource server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceServer {
    /// Its id.
    pub id: String,
    /// Its identifier, which is the audience of its tokens.
    pub identifier: String,
    /// All its permissions: the name, and the description where there is one.
    pub scopes: Vec<(String, Option<String>)>,
    /// Whether roles decide about permissions (RBAC).
    pub enforce_policies: bool,
    /// The dialect of its tokens, where the answer says it.
    pub token_dialect: Option<String>,
    /// The algorithm that its tokens are signed with, where the answer says it.
    pub signing_alg: Option<String>,
    /// The longest for which a token of it is valid, where the answer says it.
    pub token_lifetime: Option<Duration>,
}

impl ResourceServer {
    /// Whether its tokens list the user's permissions, once RBAC is on.
    #[must_use]
    pub fn puts_permissions(&self) -> bool {
        let dialect = self.token_dialect.as_deref();
        dialect.is_some_and(|dialect| dialect.ends_with(AUTHZ_ENDING))
    }
}

/// A permission that a role gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// The identifier of the API it belongs to.
    pub resource_server: String,
    /// Its name.
    pub name: String,
}

impl Client {
    /// The scopes that the client's token was granted; `None` when the answer did not say.
    ///
    /// # Errors
    ///
    /// See [`super::Kind`].
    pub async fn granted_scopes(&self) -> Result<Option<Vec<String>>, Error> {
        self.api.granted().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_authz_dialects_put_permissions_into_tokens() {
        for (dialect, expected) in [
            (Some("access_token_authz"), true),
            (Some("rfc9068_profile_authz"), true),
            (Some("access_token"), false),
            (Some("rfc9068_profile"), false),
            (None, false),
        ] {
            let api = ResourceServer {
                id: "1".into(),
                identifier: "api".into(),
                scopes: Vec::new(),
                enforce_policies: true,
                token_dialect: dialect.map(str::to_owned),
                signing_alg: None,
                token_lifetime: None,
            };
            assert_eq!(api.puts_permissions(), expected, "{dialect:?}");
        }
    }
}
