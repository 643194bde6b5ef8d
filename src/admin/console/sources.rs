//! What the console shows, handed in as plain data and functions: it stands below those who know it.

use std::sync::Arc;
use std::time::Duration;

use crate::auth0;
use crate::entitlement::Terms;
use crate::store::{Store, UnixMillis};
use crate::stripe;

/// What explains a request; a sentence where the question makes no sense.
pub type Explain = Box<dyn Fn(&Question) -> Result<Answer, String> + Send + Sync>;

/// Where the console looks.
pub struct Sources {
    /// The payment half; `None` for a gate alone.
    pub payments: Option<Payments>,
    /// Where the upstream is.
    pub upstream: Upstream,
    /// Above this age the key set should have been fetched anew.
    pub keys_fresh: Duration,
    /// The config file, as it was named.
    pub file: String,
    /// What the last reload came to; `None` before the first.
    pub reload: Box<dyn Fn() -> Option<Reload> + Send + Sync>,
    /// The route table in force.
    pub routes: Box<dyn Fn() -> Vec<RouteLine> + Send + Sync>,
    /// What would become of a request.
    pub explain: Explain,
}

/// The payment half.
pub struct Payments {
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// For e-mails, which the ledger does not know.
    pub auth0: Arc<auth0::Client>,
    /// For e-mails too: who paid under one may have another in Auth0.
    pub stripe: Arc<stripe::Client>,
    /// What is sold now.
    pub terms: Box<dyn Fn() -> Arc<Terms> + Send + Sync>,
}

/// Where the upstream is.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// As people read it.
    pub url: String,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What a reload of the config came to.
#[derive(Clone, Debug)]
pub struct Reload {
    /// When.
    pub at: UnixMillis,
    /// Why it was tried.
    pub why: String,
    /// Why it failed; the config before it stays in force then.
    pub error: Option<String>,
}

/// One line of the route table.
#[derive(Clone, Debug)]
pub struct RouteLine {
    /// The path.
    pub path: String,
    /// The methods.
    pub methods: String,
    /// What a request needs.
    pub requirement: String,
    /// Its line in the file.
    pub line: Option<usize>,
}

/// A request to explain.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// What a made-up user holds; `None` is nobody.
    pub permissions: Option<Vec<String>>,
}

/// What would become of a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The path after normalisation; `None` when it is refused before.
    pub path: Option<String>,
    /// What answers for it.
    pub route: String,
    /// The route's line in the file.
    pub line: Option<usize>,
    /// What it asks for.
    pub requirement: Option<String>,
    /// Permissions that are missing.
    pub missing: Vec<String>,
    /// Plans that sell them.
    pub upgrade: Vec<String>,
    /// The status of the refusal; `None` is let through.
    pub status: Option<u16>,
    /// One sentence.
    pub why: String,
}
