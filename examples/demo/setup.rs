//! What is configured: users and roles in Auth0, and Tollgate's config file.

use std::fmt::Write as _;
use std::path::Path;

use crate::stage::Neighbours;
use crate::support::auth0::{AUDIENCE, Auth0, CLIENT_ID, CLIENT_SECRET};
use crate::support::stripe::{KEY, PRICE_LIFETIME, PRICE_MONTHLY, SECRET};

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

/// What each role may do, in Auth0 and in the config.
const ROLES: [(&str, &[&str]); 4] = [
    ("free-user", &[BASIC]),
    ("premium-monthly", &[BASIC, CONTENT]),
    ("premium-lifetime", &[BASIC, CONTENT]),
    ("admin", &[BASIC, CONTENT, "access:admin-panel"]),
];

/// Makes roles and users in Auth0.
pub(crate) fn fill(auth0: &Auth0) {
    for (role, permissions) in ROLES {
        auth0.create_role(role, permissions);
    }
    for user in [ANN, BOB, CLEO, FREE] {
        auth0.create_user(user.sub, &format!("{}@example.test", user.name), true);
        auth0.add_user(user.name, user.sub, &[]);
        auth0.give_role(user.sub, "free-user");
    }
    auth0.give_role(BOB.sub, "admin");
    auth0.add_user(PREMIUM.name, PREMIUM.sub, &[BASIC, CONTENT]);
}

/// The ledger in `folder`.
pub(crate) fn ledger(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("ledger.db").display())
}

/// The config file.
pub(crate) fn yaml(neighbours: &Neighbours, folder: &Path) -> String {
    let mut roles = String::new();
    for (role, permissions) in ROLES {
        let _ = writeln!(roles, "  {role}: [\"{}\"]", permissions.join("\", \""));
    }
    format!(
        r#"server: {{ listen: 127.0.0.1:0 }}
admin: {{ listen: 127.0.0.1:0 }}
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
  webhook: {{ secrets: {SECRET} }}
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
        upstream = neighbours.backend.url(),
        auth0 = neighbours.auth0.url(),
        stripe = neighbours.stripe.url(),
        frontend = neighbours.frontend.address(),
        ledger = ledger(folder),
    )
}
