//! `tollgate check`: reads the config, prints the route table and runs the file's `tests:`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::config::{self, Config, Expect, Report, Reported, TestCase};
use crate::gate::{RouteLine, Verdict, made_up, route_lines, verdict};
use crate::policy::Credential;

/// Checks the file at `path`: 0 good, 1 a test failed, 2 the config has mistakes.
///
/// # Errors
///
/// When `out` cannot be written to.
pub(crate) fn run(path: &Path, json: bool, out: &mut dyn Write) -> io::Result<u8> {
    match config::load(path, &config::process_env) {
        Ok(config) => {
            let tests: Vec<Outcome> = config
                .tests
                .iter()
                .map(|test| outcome(&config, test))
                .collect();
            if json {
                print_json(&config, &tests, out)?;
            } else {
                print_table(&config, out)?;
                print_tests(path, &tests, out)?;
            }
            Ok(u8::from(tests.iter().any(|test| !test.pass)))
        }
        Err(report) => {
            if json {
                let answer = Answer {
                    ok: false,
                    errors: report.mistakes(),
                    routes: Vec::new(),
                    tests: &[],
                };
                print_as_json(&answer, out)?;
            } else {
                report_mistakes(&report, false, out)?;
            }
            Ok(2)
        }
    }
}

/// Prints what is wrong with the config, for people or for programs: whichever command they asked, they get the same.
pub(super) fn report_mistakes(report: &Report, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if !json {
        return writeln!(out, "{report}");
    }
    let answer = Mistaken {
        ok: false,
        errors: report.mistakes(),
    };
    print_as_json(&answer, out)
}

/// What `--json` of any other command prints when the config is wrong.
#[derive(Serialize)]
struct Mistaken<'a> {
    ok: bool,
    errors: &'a [Reported],
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    ok: bool,
    errors: &'a [Reported],
    routes: Vec<RouteLine>,
    tests: &'a [Outcome],
}

/// What a test came to.
#[derive(Serialize)]
struct Outcome {
    line: usize,
    request: String,
    expected: String,
    found: String,
    why: String,
    pass: bool,
}

/// Whether what `test` expects is what would become of its request.
pub(super) fn holds(config: &Config, test: &TestCase) -> bool {
    tried(config, test).0 == test.expect
}

/// What would become of the request of `test`, and why.
fn tried(config: &Config, test: &TestCase) -> (Expect, String) {
    let credential = match &test.permissions {
        None => Credential::None,
        Some(permissions) => made_up(permissions),
    };
    let Verdict { refused, why, .. } = verdict(&config.gate, &test.method, &test.path, credential);
    (refused.map_or(Expect::Allow, Expect::Refuse), why)
}

fn outcome(config: &Config, test: &TestCase) -> Outcome {
    let (found, why) = tried(config, test);
    let with = match &test.permissions {
        None => "without a token".to_owned(),
        Some(permissions) => format!("with permissions: [{}]", permissions.join(", ")),
    };
    Outcome {
        line: test.line,
        request: format!("{} {} {with}", test.method, test.path),
        expected: test.expect.to_string(),
        found: found.to_string(),
        why,
        pass: found == test.expect,
    }
}

fn print_table(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let head = RouteLine {
        path: "PATH".into(),
        methods: "METHODS".into(),
        requirement: "NEEDS".into(),
        line: None,
    };
    let mut lines = vec![head];
    lines.extend(route_lines(&config.gate, &config.route_lines));
    let width = |text: fn(&RouteLine) -> &str| {
        lines
            .iter()
            .map(|line| text(line).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (paths, methods) = (width(|line| &line.path), width(|line| &line.methods));
    for line in &lines {
        writeln!(
            out,
            "{:paths$}  {:methods$}  {}",
            line.path, line.methods, line.requirement
        )?;
    }
    writeln!(out)
}

fn print_tests(path: &Path, tests: &[Outcome], out: &mut dyn Write) -> io::Result<()> {
    let failed: Vec<_> = tests.iter().filter(|test| !test.pass).collect();
    for test in &failed {
        let Outcome {
            line,
            request,
            expected,
            found,
            why,
            ..
        } = test;
        writeln!(out, "FAIL {}:{line}: {request}", path.display())?;
        writeln!(out, "     expected {expected}, found {found}: {why}")?;
    }
    let mut closing = format!("{}: the config is valid", path.display());
    let _ = match (tests.len(), failed.len()) {
        (0, _) => Ok(()),
        (1, 0) => write!(closing, "; PASS, its test"),
        (all, 0) => write!(closing, "; PASS, all {all} tests"),
        (all, failed) => write!(closing, "; FAIL, {failed} of {all} tests"),
    };
    writeln!(out, "{closing}")
}

fn print_json(config: &Config, tests: &[Outcome], out: &mut dyn Write) -> io::Result<()> {
    let ok = tests.iter().all(|test| test.pass);
    print_as_json(
        &Answer {
            ok,
            errors: &[],
            routes: route_lines(&config.gate, &config.route_lines),
            tests,
        },
        out,
    )
}

/// Prints `value` as one JSON document.
pub(super) fn print_as_json(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    writeln!(out, "{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
upstream: http://127.0.0.1:8002
auth0: { domain: t.auth0.com, audience: a }
routes:
  - { path: /, access: public }
  - { path: '/a/{*rest}', methods: [GET, POST], permissions: [a] }
tests:
  - { path: /, expect: allow }
  - { path: /a/b, expect: 401 }
  - { path: /a/b, permissions: [], expect: 403 }
  - { path: /a/b, permissions: [a], expect: allow }
  - { method: PUT, path: /a/b, permissions: [a], expect: 405 }
  - { path: /a//b, expect: 400 }
  - { path: /else, permissions: [a], expect: 403 }
";

    fn check(text: &str, json: bool) -> (u8, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut out = Vec::new();
        let status = run(file.path(), json, &mut out).unwrap();
        (
            status,
            String::from_utf8(out)
                .unwrap()
                .replace(&*file.path().to_string_lossy(), "FILE"),
        )
    }

    #[test]
    fn a_good_file_gives_its_route_table_and_status_0() {
        let (status, text) = check(FILE, false);
        let expected = "\
PATH            METHODS   NEEDS
/               *         public
/a/{*rest}      GET,POST  permissions: [a]
any other path  *         deny

FILE: the config is valid; PASS, all 7 tests
";
        assert_eq!((status, text.as_str()), (0, expected));
    }

    #[test]
    fn a_test_that_fails_is_shown_with_its_line_and_the_reason_and_gives_status_1() {
        let (status, text) = check(
            &FILE.replace(
                "permissions: [a], expect: allow",
                "permissions: [b], expect: allow",
            ),
            false,
        );
        assert_eq!(status, 1);
        assert!(text.contains("FAIL FILE:11: GET /a/b with permissions: [b]\n     expected allow, found 403: the token lacks a\n"), "{text}");
        assert!(text.ends_with("FAIL, 1 of 7 tests\n"), "{text}");
    }

    #[test]
    fn mistakes_give_status_2() {
        let (status, text) = check(&FILE.replace("routes:", "ruotes:"), false);
        assert_eq!(status, 2);
        assert!(text.contains("FILE:4:1: unknown key `ruotes`"), "{text}");
    }

    #[test]
    fn json_says_the_same() {
        let (status, text) = check(FILE, true);
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (status, &answer["ok"], &answer["routes"][1]["line"]),
            (0, &true.into(), &6.into())
        );
        let (status, text) = check("upstream: 1\n", true);
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (status, &answer["ok"], &answer["errors"][0]["line"]),
            (2, &false.into(), &1.into())
        );
    }
}
