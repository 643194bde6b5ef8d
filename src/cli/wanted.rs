//! What the config wants of Auth0 and Stripe, whatever is there: pure, for those who set up and those who look.

mod endpoint;

use crate::config::Config;
use crate::entitlement::{Catalog, Plan, Role};
use crate::policy::{Fallback, Requirement, Table};
use crate::stripe::{EVENT_TYPES, NEEDED_EVENT_TYPES};

/// What `GET /admin/premium-users` asks for, which comes with payments.
const ADMIN_PANEL: &str = "access:admin-panel";

/// Everything that has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The identifiers of the APIs whose tokens are accepted.
    pub(super) apis: Vec<String>,
    /// What each of these APIs has to know: the permissions that roles and routes name, in the order of the file, and with
    /// payments the one of the administrators.
    pub(super) permissions: Vec<String>,
    /// Those of `permissions` that no role and no route names.
    pub(super) unnamed: Vec<String>,
    /// The roles, each with the permissions that it gives on each of the APIs.
    pub(super) roles: Vec<Role>,
    /// The plans, lowest first.
    pub(super) plans: Vec<Plan>,
    /// Where Stripe sends events; `None` without payments.
    pub(super) webhook: Option<Webhook>,
}

/// Where Stripe sends events, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Webhook {
    pub(super) url: String,
    /// The config does not say where: it is made of the frontend's address.
    pub(super) is_guessed: bool,
    /// All that are worth sending.
    pub(super) events: &'static [&'static str],
    /// Those that have to be sent.
    pub(super) needed: &'static [&'static str],
}

impl Wanted {
    pub(super) fn of(config: &Config) -> Self {
        let roles = roles(&config.gate.catalog);
        let mut permissions = Vec::new();
        for permission in roles.iter().flat_map(|role| &role.permissions) {
            add(&mut permissions, permission);
        }
        for permission in asked_for(&config.gate.table) {
            add(&mut permissions, permission);
        }
        let named = permissions.len();
        if config.billing.is_some() {
            add(&mut permissions, ADMIN_PANEL);
        }
        Self {
            apis: apis(config),
            unnamed: permissions[named..].to_vec(),
            permissions,
            roles,
            plans: config.gate.catalog.plans().to_vec(),
            webhook: config.billing.as_ref().map(|billing| Webhook {
                url: billing.webhook_url.clone(),
                is_guessed: billing.webhook_url_is_guessed,
                events: EVENT_TYPES,
                needed: NEEDED_EVENT_TYPES,
            }),
        }
    }

    /// What plans that are sold bring and this role does not, when it is a plan's: whoever has the role would get it for
    /// nothing.
    pub(super) fn sold_to_others(&self, role: &Role) -> Vec<&str> {
        if !self.plans.iter().any(|plan| plan.role == role.name) {
            return Vec::new();
        }
        let sold = self.plans.iter().filter(|plan| plan.sale.is_some());
        let brought = sold.flat_map(|plan| self.of_role(&plan.role));
        let others = brought.filter(|name| !role.permissions.contains(name));
        others.map(String::as_str).collect()
    }

    fn of_role(&self, name: &str) -> &[String] {
        let role = self.roles.iter().find(|role| role.name == name);
        role.map_or(&[], |role| &role.permissions)
    }

    /// What a new role is for.
    pub(super) fn describe(&self, role: &str) -> String {
        let plans = self.plans.iter().filter(|plan| plan.role == role);
        let names: Vec<&str> = plans.map(|plan| plan.name.as_str()).collect();
        match names.as_slice() {
            [] => "What the config says this role may do (Tollgate)".to_owned(),
            [name] => format!("Plan {name} (Tollgate)"),
            names => format!("Plans {} (Tollgate)", names.join(", ")),
        }
    }
}

/// The audiences that are APIs of the tenant's own: not `/userinfo`, which stands beside them in the token of every
/// login, nor the Management API.
fn apis(config: &Config) -> Vec<String> {
    let Some(auth) = &config.auth else {
        return Vec::new();
    };
    let management = config.billing.as_ref().map(|billing| &billing.auth0);
    let is_auth0s = |audience: &str| {
        let userinfo = |issuer: &String| audience == format!("{issuer}userinfo");
        auth.issuers.iter().any(userinfo)
            || management.is_some_and(|client| {
                audience == client.audience || audience == format!("{}userinfo", client.url)
            })
    };
    let mut apis = Vec::new();
    for audience in auth.audience.iter().filter(|name| !is_auth0s(name)) {
        add(&mut apis, audience);
    }
    apis
}

/// The roles of the file, and those that only a plan names, each once.
fn roles(catalog: &Catalog) -> Vec<Role> {
    let described = catalog.roles().iter().cloned();
    let of_plans = catalog.plans().iter().map(|plan| Role {
        name: plan.role.clone(),
        permissions: plan.permissions.clone(),
    });
    let mut roles: Vec<Role> = Vec::new();
    for role in described.chain(of_plans) {
        let at = roles.iter().position(|known| known.name == role.name);
        let at = at.unwrap_or_else(|| {
            roles.push(Role {
                name: role.name.clone(),
                permissions: Vec::new(),
            });
            roles.len() - 1
        });
        for permission in &role.permissions {
            add(&mut roles[at].permissions, permission);
        }
    }
    roles
}

/// The permissions that routes ask for.
fn asked_for(table: &Table) -> Vec<&String> {
    let routes = table.routes().iter().map(|route| &route.requirement);
    let fallback = match table.fallback() {
        Fallback::Deny => None,
        Fallback::Apply(requirement) => Some(requirement),
    };
    routes.chain(fallback).flat_map(named).collect()
}

fn named(requirement: &Requirement) -> &[String] {
    match requirement {
        Requirement::AllOf(list) | Requirement::AnyOf(list) => list,
        Requirement::Public | Requirement::Optional | Requirement::Authenticated => &[],
    }
}

fn add(list: &mut Vec<String>, word: &str) {
    if !list.iter().any(|known| known == word) {
        list.push(word.to_owned());
    }
}

/// Whether two addresses are one: letter case of the host, the scheme's own port and a slash at the end do not count.
pub(super) fn same_url(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

fn canonical(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let scheme = scheme.to_ascii_lowercase();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.to_ascii_lowercase();
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(own_port).unwrap_or(&host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const FILE: &str = "
upstream: http://127.0.0.1:8002
auth0:
  url: https://t.example.test/
  audience: [api, https://t.example.test/userinfo, https://t.example.test/api/v2/, api]
  management: { client_id: c, client_secret: s }
stripe:
  secret_key: sk_test_a
  publishable_key: pk_test_a
  webhook: { secrets: whsec_a }
  frontend_url: https://app.example.com
plans:
  - { name: free, role: free-user }
  - { name: monthly, role: premium, price: price_a, mode: subscription }
roles: { admin: [rule], free-user: [], premium: [read, read, write] }
store: { url: 'sqlite://t.db' }
routes:
  - { path: /a, permissions: [read, audit] }
  - { path: /b, any_permission: [rule, export] }
  - { path: /c, access: public }
";

    fn wanted(file: &str) -> Wanted {
        Wanted::of(&parse("f".as_ref(), file, &|_| None).unwrap())
    }

    #[test]
    fn what_roles_and_routes_name_is_wanted_once() {
        let wanted = wanted(FILE);
        assert_eq!(wanted.apis, ["api"]);
        assert_eq!(
            wanted.permissions,
            [
                "rule",
                "read",
                "write",
                "audit",
                "export",
                "access:admin-panel"
            ]
        );
        let roles: Vec<(&str, usize)> = wanted
            .roles
            .iter()
            .map(|role| (role.name.as_str(), role.permissions.len()))
            .collect();
        assert_eq!(roles, [("admin", 1), ("free-user", 0), ("premium", 2)]);
        let webhook = wanted.webhook.unwrap();
        assert_eq!(webhook.url, "https://app.example.com/stripe/webhook");
        assert!(webhook.events.contains(&"invoice.paid") && webhook.is_guessed);
    }

    #[test]
    fn what_the_config_does_not_name_is_known_as_such() {
        assert_eq!(wanted(FILE).unnamed, ["access:admin-panel"]);
        let named = FILE.replace("audit", "access:admin-panel");
        assert!(wanted(&named).unnamed.is_empty());
    }

    #[test]
    fn a_plans_role_is_not_to_give_what_another_plan_sells() {
        let wanted = wanted(FILE);
        let of = |name: &str| {
            let role = wanted.roles.iter().find(|role| role.name == name);
            wanted.sold_to_others(role.unwrap())
        };
        assert_eq!(of("free-user"), ["read", "write"]);
        assert!(of("premium").is_empty() && of("admin").is_empty());
    }

    #[test]
    fn a_role_is_described_by_its_plan() {
        let wanted = wanted(FILE);
        assert_eq!(wanted.describe("premium"), "Plan monthly (Tollgate)");
        assert!(wanted.describe("admin").contains("this role may do"));
    }

    #[test]
    fn a_gate_alone_wants_permissions_only() {
        let (gate, _) = FILE.split_once("stripe:").unwrap();
        let routes = "routes: [{ path: /, permissions: [p] }]";
        let wanted = wanted(&format!("{gate}{routes}"));
        assert_eq!(wanted.permissions, ["p"]);
        assert!(wanted.roles.is_empty() && wanted.webhook.is_none());
        let public =
            super::Wanted::of(&parse("f".as_ref(), "upstream: http://h\n", &|_| None).unwrap());
        assert!(public.apis.is_empty());
    }

    #[test]
    fn addresses_that_lead_to_the_same_place_are_one() {
        for other in [
            "https://A.example/stripe/webhook",
            "https://a.example:443/stripe/webhook",
            "https://a.example/stripe/webhook/",
        ] {
            assert!(
                same_url("https://a.example/stripe/webhook", other),
                "{other}"
            );
        }
        for other in [
            "http://a.example/stripe/webhook",
            "https://a.example:8443/stripe/webhook",
            "https://a.example/Stripe/webhook",
            "https://b.example/stripe/webhook",
        ] {
            assert!(
                !same_url("https://a.example/stripe/webhook", other),
                "{other}"
            );
        }
    }
}
