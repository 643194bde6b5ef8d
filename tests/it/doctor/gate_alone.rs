//! A gate without payments, and one without tokens: what does not apply is not looked at.

use std::path::PathBuf;

use super::run::{Report, run};
use crate::gate::{Certificate, Setup, tls_before};
use crate::support::auth0::Auth0;
use crate::support::backend::Backend;

fn written(yaml: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(
        &file,
        yaml.replace("DIR/", &format!("{}/", folder.path().display())),
    )
    .expect("a file");
    (folder, file)
}

#[tokio::test]
async fn a_gate_with_tokens_looks_at_the_backend_and_the_tenant() {
    let (auth0, backend) = (Auth0::start(), Backend::start());
    let setup = Setup::new(&auth0, &backend.url());
    let folder = tempfile::tempdir().expect("a folder");
    let (_kept, file) = written(&setup.yaml_in(folder.path()));
    let report = Report::of(&run(file, &["--json"]).await);
    report.assert_lines("nothing", &[]);
    assert_eq!(
        report.names(),
        ["file", "answers", "keys", "issuer", "clock"]
    );
}

#[tokio::test]
async fn a_gate_without_tokens_looks_at_the_backend_alone() {
    let backend = Backend::start();
    let (_kept, file) = written(&format!(
        "upstream: {}\nroutes: [{{ path: /, access: public }}]\n",
        backend.url()
    ));
    let report = Report::of(&run(file, &["--json"]).await);
    report.assert_lines("nothing", &[]);
    assert_eq!(report.names(), ["file", "answers"]);
}

#[tokio::test]
async fn the_backends_certificate_is_checked_with_the_authority_of_the_config() {
    let backend = Backend::start();
    let certificate = Certificate::new();
    let before = tls_before(&certificate, backend.address());
    let trusting = |ca: &str| {
        format!(
            "upstream: {{ url: \"https://{}\"{ca} }}\nroutes: [{{ path: /, access: public }}]\n",
            before.address
        )
    };
    let (kept, file) = written(&trusting(", ca: DIR/ca.pem"));
    std::fs::write(kept.path().join("ca.pem"), &certificate.chain).expect("a file");
    let report = Report::of(&run(file, &["--json"]).await);
    report.assert_lines("nothing", &[]);
    let (_kept, file) = written(&trusting(""));
    let report = Report::of(&run(file, &["--json"]).await);
    report.assert_lines(
        "an authority nobody knows",
        &[("upstream answers", "FAIL", "certificate", "upstream.ca")],
    );
}
