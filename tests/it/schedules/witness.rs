//! Who may do what, at every quiet moment: with each token that may still be in the field, and with a new one.

use std::time::Duration;

use tollgate::clock::Clock;
use tollgate::entitlement::{Catalog, effective};
use tollgate::store::Entitlement;
use tollgate::sync::{Overlay, load};

use super::oracle::is_managed;
use crate::support::auth0::Auth0;
use crate::sync::market::{Market, catalog};

/// What only who has paid may do.
const PREMIUM: &str = "read:premium-content";
/// What only admins may do.
const ADMIN: &str = "access:admin-panel";
/// How long tokens live, and how far clocks may differ.
const LIFE: Duration = Duration::from_secs(24 * 3600);
const LEEWAY: Duration = Duration::from_secs(30);

/// A token in the field.
struct Token {
    issued: i64,
    permissions: Vec<String>,
    /// It has let its user in since the user has a right to it.
    has_served: bool,
}

/// One user, as the gate meets them.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that is seen, and they come and go by themselves"
)]
struct Person {
    user: String,
    is_admin: bool,
    tokens: Vec<Token>,
    /// Has paid, and goes on paying.
    is_entitled: bool,
    /// The ledger has written since then that it is so; what it wrote before may rest on what is over.
    is_granted: bool,
    /// How far the ledger's row was when it began.
    since: i64,
    /// Since then there was a moment with access.
    was_let_in: bool,
    /// Since then there was a moment with a role that is sold.
    had_role: bool,
}

/// Sees what users may do.
pub(super) struct Witness {
    overlay: Overlay,
    /// How far the overlay has read.
    sequence: i64,
    catalog: Catalog,
    people: Vec<Person>,
}

impl Witness {
    pub(super) fn new() -> Self {
        Self {
            overlay: Overlay::new(LIFE, LEEWAY),
            sequence: 0,
            catalog: catalog(),
            people: Vec::new(),
        }
    }

    /// One user more.
    pub(super) fn meet(&mut self, user: &str, is_admin: bool) {
        self.people.push(Person {
            user: user.to_owned(),
            is_admin,
            tokens: Vec::new(),
            is_entitled: false,
            is_granted: false,
            since: 0,
            was_let_in: false,
            had_role: false,
        });
    }

    /// The process starts again, with an empty memory.
    pub(super) fn forget(&mut self) {
        self.overlay = Overlay::new(LIFE, LEEWAY);
        self.sequence = 0;
    }

    /// Whether the user at this place has a right to something that is sold now.
    pub(super) fn entitle(&mut self, place: usize, is_entitled: bool) {
        let sequence = self.sequence;
        let person = &mut self.people[place];
        if is_entitled && !person.is_entitled {
            person.since = sequence;
        }
        person.is_entitled = is_entitled;
        if !is_entitled {
            person.is_granted = false;
            person.was_let_in = false;
            person.had_role = false;
            for token in &mut person.tokens {
                token.has_served = false;
            }
        }
    }

    /// Looks at everybody. Whoever has been let in since they paid, is let in.
    pub(super) async fn look(&mut self, market: &Market) {
        self.sequence = load(self.sequence, &*market.store, &self.overlay, &*market.clock)
            .await
            .expect("a ledger");
        let now = market.clock.unix_seconds();
        self.overlay.sweep(now);
        let (overlay, catalog) = (&self.overlay, &self.catalog);
        for person in &mut self.people {
            let life = i64::try_from(LIFE.as_secs()).expect("a day");
            person.tokens.retain(|token| token.issued + life > now);
            let user = person.user.clone();
            let row = market.store.entitlement(&user).await.expect("a ledger");
            let is_written = |row: &Entitlement| row.derived.paid && row.sequence > person.since;
            person.is_granted |= person.is_entitled && row.as_ref().is_some_and(is_written);
            let may = |token: &Token| permissions(overlay, catalog, &user, token);
            let roles = market.auth0.roles_of(&user);
            person.had_role |= person.is_granted && has_sold_role(&roles);
            let fresh = issue(catalog, &roles, now);
            let is_let_in = may(&fresh).contains(&PREMIUM.to_owned());
            assert!(
                is_let_in || !person.was_let_in,
                "{user} has paid and is not let in with a new token"
            );
            person.was_let_in |= is_let_in && person.is_granted;
            let is_new = |token: &Token| {
                token.issued != fresh.issued || token.permissions != fresh.permissions
            };
            if person.tokens.iter().all(is_new) {
                person.tokens.push(fresh);
            }
            for token in &mut person.tokens {
                let held = may(token);
                let serves = held.contains(&PREMIUM.to_owned());
                assert!(
                    serves || !token.has_served,
                    "{user} has paid, and a token that was good is good no more: issued {} s ago",
                    now - token.issued
                );
                // From the moment it is written, with the token that the user has.
                let written = row.as_ref().filter(|row| row.changed_at.is_some());
                let paid = written.map(|row| row.derived.paid);
                assert!(
                    person.is_admin || paid.is_none_or(|paid| paid == serves),
                    "{user}: the ledger says paid: {paid:?}, and a token of {:?} is good: {serves}",
                    token.permissions
                );
                token.has_served |= serves && person.is_granted;
                assert!(
                    !person.is_admin || held.contains(&ADMIN.to_owned()),
                    "{user} is admin no more"
                );
            }
        }
    }

    /// Whoever has had a role that is sold since they paid, has one.
    pub(super) fn check_roles(&self, auth0: &Auth0) {
        for person in self.people.iter().filter(|person| person.had_role) {
            let roles = auth0.roles_of(&person.user);
            assert!(
                has_sold_role(&roles),
                "{} has paid and has lost the role: {roles:?}",
                person.user
            );
        }
    }

    /// All is settled: no token is worth more or less than its user has a right to.
    pub(super) fn check_end(&self, place: usize) {
        let person = &self.people[place];
        for token in &person.tokens {
            let held = permissions(&self.overlay, &self.catalog, &person.user, token);
            assert_eq!(
                held.contains(&PREMIUM.to_owned()),
                person.is_entitled || person.is_admin,
                "{}, with a token of {:?} issued at {}",
                person.user,
                token.permissions,
                token.issued
            );
        }
    }
}

/// A token as Auth0 issues it to who holds these roles.
fn issue(catalog: &Catalog, roles: &[String], issued: i64) -> Token {
    let permissions = roles.iter().flat_map(|role| catalog.permissions_of(role));
    let mut permissions: Vec<String> = permissions.cloned().collect();
    permissions.sort();
    permissions.dedup();
    Token {
        issued,
        permissions,
        has_served: false,
    }
}

/// What the gate takes a token for.
fn permissions(overlay: &Overlay, catalog: &Catalog, user: &str, token: &Token) -> Vec<String> {
    let standing = overlay.standing(user);
    let change = standing.as_ref().and_then(|known| known.change.as_ref());
    let held = token.permissions.iter().map(String::as_str);
    let leeway = overlay.leeway();
    change
        .and_then(|change| effective(held, Some(token.issued), change, catalog, leeway))
        .map_or_else(
            || token.permissions.clone(),
            |held| held.into_iter().map(str::to_owned).collect(),
        )
}

fn has_sold_role(roles: &[String]) -> bool {
    roles
        .iter()
        .any(|role| is_managed(role) && role != "free-user")
}

/// No call to Auth0 has named another role than these, by id.
pub(super) fn assert_only_managed(market: &Market, managed: &[String]) {
    for seen in market.auth0.seen() {
        let named = seen.body["roles"].as_array().into_iter().flatten();
        for id in named {
            let is_ours = managed.iter().any(|known| *id == **known);
            assert!(is_ours, "{} {} names {id}", seen.method, seen.path);
        }
    }
}

/// The ids of the roles that plans name.
pub(super) async fn managed_roles(market: &Market) -> Vec<String> {
    let mut ids = Vec::new();
    for plan in catalog().plans() {
        let role = market.parts.auth0.role(&plan.role).await;
        ids.push(role.expect("a role of this name").id);
    }
    ids
}
