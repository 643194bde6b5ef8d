//! A file whose webhook endpoint is still to be made.

use std::path::PathBuf;

use tempfile::TempDir;
use tollgate::config::{Config, Report, load, load_unfinished};

use super::{GOOD, env};

/// `GOOD` in a file, with these signing secrets.
fn file(secrets: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tollgate.yaml");
    let secrets = secrets.replace("DIR", &folder.path().display().to_string());
    let text = GOOD.replace("secrets: whsec_a", &format!("secrets: {secrets}"));
    std::fs::write(&path, text).expect("a file");
    std::fs::write(folder.path().join("empty"), "").expect("a file");
    std::fs::write(folder.path().join("there"), "whsec_file\n").expect("a file");
    (folder, path)
}

fn with_empty(name: &str) -> Option<String> {
    if name == "EMPTY" {
        Some(String::new())
    } else {
        env(name)
    }
}

fn unfinished(secrets: &str) -> Result<Config, Report> {
    let (_folder, path) = file(secrets);
    load_unfinished(&path, &with_empty)
}

fn strict(secrets: &str) -> Result<Config, Report> {
    let (_folder, path) = file(secrets);
    load(&path, &with_empty)
}

/// What leads to no secret yet.
const NOTHING: [&str; 8] = [
    "'${NONE}'",
    "['${NONE}']",
    "['${NONE}', '${EMPTY}']",
    "'${EMPTY}'",
    "'${NONE:-}'",
    "'${file:DIR/none}'",
    "['${file:DIR/empty}']",
    "['${file:DIR/none}', '${NONE}']",
];

#[test]
fn a_signing_secret_that_is_not_there_yet_is_left_out_and_named() {
    for secrets in NOTHING {
        let config = unfinished(secrets).unwrap_or_else(|report| panic!("{secrets}\n{report}"));
        let billing = config.billing.unwrap();
        assert!(billing.endpoints.webhook_secrets.is_empty(), "{secrets}");
        let named = 1 + secrets.matches(", ").count();
        assert_eq!(billing.unset_secrets.len(), named, "{secrets}");
    }
}

#[test]
fn signing_secrets_that_are_there_are_kept() {
    for (secrets, expected, unset) in [
        ("whsec_a", vec!["whsec_a"], 0),
        (
            "['${NONE}', '${STRIPE_WEBHOOK_SECRET}']",
            vec!["whsec_abc"],
            1,
        ),
        (
            "['${file:DIR/there}', whsec_b]",
            vec!["whsec_file", "whsec_b"],
            0,
        ),
        ("'${NONE:-whsec_default}'", vec!["whsec_default"], 0),
    ] {
        let config = unfinished(secrets).unwrap_or_else(|report| panic!("{secrets}\n{report}"));
        let billing = config.billing.unwrap();
        assert_eq!(billing.unset_secrets.len(), unset, "{secrets}");
        let known = billing.endpoints.webhook_secrets;
        let known: Vec<&str> = known.iter().map(tollgate::types::Secret::expose).collect();
        assert_eq!(known, expected);
    }
}

#[test]
fn everything_else_is_as_strict_as_ever() {
    for secrets in [
        "[]",
        "' '",
        "wrong",
        "'x${NONE}'",
        "'${NO NAME}'",
        "'${file:DIR}'",
        "['${NONE}', wrong]",
        "'${AUTH0_DOMAIN}'",
    ] {
        assert!(unfinished(secrets).is_err(), "{secrets}");
    }
    let (_folder, path) = file("whsec_a");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("sk_test_a", "'${NONE}'")).unwrap();
    let report = load_unfinished(&path, &env).unwrap_err().to_string();
    assert!(
        report.contains("`NONE` is not set") && !report.contains("bootstrap"),
        "{report}"
    );
}

#[test]
fn whoever_has_no_signing_secret_is_told_how_to_come_by_one() {
    for secrets in NOTHING {
        let report = match strict(secrets) {
            Ok(_) => panic!("{secrets}: it loaded"),
            Err(report) => report.to_string(),
        };
        assert!(
            report.contains("run `tollgate bootstrap`"),
            "{secrets}\n{report}"
        );
    }
    let report = strict("[whsec_a, wrong]").unwrap_err().to_string();
    assert!(!report.contains("bootstrap"), "{report}");
}
