//! The config file: what loads, and what is said about what does not.

mod bounds;
mod rules;
mod secrets;
mod unfinished;
mod verdicts;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tollgate::config::{Config, Report, Store, load, parse, schema, watched_files};
use tollgate::entitlement::PastDue;

fn env(name: &str) -> Option<String> {
    let value = match name {
        "AUTH0_DOMAIN" => "tenant.eu.auth0.com",
        "AUTH0_AUDIENCE" => "https://api.example.com",
        "AUTH0_MANAGEMENT_CLIENT_ID" => "client",
        "AUTH0_MANAGEMENT_CLIENT_SECRET" => "management-secret",
        "STRIPE_SECRET_KEY" => "sk_test_abc",
        "STRIPE_PUBLISHABLE_KEY" => "pk_test_abc",
        "STRIPE_WEBHOOK_SECRET" => "whsec_abc",
        "STRIPE_MONTHLY_PRICE_ID" => "price_monthly",
        "STRIPE_LIFETIME_PRICE_ID" => "price_lifetime",
        "WITH_LINE_BREAK" => "sk_test_topsecret\n",
        "HUNDRED" => "100",
        "TRUE" => "true",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(text: &str) -> Result<Config, Report> {
    parse(Path::new("tollgate.yaml"), text, &env)
}

fn in_config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name)
}

/// A file that is whole, so that a test can add the one mistake it is about.
const GOOD: &str = "
upstream: http://127.0.0.1:8002
auth0:
  domain: t.auth0.com
  audience: a
  management: { client_id: c, client_secret: s }
stripe:
  secret_key: sk_test_a
  publishable_key: pk_test_a
  webhook: { secrets: whsec_a }
  frontend_url: https://app.example.com
plans:
  - { name: free, role: free-user }
  - { name: monthly, role: premium, price: price_a, mode: subscription }
roles: { free-user: [], premium: [premium] }
store: { url: 'sqlite://t.db' }
routes:
  - { path: /a, access: authenticated }
";

#[test]
fn the_full_example_loads() {
    let config =
        load(&in_config("tollgate.yaml"), &env).unwrap_or_else(|report| panic!("{report}"));
    let billing = config.billing.as_ref().unwrap();
    assert_eq!(config.gate.table.routes().len(), 12);
    assert_eq!(config.gate.paths.base_path.as_deref(), Some("/api"));
    assert_eq!(billing.terms.catalog.plans()[2].replaces, ["monthly"]);
    assert_eq!(billing.endpoints.frontend_url, "https://localhost:8443");
    assert_eq!(
        billing.auth0.audience,
        "https://tenant.eu.auth0.com/api/v2/"
    );
    assert!(
        matches!(billing.store, Store::Sqlite(_))
            && !billing.endpoints.live
            && billing.terms.past_due == PastDue::Keep
    );
    assert_eq!(
        config
            .gate
            .catalog
            .sold_with(&["read:premium-content".into()])
            .len(),
        2
    );
    assert_eq!(watched_files(&config), [in_config("tollgate.yaml")]);
}

#[test]
fn what_the_full_example_comments_out_is_valid_too() {
    let text = std::fs::read_to_string(in_config("tollgate.yaml")).unwrap();
    let start = |line: &str| {
        line.trim_start().strip_prefix("# ").is_some_and(|rest| {
            let rest = rest.trim_start();
            let key: String = rest
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-' | '0'..='9'))
                .collect();
            !key.is_empty() && rest[key.len()..].starts_with(':') && key != "yaml-language-server"
        })
    };
    let uncommented: Vec<_> = text
        .lines()
        .map(|line| {
            if start(line) {
                line.replacen("# ", "", 1)
            } else {
                line.to_owned()
            }
        })
        .collect();
    let env = |name: &str| match name {
        "ASSERTION_SECRET" => Some("x".repeat(32)),
        "OTLP_API_KEY" => Some("key".to_owned()),
        "ADMIN_TOKEN" => Some("0123456789abcdef".to_owned()),
        name => env(name),
    };
    let config = parse(Path::new("f"), &uncommented.join("\n"), &env)
        .unwrap_or_else(|report| panic!("{report}"));
    assert!(
        config.telemetry.otlp.is_some()
            && config.proxy.assertion.is_some()
            && config.server.tls.is_some()
            && config.admin.is_some_and(|admin| admin.token.is_some())
    );
    let billing = config.billing.unwrap();
    assert!(billing.reconcile.is_some_and(|look| !look.fix));
    assert_eq!(billing.sync.deadline, std::time::Duration::from_secs(60));
    assert_eq!(
        billing.webhook_url,
        "https://app.example.com/api/stripe/webhook"
    );
}

#[test]
fn the_minimal_example_loads_and_is_shorter_than_a_dozen_lines() {
    let config = load(&in_config("minimal.yaml"), &env).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(
        config.auth.unwrap().issuers,
        ["https://tenant.eu.auth0.com/"]
    );
    assert!(config.billing.is_none());
    assert!(
        std::fs::read_to_string(in_config("minimal.yaml"))
            .unwrap()
            .lines()
            .count()
            < 12
    );
}

/// `UPDATE_SCHEMA=1 cargo test` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "a switch for the test alone")]
fn the_committed_schema_is_up_to_date() {
    let path = in_config("tollgate.schema.json");
    if std::env::var("UPDATE_SCHEMA").is_ok() {
        std::fs::write(&path, schema()).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == schema(),
        "run it with UPDATE_SCHEMA=1"
    );
}

#[test]
fn the_example_names_its_schema_in_the_first_line() {
    for name in ["tollgate.yaml", "minimal.yaml"] {
        let text = std::fs::read_to_string(in_config(name)).unwrap();
        assert!(
            text.starts_with("# yaml-language-server: $schema=tollgate.schema.json\n"),
            "{name}"
        );
    }
}

#[test]
fn all_mistakes_are_reported_at_once_with_place_and_mend() {
    let text = include_str!("config/mistakes.yaml");
    insta::assert_snapshot!(read(text).unwrap_err());
}

#[test]
fn a_report_can_be_read_by_programs() {
    let report = read("upstream: http://127.0.0.1:8002\nserver: { listne: x }\n").unwrap_err();
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let report = load(Path::new("/no/such/file.yaml"), &env).unwrap_err();
    assert!(
        report
            .to_string()
            .starts_with("/no/such/file.yaml: cannot be read: "),
        "{report}"
    );
}

#[test]
fn no_report_shows_a_secret() {
    for text in [
        "stripe: { secret_key: 'topsecret ' }",
        "stripe: { secret_kye: topsecret }",
        "stripe: { secret_key: '${WITH_LINE_BREAK}' }",
        "stripe: { secret_key: 'x${WITH_LINE_BREAK}' }",
        "stripe: { publishable_key: '${WITH_LINE_BREAK}' }",
        "stripe:\n  secret_key: |\n    topsecret\n  cancel: x",
        "stripe:\n  secret_key: >-\n    sk_live\n    topsecret\n  cancel: x",
        "stripe: { secret_key: [topsecret], publishable_key: sk_live_topsecret }",
        "stripe: { secret_key: { a: topsecret } }",
        "stripe: { webhook: { secrets: [topsecret] } }",
        "stripe: { secret_key: pk_test_topsecret, publishable_key: sk_test_topsecret }",
        "store: { url: 'mysql://user:topsecret@host/db' }",
        "store: { urll: 'postgres://user:topsecret@host/db' }",
        "upstream: http://user:topsecret@host/",
        "upstream: { assertion: { secret: topsecret, audience: a } }",
        "telemetry: { otlp: { endpoint: 'http://x', headers: { a: \"topsecret\\n\" } } }",
        "auth0: { management: { client_secret: ' topsecret', client_id: [] } }",
        "auth0: { management: { client_secret: a, client_secret: topsecret } }",
        "secret_key: \"topsecret",
        "store: { url: postgres://user:topsecret@host/db",
    ] {
        let report = read(text).unwrap_err();
        let shown = format!(
            "{report}{}{report:?}",
            serde_json::to_string(&report).unwrap()
        );
        assert!(!shown.contains("topsecret"), "{text}\n{report}");
    }
}

#[test]
fn values_from_the_environment_may_be_numbers_and_truth_values() {
    let text = "upstream: { url: 'http://h', max_connections: \"${HUNDRED}\" }\npaths: { merge_slashes: \"${TRUE}\" }\n";
    let config = read(text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.proxy.max_connections, 100);
    assert!(config.gate.paths.merge_slashes);
    assert!(read("upstream: { url: 'http://h', max_connections: \"100\" }").is_err());
}

#[test]
fn an_interpolation_inside_braces_is_told_to_be_quoted() {
    let report = read("upstream: http://h\npaths: { merge_slashes: ${TRUE} }\n")
        .unwrap_err()
        .to_string();
    assert!(
        report.contains("tollgate.yaml:2:26: ") && report.contains("put `${…}` in quotes"),
        "{report}"
    );
    assert!(
        report.contains("\n    |                          ^\n"),
        "{report}"
    );
}

#[test]
fn short_forms_are_the_long_ones() {
    let short = read("upstream: http://h:1\nauth0: { domain: d, audience: a }\nroutes: [{ path: /, methods: GET, permissions: p }]").unwrap();
    let long = read("upstream: { url: 'http://h:1' }\nauth0: { url: 'https://d', audience: [a] }\nroutes: [{ path: /, methods: [GET], permissions: [p] }]").unwrap();
    assert_eq!(
        format!("{:?}{:?}{:?}", short.proxy, short.auth, short.gate),
        format!("{:?}{:?}{:?}", long.proxy, long.auth, long.gate)
    );
}

#[test]
fn defaults_are_safe() {
    let config = read("upstream: http://h\n").unwrap();
    let table = format!("{:?}", config.gate.table.fallback());
    assert_eq!(table, "Deny");
    let admin = config.admin.unwrap();
    assert_eq!(admin.address.to_string(), "127.0.0.1:9901");
    assert!(admin.token.is_none(), "nobody may act");
    assert!(
        config.gate.trusted_proxies.is_empty()
            && config.gate.cors.is_none()
            && config.proxy.keep_headers.is_empty()
    );
    assert_eq!(config.server.limits.max_header_bytes, 32 * 1024);
    assert_eq!(config.gate.max_body, 10 * 1024 * 1024);
    assert!(
        read("upstream: http://h\nadmin: { listen: off }")
            .unwrap()
            .admin
            .is_none()
    );
}

#[test]
fn routes_that_need_tokens_need_auth0() {
    for routes in [
        "[{ path: /, access: optional }]",
        "[{ path: /, permissions: [a] }]",
        "[]\ndefault: authenticated",
    ] {
        let report = read(&format!("upstream: http://h\nroutes: {routes}\n"))
            .unwrap_err()
            .to_string();
        assert!(
            report.contains("no `auth0` section") && report.ends_with("1 mistake in tollgate.yaml"),
            "{report}"
        );
    }
    assert!(
        read("upstream: http://h\nroutes: [{ path: /, access: public }]\n")
            .unwrap()
            .auth
            .is_none()
    );
}

#[test]
fn a_wildcard_that_merely_includes_an_intercepted_path_is_fine() {
    for path in ["/{*rest}", "/admin/{*rest}", "/{a}/{b}", "/auth/{name}"] {
        let text = GOOD.replace("path: /a,", &format!("path: '{path}',"));
        read(&text).unwrap_or_else(|report| panic!("{path}\n{report}"));
    }
}

#[test]
fn past_due_may_be_a_time_of_grace() {
    let text = GOOD.replace(
        "  frontend_url",
        "  past_due: { grace: 7d }\n  frontend_url",
    );
    let billing = read(&text).unwrap().billing.unwrap();
    assert_eq!(
        billing.terms.past_due,
        PastDue::Grace(std::time::Duration::from_secs(7 * 86_400))
    );
}

#[test]
fn events_go_to_the_frontends_host_unless_the_file_says_otherwise() {
    let webhook_url = |text: &str| read(text).unwrap().billing.unwrap().webhook_url;
    assert_eq!(webhook_url(GOOD), "https://app.example.com/stripe/webhook");
    let behind_a_path = GOOD.replace(
        "https://app.example.com",
        "https://app.example.com:8443/shop/",
    );
    assert_eq!(
        webhook_url(&behind_a_path),
        "https://app.example.com:8443/stripe/webhook"
    );
    assert_eq!(
        webhook_url(&format!("{GOOD}server: {{ base_path: /api }}\n")),
        "https://app.example.com/api/stripe/webhook"
    );
    let named = GOOD.replace(
        "secrets: whsec_a",
        "secrets: whsec_a, url: 'https://hooks.example.com/in'",
    );
    assert_eq!(webhook_url(&named), "https://hooks.example.com/in");
}

#[test]
fn a_look_at_all_users_only_tells_unless_the_file_says_otherwise() {
    let look = |text: &str| read(text).unwrap().billing.unwrap().reconcile;
    assert_eq!(look(GOOD), None);
    let told = look(&format!("{GOOD}reconcile: {{ every: 24h }}\n")).unwrap();
    assert_eq!((told.every.as_secs(), told.fix), (86_400, false));
    assert!(
        look(&format!("{GOOD}reconcile: {{ every: 1h, fix: true }}\n"))
            .unwrap()
            .fix
    );
}

/// Every line of `GOOD` that starts a map, with the indentation of its keys.
const MAPS: &[(usize, usize)] = &[(2, 0), (4, 2), (8, 2), (16, 0)];

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn no_yaml_like_text_makes_the_reader_panic(text in "([a-z0-9_]{1,8}: |- |[\\[\\]{},:&*!|>'\"#%@$\\\\]|\n {0,4}|\\$\\{|[0-9]{1,3}|é| ){0,60}") {
        let _ = read(&text);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn an_unknown_key_is_reported_at_its_line(at in 0..MAPS.len(), key in "zz[a-z]{1,8}") {
        let (line, indent) = MAPS[at];
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        lines.insert(line - 1, format!("{}{key}: 1", " ".repeat(indent)));
        let report = read(&lines.join("\n")).unwrap_err();
        let found: Vec<_> = report.mistakes().iter().map(|m| (m.line, m.column, m.message.clone())).collect();
        prop_assert_eq!(found, vec![(line, indent + 1, format!("unknown key `{key}`"))]);
    }
}
