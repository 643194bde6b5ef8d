//! The tenant's roles by name, remembered.

use std::time::Duration;

use http::Method;
use moka::future::Cache;

use super::Role;
use super::api::{Api, Endpoint};
use super::error::{Error, Kind};
use super::pages::List;
use super::read;

/// A tenant has 1000 roles by default.
const MAX_ROLES: u64 = 1000;
/// A role that was made anew is noticed by its old id at once; this only forgets what nobody needs.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Auth0's most.
const PER_PAGE: usize = 100;

const LIST: Endpoint = Endpoint {
    method: Method::GET,
    name: "GET /roles",
    scopes: "read:roles",
};

/// Roles that were looked up.
pub(super) struct Roles {
    known: Cache<String, Role>,
}

impl Roles {
    pub(super) fn new() -> Self {
        let known = Cache::builder()
            .max_capacity(MAX_ROLES)
            .time_to_live(REMEMBERED);
        Self {
            known: known.build(),
        }
    }

    /// The role named `name`; asked for once however many want it.
    pub(super) async fn find(&self, api: &Api, name: &str) -> Result<Role, Error> {
        let found = self.known.try_get_with_by_ref(name, look_up(api, name));
        found.await.map_err(|error| Error::clone(&error))
    }

    /// Forgets the role named `name`, whichever it is.
    pub(super) async fn forget_name(&self, name: &str) {
        self.known.invalidate(name).await;
    }

    /// Forgets `role`, whose id is wrong.
    pub(super) async fn forget(&self, role: &Role) {
        // Only this one: somebody may have found the new one already.
        let known = self.known.get(&role.name).await;
        if known.is_none_or(|known| known.id == role.id) {
            self.known.invalidate(&role.name).await;
        }
    }
}

/// All roles of the tenant, read now.
pub(super) async fn all(api: &Api) -> Result<Vec<Role>, Error> {
    list().all(api, read::role).await
}

/// The role named `name`, read now.
pub(super) async fn look_up(api: &Api, name: &str) -> Result<Role, Error> {
    // The filter finds parts of names too, and letter case may not count for it.
    let list = List {
        filter: Some(("name_filter", name)),
        ..list()
    };
    let roles = list.all(api, read::role).await?;
    let found = roles.into_iter().find(|role| role.name == name);
    found.ok_or_else(|| Error::new(Kind::NoRole(name.to_owned()), LIST.name))
}

fn list() -> List<'static> {
    List::new(&LIST, "roles", "roles", PER_PAGE)
}
