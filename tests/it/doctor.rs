//! `tollgate doctor`, between the stand-ins: all well, one thing broken at a time, and everything away.

mod auth0;
mod gate_alone;
mod ledger;
mod local;
mod run;
mod stripe;

use run::{Clinic, Line};

/// A change of the config file's text.
type Edit = fn(&str) -> String;

/// One thing that is broken, and all that doctor says of it.
struct Case {
    /// What is wrong.
    what: &'static str,
    /// Breaks it.
    breaks: fn(&Clinic),
    /// Changes the config file.
    edit: Edit,
    /// The lines that do not pass, in their order.
    lines: &'static [Line],
}

/// Each case in a world of its own: these lines and no others do not pass, and the status follows them.
async fn examine(cases: &[Case]) {
    for case in cases {
        let clinic = Clinic::open().await;
        (case.breaks)(&clinic);
        let report = clinic.doctor(case.edit).await;
        report.assert_lines(case.what, case.lines);
    }
}

/// The file as it is.
fn as_it_is(yaml: &str) -> String {
    yaml.to_owned()
}

/// The file with a backend that is not there: port 9 is "discard", which nobody serves any more.
fn without_backend(yaml: &str) -> String {
    let url = "upstream:\n  url: http://127.0.0.1:";
    yaml.replacen(url, &format!("{url}9\n  # "), 1)
}

/// Nothing is broken but by the config.
fn nothing(_: &Clinic) {}

#[tokio::test]
async fn a_healthy_set_up_passes_every_check() {
    let clinic = Clinic::open().await;
    let report = clinic.doctor(as_it_is).await;
    report.assert_lines("nothing", &[]);
    let names: Vec<&str> = report.names();
    for name in [
        "file",
        "answers",
        "keys",
        "issuer",
        "clock",
        "management token",
        "scopes",
        "api",
        "api RBAC",
        "api tokens",
        "api permissions",
        "role free-user",
        "role admin",
        "key",
        "account",
        "price monthly",
        "price lifetime",
        "webhook endpoint",
        "webhook events",
        "webhook version",
        "webhook secret",
        "webhook address",
        "portal",
        "ledger",
        "jobs",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(names.iter().filter(|name| **name == "clock").count(), 2);
}

#[tokio::test]
async fn people_and_programs_are_told_the_same() {
    let clinic = Clinic::open().await;
    clinic.stripe().set_up_portal(false);
    clinic.auth0().delete_role("admin");
    let json = clinic.doctor(as_it_is).await;
    let text = clinic.doctor_in_words(as_it_is).await;
    assert_eq!(text.status, 1);
    for word in ["PASS", "WARN", "FAIL"] {
        let lines = text.text.lines().filter(|line| line.starts_with(word));
        assert_eq!(lines.count(), json.count(word), "{}", text.text);
    }
    let last = text.text.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("1 check failed, 1 warning, ") && last.ends_with(" checks passed."),
        "{last}"
    );
    assert!(
        !text.text.contains('\u{1b}'),
        "no colours but on a terminal"
    );
    let again = clinic.doctor_in_words(as_it_is).await;
    let names = |report: &run::Words| -> Vec<String> {
        let lines = report.text.lines().filter(|line| line.len() > 6);
        lines.map(|line| line.chars().take(24).collect()).collect()
    };
    assert_eq!(names(&text), names(&again), "the order is fixed");
}

#[tokio::test]
async fn everything_away_is_told_in_time() {
    let mut clinic = Clinic::open().await;
    clinic.everything_goes_down().await;
    let report = clinic.doctor(without_backend).await;
    assert_eq!(report.status, 1);
    for line in [
        "upstream answers",
        "auth0 keys",
        "auth0 management token",
        "stripe key",
    ] {
        assert_eq!(report.status_of(line), "FAIL", "{line}");
    }
    assert_eq!(report.status_of("ledger ledger"), "PASS");
}

#[tokio::test]
async fn services_that_never_answer_do_not_hold_doctor() {
    let clinic = Clinic::open().await;
    clinic.everything_hangs();
    let began = std::time::Instant::now();
    let report = clinic.doctor(as_it_is).await;
    // Well above what doctor waits for everything together, on a machine that is busy too.
    assert!(began.elapsed().as_secs() < 40, "{:?}", began.elapsed());
    assert_eq!(report.status, 1);
    for line in ["auth0 keys", "auth0 management token", "stripe key"] {
        assert_eq!(report.status_of(line), "FAIL", "{line}");
    }
    assert_eq!(report.status_of("upstream answers"), "PASS");
}

#[tokio::test]
async fn a_config_with_mistakes_ends_with_2() {
    let clinic = Clinic::open().await;
    let broken = |yaml: &str| format!("{yaml}\nupstraem: x\n");
    let report = clinic.doctor_in_words(broken).await;
    assert_eq!(report.status, 2);
    assert!(report.text.contains("upstraem"), "{}", report.text);
    let report = clinic.doctor(broken).await;
    assert_eq!(report.status, 2);
    assert_eq!(report.key("ok"), false);
    let message = report.key("errors")[0]["message"].as_str();
    assert!(message.is_some_and(|text| text.contains("upstraem")));
    assert!(report.key("checks").is_null(), "nothing is looked at");
}
