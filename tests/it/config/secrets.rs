//! A secret that stands where the reader does not look for one: no report may show it.

use super::read;

/// What must not be shown.
const SECRET: &str = "topsecret";

fn shown(text: &str) -> String {
    let Err(report) = read(text) else {
        panic!("{text}: no mistake was found")
    };
    let json = serde_json::to_string(&report).expect("a report as JSON");
    format!("{report}\n{json}\n{report:?}")
}

fn hidden(texts: &[&str]) {
    for text in texts {
        assert!(text.contains("topsecret") || text.contains("${"), "{text}");
        let shown = shown(text);
        assert!(!shown.contains(SECRET), "{text}\n{shown}");
    }
}

#[test]
fn a_value_in_the_place_of_a_section_is_not_shown() {
    hidden(&[
        "store: postgres://u:topsecret@db/x",
        "store: [postgres://u:topsecret@db/x]",
        "stripe: topsecret",
        "stripe: { webhook: whsec_topsecret }",
        "stripe: { webhook: [whsec_topsecret] }",
        "auth0: { management: [id, topsecret] }",
        "auth0: { management: topsecret }",
        "admin: \"topsecret\"",
        "admin: [topsecret]",
        "upstream: { assertion: topsecret }",
        "upstream: [topsecret]",
        "telemetry: topsecret",
        "telemetry: { otlp: [topsecret] }",
        "telemetry: { otlp: { headers: \"Authorization=Bearer topsecret\" } }",
        "telemetry: { otlp: { headers: [\"Authorization: Bearer topsecret\"] } }",
        "telemetry: { otlp: { headers: [Authorization: Bearer topsecret] } }",
        "telemetry: { otlp: { headers: { Authorization=topsecret: a } } }",
        "telemetry: { otlp: { headers: { 'Authorization: Bearer topsecret': } } }",
        "telemetry: { otlp: { headers: { 'Authorization: Bearer topsecret' } } }",
        "topsecret",
        "- topsecret",
    ]);
}

#[test]
fn a_value_in_the_place_of_a_key_is_not_shown() {
    hidden(&[
        "stripe: { topsecret }",
        "stripe: { secret_key: a, topsecret }",
        "stripe: { secret_key:topsecret, cancel: x }",
        "stripe:\n  secret_key:topsecret",
        "stripe: { whsec_topsecret: x }",
        "stripe: { webhook: { secrets: { whsec_topsecret } } }",
        "stripe: { ? topsecret }",
        "stripe: { ? [topsecret] : a }",
        "stripe: { 'a topsecret': 1, 'a topsecret': 2 }",
        "admin: { token, topsecret }",
    ]);
}

#[test]
fn a_section_in_the_place_of_a_value_is_not_shown() {
    hidden(&[
        "auth0: { domain: { client_secret: topsecret } }",
        "auth0: { audience: [{ client_secret: topsecret }] }",
        "cors: { allow_credentials: { token: topsecret } }",
        "stripe: { cancel: { secret_key: topsecret } }",
        "routes: { secret_key: topsecret }",
        "log: { level: [{ a: topsecret }] }",
    ]);
}

#[test]
fn a_secret_under_another_name_or_parent_is_not_shown() {
    hidden(&[
        "secret_key: topsecret",
        "auth0: { client_secret: topsecret }",
        "stripe: { webhook: { secret: whsec_topsecret } }",
        "stripe: { keys: { secret_key: topsecret, more: [topsecret] } }",
        "stripe: { frontend_url: sk_live_topsecret }",
        "stripe: { cancel: rk_test_topsecret }",
        "tests: [{ path: /, expect: sk_live_topsecret }]",
        "auth0: { domain: whsec_topsecret, audience: [], url: 1 }",
        "stripe: { account: sk_live_topsecret, cancel: x }",
        "upstream: u:topsecret@host",
        "auth0: { jwks_url: 'https://x/?key=topsecret' }",
    ]);
}

#[test]
fn anchors_and_aliases_hide_nothing() {
    hidden(&[
        "secrets: &s topsecret\nstripe: { secret_key: *s, cancel: x }",
        "stripe: { secret_key: &s 'topsecret ', publishable_key: *s }",
        "stripe: &s { secret_key: 'topsecret ' }\nstore: *s",
        "stripe: { <<: { secret_key: 'topsecret ' }, cancel: x }",
        "stripe: { secret_key: !!str 'topsecret ', cancel: x }",
        "stripe: { secret_key: !mine 'topsecret ', cancel: x }",
        "admin: { token: &topsecret }",
        "admin:\n  token: &topsecret",
        "admin:\n  token: !topsecret",
        "admin:\n  token: &topsecret a",
        "admin:\n  token: !topsecret a",
        "admin:\n  token: !<topsecret> a",
        "admin:\n  token: ! &topsecret a",
    ]);
}

#[test]
fn what_is_no_yaml_shows_no_value() {
    hidden(&[
        "admin:\n  token: 'topsecret\nlog: x",
        "admin: { token: \"topsecret\n",
        "stripe:\n  webhook:\n    secrets:\n      - \"topsecret\n",
        "stripe:\n  webhook:\n    secrets: [\n      topsecret\n",
        "admin:\n  token: *topsecret",
        "admin:\n  token: !!int topsecret",
        "admin:\n  token: !!bool topsecret",
        "admin:\n  token: !!float topsecret",
        "admin:\n  token: !!null topsecret",
        "admin:\n  token: !topsecret! a",
        "admin:\n  token: @topsecret",
        "admin:\n  token: `topsecret`",
        "admin:\n  token: %topsecret",
        "%topsecret\n---\na: b",
        "admin:\n  token: \"topsecret\\q\"",
        "admin:\n  token: topsecret: x",
        "admin:\n  token: topsecret\n   x: y\n",
        "admin:\n\ttoken: topsecret",
        "admin:\n  token: |\n topsecret\n  x",
        "stripe: { secret_key: topsecret } }",
        "stripe: { secret_key: topsecret ] }",
        "a: b\n--- topsecret\nc: d",
        "admin:\n  publishable_key: a\n  secret_key:topsecret\n  cancel: x",
    ]);
}

#[test]
fn what_a_variable_with_a_secret_stands_for_is_not_shown_where_another_value_belongs() {
    let env = |name: &str| match name {
        "CLIENT_SECRET" => Some("topsecret/ value".to_owned()),
        "LONG_TOKEN" => Some("topsecret".repeat(20)),
        _ => None,
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "topsecret value\n").unwrap();
    let from_file = format!("auth0: {{ domain: '${{file:{}}}' }}", file.path().display());
    for text in [
        "auth0: { domain: '${CLIENT_SECRET}' }",
        "auth0: { domain: 'x${CLIENT_SECRET}' }",
        "auth0: { domain: '${LONG_TOKEN}/' }",
        "upstream: http://h/${CLIENT_SECRET}",
        "log: { level: '${CLIENT_SECRET}=a=b' }",
        "stripe: { cancel: '${CLIENT_SECRET}' }",
        "plans: [{ name: a, role: '${CLIENT_SECRET}' }]",
        "tests: [{ path: /, expect: '${CLIENT_SECRET}' }]",
        "stripe: { secret_key: 'topsecret${NONE}' }",
        "stripe: { secret_key: '${topsecret!}' }",
        "stripe: { secret_key: '${sk_live_topsecret}' }",
        "stripe: { secret_key: '${topsecret' }",
        from_file.as_str(),
    ] {
        let report = tollgate::config::parse("f".as_ref(), text, &env).unwrap_err();
        let shown = format!(
            "{report}{report:?}{}",
            serde_json::to_string(&report).unwrap()
        );
        assert!(!shown.contains(SECRET), "{text}\n{report}");
    }
}

#[test]
fn what_is_no_secret_is_still_shown() {
    for (text, expected) in [
        ("server: { listne: x }", "unknown key `listne`"),
        ("server: { listne: x }", "server: { listne: *** }"),
        (
            "stripe: { webhook: whsec_a }",
            "expected a section of keys, found text",
        ),
        ("stripe: { webhook: whsec_a }", "stripe: { webhook: *** }"),
        (
            "paths: { merge_slashes: maybe }",
            "paths: { merge_slashes: maybe }",
        ),
        ("upstream: http://h/a", "found `http://h/a`"),
        (
            "auth0: { domain: '${AUTH0_DOMAIN}/' }",
            "found `tenant.eu.auth0.com/`",
        ),
        ("a: [b, c\n", "not valid YAML"),
    ] {
        let shown = shown(text);
        assert!(shown.contains(expected), "{text}\n{shown}");
    }
}
