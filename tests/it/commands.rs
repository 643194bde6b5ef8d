//! The command line itself: which file a command reads, and the commands that ask a running Tollgate or a live tenant
//! (DESIGN.md, "Command line").

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::gate::{Setup, World, binary};
use crate::support::auth0::Auth0;
use crate::support::backend::Backend;
use crate::support::keys::Key;
use crate::support::net::Reserved;

/// What a command said.
struct Told {
    status: Option<i32>,
    /// Standard output, and standard error after it.
    text: String,
}

/// The program with these arguments, in a folder with nothing in it and without a config file named by the environment.
fn tollgate(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .current_dir(folder.path())
        .env_remove("TOLLGATE_CONFIG")
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end, with this on its standard input.
async fn run_with(mut command: Command, input: &str) -> Told {
    let input = input.to_owned();
    // The stand-ins answer on this runtime.
    let running = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("piped");
        // Who does not read it may have ended already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it ends")
    });
    let output = running.await.expect("a thread");
    Told {
        status: output.status.code(),
        text: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    }
}

async fn run(command: Command) -> Told {
    run_with(command, "").await
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A config with one route, which is the name of the file.
fn config_of(folder: &TempDir, name: &str) -> PathBuf {
    let file = folder.path().join(format!("{name}.yaml"));
    let text = format!(
        "upstream: http://127.0.0.1:1\nauth0: {{ domain: t.auth0.com, audience: a }}\n\
         routes:\n  - {{ path: /{name}, access: public }}\n"
    );
    std::fs::write(&file, text).expect("a config file");
    file
}

#[tokio::test]
async fn the_config_file_may_be_named_before_or_after_the_command_or_by_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (config_of(&folder, "one"), config_of(&folder, "other"));
    let (one, other) = (text_of(&one), text_of(&other));
    for (arguments, environment, is_one) in [
        (&["-c", one, "check"][..], None, true),
        (&["check", "-c", one], None, true),
        (&["--config", one, "check"], None, true),
        (&["check"], Some(other), false),
        // What is said outright counts more.
        (&["check", "-c", one], Some(other), true),
        (&["-c", one, "check"], Some(other), true),
    ] {
        let mut command = tollgate(&folder, arguments);
        command.envs(environment.map(|file| ("TOLLGATE_CONFIG", file)));
        let told = run(command).await;
        assert_eq!(told.status, Some(0), "{arguments:?}: {}", told.text);
        let named = ["/one", "/other"].map(|route| told.text.contains(route));
        assert_eq!(named, [is_one, !is_one], "{arguments:?}: {}", told.text);
    }
    let told = run(tollgate(&folder, &["check"])).await;
    assert_eq!(told.status, Some(2), "there is none: {}", told.text);
    let usual = folder.path().join("config");
    std::fs::create_dir(&usual).expect("a folder");
    std::fs::copy(one, usual.join("tollgate.yaml")).expect("a copy");
    let told = run(tollgate(&folder, &["check"])).await;
    assert_eq!(told.status, Some(0), "its usual place: {}", told.text);
}

#[tokio::test]
async fn the_schema_is_the_one_that_editors_are_given_and_needs_no_config() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = run(tollgate(&folder, &["schema"])).await;
    assert_eq!(told.status, Some(0));
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tollgate.schema.json");
    let committed = std::fs::read_to_string(committed).expect("the schema");
    assert_eq!(told.text, committed);
}

#[tokio::test]
async fn health_says_whether_the_gate_of_this_config_is_ready() {
    let (mut auth0, backend) = (Auth0::start_down(), Backend::start());
    let setup = Setup::new(&auth0, &backend.url());
    let mut gate = setup.start_unready().await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("health.yaml");
    // The same config, with the port that the system chose.
    let text = std::fs::read_to_string(gate.folder.path().join("tollgate.yaml"));
    let text = text.expect("the config");
    let any = "admin: { listen: 127.0.0.1:0 }";
    assert!(text.contains(any));
    let at = |listen: &str| {
        let admin = format!("admin: {{ listen: {listen} }}");
        std::fs::write(&config, text.replace(any, &admin)).expect("a config file");
    };
    let health = async || run(tollgate(&folder, &["health", "-c", text_of(&config)])).await;

    at(&gate.admin.to_string());
    gate.until_readyz(503).await;
    let told = health().await;
    assert_eq!(told.status, Some(1), "{}", told.text);
    assert!(told.text.starts_with("not ready: "), "{}", told.text);
    auth0.come_up();
    gate.until_readyz(200).await;
    let told = health().await;
    assert_eq!((told.status, told.text.as_str()), (Some(0), "ready\n"));
    // What listens on all addresses is asked on the one that is always there.
    at(&format!("{}:{}", Ipv4Addr::UNSPECIFIED, gate.admin.port()));
    assert_eq!(health().await.status, Some(0));

    gate.signal("TERM");
    gate.exit().await;
    let nobody = Reserved::any();
    at(&nobody.address().to_string());
    let told = health().await;
    assert_eq!(told.status, Some(1), "{}", told.text);
    assert!(told.text.starts_with("no answer from "), "{}", told.text);
    at("off");
    let told = health().await;
    assert_eq!(told.status, Some(2), "nobody can be asked: {}", told.text);
}

#[tokio::test]
async fn explain_verifies_a_token_by_the_live_key_set() {
    let world = World::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = world.gate.folder.path().join("tollgate.yaml");
    let config = text_of(&config);
    let ask = async |token: &str, input: &str| {
        let arguments = ["explain", "GET", "/premium", "--token", token, "-c", config];
        run_with(tollgate(&folder, &arguments), input).await
    };
    let good = world.auth0.token("auth0|ann", &["read:premium"]);
    let poor = world.auth0.token("auth0|bob", &["read:other"]);
    let forged = world.auth0.draft("auth0|ann", &["read:premium"]);
    let forged = forged.sign(&Key::nth(1));
    let late = world.auth0.draft("auth0|ann", &["read:premium"]);
    let late = world.auth0.sign(&late.claim("exp", 1));
    for (token, status, said) in [
        (
            &good,
            0,
            "verified, speaks for auth0|ann, holds [read:premium]",
        ),
        (&poor, 1, "DENY 403: the token lacks read:premium"),
        (&forged, 1, "does not verify: "),
        (&forged, 1, "DENY 401: "),
        (&late, 1, "DENY 401: "),
    ] {
        let told = ask(token, "").await;
        assert_eq!(told.status, Some(status), "{}", told.text);
        assert!(told.text.contains(said), "{}", told.text);
        assert!(!told.text.contains(token.as_str()), "{}", told.text);
        // It says what the gate does.
        let reply = world.gate.get_with_token("/premium", token).await;
        assert_eq!(reply.status == 200, status == 0, "{}", reply.text());
    }
    let told = ask("-", &format!("Bearer {good}\n")).await;
    assert_eq!(told.status, Some(0), "from standard input: {}", told.text);
    let arguments = [
        "explain", "GET", "/premium", "--json", "--token", &good, "-c", config,
    ];
    let told = run(tollgate(&folder, &arguments)).await;
    let json: Value = serde_json::from_str(&told.text).expect("JSON");
    assert_eq!(
        (&json["allow"], &json["status"]),
        (&true.into(), &Value::Null)
    );
}
