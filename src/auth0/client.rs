//! The calls.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::api::{Api, Call, Endpoint};
use super::error::{Error, Kind};
use super::pages::List;
use super::roles::Roles;
use super::{Config, Members, Role, User, members, pages, read};
use crate::clock::Clock;
use crate::telemetry::Metrics;

const ROLES_OF: Endpoint = Endpoint {
    method: Method::GET,
    name: "GET /users/{id}/roles",
    scopes: "read:users read:roles read:role_members",
};
const ADD_ROLE: Endpoint = Endpoint {
    method: Method::POST,
    name: "POST /users/{id}/roles",
    scopes: "update:users read:roles create:role_members",
};
const REMOVE_ROLE: Endpoint = Endpoint {
    method: Method::DELETE,
    name: "DELETE /users/{id}/roles",
    scopes: "update:users read:roles delete:role_members",
};
const PATCH_USER: Endpoint = Endpoint {
    method: Method::PATCH,
    name: "PATCH /users/{id}",
    scopes: "update:users",
};
const USER: Endpoint = Endpoint {
    method: Method::GET,
    name: "GET /users/{id}",
    scopes: "read:users",
};
const USERS_BY_EMAIL: Endpoint = Endpoint {
    method: Method::GET,
    name: "GET /users-by-email",
    scopes: "read:users",
};

/// A user has 50 roles at most, so this is one page.
const ROLES_PER_PAGE: usize = 50;

/// A client of the Management API.
pub struct Client {
    pub(super) api: Api,
    pub(super) roles: Arc<Roles>,
}

impl Client {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// When no TLS can be set up.
    pub fn new(
        config: Config,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        Ok(Self {
            api: Api::new(config, clock, metrics)?,
            roles: Arc::new(Roles::new()),
        })
    }

    /// The same client for somebody who sits before a browser: each call waits up to `patience` for its turn, and jobs,
    /// which have no such view, go first. A call that would have to wait longer is [`Kind::RateLimited`] at once. A
    /// [patient](Self::patient) client stays patient.
    #[must_use]
    pub fn within(&self, patience: Duration) -> Self {
        Self {
            api: self.api.within(patience),
            roles: Arc::clone(&self.roles),
        }
    }

    /// The same client for a command, which has nobody to try again for it: a call that is refused with 429, also where
    /// the token is bought, waits as it is told and is repeated until `total` is over for this call.
    #[must_use]
    pub fn patient(&self, total: Duration) -> Self {
        Self {
            api: self.api.patient(total),
            roles: Arc::clone(&self.roles),
        }
    }

    /// The roles that the user holds directly, all pages.
    ///
    /// # Errors
    ///
    /// [`Kind::NoUser`] when there is no such user; see [`Kind`] for the rest.
    pub async fn roles_of(&self, user: &str) -> Result<Vec<Role>, Error> {
        let path = roles_path(user, &ROLES_OF)?;
        let list = List {
            full: ROLES_PER_PAGE,
            ..List::new(&ROLES_OF, &path, "roles", ROLES_PER_PAGE)
        };
        let roles = list.all(&self.api, read::role).await;
        roles.map_err(missing_user)
    }

    /// The tenant's role named `name`, exactly; from memory, read again when it is not there.
    ///
    /// # Errors
    ///
    /// [`Kind::NoRole`] when there is none; see [`Kind`] for the rest.
    pub async fn role(&self, name: &str) -> Result<Role, Error> {
        self.roles.find(&self.api, name).await
    }

    /// Gives the user a role. Doing it twice does no harm. A role that was deleted and made anew is found by its name.
    ///
    /// # Errors
    ///
    /// [`Kind::NoUser`], [`Kind::NoRole`]; see [`Kind`] for the rest.
    pub async fn add_role(&self, user: &str, role: &Role) -> Result<(), Error> {
        let Err(error) = self.change(&ADD_ROLE, user, role).await else {
            return Ok(());
        };
        if !error.names_nothing() {
            return Err(error);
        }
        self.must_exist(user, &error).await?;
        self.roles.forget(role).await;
        let renewed = self.role(&role.name).await?;
        if renewed.id == role.id {
            // Both are there: it is something else, a user with as many roles as one may have, say.
            return Err(error);
        }
        self.change(&ADD_ROLE, user, &renewed).await
    }

    /// Takes a role from the user. Doing it twice does no harm, and a role that exists no more is held by nobody.
    ///
    /// # Errors
    ///
    /// [`Kind::NoUser`]; see [`Kind`] for the rest.
    pub async fn remove_role(&self, user: &str, role: &Role) -> Result<(), Error> {
        match self.change(&REMOVE_ROLE, user, role).await {
            Err(error) if error.names_nothing() => {
                self.must_exist(user, &error).await?;
                self.roles.forget(role).await;
                let held = self.roles_of(user).await?;
                if held.iter().any(|held| held.id == role.id) {
                    return Err(error);
                }
                Ok(())
            }
            done => done,
        }
    }

    /// Sets these keys of `app_metadata`; the others stay. `null` takes a key away.
    ///
    /// # Errors
    ///
    /// [`Kind::NoUser`]; see [`Kind`] for the rest.
    pub async fn patch_app_metadata(&self, user: &str, metadata: &Value) -> Result<(), Error> {
        let path = user_path(user, &PATCH_USER)?;
        let body = json!({ "app_metadata": metadata });
        let call = Call::new(&PATCH_USER, &path).body(&body);
        self.api.send(&call).await.map_err(missing_user)?;
        Ok(())
    }

    /// The user; `None` when there is no such user.
    ///
    /// # Errors
    ///
    /// See [`Kind`].
    pub async fn user(&self, user: &str) -> Result<Option<User>, Error> {
        let Ok(path) = user_path(user, &USER) else {
            return Ok(None);
        };
        let call = Call::new(&USER, &path);
        match self.api.read(&call).await.map_err(missing_user) {
            Ok(answer) => {
                let user = read::user(&answer);
                user.map(Some).ok_or_else(|| call.error(Kind::Unreadable))
            }
            Err(error) if error.kind == Kind::NoUser => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The users with this e-mail, in the letter case given, or else in small letters, in which Auth0 keeps most.
    ///
    /// # Errors
    ///
    /// See [`Kind`].
    pub async fn users_by_email(&self, email: &str) -> Result<Vec<User>, Error> {
        let found = self.users_with(email).await?;
        let small = email.to_lowercase();
        if found.is_empty() && small != email {
            return self.users_with(&small).await;
        }
        Ok(found)
    }

    /// Up to `limit` (at most 100) users who hold the role, from where `from` says, or the beginning.
    ///
    /// # Errors
    ///
    /// [`Kind::NoRole`]; [`Kind::Invalid`] with 400 when `from` is not what [`Members::next`] said; see [`Kind`] for
    /// the rest.
    pub async fn members(
        &self,
        role: &Role,
        from: Option<&str>,
        limit: u32,
    ) -> Result<Members, Error> {
        let missing = || Kind::NoRole(role.name.clone());
        let Some(id) = read::segment(&role.id) else {
            return Err(Error::new(missing(), "GET /roles/{id}/users"));
        };
        match members::list(&self.api, &id, from, limit).await {
            Err(error) if error.kind == Kind::Invalid(404) => {
                self.roles.forget(role).await;
                Err(error.but(missing()))
            }
            done => done,
        }
    }

    async fn users_with(&self, email: &str) -> Result<Vec<User>, Error> {
        let call = Call::new(&USERS_BY_EMAIL, "users-by-email").with("email", email);
        let answer = self.api.read(&call).await?;
        let unreadable = || call.error(Kind::Unreadable);
        let page = pages::Page::read(&answer, "users").ok_or_else(unreadable)?;
        let users = page.items.iter().map(read::user).collect::<Option<_>>();
        users.ok_or_else(unreadable)
    }

    async fn change(&self, endpoint: &Endpoint, user: &str, role: &Role) -> Result<(), Error> {
        let path = roles_path(user, endpoint)?;
        let body = json!({ "roles": [role.id] });
        let call = Call::new(endpoint, &path).body(&body);
        self.api.send(&call).await.map(|_| ())
    }

    /// Tells a missing user from a missing role, which Auth0 answers alike.
    async fn must_exist(&self, user: &str, error: &Error) -> Result<(), Error> {
        match self.user(user).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(error.clone().but(Kind::NoUser)),
            // An id that Auth0 does not take for one.
            Err(other) if other.kind == Kind::Invalid(400) => Err(error.clone().but(Kind::NoUser)),
            Err(other) => Err(other),
        }
    }
}

fn missing_user(error: Error) -> Error {
    if error.kind == Kind::Invalid(404) {
        error.but(Kind::NoUser)
    } else {
        error
    }
}

fn user_path(user: &str, endpoint: &Endpoint) -> Result<String, Error> {
    match read::segment(user) {
        Some(user) => Ok(format!("users/{user}")),
        None => Err(Error::new(Kind::NoUser, endpoint.name)),
    }
}

fn roles_path(user: &str, endpoint: &Endpoint) -> Result<String, Error> {
    user_path(user, endpoint).map(|path| path + "/roles")
}
