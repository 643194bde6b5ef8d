//! The config file itself: it was read, and does what its `tests:` say.

use super::report::Check;
use crate::cli::check::holds;
use crate::config::Config;

const FILE: &str = "file";

/// A file that could not be read is no check: the command ends before.
pub(super) fn check(config: &Config) -> Vec<Check> {
    let file = file(config);
    let lines: Vec<String> = config
        .tests
        .iter()
        .filter(|test| !holds(config, test))
        .map(|test| test.line.to_string())
        .collect();
    let tests = match (config.tests.len(), lines.as_slice()) {
        (0, _) => return vec![file],
        (count, []) => Check::pass("tests", format!("all {count} hold")),
        (_, lines) => Check::fail(
            "tests",
            format!("those of these lines do not hold: {}", lines.join(", ")),
            "Run `tollgate check`, which says what becomes of each request and why.",
        ),
    };
    vec![file, tests]
}

/// Whether it can be served as it is: signing secrets may be written down before they are there.
fn file(config: &Config) -> Check {
    let name = config.file.display();
    let unset = config.billing.as_ref();
    let unset = unset.map(|billing| billing.unset_secrets.len());
    match unset {
        None | Some(0) => Check::pass(FILE, format!("{name} is valid")),
        Some(_) => Check::warn(
            FILE,
            format!("{name} is whole but for the webhook's signing secret"),
            "Set it as `webhook secret` below says; until then `tollgate serve` refuses the file.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;
    use crate::config::parse;

    fn statuses(tests: &str) -> Vec<Status> {
        let file = format!(
            "upstream: http://127.0.0.1:8002\nroutes: [{{ path: /, access: public }}]\n{tests}"
        );
        let config = parse("f".as_ref(), &file, &|_| None).unwrap();
        check(&config).iter().map(|check| check.status).collect()
    }

    #[test]
    fn the_tests_of_the_file_are_run() {
        let test = |expect| format!("tests: [{{ method: GET, path: /, expect: {expect} }}]");
        assert_eq!(statuses(""), [Status::Pass]);
        assert_eq!(statuses(&test("allow")), [Status::Pass, Status::Pass]);
        assert_eq!(statuses(&test("403")), [Status::Pass, Status::Fail]);
    }
}
