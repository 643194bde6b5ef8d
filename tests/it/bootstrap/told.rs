//! What a run is told, and what it tells.

use std::io::Write as _;
use std::process::{Output, Stdio};

use http::Method;

use super::{Place, Told, WEBHOOK};
use crate::support::auth0::{CLIENT_SECRET, Fault as Auth0Fault, Trouble};
use crate::support::stripe::{Fault, SECRET};

impl Place {
    /// A run without arguments that is sent this text.
    async fn answered(&self, text: &'static str) -> Told {
        let mut command = self.command("bootstrap", &[]);
        command.stdin(Stdio::piped());
        let running = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn()?;
            let mut input = child.stdin.take().expect("a pipe");
            input.write_all(text.as_bytes())?;
            // It stays open: nobody is waited for.
            let output = child.wait_with_output();
            drop(input);
            output
        });
        let output: Output = running.await.expect("no panic").expect("the binary runs");
        Told {
            status: output.status.code().expect("an exit status"),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
        }
    }

    /// Changes the config file.
    fn edit(&self, from: &str, to: &str) {
        let file = self.folder.path().join("tollgate.yaml");
        let text = std::fs::read_to_string(&file).expect("the config");
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).expect("a file");
    }
}

#[tokio::test]
async fn an_answer_that_is_piped_counts() {
    let place = Place::empty();
    for (text, said) in [
        ("n\n", "Nothing was changed."),
        ("\n", "Nothing was changed."),
        ("", "`--yes` does it"),
    ] {
        place.answered(text).await.assert(1, &[said]);
        assert_eq!(place.writes(), 0, "{text:?}");
    }
    place.answered("y\n").await.assert(0, &["Apply? [y/N] y"]);
    place.assert_whole();
}

#[tokio::test]
async fn what_the_first_look_did_not_see_is_told_once_and_not_verified() {
    let place = Place::empty();
    let broken = Trouble::Instead(Auth0Fault::Status(404));
    place
        .auth0
        .trouble_times(1, Method::GET, "/api/v2/roles", broken);
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(1, &["cannot look at the roles", "done   webhook endpoint"]);
    assert!(!told.text.contains("still not so"), "{}", told.text);
    assert!(!told.text.contains("FAILED"), "{}", told.text);
    place.bootstrap(&["--yes"]).await.assert(0, &[]);
    place.assert_whole();
}

#[tokio::test]
async fn what_could_not_be_looked_at_is_not_said_to_be_as_the_config_wants_it() {
    let mut place = Place::empty();
    place.stripe.go_down().await;
    let no_stripe = place.bootstrap(&["--yes"]).await;
    let other = Place::empty();
    other.edit(CLIENT_SECRET, "wrong");
    let no_tenant = other.bootstrap(&["--yes"]).await;
    for told in [no_stripe, no_tenant] {
        let rest = "\nThe rest is as the config wants it.";
        told.assert(1, &["cannot look at", "done   ", rest]);
        assert!(!told.text.contains("Everything is"), "{}", told.text);
    }
}

#[tokio::test]
async fn a_wrong_config_is_the_same_small_object_for_programs_in_every_command() {
    let place = Place::empty();
    place.edit("frontend_url", "frontend_ulr");
    for (command, arguments) in [
        ("bootstrap", &["--json"][..]),
        ("doctor", &["--json"]),
        ("reconcile", &["--json"]),
        ("explain", &["GET", "/", "--json"]),
        ("events", &["list", "--json"]),
    ] {
        let told = place.run(command, arguments).await;
        assert_eq!(told.status, 2, "{command}: {}", told.text);
        let answer = told.json();
        assert_eq!(answer["ok"], false, "{command}");
        let keys = answer.as_object().map(serde_json::Map::len);
        assert_eq!(keys, Some(2), "{command}: {answer}");
        let errors = answer["errors"].to_string();
        assert!(errors.contains("frontend_ulr"), "{command}: {errors}");
    }
    let check = place.run("check", &["--json"]).await.json();
    assert!(check["errors"][0].is_object() && check["routes"].is_array());
}

#[tokio::test]
async fn what_nobody_can_see_is_told_once() {
    let place = Place::empty();
    place.stripe.withhold("webhook_read");
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(1, &["cannot look at the webhook endpoints"]);
    let count = told.text.matches("the webhook endpoints").count();
    assert_eq!(count, 1, "{}", told.text);
}

#[tokio::test]
async fn a_stripe_without_a_list_of_endpoints_is_told_as_such() {
    let place = Place::empty();
    place
        .stripe
        .fault("GET", "/v1/webhook_endpoints", Fault::status(404));
    let told = place.bootstrap(&["--dry-run"]).await;
    told.assert(1, &["no webhook endpoints to list"]);
    assert!(!told.text.contains("public addresses"), "{}", told.text);
}

#[tokio::test]
async fn a_guessed_address_is_told_beside_the_plan() {
    let place = Place::empty();
    let told = place.bootstrap(&["--dry-run"]).await;
    assert!(!told.text.contains("guessed"), "{}", told.text);
    place.edit(&format!(", url: {WEBHOOK}"), "");
    let told = place.bootstrap(&["--dry-run"]).await;
    told.assert(0, &["is guessed from frontend_url and base_path"]);
}

#[tokio::test]
async fn a_role_is_described_by_its_plan() {
    let place = Place::empty();
    place.bootstrap(&["--yes"]).await.assert(0, &[]);
    let seen = place.auth0.seen();
    let made = seen
        .iter()
        .find(|seen| seen.method == Method::POST && seen.body["name"] == "premium-monthly");
    let made = made.expect("the role is made");
    assert_eq!(made.body["description"], "Plan monthly (Tollgate)");
}

#[tokio::test]
async fn a_secret_is_told_with_the_place_that_the_config_names() {
    let place = Place::empty();
    let file = place.secret_file().display().to_string();
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(0, &[&format!("Write it to the file {file}")]);
    assert!(!told.text.contains("stripe: {"), "{}", told.text);
    // The config has a secret, and names no place for another.
    let place = Place::empty();
    let file = place.secret_file().display().to_string();
    place.edit(&format!("\"${{file:{file}}}\""), SECRET);
    let elsewhere = place.folder.path().join("other").display().to_string();
    let write = ["--yes", "--write-secret", &elsewhere];
    let told = place.bootstrap(&write).await;
    told.assert(0, &["In the config, beside those", &elsewhere]);
}

#[tokio::test]
async fn help_tells_the_statuses() {
    let place = Place::empty();
    for command in ["bootstrap", "doctor"] {
        let told = place.run(command, &["--help"]).await;
        told.assert(0, &["Exit status: 0", "WARN"]);
    }
    let told = place.run("doctor", &["--help"]).await;
    told.assert(0, &["Nothing is changed anywhere"]);
}
