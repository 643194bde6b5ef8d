//! The access token for the Management API: bought early, once for all who wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Config;
use super::error::{Error, Kind};
use super::limit::Limit;
use super::wire::{Answer, Failure, Http};
use crate::clock::Clock;
use crate::types::Secret;

/// The call that buys it.
pub(super) const CALL: &str = "POST /oauth/token";
/// A new token is bought so long before the old one ends: longer than any call, and than clocks differ.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// A token that lacks a scope is kept for so long: each costs the tenant one of a monthly quota.
const SCOPE_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// While the old token is good, a purchase that failed is tried again after so long.
const PAUSE: Duration = Duration::from_secs(30);
/// Auth0's default, taken where the answer does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Auth0 allows thirty days.
const MAX_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The token, and the way to the next one.
///
/// A purchase is a task of its own: it runs to its end whoever waits for it goes away, and there is one at a time. It
/// does not outlive the client.
pub(super) struct Tokens {
    shop: Arc<Shop>,
    /// The last purchase, over or not.
    purchase: Mutex<Option<Purchase>>,
    /// The number of a token that lacks a scope and is to be replaced.
    outgrown: AtomicU64,
    /// The longest wait for a purchase.
    patience: Duration,
}

/// What a purchase came to; `None` until it is over.
type Outcome = Option<Result<Arc<Token>, Error>>;

/// A purchase that was begun.
struct Purchase {
    outcome: watch::Receiver<Outcome>,
    /// Ends it when it is dropped: with the last clone of the client, since another one begins only when this is over.
    _task: JoinSet<()>,
}

/// Where tokens are bought.
struct Shop {
    http: Arc<Http>,
    limit: Arc<Limit>,
    clock: Arc<dyn Clock>,
    url: String,
    /// What the token is asked for with; holds the client's secret.
    request: Secret,
    /// How many were bought.
    count: AtomicU64,
    /// The last one bought, while Auth0 has not refused it.
    last: ArcSwapOption<Token>,
    /// When a purchase failed last, since 1970.
    failed_at: ArcSwapOption<Duration>,
}

/// One token. Times are since 1970.
pub(super) struct Token {
    number: u64,
    value: Secret,
    /// What it was granted, where the answer said so.
    scopes: Option<Vec<String>>,
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

    /// What it was granted; `None` when the answer did not say.
    pub(super) fn scopes(&self) -> Option<&[String]> {
        self.scopes.as_deref()
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
        let shop = Shop {
            http,
            limit,
            clock,
            url: config.url + "oauth/token",
            request: Secret::new(request.to_string()),
            count: AtomicU64::new(0),
            last: ArcSwapOption::empty(),
            failed_at: ArcSwapOption::empty(),
        };
        Self {
            shop: Arc::new(shop),
            purchase: Mutex::new(None),
            outgrown: AtomicU64::new(0),
            // A purchase is two tries, and each may have to wait for a connection.
            patience: config.timeout * 4,
        }
    }

    /// A token that is good: the one there is, while the next is bought early and in the background, so that it bridges
    /// a short outage; else one that is bought now.
    pub(super) async fn current(&self) -> Result<Arc<Token>, Error> {
        let Some(token) = self.shop.good() else {
            return self.next(0).await;
        };
        if self.outgrown.load(Ordering::Acquire) == token.number {
            return Ok(self.next(token.number).await.unwrap_or(token));
        }
        let now = self.shop.clock.since_epoch();
        if token.renew_at <= now && !self.shop.pauses(now) {
            self.buy(token.number);
        }
        Ok(token)
    }

    /// Throws a token away that Auth0 refused, unless somebody did so already.
    pub(super) fn refused(&self, token: &Token) {
        let last = self.shop.last.load();
        if last
            .as_ref()
            .is_some_and(|last| last.number == token.number)
        {
            self.shop.last.store(None);
        }
    }

    /// A token that lacks a scope: scopes are granted to the next one, so it is bought soon, and not at every call.
    pub(super) fn lacks_a_scope(&self, token: &Token) {
        if token.bought_at + SCOPE_PATIENCE <= self.shop.clock.since_epoch() {
            self.outgrown.store(token.number, Ordering::Release);
        }
    }

    /// The token after number `after`, once it is bought.
    async fn next(&self, after: u64) -> Result<Arc<Token>, Error> {
        let mut outcome = self.buy(after);
        let over = tokio::time::timeout(self.patience, outcome.wait_for(Option::is_some)).await;
        let bought = match over {
            Ok(Ok(outcome)) => Option::clone(&outcome),
            // Too slow, or broken by a bug.
            Ok(Err(_)) | Err(_) => None,
        };
        bought.unwrap_or_else(|| Err(Error::new(Kind::Unreachable, CALL)))
    }

    /// The purchase that is under way, or one that begins now; unless a token after number `after` was bought meanwhile.
    fn buy(&self, after: u64) -> watch::Receiver<Outcome> {
        let mut last = self.purchase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(purchase) = last.as_ref().filter(|purchase| purchase.is_under_way()) {
            return purchase.outcome.clone();
        }
        if let Some(token) = self.shop.good().filter(|token| token.number > after) {
            return watch::channel(Some(Ok(token))).1;
        }
        let (told, outcome) = watch::channel(None);
        let shop = Arc::clone(&self.shop);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let bought = shop.buy().await;
            told.send_replace(Some(bought));
        });
        *last = Some(Purchase {
            outcome: outcome.clone(),
            _task: task,
        });
        outcome
    }
}

impl Purchase {
    fn is_under_way(&self) -> bool {
        let is_over = self.outcome.borrow().is_some();
        // Nobody is left to say what it came to.
        let is_broken = self.outcome.has_changed().is_err();
        !is_over && !is_broken
    }
}

impl Shop {
    /// The last token, while it is good.
    fn good(&self) -> Option<Arc<Token>> {
        let last = self.last.load_full()?;
        (self.clock.since_epoch() < last.expires_at).then_some(last)
    }

    /// Whether a purchase failed so lately that none is tried without need.
    fn pauses(&self, now: Duration) -> bool {
        let failed_at = self.failed_at.load_full();
        failed_at.is_some_and(|at| now.checked_sub(*at).is_some_and(|since| since < PAUSE))
    }

    /// Buys a token, and keeps it or when that failed.
    async fn buy(&self) -> Result<Arc<Token>, Error> {
        // From before it is asked for: its life begins no earlier.
        let now = self.clock.since_epoch();
        let bought = self.token(now).await;
        match &bought {
            Ok(token) => {
                self.last.store(Some(Arc::clone(token)));
                tracing::info!("Auth0 Management API client refreshed");
            }
            Err(error) => {
                self.failed_at.store(Some(Arc::new(now)));
                tracing::debug!(error = %error, "no token could be bought");
            }
        }
        bought
    }

    async fn token(&self, now: Duration) -> Result<Arc<Token>, Error> {
        let answer = match self.ask().await {
            Err(Failure::Broken) => self.ask().await,
            Ok(answer) if answer.status.is_server_error() => self.ask().await,
            other => other,
        };
        let answer = answer.map_err(|failure| Error::new(failure.into(), CALL))?;
        let sold = self.read(&answer)?;
        Ok(Arc::new(Token {
            number: self.count.fetch_add(1, Ordering::AcqRel) + 1,
            value: sold.value,
            scopes: sold.scopes,
            bought_at: now,
            renew_at: now + useful(sold.life),
            expires_at: now + sold.life,
        }))
    }

    async fn ask(&self) -> Result<Answer, Failure> {
        let request = self
            .http
            .request(Method::POST, &self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(self.request.expose().to_owned());
        self.http.send(request, CALL).await
    }

    fn read(&self, answer: &Answer) -> Result<Sold, Error> {
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

/// What an answer that sells a token says.
struct Sold {
    value: Secret,
    life: Duration,
    scopes: Option<Vec<String>>,
}

fn parse(body: &[u8]) -> Option<Sold> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let token = body["access_token"].as_str()?;
    // What no header may hold is no token.
    let valid = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then(|| Sold {
        value: Secret::new(token.to_owned()),
        life: life(&body["expires_in"]),
        scopes: scopes(&body["scope"]),
    })
}

/// `scope`, words with spaces between them. None at all is taken for nothing said: such a token could not be used.
fn scopes(scope: &Value) -> Option<Vec<String>> {
    let words: Vec<String> = match scope {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(list) => {
            let words = list.iter().map(|word| word.as_str().map(str::to_owned));
            words.collect::<Option<_>>()?
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    (!words.is_empty()).then_some(words)
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
        let sold = parse(br#"{"access_token":"abc","more":1}"#).unwrap();
        assert_eq!(sold.value.expose(), "abc");
    }

    #[test]
    fn what_was_granted_is_read_and_silence_is_no_answer() {
        let words = Some(vec!["a:b".to_owned(), "c:d".to_owned()]);
        assert_eq!(scopes(&json!("a:b  c:d")), words);
        assert_eq!(scopes(&json!(["a:b", "c:d"])), words);
        for silence in [
            json!(null),
            json!(""),
            json!(" "),
            json!(7),
            json!([]),
            json!([7]),
        ] {
            assert_eq!(scopes(&silence), None, "{silence}");
        }
    }
}
