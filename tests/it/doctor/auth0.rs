//! What can be wrong with the tenant.

use std::time::{Duration, UNIX_EPOCH};

use http::Method;
use serde_json::{Value, json};

use super::{Case, Clinic, as_it_is, examine, nothing};
use crate::support::auth0::{AUDIENCE, CLIENT_SECRET, DISCOVERY, Fault, JWKS, TOKEN, Trouble};
use crate::support::token;

/// What the client of the Management API has, all of it.
const SCOPES: [&str; 11] = [
    "read:users",
    "update:users",
    "read:roles",
    "read:role_members",
    "create:role_members",
    "delete:role_members",
    "create:roles",
    "update:roles",
    "read:resource_servers",
    "create:resource_servers",
    "update:resource_servers",
];

fn without(clinic: &Clinic, missing: &[&str]) {
    let granted: Vec<&str> = SCOPES
        .into_iter()
        .filter(|scope| !missing.contains(scope))
        .collect();
    clinic.auth0().grant(&granted);
}

#[tokio::test]
async fn keys_issuer_and_clock() {
    examine(&[
        Case {
            what: "a key that cannot be used",
            breaks: |clinic| {
                let key = json!({ "kty": "oct", "kid": "shared", "k": "AA" });
                clinic.auth0().publish(key);
            },
            edit: as_it_is,
            lines: &[("auth0 unusable keys", "WARN", "shared (", "rotate")],
        },
        Case {
            what: "no key set",
            breaks: |clinic| clinic.auth0().fault(JWKS, Fault::Status(500)),
            edit: as_it_is,
            lines: &[("auth0 keys", "FAIL", "500", "auth0.domain")],
        },
        Case {
            what: "no key for the algorithm",
            breaks: nothing,
            edit: |yaml| yaml.replace("auth0:\n", "auth0:\n  algorithms: [ES256]\n"),
            lines: &[
                ("auth0 keys", "FAIL", "can be used for ES256", "auth0.algorithms"),
                ("auth0 api signature", "FAIL", "with RS256", "algorithm to ES256"),
            ],
        },
        Case {
            what: "another issuer",
            breaks: |clinic| {
                let other = json!({ "issuer": "https://login.example.test/" });
                let body = Fault::Body(other.to_string());
                clinic.auth0().fault(DISCOVERY, body);
            },
            edit: as_it_is,
            lines: &[(
                "auth0 issuer",
                "FAIL",
                "from https://login.example.test/",
                "issuers: [\"https://login.example.test/\"]",
            )],
        },
        Case {
            what: "keys elsewhere",
            breaks: |clinic| {
                let other = json!({ "issuer": clinic.auth0().url(), "jwks_uri": "https://k.example.test/" });
                clinic.auth0().fault(DISCOVERY, Fault::Body(other.to_string()));
            },
            edit: as_it_is,
            lines: &[("auth0 issuer", "WARN", "k.example.test", "jwks_url")],
        },
        Case {
            what: "no discovery document",
            breaks: |clinic| clinic.auth0().fault(DISCOVERY, Fault::Status(404)),
            edit: as_it_is,
            lines: &[("auth0 issuer", "WARN", "404", "auth0.domain")],
        },
        Case {
            what: "a clock that is wrong",
            breaks: |clinic| {
                let later = date(token::now() + 60);
                let headers = Trouble::Headers(vec![("date", later)]);
                clinic.auth0().trouble(Method::GET, JWKS, headers);
            },
            edit: as_it_is,
            lines: &[("auth0 clock", "FAIL", "s behind that of Auth0", "NTP")],
        },
        Case {
            what: "an answer that a cache kept for an hour",
            breaks: |clinic| {
                let kept = date(token::now() - 3600);
                let headers = vec![("date", kept), ("age", "3600".to_owned())];
                let headers = Trouble::Headers(headers);
                clinic.auth0().trouble(Method::GET, JWKS, headers);
            },
            edit: as_it_is,
            lines: &[],
        },
    ])
    .await;
}

/// What `Date` says at this time.
fn date(seconds: i64) -> String {
    let since = Duration::from_secs(seconds.unsigned_abs());
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}

#[tokio::test]
async fn the_management_token_and_its_scopes() {
    examine(&[
        Case {
            what: "a wrong secret",
            breaks: nothing,
            edit: |yaml| yaml.replace(CLIENT_SECRET, "wrong"),
            lines: &[
                (
                    "auth0 management token",
                    "FAIL",
                    "is refused",
                    "auth0.management",
                ),
                ("auth0 scopes", "WARN", "not looked at", "token first"),
                ("auth0 api", "WARN", "not looked at", "token first"),
                ("auth0 roles", "WARN", "not looked at", "token first"),
            ],
        },
        Case {
            what: "a tenant that has trouble",
            breaks: |clinic| clinic.auth0().fault(TOKEN, Fault::Status(503)),
            edit: as_it_is,
            lines: &[
                ("auth0 management token", "FAIL", "503", "Try again later"),
                ("auth0 scopes", "WARN", "not looked at", "token first"),
                ("auth0 api", "WARN", "not looked at", "token first"),
                ("auth0 roles", "WARN", "not looked at", "token first"),
            ],
        },
        Case {
            what: "a scope that is needed",
            breaks: |clinic| without(clinic, &["update:users"]),
            edit: as_it_is,
            lines: &[(
                "auth0 scopes",
                "FAIL",
                "update:users not granted",
                "Grant update:users",
            )],
        },
        Case {
            what: "scopes that some tenants ask for",
            breaks: |clinic| without(clinic, &["create:role_members", "delete:role_members"]),
            edit: as_it_is,
            lines: &[(
                "auth0 role member scopes",
                "WARN",
                "create:role_members, delete:role_members",
                "Grant",
            )],
        },
        Case {
            what: "an API that is not to be seen",
            breaks: |clinic| without(clinic, &["read:resource_servers"]),
            edit: as_it_is,
            lines: &[(
                "auth0 api",
                "WARN",
                "not looked at",
                "Grant read:resource_servers",
            )],
        },
        Case {
            what: "something to do for bootstrap, which may not",
            breaks: |clinic| {
                without(clinic, &["create:roles", "update:roles"]);
                clinic.auth0().delete_role("admin");
            },
            edit: as_it_is,
            lines: &[
                (
                    "auth0 bootstrap scopes",
                    "WARN",
                    "create:roles, update:roles",
                    "Grant",
                ),
                ("auth0 role admin", "FAIL", "no role", "tollgate bootstrap"),
            ],
        },
    ])
    .await;
}

/// The API, with one of its settings otherwise.
fn api_says(clinic: &Clinic, setting: &str, value: Value) {
    let mut api = clinic.auth0().api(AUDIENCE);
    api[setting] = value;
    let body = Fault::Body(api.to_string());
    let path = "/api/v2/resource-servers/*";
    clinic
        .auth0()
        .trouble(Method::GET, path, Trouble::Instead(body));
}

#[tokio::test]
async fn the_api() {
    examine(&[
        Case {
            what: "no API",
            breaks: |clinic| clinic.auth0().delete_api(AUDIENCE),
            edit: as_it_is,
            lines: &[
                ("auth0 api", "FAIL", AUDIENCE, "tollgate bootstrap"),
                (
                    "auth0 role free-user",
                    "FAIL",
                    "read:basic-content",
                    "tollgate bootstrap",
                ),
                (
                    "auth0 role premium-monthly",
                    "FAIL",
                    "does not allow",
                    "tollgate bootstrap",
                ),
                (
                    "auth0 role premium-lifetime",
                    "FAIL",
                    "does not allow",
                    "tollgate bootstrap",
                ),
                (
                    "auth0 role admin",
                    "FAIL",
                    "access:admin-panel",
                    "tollgate bootstrap",
                ),
            ],
        },
        Case {
            what: "RBAC off",
            breaks: |clinic| clinic.auth0().set_rbac(false, "access_token_authz"),
            edit: as_it_is,
            lines: &[("auth0 api RBAC", "FAIL", "off", "Enable RBAC")],
        },
        Case {
            what: "tokens without permissions",
            breaks: |clinic| clinic.auth0().set_rbac(true, "access_token"),
            edit: as_it_is,
            lines: &[(
                "auth0 api tokens",
                "FAIL",
                "hold no permissions",
                "Add Permissions",
            )],
        },
    ])
    .await;
}

#[tokio::test]
async fn how_the_api_signs_its_tokens_and_how_long_they_live() {
    examine(&[
        Case {
            what: "tokens that are signed with a shared secret",
            breaks: |clinic| api_says(clinic, "signing_alg", json!("HS256")),
            edit: as_it_is,
            lines: &[(
                "auth0 api signature",
                "FAIL",
                "signed with HS256",
                "to RS256",
            )],
        },
        Case {
            what: "tokens that outlive what is remembered of a change",
            breaks: |clinic| api_says(clinic, "token_lifetime", json!(172_800)),
            edit: as_it_is,
            lines: &[(
                "auth0 api lifetime",
                "FAIL",
                "up to 172800s",
                "auth0.max_token_age: 172800s",
            )],
        },
        Case {
            what: "tokens of browsers that outlive it",
            breaks: |clinic| api_says(clinic, "token_lifetime_for_web", json!(90_000)),
            edit: as_it_is,
            lines: &[("auth0 api lifetime", "FAIL", "up to 90000s", "lifetime")],
        },
        Case {
            what: "tokens that live for long, and are known to",
            breaks: |clinic| api_says(clinic, "token_lifetime", json!(172_800)),
            edit: |yaml| yaml.replace("auth0:\n", "auth0:\n  max_token_age: 48h\n"),
            lines: &[],
        },
        Case {
            what: "an API of which Auth0 says no more",
            breaks: |clinic| {
                api_says(clinic, "signing_alg", json!(null));
                api_says(clinic, "token_lifetime", json!(null));
            },
            edit: as_it_is,
            lines: &[],
        },
        Case {
            what: "an API that cannot be asked for",
            breaks: |clinic| {
                let path = "/api/v2/resource-servers";
                clinic
                    .auth0()
                    .trouble(Method::GET, path, Trouble::Instead(Fault::Status(503)));
            },
            edit: as_it_is,
            lines: &[("auth0 api", "FAIL", "not looked at", "Try again later")],
        },
        Case {
            what: "roles that cannot be asked for",
            breaks: |clinic| {
                let path = "/api/v2/roles";
                clinic
                    .auth0()
                    .trouble(Method::GET, path, Trouble::Instead(Fault::Status(500)));
            },
            edit: as_it_is,
            lines: &[("auth0 roles", "FAIL", "not looked at", "Try again later")],
        },
        Case {
            what: "a permission that nobody knows",
            breaks: nothing,
            edit: |yaml| format!("{yaml}  - {{ path: /new, permissions: [read:new] }}\n"),
            lines: &[(
                "auth0 api permissions",
                "FAIL",
                "read:new",
                "tollgate bootstrap",
            )],
        },
    ])
    .await;
}

#[tokio::test]
async fn each_of_several_apis_needs_every_permission_and_every_role_gives_it_there() {
    const SECOND: &str = "https://second.example.test";
    let clinic = Clinic::open().await;
    clinic.auth0().create_api(SECOND);
    let both = |yaml: &str| {
        yaml.replace(
            &format!("audience: {AUDIENCE}"),
            &format!("audience: [{AUDIENCE}, \"{SECOND}\"]"),
        )
    };
    let report = clinic.doctor(both).await;
    for line in ["auth0 api permissions", "auth0 role admin"] {
        let says = report.found(line);
        assert!(
            says.iter()
                .any(|(status, found)| *status == "FAIL" && found.contains(SECOND)),
            "{line}: {says:?}"
        );
    }
}

#[tokio::test]
async fn the_roles() {
    examine(&[
        Case {
            what: "no such role",
            breaks: |clinic| clinic.auth0().delete_role("premium-lifetime"),
            edit: as_it_is,
            lines: &[(
                "auth0 role premium-lifetime",
                "FAIL",
                "no role",
                "tollgate bootstrap",
            )],
        },
        Case {
            what: "a role that allows too little",
            breaks: |clinic| {
                let role = "premium-monthly";
                clinic.auth0().take_permission(role, "read:premium-content");
            },
            edit: as_it_is,
            lines: &[(
                "auth0 role premium-monthly",
                "FAIL",
                "does not allow read:premium-content",
                "tollgate bootstrap",
            )],
        },
        Case {
            what: "a role that allows too much",
            breaks: |clinic| {
                clinic.auth0().delete_role("free-user");
                let more = ["read:basic-content", "read:premium-content"];
                clinic.auth0().create_role("free-user", &more);
            },
            edit: as_it_is,
            lines: &[(
                "auth0 role free-user",
                "FAIL",
                "read:premium-content, which is sold",
                "Take it from the role",
            )],
        },
        Case {
            what: "a role that allows what the config does not know",
            breaks: |clinic| {
                clinic.auth0().add_scope("more:things", "What only we know");
                clinic.auth0().delete_role("free-user");
                let more = ["read:basic-content", "more:things"];
                clinic.auth0().create_role("free-user", &more);
            },
            edit: as_it_is,
            lines: &[(
                "auth0 role free-user",
                "WARN",
                "allows more:things too",
                "roles",
            )],
        },
    ])
    .await;
}
