//! The access token for the Management API: bought early, once for all who wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{Method, StatusCode, header};
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use serde_json::{Value, json};

use super::Config;
use super::error::{Error, Kind};
use super::limit::Limit;
use super::wire::{Answer, Failure, Http};
use crate::clock::Clock;
use crate::types::Secret;

const CALL: &str = "POST /oauth/token";
/// A new token is bought so long before the old one ends: longer than any call, and than clocks differ.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// A token that lacks a scope is kept for so long: each costs the tenant one of a monthly quota.
const SCOPE_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Auth0's default, taken where the answer does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Auth0 allows thirty days.
const MAX_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The token, and the way to the next one.
///
/// Tokens are numbered. Whoever needs number `n` asks the cache for it, which lets one caller fetch while the others
/// wait; when that caller goes away, another takes over.
pub(super) struct Tokens {
    http: Arc<Http>,
    limit: Arc<Limit>,
    clock: Arc<dyn Clock>,
    url: String,
    /// What the token is asked for with; holds the client's secret.
    request: Secret,
    /// The longest wait for somebody else's fetch.
    patience: Duration,
    wanted: AtomicU64,
    bought: Cache<u64, Arc<Token>>,
    /// The last one bought, while Auth0 has not refused it.
    last: ArcSwapOption<Token>,
}

/// One token. Times are since 1970.
pub(super) struct Token {
    number: u64,
    value: Secret,
    bought_at: Duration,
    /// From then on a new one is wanted.
    renew_at: Duration,
    expires_at: Duration,
}

impl Token {
    /// Call it where the request is built, and nowhere else.
    pub(super) fn expose(&self) -> &str {
        self.value.expose()
    }
}

impl Tokens {
    pub(super) fn new(
        config: Config,
        http: Arc<Http>,
        limit: Arc<Limit>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let request = json!({
            "grant_type": "client_credentials",
            "client_id": config.client_id,
            "client_secret": config.client_secret.expose(),
            "audience": config.audience,
        });
        // The one in use and the one before, which a late caller may still ask for.
        let bought = Cache::builder()
            .max_capacity(2)
            .eviction_policy(EvictionPolicy::lru());
        Self {
            http,
            limit,
            clock,
            url: config.url + "oauth/token",
            request: Secret::new(request.to_string()),
            // A fetch is two tries, and the one who fetches may go away at its end.
            patience: config.timeout * 4,
            wanted: AtomicU64::new(1),
            bought: bought.build(),
            last: ArcSwapOption::empty(),
        }
    }

    /// A token that is good, bought now if need be.
    pub(super) async fn current(&self) -> Result<Arc<Token>, Error> {
        let bought = match self.wanted().await {
            Ok(token) if token.renew_at <= self.clock.since_epoch() => {
                self.want_next(&token);
                self.wanted().await
            }
            other => other,
        };
        // It is bought early, so that the old one bridges a short outage.
        bought.or_else(|error| self.still_good().ok_or(error))
    }

    /// Throws a token away that Auth0 refused, unless somebody did so already.
    pub(super) fn refused(&self, token: &Token) {
        let last = self.last.load();
        if last
            .as_ref()
            .is_some_and(|last| last.number == token.number)
        {
            self.last.store(None);
        }
        self.want_next(token);
    }

    /// A token that lacks a scope: scopes are granted to the next one, so it is bought soon, and not at every call.
    pub(super) fn lacks_a_scope(&self, token: &Token) {
        if token.bought_at + SCOPE_PATIENCE <= self.clock.since_epoch() {
            self.want_next(token);
        }
    }

    fn want_next(&self, token: &Token) {
        let next = token.number + 1;
        let _ =
            self.wanted
                .compare_exchange(token.number, next, Ordering::AcqRel, Ordering::Acquire);
    }

    fn still_good(&self) -> Option<Arc<Token>> {
        let last = self.last.load_full()?;
        (self.clock.since_epoch() < last.expires_at).then_some(last)
    }

    /// The token of the number that is wanted; one caller fetches it.
    async fn wanted(&self) -> Result<Arc<Token>, Error> {
        let number = self.wanted.load(Ordering::Acquire);
        let token = self.bought.try_get_with(number, self.buy(number));
        match tokio::time::timeout(self.patience, token).await {
            Ok(Ok(token)) => Ok(token),
            Ok(Err(error)) => Err(Error::clone(&error)),
            Err(_) => Err(Error::new(Kind::Unreachable, CALL)),
        }
    }

    async fn buy(&self, number: u64) -> Result<Arc<Token>, Error> {
        let answer = match self.ask().await {
            Err(Failure::Broken) => self.ask().await,
            Ok(answer) if answer.status.is_server_error() => self.ask().await,
            other => other,
        };
        let answer = answer.map_err(|failure| Error::new(failure.into(), CALL))?;
        let (value, life) = self.read(&answer)?;
        let now = self.clock.since_epoch();
        let token = Arc::new(Token {
            number,
            value,
            bought_at: now,
            renew_at: now + useful(life),
            expires_at: now + life,
        });
        self.last.store(Some(Arc::clone(&token)));
        tracing::info!("Auth0 Management API client refreshed");
        Ok(token)
    }

    async fn ask(&self) -> Result<Answer, Failure> {
        let request = self
            .http
            .request(Method::POST, &self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(self.request.expose().to_owned());
        self.http.send(request, CALL).await
    }

    /// The token and how long it lives.
    fn read(&self, answer: &Answer) -> Result<(Secret, Duration), Error> {
        let error = |kind| Error {
            retry_after: self.limit.retry_after(&answer.headers),
            ..Error::new(kind, CALL)
        };
        match answer.status {
            status if status.is_success() => {}
            StatusCode::TOO_MANY_REQUESTS => {
                let hold = self.limit.learn(answer.status, &answer.headers);
                return Err(Error {
                    retry_after: hold,
                    ..error(Kind::RateLimited)
                });
            }
            status if status.is_server_error() => return Err(error(Kind::Api(status.as_u16()))),
            // Whatever the refusal: what was sent is what `auth0.management` says.
            status if status.is_client_error() => return Err(error(Kind::Client)),
            _ => return Err(error(Kind::Unreadable)),
        }
        parse(&answer.body).ok_or_else(|| error(Kind::Unreadable))
    }
}

fn parse(body: &[u8]) -> Option<(Secret, Duration)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let token = body["access_token"].as_str()?;
    // What no header may hold is no token.
    let valid = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then(|| (Secret::new(token.to_owned()), life(&body["expires_in"])))
}

/// `expires_in`, in seconds.
fn life(expires_in: &Value) -> Duration {
    let seconds = expires_in
        .as_u64()
        .or_else(|| expires_in.as_str().and_then(|text| text.parse().ok()));
    seconds.map_or(DEFAULT_LIFE, |seconds| {
        Duration::from_secs(seconds).min(MAX_LIFE)
    })
}

/// How much of a token's life is used before the next one is bought.
fn useful(life: Duration) -> Duration {
    match life.checked_sub(MARGIN) {
        Some(used) if !used.is_zero() => used,
        Some(_) | None => life / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_five_minutes_early_a_short_one_at_half_its_life() {
        for (life, used) in [(86_400, 86_100), (302, 2), (300, 150), (60, 30), (0, 0)] {
            let used = Duration::from_secs(used);
            assert_eq!(useful(Duration::from_secs(life)), used, "{life}");
        }
    }

    #[test]
    fn a_token_that_does_not_say_lives_a_day() {
        for (expires_in, seconds) in [
            (json!(3600), 3600),
            (json!("3600"), 3600),
            (json!(null), 86_400),
            (json!(-1), 86_400),
            (json!(u64::MAX), MAX_LIFE.as_secs()),
        ] {
            assert_eq!(life(&expires_in), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn an_answer_without_a_usable_token_is_none() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":"a\nb"}"#,
        ] {
            assert!(parse(body.as_bytes()).is_none(), "{body}");
        }
        let (token, _) = parse(br#"{"access_token":"abc","more":1}"#).unwrap();
        assert_eq!(token.expose(), "abc");
    }
}
