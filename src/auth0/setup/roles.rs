//! Roles and what they allow.

use http::Method;
use serde_json::{Value, json};

use super::super::api::{Call, Endpoint};
use super::super::error::{Error, Kind};
use super::super::pages::List;
use super::super::{Role, read, roles};
use super::{Client, Permission, make};

const CREATE: Endpoint = Endpoint {
    method: Method::POST,
    name: "POST /roles",
    scopes: "create:roles",
};
const PERMISSIONS: Endpoint = Endpoint {
    method: Method::GET,
    name: "GET /roles/{id}/permissions",
    scopes: "read:roles",
};
const ADD_PERMISSIONS: Endpoint = Endpoint {
    method: Method::POST,
    name: "POST /roles/{id}/permissions",
    scopes: "update:roles",
};

/// Of permissions, in one answer and in one request: what comes on a page when nobody says how many.
const AT_ONCE: usize = 50;

impl Client {
    /// All roles of the tenant, read now.
    ///
    /// # Errors
    ///
    /// See [`Kind`].
    pub async fn all_roles(&self) -> Result<Vec<Role>, Error> {
        roles::all(&self.api).await
    }

    /// Makes a role. One of this name that is there already is told instead.
    ///
    /// # Errors
    ///
    /// See [`Kind`].
    pub async fn create_role(&self, name: &str, description: &str) -> Result<Role, Error> {
        let mut body = json!({ "name": name });
        // Auth0 takes none, but not an empty one.
        if !description.is_empty() {
            body["description"] = description.into();
        }
        let call = Call::new(&CREATE, "roles").body(&body);
        let existing = async || match roles::look_up(&self.api, name).await {
            Ok(role) => Ok(Some(role)),
            Err(error) if matches!(error.kind, Kind::NoRole(_)) => Ok(None),
            Err(error) => Err(error),
        };
        let made = make::make(&self.api, &call, read::role, existing).await;
        // What is remembered under this name may be a role that exists no more.
        self.roles.forget_name(name).await;
        made
    }

    /// What the role allows, all pages.
    ///
    /// # Errors
    ///
    /// [`Kind::NoRole`] when there is no such role; [`Kind::Invalid`] with 404 when there is, and what it allows cannot be
    /// read; see [`Kind`] for the rest.
    pub async fn permissions_of(&self, role: &Role) -> Result<Vec<Permission>, Error> {
        let path = permissions_path(role, &PERMISSIONS)?;
        let list = List::new(&PERMISSIONS, &path, "permissions", AT_ONCE);
        match list.all(&self.api, permission).await {
            Err(error) if error.kind == Kind::Invalid(404) => Err(self.gone(role, error).await),
            done => done,
        }
    }

    /// Lets the role allow these too. Doing it twice does no harm.
    ///
    /// # Errors
    ///
    /// [`Kind::NoRole`] when there is no such role; [`Kind::Invalid`] when an API has no such permission; see [`Kind`]
    /// for the rest.
    pub async fn add_permissions(
        &self,
        role: &Role,
        permissions: &[Permission],
    ) -> Result<(), Error> {
        for some in permissions.chunks(AT_ONCE) {
            match self.add_some(role, some).await {
                Err(error) if matches!(error.kind, Kind::Invalid(400 | 404 | 409)) => {
                    self.must_allow(role, some, error).await?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Tells a role that is gone from one that is listed, and about which `error` alone says 404.
    async fn gone(&self, role: &Role, error: Error) -> Error {
        match roles::look_up(&self.api, &role.name).await {
            Ok(found) if found.id != role.id => {}
            Err(other) if matches!(other.kind, Kind::NoRole(_)) => {}
            Ok(_) | Err(_) => return error,
        }
        self.roles.forget(role).await;
        error.but(missing(role))
    }

    async fn add_some(&self, role: &Role, permissions: &[Permission]) -> Result<(), Error> {
        let path = permissions_path(role, &ADD_PERMISSIONS)?;
        let list = permissions.iter().map(|permission| {
            json!({
                "resource_server_identifier": permission.resource_server,
                "permission_name": permission.name,
            })
        });
        let body = json!({ "permissions": list.collect::<Vec<_>>() });
        let call = Call::new(&ADD_PERMISSIONS, &path).body(&body);
        self.api.send(&call).await.map(|_| ())
    }

    /// Tells what was refused: a role that is missing, a permission that is, or nothing, since all are there already.
    async fn must_allow(
        &self,
        role: &Role,
        wanted: &[Permission],
        error: Error,
    ) -> Result<(), Error> {
        match self.permissions_of(role).await {
            Ok(held) if wanted.iter().all(|permission| held.contains(permission)) => Ok(()),
            Err(other) if matches!(other.kind, Kind::NoRole(_)) => Err(error.but(other.kind)),
            Ok(_) | Err(_) => Err(error),
        }
    }
}

fn permission(value: &Value) -> Option<Permission> {
    Some(Permission {
        resource_server: read::text(value, "resource_server_identifier")?,
        name: read::text(value, "permission_name")?,
    })
}

fn permissions_path(role: &Role, endpoint: &Endpoint) -> Result<String, Error> {
    let id = read::segment(&role.id).ok_or_else(|| Error::new(missing(role), endpoint.name))?;
    Ok(format!("roles/{id}/permissions"))
}

fn missing(role: &Role) -> Kind {
    Kind::NoRole(role.name.clone())
}
