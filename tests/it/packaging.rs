//! What people copy: the examples, tried with the programs that they are for. Those that are not installed are left out, and the
//! test says so.

mod behind_nginx;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What the examples take from the environment.
const ENVIRONMENT: [(&str, &str); 13] = [
    ("AUTH0_DOMAIN", "tenant.eu.auth0.com"),
    ("AUTH0_AUDIENCE", "https://api.example.com"),
    ("AUTH0_MANAGEMENT_CLIENT_ID", "client"),
    ("AUTH0_MANAGEMENT_CLIENT_SECRET", "secret"),
    ("STRIPE_SECRET_KEY", "sk_test_1"),
    ("STRIPE_PUBLISHABLE_KEY", "pk_test_1"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_1"),
    ("STRIPE_MONTHLY_PRICE_ID", "price_1"),
    ("STRIPE_LIFETIME_PRICE_ID", "price_2"),
    ("FRONTEND_URL", "https://app.example.com"),
    ("POSTGRES_PASSWORD", "password"),
    (
        "DATABASE_URL",
        "postgres://tollgate:password@postgres/tollgate",
    ),
    ("ADMIN_TOKEN", "0123456789abcdef"),
];

/// A file below `examples/`.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(example(name)).expect("an example")
}

/// The documents of an example in YAML.
fn documents(name: &str) -> Vec<Value> {
    let text = text_of(name);
    let documents = text.split("\n---\n");
    documents
        .map(|text| serde_saphyr::from_str(text).expect("YAML"))
        .collect()
}

fn check(config: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["check", "-c"])
        .arg(config)
        .env_clear()
        .envs(ENVIRONMENT)
        .output()
        .expect("the binary runs")
}

/// Names on the left of `=` in a file for `env_file` or `--from-env-file`.
fn names_in(name: &str) -> Vec<String> {
    let text = text_of(name);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .collect()
}

/// Every `${NAME}` in a text.
fn names_wanted(text: &str) -> Vec<String> {
    let places = text.split("${").skip(1);
    places
        .filter_map(|rest| Some(rest.split_once(['}', ':'])?.0.to_owned()))
        .collect()
}

/// The program, unless it is not installed: then the output says which test was left out.
fn program(name: &str, test: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Not on everybody's path.
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let found = std::env::split_paths(&folders)
        .chain(more)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        // Standard error shows what was left out, also of a test that passes.
        let _ = writeln!(
            std::io::stderr(),
            "not run: {test}, because {name} is not installed"
        );
    }
    found
}

#[test]
fn the_config_for_compose_is_valid() {
    let checked = check(&example("compose/config/tollgate.yaml"));
    let told = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{told}");
}

#[test]
fn every_file_that_the_compose_file_mounts_is_there_and_the_ports_agree() {
    let compose = &documents("compose/compose.yaml")[0];
    let services = compose["services"].as_object().expect("services");
    let mut mounted = 0;
    for service in services.values() {
        let volumes = service["volumes"].as_array();
        for volume in volumes.into_iter().flatten().filter_map(Value::as_str) {
            let Some((from, _)) = volume
                .split_once(':')
                .filter(|(from, _)| from.starts_with('.'))
            else {
                continue;
            };
            mounted += 1;
            assert!(example("compose").join(from).exists(), "{from}");
        }
    }
    assert_eq!(mounted, 4);
    let nginx = text_of("compose/nginx.conf");
    let config = text_of("compose/config/tollgate.yaml");
    assert!(nginx.contains("server tollgate:8001;") && config.contains("listen: 0.0.0.0:8001"));
    assert!(text_of("compose/backend/server.py").contains("8000"));
    assert!(config.contains("upstream: http://backend:8000"));
    for hidden in ["backend", "postgres"] {
        assert!(services[hidden]["ports"].is_null(), "{hidden}");
    }
}

#[test]
fn nginx_is_set_up_alike_with_compose_and_without() {
    let directives = |name: &str| {
        let text = text_of(name);
        let lines = text.lines().map(|line| {
            let line = line.split_once('#').map_or(line, |(line, _)| line).trim();
            line.replace("127.0.0.1:8001", "tollgate:8001")
        });
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(
        directives("nginx/tollgate.conf"),
        directives("compose/nginx.conf")
    );
}

#[test]
fn the_environment_files_name_all_that_the_configs_want() {
    for (environment, config) in [
        ("compose/env.example", "compose/config/tollgate.yaml"),
        ("kubernetes/secrets.example.env", "kubernetes/tollgate.yaml"),
    ] {
        let names = names_in(environment);
        for wanted in names_wanted(&text_of(config)) {
            assert!(names.contains(&wanted), "{environment} lacks {wanted}");
        }
    }
}

#[test]
fn the_config_map_for_kubernetes_is_valid_and_agrees_with_the_deployment() {
    let documents = documents("kubernetes/tollgate.yaml");
    let of_kind = |kind: &str| {
        let mut found = documents.iter().filter(|document| document["kind"] == kind);
        found.next().expect(kind)
    };
    let config = of_kind("ConfigMap")["data"]["tollgate.yaml"]
        .as_str()
        .expect("a config");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(&file, config).expect("a file");
    let checked = check(&file);
    let told = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{told}");

    let pod = &of_kind("Deployment")["spec"]["template"]["spec"];
    let tollgate = &pod["containers"][0];
    for port in tollgate["ports"].as_array().expect("ports") {
        let listen = format!("listen: 0.0.0.0:{}", port["containerPort"]);
        assert!(config.contains(&listen), "{listen}");
    }
    let mount = &tollgate["volumeMounts"][0];
    assert!(mount["subPath"].is_null() && mount["mountPath"] == "/etc/tollgate");
    assert_eq!(tollgate["livenessProbe"]["httpGet"]["path"], "/livez");
    assert_eq!(tollgate["readinessProbe"]["httpGet"]["path"], "/readyz");
    let seconds = |container: usize| {
        let container = &pod["containers"][container];
        container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64()
    };
    let (before, backend) = (seconds(0).expect("a wait"), seconds(1).expect("a wait"));
    let grace = pod["terminationGracePeriodSeconds"]
        .as_u64()
        .expect("a time");
    assert!(config.contains("drain_timeout: 30s"));
    assert!(before + 30 < backend && backend < grace);
}

#[test]
fn the_unit_for_systemd_is_well_formed() {
    let test = "the_unit_for_systemd_is_well_formed";
    let Some(analyze) = program("systemd-analyze", test) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tollgate.service");
    // Where the binary is not installed the rest is to be looked at all the same.
    let unit = text_of("systemd/tollgate.service").replace("/usr/local/bin/tollgate", "/bin/true");
    std::fs::write(&file, unit).expect("a file");
    let verified = Command::new(analyze)
        .args(["verify", "--man=no"])
        .arg(&file)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<_> = told
        .lines()
        .filter(|line| line.contains("tollgate.service"))
        .collect();
    assert!(ours.is_empty(), "{told}");
}
