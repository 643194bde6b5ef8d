//! Does what the plan says, one change after the other. What fails is told, and what does not need it is done all the
//! same.

use super::endpoint;
use super::look::Clients;
use super::mend::{Problem, deleted, of_auth0, of_new_endpoint, of_stripe};
use super::plan::{Change, Extension, Present, extension};
use super::secret_file::SecretFile;
use crate::auth0::{Permission, Role};
use crate::cli::wanted::Wanted;
use crate::stripe::IdempotencyKey;
use crate::types::Secret;

/// What is known while changes are made.
pub(super) struct Maker<'a> {
    clients: &'a Clients,
    wanted: &'a Wanted,
    present: &'a Present,
    /// The roles that are there, and those that were made.
    roles: Vec<Role>,
    /// Permissions that an API was to be given, and was not.
    lacking: Vec<Permission>,
    file: Option<SecretFile>,
    /// The secret of a new endpoint, as long as it is written nowhere.
    pub(super) secret: Option<Secret>,
    /// It was written to the file.
    pub(super) is_written: bool,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        clients: &'a Clients,
        wanted: &'a Wanted,
        present: &'a Present,
        file: Option<SecretFile>,
    ) -> Self {
        let roles = present.roles.iter().flatten();
        Self {
            clients,
            wanted,
            present,
            roles: roles.map(|there| there.role.clone()).collect(),
            lacking: Vec::new(),
            file,
            secret: None,
            is_written: false,
        }
    }

    /// Makes one change.
    ///
    /// # Errors
    ///
    /// What it could not do, and what helps.
    pub(super) async fn make(&mut self, change: &Change) -> Result<(), Problem> {
        match change {
            Change::MakeApi {
                identifier,
                permissions,
            } => self.make_api(identifier, permissions).await,
            Change::ExtendApi {
                identifier, add, ..
            } => self.extend_api(identifier, add).await,
            Change::MakeRole { name } => self.make_role(name).await,
            Change::Permit { role, add } => self.permit(role, add).await,
            Change::MakeEndpoint { url, events } => self.make_endpoint(url, events).await,
            Change::ExtendEndpoint {
                id,
                url,
                add,
                enable,
            } => self.extend_endpoint(id, url, add, *enable).await,
        }
    }

    /// Ends the making: a file that no secret was written to is taken away again.
    pub(super) fn finish(&mut self) {
        if let Some(file) = self.file.take() {
            file.discard();
        }
    }

    async fn make_api(&mut self, identifier: &str, permissions: &[String]) -> Result<(), Problem> {
        let auth0 = &self.clients.auth0;
        let name = name_of(identifier);
        let made = auth0.create_resource_server(identifier, &name, permissions);
        let Err(error) = made.await else {
            return Ok(());
        };
        self.lacks(identifier, permissions);
        let problem = of_auth0(format!("API {identifier}"), &error);
        let mend = format!(
            "{}; or make an API with the identifier {identifier} by hand in Auth0's dashboard, then run this again",
            problem.mend
        );
        Err(Problem { mend, ..problem })
    }

    async fn extend_api(&mut self, identifier: &str, add: &[String]) -> Result<(), Problem> {
        let done = self.add_to_api(identifier, add).await;
        if done.is_err() {
            self.lacks(identifier, add);
        }
        done
    }

    async fn add_to_api(&self, identifier: &str, add: &[String]) -> Result<(), Problem> {
        let what = format!("API {identifier}");
        let failed = |error| of_auth0(what.clone(), &error);
        let auth0 = &self.clients.auth0;
        // The list is written as a whole, so it is read just before: what others added meanwhile stays, and so does what
        // they switched on.
        let Some(api) = auth0.resource_server(identifier).await.map_err(failed)? else {
            return Err(deleted(what));
        };
        let Extension { add, rbac, dialect } = extension(&api, add);
        let is_longer = !add.is_empty();
        let mut scopes = api.scopes;
        scopes.extend(add.into_iter().map(|name| (name, None)));
        let scopes = is_longer.then_some(scopes.as_slice());
        auth0
            .update_resource_server(&api.id, scopes, rbac, dialect.as_deref())
            .await
            .map_err(failed)
    }

    fn lacks(&mut self, identifier: &str, permissions: &[String]) {
        self.lacking
            .extend(permissions.iter().map(|name| Permission {
                resource_server: identifier.to_owned(),
                name: name.clone(),
            }));
    }

    async fn make_role(&mut self, name: &str) -> Result<(), Problem> {
        let description = self.wanted.describe(name);
        let made = self.clients.auth0.create_role(name, &description).await;
        let made = made.map_err(|error| of_auth0(format!("role {name}"), &error))?;
        self.roles.push(made);
        Ok(())
    }

    async fn permit(&self, name: &str, add: &[Permission]) -> Result<(), Problem> {
        let what = format!("permissions of role {name}");
        let Some(role) = self.roles.iter().find(|role| role.name == name) else {
            let error = "the role could not be made";
            return Err(Problem::new(what, error, "see above, then run this again"));
        };
        let (waiting, possible): (Vec<_>, Vec<_>) = add
            .iter()
            .cloned()
            .partition(|permission| self.lacking.contains(permission));
        if !possible.is_empty() {
            let added = self.clients.auth0.add_permissions(role, &possible).await;
            added.map_err(|error| of_auth0(what.clone(), &error))?;
        }
        let Some(first) = waiting.first() else {
            return Ok(());
        };
        let error = format!(
            "{} of {} could not be added, since the API {} does not know them yet",
            waiting.len(),
            add.len(),
            first.resource_server
        );
        Err(Problem::new(what, error, "see above, then run this again"))
    }

    async fn make_endpoint(&mut self, url: &str, events: &[String]) -> Result<(), Problem> {
        let there = self.present.endpoints.as_deref().unwrap_or_default();
        let made = endpoint::make(&self.clients.stripe, there, url, events).await;
        let what = format!("webhook endpoint {url}");
        let (_, secret) = made.map_err(|error| of_new_endpoint(what, &error, there.len()))?;
        let Some(file) = self.file.take() else {
            self.secret = Some(secret);
            return Ok(());
        };
        match file.write(&secret) {
            Ok(()) => {
                self.is_written = true;
                Ok(())
            }
            Err(error) => {
                // Shown after all: Stripe tells it only now.
                self.secret = Some(secret);
                let what = "the file for the signing secret";
                let mend = "keep the secret that is shown below";
                Err(Problem::new(what, error.to_string(), mend))
            }
        }
    }

    async fn extend_endpoint(
        &self,
        id: &str,
        url: &str,
        add: &[String],
        enable: bool,
    ) -> Result<(), Problem> {
        let what = format!("webhook endpoint {url}");
        let failed = |error| of_stripe(what.clone(), &error);
        let stripe = &self.clients.stripe;
        let events = if add.is_empty() {
            None
        } else {
            // Written as a whole, so read just before.
            let there = stripe.webhook_endpoints().await.map_err(failed)?;
            let there = there.into_iter().find(|endpoint| endpoint.id == id);
            let Some(mut events) = there.map(|endpoint| endpoint.events) else {
                return Err(deleted(what));
            };
            events.extend(add.iter().cloned());
            events.sort_unstable();
            events.dedup();
            Some(events)
        };
        // It may be done twice, and must be done again when somebody took it back: no two runs share a key.
        let key = IdempotencyKey(format!("tollgate-bootstrap-{:032x}", fastrand::u128(..)));
        stripe
            .update_webhook_endpoint(id, events.as_deref(), enable, &key)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

/// What the dashboard calls a new API; a name must not hold these two (Auth0's documentation).
fn name_of(identifier: &str) -> String {
    identifier.replace(['<', '>'], "")
}
