//! What tests and the demo do with the tenant's users and roles, and ask about them, without the API.

use std::time::Instant;

use http::Method;
use http::request::Parts;
use serde_json::{Map, Value};

use super::directory::{Granted, User};
use super::troubles::matches;
use super::{AUDIENCE, Auth0, Budget};

/// A request for the Management API.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// The path as it was sent, encoded.
    pub(crate) path: String,
    /// Without its question mark.
    pub(crate) query: String,
    /// Null when there is none.
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

impl Seen {
    pub(super) fn new(parts: &Parts, body: &[u8]) -> Self {
        Self {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(body).unwrap_or_default(),
            at: Instant::now(),
        }
    }
}

impl Auth0 {
    /// Adds a user who can sign in with the password grant, any password. `permissions` come on top of what the user's
    /// roles allow.
    pub(crate) fn add_user(&self, name: &str, subject: &str, permissions: &[&str]) {
        let mut state = self.tenant.state();
        let user = state.directory.users.entry(subject.to_owned()).or_default();
        user.login = Some(name.to_owned());
        user.extra = permissions.iter().map(ToString::to_string).collect();
        state.learn(permissions);
    }

    /// Adds a user, or sets the e-mail of one.
    pub(crate) fn create_user(&self, user: &str, email: &str, verified: bool) {
        let mut state = self.tenant.state();
        let found = state.directory.users.entry(user.to_owned()).or_default();
        found.email = Some(email.to_owned());
        found.email_verified = verified;
        found.name = email.split('@').next().map(ToOwned::to_owned);
    }

    /// Deletes a user, with roles and all.
    pub(crate) fn delete_user(&self, user: &str) {
        self.tenant.state().directory.users.remove(user);
        self.tenant.changed.send_replace(());
    }

    /// Makes a role and tells its id. The API learns the permissions that it does not know.
    pub(crate) fn create_role(&self, name: &str, permissions: &[&str]) -> String {
        let mut state = self.tenant.state();
        state.learn(permissions);
        let granted = permissions.iter().map(|name| Granted {
            api: AUDIENCE.to_owned(),
            name: (*name).to_owned(),
        });
        let granted = granted.collect();
        state.directory.create_role(name, None, granted)
    }

    /// Names of all roles, in alphabetical order.
    pub(crate) fn role_names(&self) -> Vec<String> {
        let state = self.tenant.state();
        let names = state.directory.roles.values().map(|role| role.name.clone());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// The id of a role.
    pub(crate) fn role_id(&self, name: &str) -> String {
        let id = self.tenant.state().directory.role_id(name);
        id.expect("a role of this name")
    }

    /// Deletes a role; nobody holds it any more.
    pub(crate) fn delete_role(&self, name: &str) {
        let mut state = self.tenant.state();
        let id = state.directory.role_id(name).expect("a role of this name");
        state.directory.delete_role(&id);
        drop(state);
        self.tenant.changed.send_replace(());
    }

    /// Gives a user a role, as an operator would in the dashboard.
    pub(crate) fn give_role(&self, user: &str, role: &str) {
        self.change_role(user, role, true);
    }

    /// Takes a role from a user.
    pub(crate) fn take_role(&self, user: &str, role: &str) {
        self.change_role(user, role, false);
    }

    fn change_role(&self, user: &str, role: &str, give: bool) {
        let mut state = self.tenant.state();
        let id = state.directory.role_id(role).expect("a role of this name");
        let found = state.directory.users.get_mut(user).expect("a user");
        if give {
            found.roles.insert(id);
        } else {
            found.roles.remove(&id);
        }
        drop(state);
        self.tenant.changed.send_replace(());
    }

    /// Names of the roles that the user has now, in alphabetical order.
    pub(crate) fn roles_of(&self, user: &str) -> Vec<String> {
        self.tenant.state().directory.role_names(user)
    }

    /// Ids of the users, in alphabetical order.
    pub(crate) fn users(&self) -> Vec<String> {
        let state = self.tenant.state();
        state.directory.users.keys().cloned().collect()
    }

    /// The user's `app_metadata`.
    pub(crate) fn app_metadata(&self, user: &str) -> Map<String, Value> {
        let state = self.tenant.state();
        let found = state.directory.users.get(user);
        found
            .map(|user: &User| user.app_metadata.clone())
            .unwrap_or_default()
    }

    /// Sets one key of it.
    pub(crate) fn set_app_metadata(&self, user: &str, key: &str, value: Value) {
        let mut state = self.tenant.state();
        let found = state.directory.users.get_mut(user).expect("a user");
        found.app_metadata.insert(key.to_owned(), value);
    }

    /// Waits until the user has these roles, in alphabetical order.
    pub(crate) async fn until_roles(&self, user: &str, roles: &[&str]) {
        self.until(|auth0| auth0.roles_of(user) == roles).await;
    }

    /// Waits until `holds`; asked again after every request and every change.
    pub(crate) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.tenant.changed.subscribe();
        while !holds(self) {
            changed.changed().await.expect("the tenant lives");
        }
    }

    /// All requests for the Management API, in the order of arrival, those refused among them.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.tenant.state().seen.clone()
    }

    /// How many of them had this method and a path that begins with `pattern` (as in [`Auth0::trouble`]).
    pub(crate) fn count(&self, method: &Method, pattern: &str) -> usize {
        let state = self.tenant.state();
        let fits = |seen: &&Seen| seen.method == *method && matches(pattern, &seen.path);
        state.seen.iter().filter(fits).count()
    }

    /// Grants the client of the Management API these scopes; tokens sold before keep theirs.
    pub(crate) fn grant(&self, scopes: &[&str]) {
        self.tenant.state().machines.granted = scopes.iter().map(ToString::to_string).collect();
    }

    /// Refuses every token for the Management API that was sold so far.
    pub(crate) fn revoke_machine_tokens(&self) {
        self.tenant.state().machines.revoke();
    }

    /// How many seconds tokens for the Management API live from now on, and whether the answer says so.
    pub(crate) fn machine_token_life(&self, seconds: u64, told: bool) {
        let mut state = self.tenant.state();
        state.machines.life = seconds;
        state.machines.says_life = told;
    }

    /// Limits the Management API to `burst` requests at once and so many a second.
    pub(crate) fn limit(&self, burst: u32, per_second: f64) {
        self.tenant.state().budget = Budget::limited(burst, per_second);
    }

    /// From now on, after each change of a user's roles, the next `reads` of them do not know of it yet.
    pub(crate) fn late_role_reads(&self, reads: usize) {
        self.tenant.state().directory.late_reads = reads;
    }
}
