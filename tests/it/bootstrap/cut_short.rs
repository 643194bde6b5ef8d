//! A run that ends before its end: killed, asked to stop, or with nobody who reads what it says.

use std::fs::{File, OpenOptions};
use std::process::{Child, Output, Stdio};

use http::Method;
use rustix::process::{Pid, Signal, kill_process};

use super::Place;
use crate::support::auth0::Trouble;
use crate::support::stripe::Fault;

const ENDPOINTS: &str = "/v1/webhook_endpoints";

fn send(signal: Signal, child: &Child) {
    kill_process(Pid::from_child(child), signal).expect("it runs");
}

async fn ended(child: Child) -> (i32, String) {
    let waiting = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output: Output = waiting.await.expect("no panic").expect("an end");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().expect("an exit status"), text)
}

impl Place {
    fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.command("bootstrap", arguments);
        command.spawn().expect("the binary starts")
    }

    /// The secret of the one endpoint that is there.
    fn secret(&self) -> String {
        let ids = self.stripe.ids("webhook_endpoint");
        assert_eq!(ids.len(), 1);
        self.stripe.secret_of(&ids[0])
    }
}

#[tokio::test]
async fn a_run_that_was_killed_before_it_wrote_the_secret_is_no_success_the_next_time() {
    let place = Place::empty();
    let file = place.secret_file();
    let name = file.display().to_string();
    let write = ["--yes", "--write-secret", &name];
    place.stripe.fault("POST", ENDPOINTS, Fault::Late);
    let mut child = place.begin(&write);
    place.stripe.until_calls(1, "POST", ENDPOINTS).await;
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    place.stripe.mend();
    place.stripe.release();
    for _ in 0..2 {
        let told = place.bootstrap(&write).await;
        told.assert(
            1,
            &[
                "cannot write the file",
                "is there already",
                "roll it",
                "delete the endpoint there",
            ],
        );
    }
    let told = place
        .bootstrap(&["--json", "--yes", "--write-secret", &name])
        .await;
    assert_eq!(told.status, 1);
    assert_eq!(told.json()["problems"].as_array().expect("a list").len(), 1);
    // Nobody waits for a file, or the plan alone was asked for.
    place.bootstrap(&["--yes"]).await.assert(0, &[]);
    let told = place
        .bootstrap(&["--dry-run", "--write-secret", &name])
        .await;
    told.assert(0, &["cannot write the file"]);
    // As it was told: the endpoint deleted, and run again.
    let id = place.stripe.ids("webhook_endpoint").remove(0);
    place.delete_endpoint(&id).await;
    place.bootstrap(&write).await.assert(0, &["is in the file"]);
    let written = std::fs::read_to_string(&file).expect("the secret");
    assert_eq!(written, place.secret());
    place.bootstrap(&write).await.assert(0, &[]);
}

#[tokio::test]
async fn a_run_that_is_asked_to_stop_ends_after_the_change_at_hand() {
    let place = Place::empty();
    let (held, door) = Trouble::held();
    place
        .auth0
        .trouble_times(1, Method::POST, "/api/v2/roles", held);
    let child = place.begin(&["--yes"]);
    place
        .auth0
        .until(|auth0| auth0.count(&Method::POST, "/api/v2/roles") == 1)
        .await;
    send(Signal::TERM, &child);
    door.open();
    let (status, text) = ended(child).await;
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("done   role"), "{text}");
    assert!(text.contains("Stopped; run this again"), "{text}");
    assert!(place.stripe.ids("webhook_endpoint").is_empty());
    place.bootstrap(&["--yes"]).await.assert(0, &[]);
    place.assert_whole();
}

#[tokio::test]
async fn a_run_that_is_asked_to_stop_during_the_last_change_has_done_everything() {
    for signal in [Signal::TERM, Signal::INT] {
        let place = Place::empty();
        place.stripe.fault("POST", ENDPOINTS, Fault::Late);
        let child = place.begin(&["--yes"]);
        place.stripe.until_calls(1, "POST", ENDPOINTS).await;
        send(signal, &child);
        place.stripe.mend();
        place.stripe.release();
        let (status, text) = ended(child).await;
        assert_eq!(status, 0, "{text}");
        assert!(text.contains(&place.secret()), "{text}");
        assert!(text.contains("Everything is as"), "{text}");
        assert!(!text.contains("Stopped"), "{text}");
        place.assert_whole();
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_run_at_once() {
    let place = Place::empty();
    place.stripe.fault("POST", ENDPOINTS, Fault::Hang);
    let file = place.secret_file();
    let name = file.display().to_string();
    let child = place.begin(&["--yes", "--write-secret", &name]);
    place.stripe.until_calls(1, "POST", ENDPOINTS).await;
    send(Signal::INT, &child);
    send(Signal::TERM, &child);
    let (status, text) = ended(child).await;
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("it was cut short"), "{text}");
    assert!(!file.exists(), "nothing was written");
}

#[tokio::test]
async fn a_secret_that_nobody_can_read_is_told_on_standard_error() {
    for arguments in [&["--yes"][..], &["--yes", "--json"]] {
        let place = Place::empty();
        let full: File = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("a disk that is full");
        let mut command = place.command("bootstrap", arguments);
        command.stdout(full).stderr(Stdio::piped());
        let running = tokio::task::spawn_blocking(move || command.output());
        let output = running.await.expect("no panic").expect("the binary runs");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&place.secret()), "{said}");
        place.assert_whole();
    }
    let place = Place::empty();
    let name = place.secret_file().display().to_string();
    let mut command = place.command("bootstrap", &["--yes", "--write-secret", &name]);
    command.stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    // As `| head` does.
    drop(child.stdout.take());
    let running = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = running.await.expect("no panic").expect("an end");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains(&place.secret()), "it is in the file: {said}");
    let written = std::fs::read_to_string(place.secret_file()).expect("the secret");
    assert_eq!(written, place.secret());
    place.assert_whole();
}
