//! The tenant's APIs: their permissions, and whether tokens list them.

use serde_json::{Map, Value, json};

use super::AUDIENCE;

/// All dialects of tokens; those that end with `_authz` list permissions.
pub(super) const DIALECTS: [&str; 4] = [
    "access_token",
    "access_token_authz",
    "rfc9068_profile",
    "rfc9068_profile_authz",
];

pub(super) struct Apis {
    pub(super) all: Vec<Api>,
    /// How many were ever made: none gets the id of another.
    made: usize,
}

/// One API, which Auth0 calls a resource server.
pub(super) struct Api {
    pub(super) id: String,
    pub(super) identifier: String,
    pub(super) name: Option<String>,
    /// Names of its permissions, and what they are for.
    pub(super) scopes: Vec<(String, Option<String>)>,
    pub(super) enforce_policies: bool,
    pub(super) token_dialect: String,
    pub(super) signing_alg: String,
    /// Whether it is Auth0's own.
    pub(super) is_system: bool,
}

impl Apis {
    /// Auth0's own API, and one that is for the tests' tokens: with RBAC when it is `ready`, as it comes when it is not.
    pub(super) fn new(management: &str, ready: bool) -> Self {
        let mut apis = Self {
            all: Vec::new(),
            made: 0,
        };
        let own = apis.create(management);
        own.name = Some("Auth0 Management API".to_owned());
        own.is_system = true;
        let api = apis.create(AUDIENCE);
        api.name = Some("The API".to_owned());
        if ready {
            api.enforce_policies = true;
            "access_token_authz".clone_into(&mut api.token_dialect);
        }
        apis
    }

    /// A new one, as it is when nothing else is said.
    pub(super) fn create(&mut self, identifier: &str) -> &mut Api {
        self.made += 1;
        let made = Api {
            id: format!("{:024x}", self.made),
            identifier: identifier.to_owned(),
            name: None,
            scopes: Vec::new(),
            enforce_policies: false,
            token_dialect: "access_token".to_owned(),
            signing_alg: "RS256".to_owned(),
            is_system: false,
        };
        self.all.push(made);
        self.all.last_mut().expect("it was just made")
    }

    /// The one with this id or identifier.
    pub(super) fn find(&self, id: &str) -> Option<&Api> {
        self.all.iter().find(|api| api.is(id))
    }

    /// The same, to be changed.
    pub(super) fn find_mut(&mut self, id: &str) -> Option<&mut Api> {
        self.all.iter_mut().find(|api| api.is(id))
    }
}

impl Api {
    fn is(&self, id: &str) -> bool {
        self.id == id || self.identifier == id
    }

    /// Whether it knows this permission.
    pub(super) fn knows(&self, permission: &str) -> bool {
        self.scopes.iter().any(|(name, _)| name == permission)
    }

    /// Adds permissions that it does not know yet.
    pub(super) fn learn(&mut self, permissions: &[&str]) {
        for name in permissions {
            if !self.knows(name) {
                self.scopes.push(((*name).to_owned(), None));
            }
        }
    }

    /// Whether its tokens list permissions.
    pub(super) fn lists_permissions(&self) -> bool {
        self.enforce_policies && self.token_dialect.ends_with("_authz")
    }

    pub(super) fn json(&self) -> Value {
        let scopes = self.scopes.iter().map(|(name, description)| {
            let mut scope = json!({ "value": name });
            if let Some(description) = description {
                scope["description"] = description.clone().into();
            }
            scope
        });
        let mut json = Map::new();
        json.insert("id".into(), self.id.clone().into());
        if let Some(name) = &self.name {
            json.insert("name".into(), name.clone().into());
        }
        json.insert("identifier".into(), self.identifier.clone().into());
        json.insert("is_system".into(), self.is_system.into());
        // Auth0 leaves an empty list out.
        if !self.scopes.is_empty() {
            json.insert("scopes".into(), scopes.collect());
        }
        json.insert("signing_alg".into(), self.signing_alg.clone().into());
        json.insert("allow_offline_access".into(), false.into());
        json.insert("token_lifetime".into(), 86_400.into());
        json.insert("enforce_policies".into(), self.enforce_policies.into());
        json.insert("token_dialect".into(), self.token_dialect.clone().into());
        json.into()
    }
}
