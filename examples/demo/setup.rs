//! What is there at first: users in Auth0, and Tollgate's config file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::stage::{Addresses, Neighbours};
use crate::support::auth0::{AUDIENCE, Auth0, CLIENT_ID, CLIENT_SECRET};
use crate::support::stripe::{KEY, PRICE_LIFETIME, PRICE_MONTHLY};

/// A user: the name to sign in with, the name in the story, and the `sub`.
#[derive(Clone, Copy)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) shown: &'static str,
    pub(crate) sub: &'static str,
}

const fn user(name: &'static str, shown: &'static str, sub: &'static str) -> User {
    User { name, shown, sub }
}

/// Who buys, and asks for the money back.
pub(crate) const ANN: User = user("ann", "Ann", "auth0|ann");
/// An admin.
pub(crate) const BOB: User = user("bob", "Bob", "auth0|bob");
/// Who pays while Auth0 is away.
pub(crate) const CLEO: User = user("cleo", "Cleo", "google-oauth2|cleo");
/// For who tries it by hand.
pub(crate) const FREE: User = user("free", "Free", "auth0|free-user");
/// Who holds a permission by no role of ours.
pub(crate) const PREMIUM: User = user("premium", "Premium", "auth0|premium-user");

const BASIC: &str = "read:basic-content";
/// The permission that is sold.
pub(crate) const CONTENT: &str = "read:premium-content";

/// What opens the console for actions.
pub(crate) const ADMIN_TOKEN: &str = "demo-console-token";

/// Who signs in with the name alone.
const USERS: [User; 4] = [ANN, BOB, CLEO, FREE];

/// What each role may do, in the config; `tollgate bootstrap` makes Auth0 agree.
const ROLES: [(&str, &[&str]); 4] = [
    ("free-user", &[BASIC]),
    ("premium-monthly", &[BASIC, CONTENT]),
    ("premium-lifetime", &[BASIC, CONTENT]),
    ("admin", &[BASIC, CONTENT, "access:admin-panel"]),
];

/// Makes users in Auth0, who hold no role: there is none yet.
pub(crate) fn add_users(auth0: &Auth0) {
    for user in USERS {
        auth0.create_user(user.sub, &format!("{}@example.test", user.name), true);
        auth0.add_user(user.name, user.sub, &[]);
    }
}

/// Gives them their first roles, as an action of the tenant does for who signs up.
pub(crate) fn give_roles(auth0: &Auth0) {
    for user in USERS {
        auth0.give_role(user.sub, "free-user");
    }
    auth0.give_role(BOB.sub, "admin");
    auth0.add_user(PREMIUM.name, PREMIUM.sub, &[BASIC, CONTENT]);
}

/// The user who signs in with this name.
pub(crate) fn user_named(name: &str) -> Option<User> {
    USERS.into_iter().find(|user| user.name == name)
}

/// Where `tollgate bootstrap` writes the secret of the webhook endpoint.
pub(crate) fn secret_file(folder: &Path) -> PathBuf {
    folder.join("webhook-secret")
}

/// The ledger in `folder`.
pub(crate) fn ledger(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("ledger.db").display())
}

/// The config file.
pub(crate) fn yaml(neighbours: &Neighbours, addresses: Addresses, folder: &Path) -> String {
    let mut roles = String::new();
    for (role, permissions) in ROLES {
        let _ = writeln!(roles, "  {role}: [\"{}\"]", permissions.join("\", \""));
    }
    format!(
        r#"server: {{ listen: "{gate}" }}
admin: {{ listen: "{admin}", token: {ADMIN_TOKEN} }}
upstream: {upstream}
auth0:
  url: "{auth0}"
  audience: "{AUDIENCE}"
  leeway: 1s
  jwks: {{ refresh: 1s, stale: 1h, cooldown: 1s }}
  management: {{ client_id: {CLIENT_ID}, client_secret: {CLIENT_SECRET}, rate: 100/s }}
stripe:
  url: "{stripe}"
  secret_key: {KEY}
  publishable_key: pk_test_standin
  webhook:
    secrets: ["${{file:{secret}}}"]
    url: http://{gate}/stripe/webhook
  frontend_url: "http://{frontend}"
plans:
  - {{ name: free,     role: free-user }}
  - {{ name: monthly,  role: premium-monthly,  price: {PRICE_MONTHLY},  mode: subscription }}
  - {{ name: lifetime, role: premium-lifetime, price: {PRICE_LIFETIME}, mode: payment, replaces: monthly }}
roles:
{roles}store: {{ url: "{ledger}" }}
default: deny
routes:
  - {{ path: /, methods: [GET], access: public }}
  - {{ path: /premium/insights, methods: [GET], permissions: [{CONTENT}] }}
  - {{ path: "/admin/{{*rest}}", permissions: [access:admin-panel] }}
"#,
        gate = addresses.gate,
        admin = addresses.admin,
        secret = secret_file(folder).display(),
        upstream = neighbours.backend.url(),
        auth0 = neighbours.auth0.url(),
        stripe = neighbours.stripe.url(),
        frontend = neighbours.frontend.address(),
        ledger = ledger(folder),
    )
}
