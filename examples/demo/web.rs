//! A small client: what a frontend sends to Tollgate, and what a browser does on the pages that Stripe hosts.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::raw::{Reply, Wire};

/// A request, and what is said of it.
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    headers: String,
    body: String,
    /// With what it is sent, for people.
    pub(crate) with: String,
}

impl Ask {
    /// GET `path`.
    pub(crate) fn get(path: &str, with: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            headers: String::new(),
            body: String::new(),
            with: with.to_owned(),
        }
    }

    /// POST of JSON.
    pub(crate) fn post(path: &str, with: &str, body: &Value) -> Self {
        let ask = Self {
            method: "POST",
            body: body.to_string(),
            ..Self::get(path, with)
        };
        ask.header("Content-Type", "application/json")
    }

    /// POST of a form.
    fn form(path: &str, with: &str, body: &str) -> Self {
        let ask = Self {
            method: "POST",
            body: body.to_owned(),
            ..Self::get(path, with)
        };
        ask.header("Content-Type", "application/x-www-form-urlencoded")
    }

    /// Adds an access token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let _ = write!(self.headers, "{name}: {value}\r\n");
        self
    }

    /// Its method and path.
    pub(crate) fn line(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }

    /// Sends it. Without an answer the status is 0, and the body says why.
    pub(crate) async fn send(&self, to: SocketAddr) -> Reply {
        let Self {
            method,
            path,
            headers,
            body,
            with: _,
        } = self;
        let answer = async {
            let mut wire = Wire::over(TcpStream::connect(to).await?);
            let length = body.len();
            wire.try_send(format!(
                "{method} {path} HTTP/1.1\r\nHost: {to}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
            ))
            .await?;
            wire.try_reply(false).await
        };
        answer.await.unwrap_or_else(|error| Reply {
            body: format!("no answer: {error}").into_bytes(),
            ..Reply::default()
        })
    }
}

/// A page that a browser shows.
pub(crate) struct Shown {
    server: SocketAddr,
    path: String,
    pub(crate) ask: Ask,
    pub(crate) reply: Reply,
}

impl Shown {
    /// Opens the page at `url`. `site` is said of it.
    pub(crate) async fn open(url: &str, site: &str) -> anyhow::Result<Self> {
        let (server, path) = parse(url)?;
        let ask = Ask::get(&path, site);
        let reply = ask.send(server).await;
        Ok(Self {
            server,
            path,
            ask,
            reply,
        })
    }

    /// Presses the button of the page's form, which goes to the page's own address.
    pub(crate) async fn press(&self, button: &str) -> anyhow::Result<Self> {
        let html = self.reply.text();
        let form = html
            .split("<form")
            .nth(1)
            .and_then(|rest| rest.split("</form>").next())
            .filter(|form| form.contains(&format!("<button>{button}</button>")));
        let form = form.with_context(|| format!("the page has no button {button:?}"))?;
        let fields: Vec<String> = form
            .split("<input")
            .skip(1)
            .filter_map(|input| {
                let name = attribute(input, "name")?;
                Some(format!("{name}={}", attribute(input, "value")?))
            })
            .collect();
        let ask = Ask::form(
            &self.path,
            &format!("pressed \"{button}\""),
            &fields.join("&"),
        );
        let reply = ask.send(self.server).await;
        Ok(Self {
            server: self.server,
            path: self.path.clone(),
            ask,
            reply,
        })
    }

    /// Where the answer sends the browser.
    pub(crate) fn location(&self) -> anyhow::Result<String> {
        let location = self.reply.header_all("location").first().copied();
        Ok(location.context("no Location")?.to_owned())
    }
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()
}

/// Address and path of an `http://ADDRESS:PORT/PATH`.
fn parse(url: &str) -> anyhow::Result<(SocketAddr, String)> {
    let rest = url
        .strip_prefix("http://")
        .with_context(|| format!("not a page on this machine: {url:?}"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let server = authority
        .parse()
        .with_context(|| format!("no address in {url:?}"))?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((server, format!("{slash}{path}")))
}
