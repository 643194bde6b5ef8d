//! Numbers that no machine has: said by the config, not found out while requests are served.

use super::{GOOD, read, schema};

/// Where a number has a top, the top, and what is said above it.
const TOPS: &[(&str, u64)] = &[
    ("server: { max_connections: N }", 1_000_000),
    ("server: { max_headers: N }", 10_000),
    ("server: { workers: N }", 1_024),
    ("server: { http2: { max_streams: N } }", 10_000),
    ("server: { http2: { max_resets: N } }", 10_000),
    ("sync: { workers: N }", 1_000),
    (
        "rate_limits: [{ path: /, per: client, rate: 1/h, burst: N }]",
        1_000_000,
    ),
];

/// `GOOD` with one more line, which may replace part of another.
fn with(line: &str) -> String {
    format!("{GOOD}{line}\n")
}

fn complaint(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("{text}: no mistake was found"),
        Err(report) => report.to_string(),
    }
}

fn check(text: &dyn Fn(&str) -> String, top: u64) {
    for fits in ["1", &top.to_string()] {
        read(&text(fits)).unwrap_or_else(|report| panic!("{report}"));
    }
    for above in [
        (top + 1).to_string(),
        "4611686018427387904".to_owned(),
        u64::MAX.to_string(),
    ] {
        let report = complaint(&text(&above));
        assert!(
            report.contains(&format!("this must be {top} or less"))
                && report.contains(&format!("to {top}"))
                && report.ends_with("1 mistake in tollgate.yaml"),
            "{report}"
        );
    }
    assert!(complaint(&text("-1")).contains("a whole number from "));
}

#[test]
fn every_number_has_a_top() {
    for (line, top) in TOPS {
        check(&|number| with(&line.replace('N', number)), *top);
    }
    let upstream = |number: &str| {
        let section = format!("{{ url: 'http://127.0.0.1:8002', max_connections: {number} }}");
        GOOD.replacen("http://127.0.0.1:8002", &section, 1)
    };
    check(&upstream, 1_000_000);
    let cache = |number: &str| {
        let line = format!("audience: a\n  token_cache: {{ entries: {number} }}");
        GOOD.replacen("audience: a", &line, 1)
    };
    check(&cache, 10_000_000);
    assert!(read(&cache("0")).is_ok(), "0 switches the cache off");
}

#[test]
fn sizes_that_are_held_in_memory_have_a_top() {
    assert!(read(&with("server: { max_header_bytes: 16MiB }")).is_ok());
    for size in ["16777217", "17MiB", "17179869183GiB"] {
        let report = complaint(&with(&format!("server: {{ max_header_bytes: {size} }}")));
        assert!(report.contains("16MiB at most"), "{report}");
    }
    let cache = |size: &str| {
        let line = format!("audience: a\n  token_cache: {{ bytes: {size} }}");
        GOOD.replacen("audience: a", &line, 1)
    };
    assert!(read(&cache("64GiB")).is_ok());
    let report = complaint(&cache("65GiB"));
    assert!(report.contains("64GiB at most"), "{report}");
}

#[test]
fn the_schema_knows_the_tops() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let most =
        |section: &str, key: &str| schema["$defs"][section]["properties"][key]["maximum"].as_u64();
    assert_eq!(most("Server", "max_connections"), Some(1_000_000));
    assert_eq!(most("Server", "max_headers"), Some(10_000));
    assert_eq!(most("Server", "workers"), Some(1_024));
    assert_eq!(most("Upstream", "max_connections"), Some(1_000_000));
    assert_eq!(most("RateLimit", "burst"), Some(1_000_000));
}
