//! A headless Chromium, driven through `ChromeDriver` (the W3C's `WebDriver`, plain HTTP and JSON).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::raw::{DEADLINE, Wire};

/// Under which name `WebDriver` gives an element (W3C `WebDriver`, section 11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Where Debian puts them.
const DRIVER: &str = "/usr/bin/chromedriver";
const CHROMIUM: &str = "/usr/bin/chromium";

/// One browser with one window.
pub(super) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// Its profile, gone at the end.
    folder: tempfile::TempDir,
}

impl Browser {
    /// Starts one, with or without JavaScript; none where Chromium is not installed, which is then said.
    pub(super) async fn start(javascript: bool) -> Option<Self> {
        if !Path::new(DRIVER).is_file() || !Path::new(CHROMIUM).is_file() {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test").to_owned();
            // On the real standard error, which the test runner does not keep back.
            let _ = writeln!(
                std::io::stderr(),
                "not run: {test}: Chromium and ChromeDriver are not installed"
            );
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .env("HOME", folder.path())
            .spawn()
            .expect("ChromeDriver starts");
        let output = BufReader::new(driver.stdout.take().expect("piped"));
        let port = tokio::task::spawn_blocking(move || port(output)).await;
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("a port")));
        let mut browser = Self {
            driver,
            address,
            session: String::new(),
            folder,
        };
        let profile = browser.folder.path().join("profile");
        let wanted = capabilities(&profile, javascript);
        let session = browser.ask("POST", "/session", Some(&wanted)).await;
        session["sessionId"]
            .as_str()
            .expect("a session")
            .clone_into(&mut browser.session);
        Some(browser)
    }

    /// Goes to `url`, and waits until the page is loaded.
    pub(super) async fn go(&self, url: &str) {
        self.command("POST", "url", json!({ "url": url })).await;
    }

    /// The element that fits the CSS selector, waited for.
    pub(super) async fn find(&self, selector: &str) -> String {
        let query = json!({ "using": "css selector", "value": selector });
        let found = self.patiently(async || {
            let found = self.try_command("POST", "elements", &query).await;
            found[0][ELEMENT].as_str().map(str::to_owned).ok_or(found)
        });
        match found.await {
            Ok(id) => id,
            Err(last) => panic!("no {selector}: {last}, in\n{}", self.text().await),
        }
    }

    /// Does something with the element, which the page may have put another in place of meanwhile.
    async fn use_element(&self, selector: &str, method: &str, what: &str, body: Value) -> Value {
        let done = self.patiently(async || {
            let id = self.find(selector).await;
            let path = format!("element/{id}/{what}");
            let value = self.try_command(method, &path, &body).await;
            match value["error"].as_str() {
                Some("stale element reference") => Err(value),
                _ => Ok(value),
            }
        });
        let value = done.await.unwrap_or_else(|last| last);
        assert!(value["error"].is_null(), "{what} of {selector}: {value}");
        value
    }

    /// How many elements fit.
    pub(super) async fn count(&self, selector: &str) -> usize {
        let query = json!({ "using": "css selector", "value": selector });
        let found = self.command("POST", "elements", query).await;
        found.as_array().map_or(0, Vec::len)
    }

    /// Clicks on the element.
    pub(super) async fn click(&self, selector: &str) {
        self.use_element(selector, "POST", "click", json!({})).await;
    }

    /// Writes into the element.
    pub(super) async fn write(&self, selector: &str, text: &str) {
        let body = json!({ "text": text });
        self.use_element(selector, "POST", "value", body).await;
    }

    /// Says yes to the question that is asked.
    pub(super) async fn say_yes(&self) {
        self.question().await;
        self.command("POST", "alert/accept", json!({})).await;
    }

    /// Says no to it, and gives it.
    pub(super) async fn say_no(&self) -> String {
        let text = self.question().await;
        self.command("POST", "alert/dismiss", json!({})).await;
        text
    }

    /// The question, waited for.
    async fn question(&self) -> String {
        let asked = self.patiently(async || {
            let text = self.try_command("GET", "alert/text", &Value::Null).await;
            text.as_str().map(str::to_owned).ok_or(text)
        });
        asked
            .await
            .unwrap_or_else(|last| panic!("no question: {last}"))
    }

    /// What can be read on the page.
    pub(super) async fn text(&self) -> String {
        let query = json!({ "using": "css selector", "value": "body" });
        let found = self.try_command("POST", "elements", &query).await;
        let Some(id) = found[0][ELEMENT].as_str() else {
            return String::new();
        };
        let path = format!("element/{id}/text");
        let text = self.try_command("GET", &path, &Value::Null).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until `text` can be read on the page.
    pub(super) async fn until(&self, text: &str) {
        let reached = self.patiently(async || {
            let page = self.text().await;
            if page.contains(text) {
                Ok(())
            } else {
                Err(page)
            }
        });
        if let Err(page) = reached.await {
            panic!("{text:?} is not in\n{page}");
        }
    }

    /// Tries until it succeeds; what it gave last where it never did. A page that is just being left answers with errors.
    async fn patiently<T, E>(&self, attempt: impl AsyncFn() -> Result<T, E>) -> Result<T, E> {
        let end = tokio::time::Instant::now() + DEADLINE;
        let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            look.tick().await;
            match attempt().await {
                Err(_) if tokio::time::Instant::now() < end => {}
                done => return done,
            }
        }
    }

    /// The element's attribute or property.
    pub(super) async fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let what = format!("attribute/{name}");
        let value = self.use_element(selector, "GET", &what, Value::Null).await;
        value.as_str().map(str::to_owned)
    }

    /// Where it is.
    pub(super) async fn url(&self) -> String {
        let url = self.command("GET", "url", Value::Null).await;
        url.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script in the page.
    pub(super) async fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.command("POST", "execute/sync", body).await
    }

    /// Makes the window this wide and high, light or dark.
    pub(super) async fn look(&self, (width, height): (u32, u32), scheme: &str) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Messages of the page's console: errors of scripts, and what the content policy has kept out.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let logged = self
            .command("POST", "se/log", json!({ "type": "browser" }))
            .await;
        let entries = logged.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// The whole page as PNG, in a file.
    pub(super) async fn picture(&self, file: &Path) {
        let size = self
            .run("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]")
            .await;
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", wanted).await;
        let data = picture["data"].as_str().expect("a picture");
        let bytes = base64::engine::general_purpose::STANDARD.decode(data);
        std::fs::write(file, bytes.expect("base64")).expect("a file");
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("POST", "goog/cdp/execute", body).await
    }

    async fn command(&self, method: &str, path: &str, body: Value) -> Value {
        let value = self.try_command(method, path, &body).await;
        assert!(value["error"].is_null(), "{path}: {value}");
        value
    }

    async fn try_command(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        let body = (!body.is_null()).then_some(body);
        self.ask(method, &path, body).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut wire = Wire::connect(self.address).await;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            self.address,
            body.len()
        );
        wire.send(head + &body).await;
        let reply = wire.try_reply(false).await.expect("ChromeDriver answers");
        reply.json()["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its children go with its session, or with it.
        let address = self.address;
        let request = format!(
            "DELETE /session/{} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n",
            self.session
        );
        if let Ok(mut socket) = std::net::TcpStream::connect(address) {
            let _ = socket.set_read_timeout(Some(DEADLINE));
            let _ = socket.write_all(request.as_bytes());
            let _ = std::io::copy(&mut socket, &mut std::io::sink());
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The port that `ChromeDriver` says it has; what it says afterwards is read by nobody, but has to be taken.
fn port(output: impl std::io::Read + Send + 'static) -> u16 {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let told = lines.find_map(|line| {
        let (_, rest) = line.split_once("started successfully on port ")?;
        rest.trim_end_matches('.').parse().ok()
    });
    std::thread::spawn(move || lines.for_each(drop));
    told.expect("ChromeDriver says its port")
}

fn capabilities(profile: &Path, javascript: bool) -> Value {
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
        "--hide-scrollbars",
    ];
    let profile = format!("--user-data-dir={}", profile.display());
    let arguments: Vec<&str> = arguments.into_iter().chain([profile.as_str()]).collect();
    // 2 is "block" (Chromium's content settings).
    let preferences = json!({ "profile.managed_default_content_settings.javascript": if javascript { 1 } else { 2 } });
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "unhandledPromptBehavior": "ignore",
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "binary": CHROMIUM, "args": arguments, "prefs": preferences },
    } } })
}
