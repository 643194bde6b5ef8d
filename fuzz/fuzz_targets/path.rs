//! The path of a request: normal once is normal for ever, and the most lenient backend reads what was matched.
#![no_main]

use std::borrow::Cow;

use http::Method;
use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::percent_decode_str;
use tollgate::policy::{
    Fallback, Found, Methods, NormalPath, PathRules, Pattern, Requirement, Route, Semicolons, Table,
};

/// Paths with a rule of their own, in a table that is open everywhere else.
const GUARDED: [&str; 4] = ["/admin", "/admin/command", "/pub/secret", "/a"];

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(([choice], raw)) = input.split_first_chunk() else {
        return Corpus::Reject;
    };
    let Ok(raw) = std::str::from_utf8(raw) else {
        return Corpus::Reject;
    };
    let rules = PathRules {
        base_path: None,
        semicolons: if choice & 1 == 0 {
            Semicolons::Reject
        } else {
            Semicolons::Allow
        },
        merge_slashes: choice & 2 != 0,
    };
    if let Ok(path) = NormalPath::parse(raw, &rules) {
        is_normal(&path, &rules);
        reads_as_matched(&path);
        stays_guarded(&path);
    }
    Corpus::Keep
});

/// Normalising twice changes nothing.
fn is_normal(path: &NormalPath<'_>, rules: &PathRules) {
    let twice = NormalPath::parse(path.as_str(), rules);
    assert_eq!(twice.as_ref().map(NormalPath::as_str), Ok(path.as_str()));
}

/// Whatever a backend folds together, it reads the segments that were matched.
fn reads_as_matched(path: &NormalPath<'_>) {
    let segments: Vec<Cow<'_, str>> = path.segments().collect();
    let matched = worst_reading(&format!("/{}", segments.join("/")));
    assert_eq!(worst_reading(path.as_str()), matched, "{path:?}");
}

/// A path that some backend takes for a guarded one gets that one's rule.
fn stays_guarded(path: &NormalPath<'_>) {
    let reading = worst_reading(path.as_str());
    if GUARDED.contains(&reading.as_str()) {
        let table = table();
        let found = table.find(path, &Method::GET);
        let Found::Route { index, .. } = found else {
            panic!("{path:?} is read as {reading} and has no rule");
        };
        assert_eq!(table.routes()[index].pattern.as_str(), reading, "{path:?}");
    }
}

fn table() -> Table {
    let route = |pattern: &str, requirement| Route {
        pattern: Pattern::parse(pattern).expect("a pattern"),
        methods: Methods::All,
        requirement,
    };
    let mut routes: Vec<Route> = GUARDED
        .iter()
        .map(|pattern| route(pattern, Requirement::Authenticated))
        .collect();
    routes.push(route("/pub/{*rest}", Requirement::Public));
    routes.push(route("/{*rest}", Requirement::Public));
    Table::build(routes, Fallback::Apply(Requirement::Public)).expect("a table without ties")
}

/// What the most lenient backend could make of a path: decode until nothing changes, fold, resolve dots.
fn worst_reading(path: &str) -> String {
    let mut text = path.to_owned();
    loop {
        let next = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if next == text {
            break;
        }
        text = next;
    }
    let text = text.replace('\\', "/").to_lowercase();
    let mut out: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(out.pop()),
            name => out.push(name),
        }
    }
    format!("/{}", out.join("/"))
}
