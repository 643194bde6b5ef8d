//! Every check that goes over more than one value: what it is about, and its words.

use super::{GOOD, read};

/// `GOOD` with `from` replaced, then the text that the report must hold.
const RULES: &[(&str, &str, &str)] = &[
    (
        "access: authenticated",
        "access: authenticated, permissions: [x]",
        "says in two ways",
    ),
    (
        "access: authenticated",
        "methods: [GET]",
        "does not say what it needs",
    ),
    (
        "access: authenticated",
        "permissions: []",
        "this list is empty",
    ),
    (
        "access: authenticated",
        "permissions: ['a b']",
        "expected a permission",
    ),
    (
        "access: authenticated",
        "access: public, methods: [GTE]",
        "did you mean `GET`?",
    ),
    ("path: /a,", "path: a,", "starts with `/`"),
    (
        "path: /a,",
        "path: /stripe/config,",
        "answered by Tollgate itself",
    ),
    (
        "path: /a,",
        "path: '/Stripe/{*rest}',",
        "answered by Tollgate itself",
    ),
    (
        "path: /a,",
        "path: /auth/premium-status/,",
        "answered by Tollgate itself",
    ),
    (
        "path: /a,",
        "path: /admin/premium-users,",
        "answered by Tollgate itself",
    ),
    (
        "routes:\n",
        "routes:\n  - { path: /A, access: public }\n",
        "(line 18)",
    ),
    ("audience: a", "audience: []", "this list is empty"),
    (
        "domain: t.auth0.com",
        "domain: https://t.auth0.com/",
        "`url:` in place of `domain:`",
    ),
    (
        "domain: t.auth0.com",
        "domain: t, url: 'http://x'",
        "not valid YAML",
    ),
    (
        "domain: t.auth0.com",
        "domain: t\n  url: http://x",
        "both name the tenant",
    ),
    ("  domain: t.auth0.com\n", "", "does not say which tenant"),
    (
        "audience: a",
        "audience: a\n  issuers: [tenant]",
        "expected a URL",
    ),
    (
        "audience: a",
        "audience: a\n  algorithms: [HS256]",
        "shared secret",
    ),
    (
        "audience: a",
        "audience: a\n  jwks: { refresh: 1h, stale: 10m }",
        "`stale` is shorter than `refresh`",
    ),
    (
        "audience: a",
        "audience: a\n  jwks: { refresh: 0s }",
        "more than 0",
    ),
    (
        "store: { url: 'sqlite://t.db' }\n",
        "",
        "`stripe` needs `store`",
    ),
    (
        "  management: { client_id: c, client_secret: s }\n",
        "",
        "`stripe` needs `auth0.management`",
    ),
    ("'sqlite://t.db'", "'mysql://h'", "`sqlite://tollgate.db`"),
    ("sk_test_a", "sk_prod_a", "no secret key of Stripe's"),
    (
        "sk_test_a",
        "rk_live_a",
        "of test mode, the secret key of live mode",
    ),
    ("pk_test_a", "sk_test_a", "starts with `pk_test_`"),
    ("whsec_a", "sec_a", "starts with `whsec_`"),
    ("whsec_a", "' '", "it is blank"),
    (
        "https://app.example.com",
        "app.example.com",
        "start it with `http://`",
    ),
    (
        "price: price_a, mode: subscription",
        "price: price_a",
        "a price but no `mode`",
    ),
    (
        "price: price_a, mode: subscription",
        "mode: subscription",
        "a `mode` but no price",
    ),
    (
        "price: price_a,",
        "price: price_a, prices: [b],",
        "`price` and `prices`",
    ),
    ("price: price_a", "price: prod_a", "this is a product"),
    (
        "role: premium,",
        "role: free-user,",
        "belongs to another plan already (line 13)",
    ),
    ("role: premium,", "role: premum,", "did you mean `premium`?"),
    (
        "price: price_a,",
        "prices: [price_a, price_b, price_a],",
        "the price `price_a` stands twice in this plan",
    ),
    (
        "name: monthly",
        "name: free",
        "the name `free` belongs to another plan",
    ),
    (
        "name: free, role: free-user",
        "name: free, role: free-user, price: p, mode: payment",
        "`free` is not for sale",
    ),
    (
        "mode: subscription",
        "mode: subscription, replaces: [monthly]",
        "`monthly` is no lower plan",
    ),
    (
        "mode: subscription",
        "mode: subscription, replaces: [weekly]",
        "`weekly` is no lower plan",
    ),
    (
        "http://127.0.0.1:8002",
        "http://127.0.0.1:8002/api",
        "none is put before them",
    ),
    (
        "http://127.0.0.1:8002",
        "http://localhost:8001",
        "where Tollgate itself listens",
    ),
    (
        "http://127.0.0.1:8002",
        "{ url: 'http://h', keep_headers: [X-Auth-Subject] }",
        "cannot be kept",
    ),
    (
        "http://127.0.0.1:8002",
        "{ url: 'http://h', assertion: { secret: short, audience: a } }",
        "too short",
    ),
    (
        "http://127.0.0.1:8002",
        "{ url: 'http://h', assertion: { header: X_Auth_Me, secret: s, audience: a } }",
        "in use already",
    ),
    (
        "store:",
        "cors: { allowed_origins: ['*'], allow_credentials: true }\nstore:",
        "any page could act",
    ),
    (
        "store:",
        "cors: { allowed_origins: ['https://a/x'] }\nstore:",
        "`https://a`",
    ),
    (
        "store:",
        "server: { listen: localhost:80 }\nstore:",
        "an IP address and a port",
    ),
    (
        "store:",
        "server: { listen: ['127.0.0.1:80', '0.0.0.0:80'] }\nstore:",
        "is listened on already",
    ),
    (
        "store:",
        "server: { max_header_bytes: 1KiB }\nstore:",
        "8KiB at least",
    ),
    ("store:", "server: { workers: 0 }\nstore:", "more than 0"),
    (
        "store:",
        "server: { base_path: /api/ }\nstore:",
        "end it without",
    ),
    (
        "store:",
        "server: { trusted_proxies: [10.0.0.0/64] }\nstore:",
        "expected a network",
    ),
    (
        "store:",
        "server: { drain_timeout: 10 }\nstore:",
        "a whole number and a unit",
    ),
    (
        "store:",
        "admin: { listen: '127.0.0.1:8001' }\nstore:",
        "public listener too",
    ),
    (
        "store:",
        "admin: { token: 0123456789abcde }\nstore:",
        "less than 16 characters",
    ),
    (
        "whsec_a",
        "whsec_a, url: hooks.example.com",
        "start it with `http://`",
    ),
    ("store:", "sync: { deadline: 0s }\nstore:", "more than 0"),
    (
        "store:",
        "sync: { deadline: 999ms }\nstore:",
        "no try of a job would ever end",
    ),
    (
        "store:",
        "reconcile: { fix: true }\nstore:",
        "`every` is missing",
    ),
    ("store:", "reconcile: { every: 0s }\nstore:", "more than 0"),
    (
        "store:",
        "reconcile: { every: 999ms }\nstore:",
        "without a pause",
    ),
    (
        "store:",
        "rate_limits: [{ path: /, per: client, rate: 0/s }]\nstore:",
        "expected a rate",
    ),
    (
        "store:",
        "rate_limits: [{ path: /, per: client, rate: 1/s, burst: 0 }]\nstore:",
        "nothing would pass",
    ),
    (
        "store:",
        "telemetry: { otlp: { endpoint: 'http://x', sample: 2 } }\nstore:",
        "no share of the whole",
    ),
    (
        "store:",
        "log: { level: 'a=b=c' }\nstore:",
        "is no log filter",
    ),
    (
        "store:",
        "tests: [{ path: /, expect: 500 }]\nstore:",
        "400, 401, 403, 404 or 405",
    ),
    (
        "store:",
        "store: { url: 'sqlite://b.db' }\nstore:",
        "a second time, first on line 16",
    ),
];

#[test]
fn each_rule_has_its_own_words() {
    read(GOOD).unwrap_or_else(|report| panic!("{report}"));
    for (from, to, expected) in RULES {
        assert!(GOOD.contains(from), "{from}");
        let report = match read(&GOOD.replacen(from, to, 1)) {
            Ok(_) => panic!("{to}: no mistake was found"),
            Err(report) => report.to_string(),
        };
        assert!(report.contains(expected), "{to}\n{report}");
    }
}

#[test]
fn a_look_at_all_users_needs_payments() {
    let (gate, _) = GOOD.split_once("stripe:").unwrap();
    let report = read(&format!("{gate}reconcile: {{ every: 24h }}\n")).unwrap_err();
    let report = report.to_string();
    assert!(
        report.contains("`reconcile` needs `stripe`, which is missing")
            && report.ends_with("1 mistake in tollgate.yaml"),
        "{report}"
    );
}

#[test]
fn a_token_that_is_too_short_is_not_shown() {
    let report = read(&format!("{GOOD}admin: {{ token: topsecret }}\n")).unwrap_err();
    let report = report.to_string();
    assert!(
        report.contains("can be guessed") && !report.contains("topsecret"),
        "{report}"
    );
}
