//! Users, roles, and who holds which.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

/// Roles of one user, at most.
pub(super) const MAX_ROLES: usize = 50;

#[derive(Default)]
pub(super) struct Directory {
    /// By id.
    pub(super) users: BTreeMap<String, User>,
    /// By id.
    pub(super) roles: BTreeMap<String, Role>,
    /// How many roles were ever made: none gets the id of another.
    made: usize,
    /// After a change, so many reads of the user's roles do not know of it yet.
    pub(super) late_reads: usize,
    late: HashMap<String, Late>,
}

#[derive(Clone, Default)]
pub(super) struct User {
    /// Another name to sign in with.
    pub(super) login: Option<String>,
    pub(super) email: Option<String>,
    pub(super) email_verified: bool,
    pub(super) name: Option<String>,
    pub(super) app_metadata: Map<String, Value>,
    /// Ids of roles.
    pub(super) roles: BTreeSet<String>,
    /// What the user may do without any role.
    pub(super) extra: Vec<String>,
}

pub(super) struct Role {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) permissions: Vec<Granted>,
}

/// A permission of an API.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Granted {
    /// The API's identifier.
    pub(super) api: String,
    pub(super) name: String,
}

/// What reads still see.
struct Late {
    roles: BTreeSet<String>,
    reads: usize,
}

impl Directory {
    /// The id of a new role.
    pub(super) fn create_role(
        &mut self,
        name: &str,
        description: Option<&str>,
        permissions: Vec<Granted>,
    ) -> String {
        assert!(self.role_id(name).is_none(), "a name stands for one role");
        self.made += 1;
        let id = format!("rol_{:016}", self.made);
        let role = Role {
            name: name.to_owned(),
            description: description.unwrap_or_default().to_owned(),
            permissions,
        };
        self.roles.insert(id.clone(), role);
        id
    }

    pub(super) fn delete_role(&mut self, id: &str) {
        self.roles.remove(id);
        for user in self.users.values_mut() {
            user.roles.remove(id);
        }
    }

    pub(super) fn role_id(&self, name: &str) -> Option<String> {
        let (id, _) = self.roles.iter().find(|(_, role)| role.name == name)?;
        Some(id.clone())
    }

    /// Sets the roles of a user by `change`; reads may be late.
    pub(super) fn change_roles(&mut self, user: &str, change: impl FnOnce(&mut BTreeSet<String>)) {
        let Some(found) = self.users.get_mut(user) else {
            return;
        };
        if self.late_reads > 0 {
            let late = Late {
                roles: found.roles.clone(),
                reads: self.late_reads,
            };
            self.late.insert(user.to_owned(), late);
        }
        change(&mut found.roles);
    }

    /// The roles of a user as the API tells them.
    pub(super) fn read_roles(&mut self, user: &str) -> BTreeSet<String> {
        if let Some(late) = self.late.get_mut(user) {
            if late.reads > 0 {
                late.reads -= 1;
                let known = |id: &String| self.roles.contains_key(id);
                return late.roles.iter().filter(|id| known(id)).cloned().collect();
            }
            self.late.remove(user);
        }
        let found = self.users.get(user);
        found.map(|user| user.roles.clone()).unwrap_or_default()
    }

    /// Names of the roles the user has, in alphabetical order.
    pub(super) fn role_names(&self, user: &str) -> Vec<String> {
        let held = self.users.get(user).into_iter().flat_map(|u| &u.roles);
        let names = held.filter_map(|id| Some(self.roles.get(id)?.name.clone()));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// What the user may do at an API now: by roles, and without.
    pub(super) fn permissions_of(&self, user: &str, api: &str) -> Vec<String> {
        let Some(user) = self.users.get(user) else {
            return Vec::new();
        };
        let by_roles = user.roles.iter().filter_map(|id| self.roles.get(id));
        let by_roles = by_roles.flat_map(|role| &role.permissions);
        let by_roles = by_roles.filter(|granted| granted.api == api);
        let by_roles = by_roles.map(|granted| &granted.name);
        let all: BTreeSet<_> = by_roles.chain(&user.extra).cloned().collect();
        all.into_iter().collect()
    }

    /// Who signs in as `name`: a login, an e-mail or an id.
    pub(super) fn sign_in(&self, name: &str) -> Option<&str> {
        let is = |(id, user): &(&String, &User)| {
            id.as_str() == name
                || user.login.as_deref() == Some(name)
                || user.email.as_deref() == Some(name)
        };
        self.users.iter().find(is).map(|(id, _)| id.as_str())
    }

    pub(super) fn role_json(&self, id: &str) -> Option<Value> {
        let role = self.roles.get(id)?;
        Some(json!({ "id": id, "name": role.name, "description": role.description }))
    }
}

impl User {
    pub(super) fn json(&self, id: &str) -> Value {
        let mut json = json!({
            "user_id": id, "email_verified": self.email_verified, "app_metadata": self.app_metadata,
            "identities": [{ "connection": "Username-Password-Authentication", "isSocial": false }],
            "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z",
            "picture": "https://pictures.example.test/1.png", "logins_count": 1,
        });
        json["email"] = self.email.clone().into();
        json["name"] = self.name.clone().into();
        json
    }

    /// What the list of a role's users says.
    pub(super) fn member_json(&self, id: &str) -> Value {
        json!({ "user_id": id, "email": self.email, "name": self.name,
                "picture": "https://pictures.example.test/1.png" })
    }
}
