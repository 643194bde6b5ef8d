//! Where events go: to where a test says, and to every endpoint that was made by the API.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::raw::{Reply, Wire};
use crate::support::stripe::event::Event;
use crate::support::stripe::objects::{number, text};
use crate::support::stripe::sign::sign_with_all;
use crate::support::stripe::state::State;
use crate::support::token;

/// The real deadline is not published; no good endpoint needs so long.
const DEADLINE: Duration = Duration::from_secs(10);

/// Endpoints of this version and later get events in today's shapes.
const TODAY: &str = "2025-03-31";

/// An address on this machine.
#[derive(Clone, Debug)]
pub(in crate::support::stripe) struct Target {
    address: SocketAddr,
    path: String,
}

impl Target {
    /// `http://127.0.0.1:8001/stripe/webhook`; `None` for what is not on this machine.
    pub(in crate::support::stripe) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = match authority.strip_prefix("localhost:") {
            Some(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?)),
            None => authority.parse().ok()?,
        };
        Some(Self {
            address,
            path: format!("/{path}"),
        })
    }

    pub(super) async fn post(&self, body: &str, signature: &str) -> Option<Reply> {
        let post = async {
            let mut wire = Wire::over(TcpStream::connect(self.address).await.ok()?);
            let head = format!(
                "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n\
                 Accept: */*; q=0.5, application/xml\r\nCache-Control: no-cache\r\nContent-Type: application/json; \
                 charset=utf-8\r\nStripe-Signature: {signature}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                self.path,
                self.address,
                body.len()
            );
            wire.try_send(head + body).await.ok()?;
            wire.try_reply(false).await.ok()
        };
        timeout(DEADLINE, post).await.ok().flatten()
    }
}

/// The `we_…` of an endpoint; `None` for where a test says.
pub(super) type Name = Option<String>;

/// One place that events go to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) name: Name,
    /// `None` while it is not known, or not on this machine.
    pub(super) target: Option<Target>,
    secrets: Vec<String>,
    /// `None` for all types.
    kinds: Option<BTreeSet<String>>,
    /// Whether events are rendered in the shapes of 2024.
    pub(super) older: bool,
    /// How many events there were before it was made.
    pub(super) from: usize,
}

impl Destination {
    /// Whether it is sent the event, which is the `place`th.
    pub(super) fn wants(&self, place: usize, event: &Event) -> bool {
        let kinds = self.kinds.as_ref();
        place >= self.from && kinds.is_none_or(|kinds| kinds.contains(&event.kind))
    }

    /// The header that signs `body` at `t`, with every secret.
    pub(super) fn sign(&self, body: &str, t: i64) -> String {
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        sign_with_all(body.as_bytes(), &secrets, t)
    }
}

impl State {
    /// All of them. Where a test says is left out once there is an endpoint, unless a test says so.
    pub(super) fn destinations(&self) -> Vec<Destination> {
        let mut all: Vec<Destination> = self.endpoints();
        if self.sending.target.is_some() || all.is_empty() {
            all.insert(0, self.told());
        }
        all
    }

    /// The one that deliveries by hand go to.
    pub(super) fn first_destination(&self) -> Destination {
        self.destinations().swap_remove(0)
    }

    /// Where a test says.
    fn told(&self) -> Destination {
        Destination {
            name: None,
            target: self.sending.target.clone(),
            secrets: self.settings.secrets.clone(),
            kinds: self.sending.subscribed.clone(),
            older: self.settings.older_events,
            from: 0,
        }
    }

    /// The endpoints that were made by the API and are switched on.
    fn endpoints(&self) -> Vec<Destination> {
        let made = self.sending.endpoints.iter();
        let there = made.filter_map(|id| self.objects.find(id));
        let enabled = there.filter(|endpoint| text(endpoint, "status") == "enabled");
        enabled.map(|endpoint| self.endpoint(endpoint)).collect()
    }

    fn endpoint(&self, endpoint: &Value) -> Destination {
        let kinds = endpoint["enabled_events"].as_array();
        let kinds = kinds.into_iter().flatten().filter_map(Value::as_str);
        let kinds: BTreeSet<String> = kinds.map(str::to_owned).collect();
        let version = endpoint["api_version"].as_str();
        Destination {
            name: Some(text(endpoint, "id").to_owned()),
            target: Target::parse(text(endpoint, "url")),
            secrets: vec![text(endpoint, "_secret").to_owned()],
            kinds: (!kinds.contains("*")).then_some(kinds),
            older: version.map_or(self.settings.older_events, |version| version < TODAY),
            from: usize::try_from(number(endpoint, "_from")).unwrap_or_default(),
        }
    }

    /// The header that signs `body` now, for where deliveries by hand go.
    pub(in crate::support::stripe) fn signature(&self, body: &str) -> String {
        self.first_destination().sign(body, self.signing_time())
    }

    pub(super) fn signing_time(&self) -> i64 {
        self.sending.signing_time.unwrap_or_else(token::now)
    }
}
