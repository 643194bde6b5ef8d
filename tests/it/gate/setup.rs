//! The config file of a test.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Gate, Log};
use crate::support::auth0::{AUDIENCE, Auth0};

/// The routes that most tests use.
pub(crate) const ROUTES: &str = r#"
default: deny
routes:
  - { path: /, methods: [GET], access: public }
  - { path: "/pub/{*rest}", access: public }
  - { path: /pub/secret, permissions: [read:secret] }
  - { path: "/opt/{*rest}", access: optional }
  - { path: "/me/{*rest}", access: authenticated }
  - { path: /premium, methods: [GET], permissions: [read:premium] }
  - { path: /both, permissions: [read:premium, read:reports] }
  - { path: "/reports/{id}", methods: [GET, PUT], any_permission: [read:premium, access:admin-panel] }
  - { path: "/reports/mine", methods: [GET], access: authenticated }
  - { path: "/admin/{*rest}", permissions: [access:admin-panel] }
"#;

/// A config file in the making.
#[derive(Clone)]
pub(crate) struct Setup {
    server: Vec<String>,
    upstream: Vec<String>,
    auth0: Vec<String>,
    sections: Vec<String>,
    routes: String,
    /// Files beside the config file.
    files: Vec<(String, String)>,
    tls: bool,
}

impl Setup {
    /// `upstream` behind the usual routes.
    pub(crate) fn new(auth0: &Auth0, upstream: &str) -> Self {
        Self {
            server: vec!["listen: 127.0.0.1:0".into()],
            upstream: vec![format!("url: {upstream}")],
            auth0: vec![
                format!("url: {}", auth0.url()),
                format!("audience: {AUDIENCE}"),
            ],
            sections: vec![
                "admin: { listen: 127.0.0.1:0 }".into(),
                "log: { format: json }".into(),
            ],
            routes: ROUTES.into(),
            files: Vec::new(),
            tls: false,
        }
    }

    /// Adds a line to `server`.
    pub(crate) fn server(mut self, line: &str) -> Self {
        self.server.push(line.into());
        self
    }

    /// Adds a line to `upstream`.
    pub(crate) fn upstream(mut self, line: &str) -> Self {
        self.upstream.push(line.into());
        self
    }

    /// Points `upstream` somewhere else.
    pub(crate) fn upstream_url(mut self, url: &str) -> Self {
        self.upstream[0] = format!("url: {url}");
        self
    }

    /// Adds a line to `auth0`.
    pub(crate) fn auth0(mut self, line: &str) -> Self {
        self.auth0.push(line.into());
        self
    }

    /// Adds a section.
    pub(crate) fn section(mut self, text: &str) -> Self {
        self.sections.push(text.into());
        self
    }

    /// Lets whoever knows `token` act in the console.
    pub(crate) fn admin_token(mut self, token: &str) -> Self {
        self.sections[0] = format!("admin: {{ listen: 127.0.0.1:0, token: {token} }}");
        self
    }

    /// Puts `text` in the place of the section that begins with `start`.
    pub(crate) fn replace_section(mut self, start: &str, text: &str) -> Self {
        let found = self
            .sections
            .iter_mut()
            .find(|section| section.starts_with(start));
        *found.expect("the section is there") = text.into();
        self
    }

    /// Switches the access log on or off.
    pub(crate) fn access_log(mut self, on: bool) -> Self {
        self.sections[1] = format!("log: {{ format: json, access: {on} }}");
        self
    }

    /// Replaces the routes and the default.
    pub(crate) fn routes(mut self, text: &str) -> Self {
        self.routes = text.into();
        self
    }

    /// Puts a file beside the config file. `DIR/` in any line stands for their folder.
    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.into(), text.into()));
        self
    }

    /// Adds a listener with TLS.
    pub(crate) fn tls(mut self, certificate: &super::Certificate) -> Self {
        self.tls = true;
        self.file("tls.crt", &certificate.chain)
            .file("tls.key", &certificate.key)
            .server("tls: { certificate: DIR/tls.crt, key: DIR/tls.key, listen: 127.0.0.1:0 }")
    }

    /// The file's text, with `DIR/` still in it.
    fn yaml(&self) -> String {
        let mut text = String::new();
        for (name, lines) in [
            ("server", &self.server),
            ("upstream", &self.upstream),
            ("auth0", &self.auth0),
        ] {
            let _ = writeln!(text, "{name}:");
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        for section in &self.sections {
            let _ = writeln!(text, "{section}");
        }
        text + &self.routes
    }

    /// The file's text, with the folder's name in it.
    pub(crate) fn yaml_in(&self, folder: &Path) -> String {
        self.yaml()
            .replace("DIR/", &format!("{}/", folder.display()))
    }

    /// Starts Tollgate and waits until it is ready.
    pub(crate) async fn start(self) -> Gate {
        let gate = self.start_unready().await;
        gate.until_readyz(200).await;
        gate
    }

    /// Starts Tollgate and waits until it listens.
    pub(crate) async fn start_unready(self) -> Gate {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in &self.files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        let config = folder.path().join("tollgate.yaml");
        std::fs::write(&config, self.yaml_in(folder.path())).expect("a config file");
        launch(folder, &config, self.tls).await
    }
}

/// Starts the binary with the file `config`.
pub(crate) async fn launch(folder: tempfile::TempDir, config: &Path, tls: bool) -> Gate {
    let (child, log) = spawn(config);
    let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
    // A `Gate` from here on, so that the process ends with the test whatever happens.
    let mut gate = Gate {
        child,
        address: unknown,
        tls: None,
        admin: unknown,
        log,
        folder,
    };
    gate.learn_addresses(tls).await;
    gate
}

/// The program under test: of this build, or the one that the environment names.
pub(crate) fn binary() -> OsString {
    std::env::var_os("TOLLGATE_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_tollgate").into())
}

fn spawn(config: &Path) -> (Child, Log) {
    // A write beyond a limit on files is to fail, as on a full disk, and not to end the process.
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" serve -c \"$1\""])
        .arg(binary())
        .arg(config)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let log = Log::default();
    log.follow(child.stdout.take().expect("piped"));
    log.follow(child.stderr.take().expect("piped"));
    (child, log)
}

impl Gate {
    /// Ends the process with SIGKILL, if it still runs, and starts it again with the same file, on other ports.
    pub(crate) async fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.child, self.log) = spawn(&self.folder.path().join("tollgate.yaml"));
        self.learn_addresses(self.tls.is_some()).await;
        self.until_readyz(200).await;
    }

    /// Reads from the log which ports the system chose.
    async fn learn_addresses(&mut self, tls: bool) {
        let count = if tls { 2 } else { 1 };
        for event in self
            .log
            .until("its listeners", count, |event| {
                event["message"] == "listening"
            })
            .await
        {
            if event["listener.tls"] == true {
                self.tls = address(&event);
            } else {
                self.address = address(&event).unwrap_or(self.address);
            }
        }
        let admin = |event: &Value| event["message"] == "admin listening";
        let admin = self.log.until("its admin listener", 1, admin).await;
        self.admin = address(&admin[0]).unwrap_or(self.admin);
    }
}

fn address(event: &Value) -> Option<SocketAddr> {
    event["listener.address"]
        .as_str()
        .and_then(|text| text.parse().ok())
}
