//! What tests and the demo do with the tenant's API and with what roles allow, and ask about them, without the API.

use serde_json::Value;

use super::apis::Api;
use super::machines::SETUP_SCOPES;
use super::{AUDIENCE, Auth0, State};

impl State {
    /// What the user's tokens for an API list; `None` where they list nothing.
    pub(super) fn permissions_of(&self, user: &str, api: &str) -> Option<Vec<String>> {
        let found = self.apis.find(api).filter(|api| api.lists_permissions());
        found.map(|_| self.directory.permissions_of(user, api))
    }

    /// Adds permissions to the API, as an operator would who made a role of them.
    pub(super) fn learn(&mut self, permissions: &[&str]) {
        if let Some(api) = self.apis.find_mut(AUDIENCE) {
            api.learn(permissions);
        }
    }
}

impl Auth0 {
    /// Grants the client of the Management API what set-up needs, besides what it has; tokens sold before keep theirs.
    pub(crate) fn grant_setup(&self) {
        let mut state = self.tenant.state();
        let granted = &mut state.machines.granted;
        for scope in SETUP_SCOPES {
            if !granted.iter().any(|known| known == scope) {
                granted.push(scope.to_owned());
            }
        }
    }

    /// The API with this identifier as the Management API tells it; null when there is none.
    pub(crate) fn api(&self, identifier: &str) -> Value {
        let state = self.tenant.state();
        state
            .apis
            .find(identifier)
            .map(Api::json)
            .unwrap_or_default()
    }

    /// Adds an API, as it comes.
    pub(crate) fn create_api(&self, identifier: &str) {
        self.tenant.state().apis.create(identifier);
    }

    /// Deletes an API; no role allows anything of it any more.
    pub(crate) fn delete_api(&self, identifier: &str) {
        let mut state = self.tenant.state();
        state.apis.all.retain(|api| api.identifier != identifier);
        for role in state.directory.roles.values_mut() {
            role.permissions.retain(|granted| granted.api != identifier);
        }
    }

    /// Switches RBAC of the API that tokens are for, and sets the dialect of its tokens.
    pub(crate) fn set_rbac(&self, on: bool, dialect: &str) {
        let mut state = self.tenant.state();
        let api = state.apis.find_mut(AUDIENCE).expect("the API");
        api.enforce_policies = on;
        dialect.clone_into(&mut api.token_dialect);
    }

    /// Adds a permission to the API, with what it is for.
    pub(crate) fn add_scope(&self, name: &str, description: &str) {
        let mut state = self.tenant.state();
        let api = state.apis.find_mut(AUDIENCE).expect("the API");
        let description = Some(description.to_owned());
        api.scopes.push((name.to_owned(), description));
    }

    /// Names of what a role allows at the API, in alphabetical order.
    pub(crate) fn role_permissions(&self, role: &str) -> Vec<String> {
        let state = self.tenant.state();
        let id = state.directory.role_id(role).expect("a role of this name");
        let allowed = state.directory.roles[&id].permissions.iter();
        let allowed = allowed.filter(|granted| granted.api == AUDIENCE);
        let mut names: Vec<String> = allowed.map(|granted| granted.name.clone()).collect();
        names.sort();
        names
    }

    /// Takes a permission from a role, as an operator would in the dashboard.
    pub(crate) fn take_permission(&self, role: &str, permission: &str) {
        let mut state = self.tenant.state();
        let id = state.directory.role_id(role).expect("a role of this name");
        let role = state.directory.roles.get_mut(&id).expect("the role");
        role.permissions
            .retain(|granted| granted.name != permission);
    }
}
