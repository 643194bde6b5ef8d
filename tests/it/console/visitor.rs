//! Somebody who looks at the console without a browser.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::gate::Gate;
use crate::support::raw::{Reply, Wire};

/// Somebody who keeps the session's cookie, as a browser does.
pub(super) struct Visitor {
    admin: SocketAddr,
    pub(super) cookie: Option<String>,
}

impl Visitor {
    pub(super) fn of(gate: &Gate) -> Self {
        Self {
            admin: gate.admin,
            cookie: None,
        }
    }

    /// GET `path`.
    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    /// The page at `path`, which is there.
    pub(super) async fn page(&self, path: &str) -> String {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.text()
    }

    /// POST of a form.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.post_with(path, fields, &[]).await
    }

    /// POST of a form with further headers.
    pub(super) async fn post_with(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Reply {
        let form = form(fields);
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        self.send("POST", path, &[&kind, headers].concat(), &form)
            .await
    }

    /// Presses a button: POST with the token that forms of this session hold.
    pub(super) async fn press(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let csrf = self.csrf().await;
        let fields = [fields, &[("csrf", csrf.as_str())]].concat();
        self.post(path, &fields).await
    }

    /// What forms of this session hold.
    pub(super) async fn csrf(&self) -> String {
        let page = self.page("/").await;
        let (_, rest) = page
            .split_once("name=\"csrf\" value=\"")
            .expect("a form of a session");
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    /// Signs in.
    pub(super) async fn sign_in(mut self, token: &str) -> Self {
        let reply = self.post("/sign-in", &[("token", token)]).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        let cookie = reply.header("set-cookie").expect("a cookie");
        self.cookie = cookie.split(';').next().map(str::to_owned);
        self
    }

    /// One request on a connection of its own.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.admin);
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if let Some(cookie) = &self.cookie {
            let _ = write!(text, "Cookie: {cookie}\r\n");
        }
        if method == "POST" {
            let _ = write!(text, "Content-Length: {}\r\n", body.len());
        }
        let mut wire = Wire::connect(self.admin).await;
        wire.send(format!("{text}\r\n{body}")).await;
        wire.try_reply(method == "HEAD").await.expect("a response")
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Percent-encoded.
pub(super) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
