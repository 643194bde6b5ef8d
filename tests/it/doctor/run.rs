//! Running doctor, and what it said.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::shop::Shop;
use crate::support::auth0::{Auth0, CLIENT_SECRET, DISCOVERY, Fault as Auth0Fault, JWKS, TOKEN};
use crate::support::stripe::{Fault, KEY, SECRET, Stripe};

/// A line that does not pass: its area and name, its status, what it says, and what its mend says.
pub(super) type Line = (&'static str, &'static str, &'static str, &'static str);

/// A shop that is set up as doctor wants it.
pub(super) struct Clinic {
    pub(super) shop: Shop,
    /// The endpoint that Stripe sends events to.
    pub(super) endpoint: String,
}

/// What doctor said to a program.
pub(super) struct Report {
    pub(super) status: i32,
    answer: Value,
}

/// What doctor said to a person.
pub(super) struct Words {
    pub(super) status: i32,
    pub(super) text: String,
}

impl Clinic {
    pub(super) async fn open() -> Self {
        let shop = Shop::open().await;
        shop.auth0.grant_setup();
        let url = format!("http://{}/stripe/webhook", shop.gate.address);
        let events = tollgate::stripe::EVENT_TYPES;
        let endpoint = shop.stripe.new_webhook_endpoint(&url, events, None);
        Self { shop, endpoint }
    }

    pub(super) fn auth0(&self) -> &Auth0 {
        &self.shop.auth0
    }

    pub(super) fn stripe(&self) -> &Stripe {
        &self.shop.stripe
    }

    pub(super) async fn everything_goes_down(&mut self) {
        self.shop.auth0.go_down().await;
        self.shop.stripe.go_down().await;
    }

    pub(super) fn everything_hangs(&self) {
        for path in [JWKS, DISCOVERY, TOKEN] {
            self.shop.auth0.fault(path, Auth0Fault::Hang);
        }
        for method in ["GET", "POST"] {
            self.shop.stripe.fault(method, "/", Fault::Hang);
        }
    }

    /// `doctor --json` with an edited config file.
    pub(super) async fn doctor(&self, edit: impl Fn(&str) -> String) -> Report {
        let output = self.run(edit, &["--json"]).await;
        let text = String::from_utf8_lossy(&output.stdout);
        let answer = serde_json::from_str(&text);
        Report {
            status: output.status.code().unwrap_or(-1),
            answer: answer.unwrap_or_else(|_| unreachable!("no JSON: {text}")),
        }
    }

    /// `doctor` with an edited config file.
    pub(super) async fn doctor_in_words(&self, edit: impl Fn(&str) -> String) -> Words {
        let output = self.run(edit, &[]).await;
        Words {
            status: output.status.code().unwrap_or(-1),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
        }
    }

    async fn run(
        &self,
        edit: impl Fn(&str) -> String,
        arguments: &'static [&'static str],
    ) -> Output {
        let folder = self.shop.gate.folder.path();
        let yaml = std::fs::read_to_string(folder.join("tollgate.yaml")).expect("the config");
        let url = format!("http://{}/stripe/webhook", self.shop.gate.address);
        let here = format!("webhook: {{ secrets: [{SECRET}], url: \"{url}\" }}");
        let yaml = yaml.replace(&format!("webhook: {{ secrets: [{SECRET}] }}"), &here);
        assert!(yaml.contains(&here), "the webhook's section is found");
        let file = folder.join("doctor.yaml");
        std::fs::write(&file, edit(&yaml)).expect("a config file");
        run(file, arguments).await
    }
}

/// Runs doctor, and sees to it that no secret is in what it says.
pub(super) async fn run(file: PathBuf, arguments: &'static [&'static str]) -> Output {
    let run = move || {
        Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("doctor")
            .args(arguments)
            .arg("-c")
            .arg(file)
            .env_remove("RUST_LOG")
            .output()
    };
    // The stand-ins answer on this runtime.
    let output = tokio::task::spawn_blocking(run).await;
    let output = output.expect("it ends").expect("the binary runs");
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    for secret in [CLIENT_SECRET, KEY, SECRET] {
        assert!(!said.contains(secret), "{said}");
    }
    assert!(output.stderr.is_empty(), "nothing over the table: {said}");
    output
}

impl Report {
    pub(super) fn of(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            answer: serde_json::from_slice(&output.stdout).expect("JSON"),
        }
    }

    /// What stands beside the lines.
    pub(super) fn key(&self, name: &str) -> &Value {
        &self.answer[name]
    }

    fn checks(&self) -> &[Value] {
        let checks = self.answer["checks"].as_array();
        checks.expect("a list of checks")
    }

    pub(super) fn names(&self) -> Vec<&str> {
        let names = self.checks().iter();
        names.filter_map(|check| check["name"].as_str()).collect()
    }

    /// How many lines have this status; the count beside the list says so too.
    pub(super) fn count(&self, status: &str) -> usize {
        let checks = self.checks().iter();
        let count = checks.filter(|check| check["status"] == status).count();
        assert_eq!(self.answer[status.to_lowercase()], count);
        count
    }

    /// The status of each line that is called `AREA NAME`, and what was found.
    pub(super) fn found(&self, line: &str) -> Vec<(&str, &str)> {
        let lines = self.checks().iter().filter(|check| title(check) == line);
        let parts = lines.map(|check| (check["status"].as_str(), check["found"].as_str()));
        parts
            .filter_map(|(status, found)| status.zip(found))
            .collect()
    }

    /// The line that is called `AREA NAME`.
    pub(super) fn line(&self, line: &str) -> &Value {
        let mut checks = self.checks().iter();
        let found = checks.find(|check| title(check) == line);
        found.unwrap_or_else(|| unreachable!("{line} in {}", self.answer))
    }

    /// The status of the line that is called `AREA NAME`.
    pub(super) fn status_of(&self, line: &str) -> &str {
        self.line(line)["status"].as_str().expect("a status")
    }

    /// These lines do not pass, and no others; each says what it is to say, in what was found or in the mend.
    pub(super) fn assert_lines(&self, what: &str, expected: &[Line]) {
        let odd = self
            .checks()
            .iter()
            .filter(|check| check["status"] != "PASS");
        let odd: Vec<&Value> = odd.collect();
        let titles: Vec<String> = odd.iter().map(|check| title(check)).collect();
        let wanted: Vec<&str> = expected.iter().map(|line| line.0).collect();
        assert_eq!(titles, wanted, "{what}: {odd:#?}");
        for (check, (_, status, found, mend)) in odd.iter().zip(expected) {
            let says =
                |key: &str, part: &str| check[key].as_str().is_some_and(|text| text.contains(part));
            assert_eq!(check["status"], *status, "{what}: {check:#}");
            assert!(
                says("found", found) && says("mend", mend),
                "{what}: {check:#}"
            );
            assert!(
                check["mend"]
                    .as_str()
                    .is_some_and(|mend| mend.ends_with('.')),
                "a sentence: {check:#}"
            );
        }
        let failed = expected.iter().any(|line| line.1 == "FAIL");
        assert_eq!(self.answer["ok"], !failed, "{what}");
        assert_eq!(self.status, i32::from(failed), "{what}");
        for status in ["PASS", "WARN", "FAIL"] {
            self.count(status);
        }
    }
}

fn title(check: &Value) -> String {
    let part = |key: &str| check[key].as_str().unwrap_or_default();
    format!("{} {}", part("area"), part("name"))
}
