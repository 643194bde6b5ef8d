//! `tollgate bootstrap`: an empty tenant and an empty account made to say what the config says.

mod cut_short;
mod meanwhile;
mod pace;
mod told;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tempfile::TempDir;
use tollgate::stripe::{EVENT_TYPES, verify};
use tollgate::types::Secret;

use crate::gate::Setup;
use crate::shop;
use crate::support::auth0::{AUDIENCE, Auth0, Fault as Auth0Fault, Trouble};
use crate::support::backend::Backend;
use crate::support::stripe::{Fault, KEY, SECRET, Stripe};
use crate::support::token;

/// Where events are to be sent.
const WEBHOOK: &str = "http://127.0.0.1:9/api/stripe/webhook";

/// A tenant, an account, and the shop's config, in which the signing secret comes from a file that is not there.
struct Place {
    auth0: Auth0,
    stripe: Stripe,
    folder: TempDir,
}

impl Place {
    /// Nothing is set up yet, and the client may do everything.
    fn empty() -> Self {
        let auth0 = Auth0::start_empty();
        auth0.grant_setup();
        Self::of(auth0, Stripe::start_empty())
    }

    fn of(auth0: Auth0, stripe: Stripe) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let setup = shop::setup(&auth0, &stripe, &Backend::start());
        let text = setup.yaml_in(folder.path()).replace(
            &format!("webhook: {{ secrets: [{SECRET}] }}"),
            &format!(
                "webhook: {{ secrets: [\"${{file:{}/secret}}\"], url: {WEBHOOK} }}",
                folder.path().display()
            ),
        );
        assert!(text.contains(WEBHOOK), "{text}");
        std::fs::write(folder.path().join("tollgate.yaml"), text).expect("a config file");
        Self {
            auth0,
            stripe,
            folder,
        }
    }

    /// Everything is set up, with the secret in its file.
    async fn whole() -> Self {
        let place = Self::empty();
        let file = place.secret_file().display().to_string();
        let made = place.bootstrap(&["--yes", "--write-secret", &file]).await;
        assert_eq!(made.status, 0, "{}", made.text);
        place
    }

    fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    async fn bootstrap(&self, arguments: &[&str]) -> Told {
        self.run("bootstrap", arguments).await
    }

    async fn run(&self, command: &str, arguments: &[&str]) -> Told {
        let mut command = self.command(command, arguments);
        let running = tokio::task::spawn_blocking(move || command.output());
        let output: Output = running.await.expect("no panic").expect("the binary runs");
        Told {
            status: output.status.code().expect("an exit status"),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
        }
    }

    fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut made = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        made.arg(command)
            .args(arguments)
            .arg("-c")
            .arg(self.folder.path().join("tollgate.yaml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        made
    }

    /// The text with what differs from run to run taken out.
    fn plain(&self, text: &str) -> String {
        text.replace(self.auth0.url(), "https://TENANT/")
    }

    /// How many requests changed something, or tried to.
    fn writes(&self) -> usize {
        let auth0 = self.auth0.seen();
        let auth0 = auth0.iter().filter(|seen| seen.method != Method::GET);
        let stripe = self.stripe.calls();
        let stripe = stripe.iter().filter(|call| call.method != "GET");
        auth0.count() + stripe.count()
    }

    fn endpoints(&self) -> Vec<Value> {
        let ids = self.stripe.ids("webhook_endpoint").into_iter();
        ids.map(|id| self.stripe.object(&id)).collect()
    }

    /// Deletes the endpoint, as one does in the dashboard.
    async fn delete_endpoint(&self, id: &str) {
        let url = format!("{}/v1/webhook_endpoints/{id}", self.stripe.url());
        let client = reqwest::Client::builder().no_proxy().build();
        let request = client.expect("a client").delete(url).bearer_auth(KEY);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }

    /// Whether everything is as the shop's config wants it.
    fn assert_whole(&self) {
        let api = self.auth0.api(AUDIENCE);
        assert_eq!(api["enforce_policies"], true);
        assert_eq!(api["token_dialect"], "access_token_authz");
        for (role, permissions) in [
            ("free-user", &["read:basic-content"][..]),
            (
                "admin",
                &[
                    "access:admin-panel",
                    "manage:subscription",
                    "read:basic-content",
                    "read:premium-content",
                ],
            ),
        ] {
            assert_eq!(self.auth0.role_permissions(role), permissions);
        }
        let endpoints = self.endpoints();
        assert_eq!(endpoints.len(), 1);
        assert_eq!(endpoints[0]["url"], WEBHOOK);
        assert_eq!(endpoints[0]["status"], "enabled");
    }
}

/// What a run said.
struct Told {
    status: i32,
    text: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| unreachable!("{}", self.text))
    }

    #[track_caller]
    fn assert(&self, status: i32, said: &[&str]) {
        assert_eq!(self.status, status, "{}", self.text);
        for said in said {
            assert!(self.text.contains(said), "{said}\n{}", self.text);
        }
    }
}

#[tokio::test]
async fn the_plan_for_an_empty_tenant_and_an_empty_account_reads_like_a_diff() {
    let place = Place::empty();
    let told = place.bootstrap(&["--dry-run"]).await;
    assert_eq!(told.status, 0, "the plan is what was asked for");
    insta::assert_snapshot!(place.plain(&told.text));
}

#[tokio::test]
async fn without_a_yes_nothing_is_changed() {
    let place = Place::empty();
    for (arguments, status) in [
        (&["--dry-run"][..], 0),
        (&["--dry-run", "--json"], 0),
        (&[], 1),
        (&["--json"], 1),
        (&["--dry-run", "--write-secret", "x"], 0),
    ] {
        let told = place.bootstrap(arguments).await;
        told.assert(status, &["+ role premium-monthly"]);
    }
    assert_eq!(place.writes(), 0, "reads alone");
    let told = place.bootstrap(&[]).await;
    told.assert(1, &["`--yes` does it"]);
    assert!(!place.folder.path().join("x").exists());
}

#[tokio::test]
async fn yes_makes_everything_and_a_second_run_has_nothing_to_do() {
    let place = Place::empty();
    let made = place.bootstrap(&["--yes"]).await;
    made.assert(
        0,
        &[
            "done   role premium-monthly",
            "Everything is as the config wants it.",
        ],
    );
    place.assert_whole();
    let secret = place
        .stripe
        .secret_of(&place.stripe.ids("webhook_endpoint")[0]);
    assert!(made.text.contains(&secret), "shown this once");
    let endpoint = &place.endpoints()[0];
    let events = endpoint["enabled_events"].as_array().expect("a list").len();
    assert_eq!(events, EVENT_TYPES.len());
    let writes = place.writes();
    for arguments in [&["--yes"][..], &[], &["--dry-run"]] {
        let again = place.bootstrap(arguments).await;
        again.assert(
            0,
            &["Nothing is to be done.", "Stripe shows it in its dashboard"],
        );
        assert!(!again.text.contains(&secret));
    }
    assert_eq!(place.writes(), writes);
}

#[tokio::test]
async fn the_secret_that_was_written_verifies_a_delivery() {
    let place = Place::empty();
    let strict = place.run("check", &[]).await;
    strict.assert(2, &["run `tollgate bootstrap`"]);
    let file = place.secret_file();
    let name = file.display().to_string();
    let made = place.bootstrap(&["--yes", "--write-secret", &name]).await;
    made.assert(0, &["is in the file", "which the config names already"]);
    assert!(!made.text.contains("In the config"), "{}", made.text);
    let secret = std::fs::read_to_string(&file).expect("the secret");
    assert!(!made.text.contains(&secret), "not shown");
    let rights = std::fs::metadata(&file)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(rights & 0o777, 0o600);
    let body = r#"{"id":"evt_1","object":"event"}"#;
    let header = place.stripe.signature(body);
    let secret = [Secret::new(secret)];
    let verified = verify(
        header.as_bytes(),
        body.as_bytes(),
        &secret,
        Duration::from_secs(300),
        token::now(),
    );
    assert!(verified.is_ok(), "{verified:?}");
    place.run("check", &[]).await.assert(0, &[]);
    let again = place.bootstrap(&["--yes", "--write-secret", &name]).await;
    again.assert(0, &["Nothing is to be done."]);
    assert!(!again.text.contains("Stripe shows it"), "the config has it");
}

#[tokio::test]
async fn programs_are_told_the_secret_or_where_it_is_once() {
    let place = Place::empty();
    let plan = place.bootstrap(&["--json"]).await.json();
    let changes = plan["changes"].as_array().expect("a list");
    assert!(!changes.is_empty() && changes.iter().all(|change| change["done"].is_null()));
    assert_eq!(plan["ok"], false);
    let made = place.bootstrap(&["--json", "--yes"]).await;
    made.assert(0, &[]);
    let made = made.json();
    let changes = made["changes"].as_array().expect("a list");
    assert!(changes.iter().all(|change| change["done"] == true));
    let id = place.stripe.ids("webhook_endpoint").remove(0);
    assert_eq!(made["webhook_secret"], place.stripe.secret_of(&id));
    let again = place.bootstrap(&["--json", "--yes"]).await;
    again.assert(0, &[]);
    let again = again.json();
    assert_eq!(again["changes"], Value::Array(Vec::new()));
    assert_eq!(
        (&again["ok"], &again["errors"]),
        (&true.into(), &Value::Array(Vec::new()))
    );
    assert!(again["webhook_secret"].is_null() && again["notes"][0].is_string());
    place.delete_endpoint(&id).await;
    let file = place.secret_file().display().to_string();
    let made = place
        .bootstrap(&["--json", "--yes", "--write-secret", &file])
        .await
        .json();
    assert_eq!(made["secret_file"], file);
    assert!(made["webhook_secret"].is_null());
}

#[tokio::test]
async fn what_others_made_stays() {
    let place = Place::empty();
    let auth0 = &place.auth0;
    auth0.add_scope("more:things", "What only we know");
    auth0.add_scope("read:basic-content", "Read");
    auth0.create_role("free-user", &["more:things"]);
    auth0.create_role("other", &["more:things"]);
    auth0.set_rbac(true, "rfc9068_profile");
    place
        .stripe
        .new_webhook_endpoint("http://127.0.0.1:9/other", &["invoice.paid"], None);
    let there = place
        .stripe
        .new_webhook_endpoint(WEBHOOK, &["payout.paid", "invoice.paid"], None);
    place
        .stripe
        .pretend(&there, serde_json::json!({ "status": "disabled" }));
    let plan = place.bootstrap(&["--dry-run"]).await;
    plan.assert(
        0,
        &[
            "  role free-user\n",
            "~ permissions in the access tokens",
            "rfc9068_profile_authz",
            "switched on",
            "+ event customer.subscription.deleted for webhook endpoint",
        ],
    );
    for absent in [
        "RBAC on",
        "+ role free-user",
        "+ webhook endpoint",
        "+ event invoice.paid",
    ] {
        assert!(!plan.text.contains(absent), "{absent}\n{}", plan.text);
    }
    place.bootstrap(&["--yes"]).await.assert(0, &[]);
    let api = auth0.api(AUDIENCE);
    let scopes = api["scopes"].as_array().expect("a list");
    let of = |name: &str| scopes.iter().find(|scope| scope["value"] == name);
    assert_eq!(
        of("more:things").expect("it")["description"],
        "What only we know"
    );
    assert_eq!(of("read:basic-content").expect("it")["description"], "Read");
    assert_eq!(api["token_dialect"], "rfc9068_profile_authz");
    assert_eq!(
        auth0.role_permissions("free-user"),
        ["more:things", "read:basic-content"]
    );
    assert_eq!(auth0.role_permissions("other"), ["more:things"]);
    let endpoints = place.endpoints();
    assert_eq!(endpoints.len(), 2);
    let endpoint = place.stripe.object(&there);
    let events = endpoint["enabled_events"].as_array().expect("a list");
    assert!(events.contains(&"payout.paid".into()) && events.len() == EVENT_TYPES.len() + 1);
    assert_eq!(endpoint["status"], "enabled");
    let deletes = place
        .auth0
        .seen()
        .into_iter()
        .filter(|seen| seen.method == Method::DELETE);
    assert_eq!(deletes.count(), 0);
}

#[tokio::test]
async fn an_endpoint_made_by_hand_for_all_events_is_fine() {
    let place = Place::empty();
    place.stripe.new_webhook_endpoint(WEBHOOK, &["*"], None);
    let plan = place.bootstrap(&["--dry-run"]).await;
    assert!(!plan.text.contains("+ webhook") && !plan.text.contains("+ event"));
    plan.assert(0, &["  webhook endpoint http"]);
}

#[tokio::test]
async fn what_was_taken_away_by_hand_is_put_back() {
    let place = Place::whole().await;
    place.auth0.take_permission("admin", "access:admin-panel");
    place.auth0.delete_role("premium-lifetime");
    let plan = place.bootstrap(&[]).await;
    plan.assert(
        1,
        &[
            "+ role premium-lifetime",
            "+ permission access:admin-panel for role admin",
        ],
    );
    assert!(
        !plan.text.contains("+ permission access:admin-panel on"),
        "the API knows it still"
    );
    place.bootstrap(&["--yes"]).await.assert(0, &[]);
    place.assert_whole();
}

#[tokio::test]
async fn an_api_that_is_missing_is_made_or_its_mend_is_said() {
    let place = Place::empty();
    place.auth0.delete_api(AUDIENCE);
    place.auth0.grant(&[
        "read:roles",
        "create:roles",
        "update:roles",
        "read:resource_servers",
        "update:resource_servers",
    ]);
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(
        1,
        &[
            "+ API https://api.example.test",
            "FAILED API https://api.example.test",
            "grant `create:resource_servers`",
            "by hand in Auth0's dashboard",
            "done   role free-user",
            "FAILED permissions of role free-user: 1 of 1 could not be added",
            "done   webhook endpoint",
        ],
    );
    assert!(place.auth0.role_permissions("admin").is_empty());
    place.auth0.grant_setup();
    place.bootstrap(&["--yes"]).await.assert(0, &["done   API"]);
    place.assert_whole();
}

#[tokio::test]
async fn what_may_be_done_is_done_and_what_may_not_is_said_with_its_mend() {
    let place = Place::empty();
    place.auth0.grant(&[
        "read:roles",
        "read:resource_servers",
        "update:resource_servers",
    ]);
    place.stripe.withhold("webhook_write");
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(
        1,
        &[
            "done   API",
            "FAILED role free-user",
            "grant `create:roles`",
            "FAILED permissions of role free-user: the role could not be made",
            "FAILED webhook endpoint",
            "Webhook Endpoints: Write",
        ],
    );
    assert_eq!(place.auth0.api(AUDIENCE)["enforce_policies"], true);
    place.auth0.grant_setup();
    place.stripe.grant("webhook_write");
    place.bootstrap(&["--yes"]).await.assert(0, &[]);
    place.assert_whole();
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_left_alone_and_said() {
    let place = Place::empty();
    place.auth0.grant(&["read:roles", "create:roles"]);
    place.stripe.withhold("webhook_read");
    let told = place.bootstrap(&["--dry-run"]).await;
    told.assert(
        1,
        &[
            "cannot look at API https://api.example.test",
            "grant `read:resource_servers`",
            "until then nothing is done about the",
            "cannot look at the webhook endpoints",
            "+ role free-user",
        ],
    );
    for absent in ["+ API", "+ webhook", "+ permission"] {
        assert!(!told.text.contains(absent), "{}", told.text);
    }
    let problems = place.bootstrap(&["--json"]).await.json()["problems"].clone();
    assert_eq!(problems.as_array().expect("a list").len(), 2);
}

#[tokio::test]
async fn a_tenant_that_is_away_is_said_once_and_stripe_is_set_up_all_the_same() {
    let mut place = Place::empty();
    place.auth0.go_down().await;
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(
        1,
        &["it cannot be reached", "done   webhook endpoint", "whsec_"],
    );
    assert_eq!(
        told.text.matches("cannot look at").count(),
        1,
        "{}",
        told.text
    );
    place.auth0.come_up();
    place.bootstrap(&["--yes"]).await.assert(0, &[]);
    place.assert_whole();
}

#[tokio::test]
async fn a_lost_answer_makes_nothing_twice() {
    let place = Place::empty();
    let lost = Trouble::After(Auth0Fault::Cut);
    place
        .auth0
        .trouble_times(1, Method::POST, "/api/v2/roles", lost.clone());
    place
        .auth0
        .trouble_times(1, Method::PATCH, "/api/v2/resource-servers", lost);
    place
        .stripe
        .fault_next(1, "POST", "/v1/webhook_endpoints", Fault::CutAfter);
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(0, &["whsec_"]);
    place.assert_whole();
    let id = place.stripe.ids("webhook_endpoint").remove(0);
    assert!(
        told.text.contains(&place.stripe.secret_of(&id)),
        "the secret is not lost"
    );
}

#[tokio::test]
async fn a_run_that_was_killed_in_the_middle_is_taken_up_by_the_next_one() {
    let place = Place::empty();
    place
        .stripe
        .fault("POST", "/v1/webhook_endpoints", Fault::Late);
    let mut child = place
        .command("bootstrap", &["--yes"])
        .spawn()
        .expect("the binary starts");
    place
        .stripe
        .until_calls(1, "POST", "/v1/webhook_endpoints")
        .await;
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    place.stripe.mend();
    place.stripe.release();
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(
        0,
        &["Nothing is to be done", "Stripe shows it in its dashboard"],
    );
    place.assert_whole();
}

#[tokio::test]
async fn a_change_that_fails_is_made_by_the_next_run() {
    let place = Place::empty();
    let broken = Trouble::Instead(Auth0Fault::Status(500));
    place
        .auth0
        .trouble(Method::POST, "/api/v2/roles/*/permissions", broken);
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(
        1,
        &[
            "done   role admin",
            "FAILED permissions of role admin",
            "run this again",
        ],
    );
    place.auth0.mend_all();
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(0, &["done   permissions of role admin"]);
    place.assert_whole();
}

#[tokio::test]
async fn an_endpoint_that_was_deleted_is_made_again_on_the_same_day() {
    let place = Place::empty();
    place.bootstrap(&["--yes"]).await.assert(0, &[]);
    for _ in 0..2 {
        let id = place.stripe.ids("webhook_endpoint").remove(0);
        place.delete_endpoint(&id).await;
        let told = place.bootstrap(&["--yes"]).await;
        told.assert(0, &["done   webhook endpoint"]);
        let new = place.stripe.ids("webhook_endpoint").remove(0);
        assert_ne!(new, id);
        assert!(
            told.text.contains(&place.stripe.secret_of(&new)),
            "{}",
            told.text
        );
    }
    place.assert_whole();
}

#[tokio::test]
async fn an_error_that_stripe_keeps_for_a_day_does_not_stand_in_the_way() {
    let place = Place::empty();
    place
        .stripe
        .fault_next(1, "POST", "/v1/webhook_endpoints", Fault::Broken);
    place.bootstrap(&["--yes"]).await.assert(0, &["whsec_"]);
    place.assert_whole();
}

#[tokio::test]
async fn a_secret_file_that_cannot_be_written_changes_nothing() {
    let place = Place::empty();
    let full = place.folder.path().join("full");
    std::fs::write(&full, "mine").expect("a file");
    let full = full.display().to_string();
    for file in [full.as_str(), "/no/such/folder/secret", "/dev/null"] {
        let told = place.bootstrap(&["--yes", "--write-secret", file]).await;
        told.assert(1, &["FAILED the file", "nothing was changed"]);
    }
    assert_eq!(place.writes(), 0);
    assert_eq!(std::fs::read_to_string(&full).expect("a file"), "mine");
}

#[tokio::test]
async fn a_secret_file_that_came_to_nothing_is_taken_away() {
    let place = Place::empty();
    place.stripe.withhold("webhook_write");
    let file = place.secret_file();
    let name = file.display().to_string();
    place
        .bootstrap(&["--yes", "--write-secret", &name])
        .await
        .assert(1, &["FAILED webhook endpoint"]);
    assert!(!file.exists());
    std::fs::write(&file, "").expect("an empty file");
    place.stripe.grant("webhook_write");
    place
        .bootstrap(&["--yes", "--write-secret", &name])
        .await
        .assert(0, &[]);
    assert!(
        std::fs::read_to_string(&file)
            .expect("it")
            .starts_with("whsec_")
    );
}

#[tokio::test]
async fn a_signing_secret_that_leads_to_nothing_is_told() {
    let place = Place::whole().await;
    let file = place.folder.path().join("tollgate.yaml");
    let text = std::fs::read_to_string(&file).expect("the config");
    let text = text.replace("secrets: [", "secrets: [\"${NO_SUCH_SECRET}\", ");
    std::fs::write(&file, text).expect("a file");
    let told = place.bootstrap(&["--yes"]).await;
    told.assert(0, &["1 of the 2 signing secrets", "Nothing is to be done."]);
}

#[tokio::test]
async fn a_tenant_with_large_apis_is_looked_through() {
    let place = Place::empty();
    place.auth0.delete_api(AUDIENCE);
    // As much as hundreds of permissions each.
    let large = "x".repeat(30_000);
    for number in 0..50 {
        place.auth0.create_api(&format!("https://{number}/{large}"));
    }
    let told = place.bootstrap(&["--dry-run"]).await;
    told.assert(0, &["+ API https://api.example.test"]);
}

#[tokio::test]
async fn a_gate_alone_has_nothing_to_set_up() {
    let auth0 = Auth0::start();
    let backend = Backend::start();
    let place = Place::of(Auth0::start(), Stripe::start());
    let setup = Setup::new(&auth0, &backend.url());
    let text = setup.yaml_in(place.folder.path());
    std::fs::write(place.folder.path().join("tollgate.yaml"), text).expect("a config file");
    let told = place.bootstrap(&[]).await;
    told.assert(
        0,
        &["no `stripe` section", "by hand in Auth0", "read:secret"],
    );
    assert!(place.bootstrap(&["--json"]).await.json()["notes"][0].is_string());
}

#[tokio::test]
async fn a_mistake_in_the_config_is_2() {
    let place = Place::empty();
    let file = place.folder.path().join("tollgate.yaml");
    let text = std::fs::read_to_string(&file).expect("the config");
    std::fs::write(&file, text.replace("frontend_url", "frontend_ulr")).expect("a file");
    place
        .bootstrap(&["--yes"])
        .await
        .assert(2, &["did you mean `frontend_url`?"]);
    let told = place.bootstrap(&["--yes", "--json"]).await;
    assert_eq!((told.status, &told.json()["ok"]), (2, &false.into()));
    let answer = told.json();
    assert!(answer["errors"][0]["message"].is_string(), "{answer}");
    assert_eq!(place.writes(), 0);
    place
        .bootstrap(&["--yes", "--dry-run"])
        .await
        .assert(2, &[]);
}
