//! One call of the Management API: its turn, its token, what to do when it fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, header};
use serde_json::Value;

use super::Config;
use super::error::{Error, Kind};
use super::limit::{Caller, DEFAULT_HOLD, Limit};
use super::read::encode;
use super::token::{CALL as TOKEN_CALL, Token, Tokens};
use super::wire::{Answer, Failure, Http};
use crate::clock::Clock;
use crate::telemetry::Metrics;

/// The shortest wait after a 429, whatever it asks: in this time the smallest tenant's bucket earns a call.
const SHORTEST_HOLD: Duration = Duration::from_millis(500);

/// What can be called. All of them may be repeated, reads, sets that are added to, keys that are set, except what makes
/// something new: see [`Api::send_once`].
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// Its method and path, the parameters in braces: for errors and metrics.
    pub(super) name: &'static str,
    /// The scopes it needs.
    pub(super) scopes: &'static str,
}

/// One call.
pub(super) struct Call<'a> {
    endpoint: &'a Endpoint,
    /// Below `api/v2/`, encoded.
    path: &'a str,
    query: Vec<(&'static str, String)>,
    body: Option<&'a Value>,
}

impl<'a> Call<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, path: &'a str) -> Self {
        Self {
            endpoint,
            path,
            query: Vec::new(),
            body: None,
        }
    }

    /// Adds a parameter.
    pub(super) fn with(mut self, name: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Sends JSON.
    pub(super) fn body(mut self, body: &'a Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn error(&self, kind: Kind) -> Error {
        Error::new(kind, self.endpoint.name)
    }
}

/// What may help a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    No,
    Once,
    WithNewToken,
}

/// How often a call is repeated after a broken connection or a 5xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeats {
    None,
    One,
}

/// The Management API.
#[derive(Clone)]
pub(super) struct Api {
    base: Arc<str>,
    http: Arc<Http>,
    tokens: Arc<Tokens>,
    limit: Arc<Limit>,
    caller: Caller,
    /// For so long a call is repeated that is refused with 429.
    patience: Option<Duration>,
}

/// The time of one call: who asks for its turns, and when nobody waits any longer.
struct Time {
    caller: Caller,
    end: Option<Instant>,
}

impl Time {
    /// Who asks for a turn now.
    fn caller(&self) -> Caller {
        let Some(end) = self.end else {
            return self.caller;
        };
        let left = end.saturating_duration_since(Instant::now());
        match self.caller {
            Caller::Job => Caller::Browser(left),
            Caller::Browser(patience) => Caller::Browser(patience.max(left)),
        }
    }

    /// Waits as a 429 asks; `false` at once where that is too long, or it is another error.
    async fn has_waited(&self, error: &Error) -> bool {
        let Some(end) = self.end.filter(|_| error.kind == Kind::RateLimited) else {
            return false;
        };
        let asked = error.retry_after.unwrap_or(DEFAULT_HOLD);
        let wait = asked.max(SHORTEST_HOLD);
        if Instant::now() + wait >= end {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }
}

impl Api {
    /// # Errors
    ///
    /// When no TLS can be set up.
    pub(super) fn new(
        config: Config,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let http = Arc::new(Http::new(config.timeout, metrics)?);
        let limit = Arc::new(Limit::new(config.rate, Arc::clone(&clock)));
        let base = format!("{}api/v2/", config.url).into();
        let tokens = Tokens::new(config, Arc::clone(&http), Arc::clone(&limit), clock);
        Ok(Self {
            base,
            tokens: Arc::new(tokens),
            http,
            limit,
            caller: Caller::Job,
            patience: None,
        })
    }

    /// The same for a browser, whose calls wait up to `patience` for their turn and let jobs go first.
    pub(super) fn within(&self, patience: Duration) -> Self {
        Self {
            caller: Caller::Browser(patience),
            ..self.clone()
        }
    }

    /// The same for somebody who would rather wait: a call refused with 429 is repeated until `patience` is over.
    pub(super) fn patient(&self, patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            ..self.clone()
        }
    }

    /// Makes the call and reads its answer as JSON.
    pub(super) async fn read(&self, call: &Call<'_>) -> Result<Value, Error> {
        let body = self.send(call).await?;
        serde_json::from_slice(&body).map_err(|_| call.error(Kind::Unreadable))
    }

    /// Makes the call. Once more after a broken connection or a 5xx, and once more with a new token after a 401.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Vec<u8>, Error> {
        let sent = self.deliver(call, Repeats::One).await;
        sent.map_err(|(error, _)| error)
    }

    /// Makes a call that does something else when it is made twice: only a 401, which did nothing, is repeated here.
    pub(super) async fn send_once(&self, call: &Call<'_>) -> Result<Vec<u8>, (Error, Again)> {
        self.deliver(call, Repeats::None).await
    }

    /// What the token was granted, as far as the answer that sold it said so.
    pub(super) async fn granted(&self) -> Result<Option<Vec<String>>, Error> {
        let time = self.time();
        loop {
            match self.token(&time, TOKEN_CALL).await {
                Ok(token) => return Ok(token.scopes().map(<[String]>::to_vec)),
                Err(error) if time.has_waited(&error).await => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The time of a call that begins now.
    fn time(&self) -> Time {
        Time {
            caller: self.caller,
            end: self.patience.map(|patience| Instant::now() + patience),
        }
    }

    /// A turn, and the token for it: in this order, so that tries to buy one are paced too.
    async fn token(&self, time: &Time, call: &'static str) -> Result<Arc<Token>, Error> {
        let turn = self.limit.turn(time.caller()).await;
        turn.map_err(|wait| Error {
            retry_after: Some(wait),
            ..Error::new(Kind::RateLimited, call)
        })?;
        self.tokens.current().await
    }

    async fn deliver(&self, call: &Call<'_>, repeats: Repeats) -> Result<Vec<u8>, (Error, Again)> {
        let (mut repeated, mut renewed) = (repeats == Repeats::None, false);
        let time = self.time();
        loop {
            let token = match self.token(&time, call.endpoint.name).await {
                Ok(token) => token,
                Err(error) if time.has_waited(&error).await => continue,
                Err(error) => return Err((error, Again::No)),
            };
            match self.attempt(call, &token).await {
                Ok(body) => return Ok(body),
                Err((_, Again::Once)) if !repeated => repeated = true,
                Err((_, Again::WithNewToken)) if !renewed => {
                    renewed = true;
                    self.tokens.refused(&token);
                }
                // A 429 did nothing, so what makes something new may be repeated too.
                Err((error, _)) if time.has_waited(&error).await => {}
                Err((error, again)) => {
                    if matches!(error.kind, Kind::Scope(_)) {
                        self.tokens.lacks_a_scope(&token);
                    }
                    return Err((error, again));
                }
            }
        }
    }

    async fn attempt(&self, call: &Call<'_>, token: &Token) -> Result<Vec<u8>, (Error, Again)> {
        let answer = self.ask(call, token).await.map_err(|failure| {
            let again = match failure {
                Failure::Broken => Again::Once,
                Failure::TooSlow | Failure::TooLarge => Again::No,
            };
            (call.error(failure.into()), again)
        })?;
        let hold = self.limit.learn(answer.status, &answer.headers);
        let Some(kind) = refusal(answer.status, call.endpoint.scopes) else {
            return Ok(answer.body);
        };
        let error = Error {
            retry_after: self.limit.retry_after(&answer.headers).or(hold),
            ..call.error(kind)
        };
        let again = again(&error);
        Err((error, again))
    }

    async fn ask(&self, call: &Call<'_>, token: &Token) -> Result<Answer, Failure> {
        let mut url = format!("{}{}", self.base, call.path);
        for (at, (name, value)) in call.query.iter().enumerate() {
            let separator = if at == 0 { '?' } else { '&' };
            url.extend([separator.to_string(), format!("{name}={}", encode(value))]);
        }
        let mut request = self
            .http
            .request(call.endpoint.method.clone(), &url)
            .bearer_auth(token.expose());
        if let Some(body) = call.body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        self.http.send(request, call.endpoint.name).await
    }
}

/// Whether to try once more at once.
fn again(error: &Error) -> Again {
    match &error.kind {
        Kind::Client => Again::WithNewToken,
        Kind::Api(_) if error.retry_after.is_none() => Again::Once,
        Kind::Api(_)
        | Kind::Unreachable
        | Kind::RateLimited
        | Kind::Scope(_)
        | Kind::NoUser
        | Kind::NoRole(_)
        | Kind::Invalid(_)
        | Kind::Unreadable => Again::No,
    }
}

/// What a status means; `None` is a yes.
fn refusal(status: StatusCode, scopes: &'static str) -> Option<Kind> {
    match status.as_u16() {
        200..=299 => None,
        401 => Some(Kind::Client),
        403 => Some(Kind::Scope(scopes)),
        429 => Some(Kind::RateLimited),
        code @ 400..=499 => Some(Kind::Invalid(code)),
        code @ 500.. => Some(Kind::Api(code)),
        // A redirect is not followed: somebody stands between us and Auth0.
        _ => Some(Kind::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_meaning() {
        for (status, kind) in [
            (200, None),
            (204, None),
            (302, Some(Kind::Unreadable)),
            (400, Some(Kind::Invalid(400))),
            (401, Some(Kind::Client)),
            (403, Some(Kind::Scope("read:users"))),
            (404, Some(Kind::Invalid(404))),
            (429, Some(Kind::RateLimited)),
            (500, Some(Kind::Api(500))),
            (503, Some(Kind::Api(503))),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(status, "read:users"), kind);
        }
    }

    #[test]
    fn a_5xx_that_asks_to_wait_is_not_repeated_at_once() {
        let mut error = Error::new(Kind::Api(503), "GET /roles");
        assert_eq!(again(&error), Again::Once);
        error.retry_after = Some(std::time::Duration::from_secs(9));
        assert_eq!(again(&error), Again::No);
        assert_eq!(again(&error.but(Kind::RateLimited)), Again::No);
    }

    #[test]
    fn no_secret_shows_in_debug_output() {
        let config = Config {
            url: "https://t.example.test/".into(),
            client_id: "id".into(),
            client_secret: crate::types::Secret::new("hush".into()),
            audience: "https://t.example.test/api/v2/".into(),
            timeout: std::time::Duration::from_secs(1),
            rate: "2/s".parse().unwrap(),
        };
        assert!(!format!("{config:?}").contains("hush"));
    }
}
