//! The way of a request: target, preflight, path, route, limits, token, decision, upstream. One direction.

mod client;
mod config;
mod cors;
mod intercept;
mod limit;
mod listing;
mod overlay;
mod record;
mod refusal;
mod target;
mod verdict;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

pub use config::{AllowedHeaders, Config, Cors, Origins, Per, RateLimit};
pub use intercept::{Claim, ENDPOINTS, Endpoint, claim, hides};
pub use listing::{RouteLine, route_lines};
use overlay::{Overlaid, PlanNames};
use record::{Record, Recorded};
use refusal::Refusal;
use target::Target;
pub use verdict::{Matched, Verdict, check_permissions, made_up, parse_method, verdict};

use crate::auth::{LastToken, Outcome, TokenError, Verifier, bearer};
use crate::clock::Clock;
use crate::endpoints::Endpoints;
use crate::policy::{self, Credential, Found, NormalPath, Permit};
use crate::proxy::{self, Outgoing, Tenure, Upstream};
use crate::server::{Handler, Peer, Remains, RequestBody};
use crate::sync::Overlay;
use crate::telemetry::Metrics;
use crate::telemetry::trace::Tracer;

/// One worker's gate.
pub struct Gate {
    shared: Arc<Shared>,
    upstream: Upstream<RequestBody>,
}

/// What all workers share.
pub struct Shared {
    rules: ArcSwap<Rules>,
    verifier: Option<Verifier>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    tracer: Option<Arc<Tracer>>,
    billing: Option<Billing>,
}

/// The payment half, as the gate knows it.
pub struct Billing {
    /// Entitlements newer than the tokens in the field.
    pub overlay: Arc<Overlay>,
    /// What answers the intercepted paths.
    pub endpoints: Endpoints,
}

/// One snapshot of the config, with the buckets of its rate limits.
struct Rules {
    config: Config,
    limits: limit::Limits,
    plans: PlanNames,
}

impl Rules {
    fn new(config: Config, limits: limit::Limits) -> Self {
        let plans = PlanNames::new(&config.catalog);
        Self {
            config,
            limits,
            plans,
        }
    }
}

/// A request that was decided on: the permit, and what the ledger knows of its principal.
struct Admission {
    permit: Permit,
    overlaid: Option<Overlaid>,
}

impl Shared {
    /// A gate with these rules. Without a verifier no route may need a token, which the config sees to.
    #[must_use]
    pub fn new(
        config: Config,
        verifier: Option<Verifier>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        tracer: Option<Arc<Tracer>>,
        billing: Option<Billing>,
    ) -> Self {
        let limits = limit::Limits::new(&config.rate_limits);
        Self {
            rules: ArcSwap::from_pointee(Rules::new(config, limits)),
            verifier,
            clock,
            metrics,
            tracer,
            billing,
        }
    }

    /// Puts new rules in force for requests that come from now on.
    pub fn reload(&self, mut config: Config) {
        let running = self.rules.load();
        if self.billing.is_some() && !config.billing {
            // A file that drops `stripe` takes effect at the next start: until then what was refunded stays refused, and
            // the old handlers stay unreachable.
            config.billing = true;
            config.catalog = Arc::clone(&running.config.catalog);
        }
        let limits = running.limits.renewed(&config.rate_limits);
        self.rules.store(Arc::new(Rules::new(config, limits)));
    }

    /// The rules in force.
    #[must_use]
    pub fn config(&self) -> Config {
        self.rules.load().config.clone()
    }

    /// Whether tokens can be verified.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.verifier.as_ref().is_none_or(Verifier::is_ready)
    }
}

/// The body of an answer.
pub type Body = Recorded<proxy::Body<RequestBody>>;

/// An answer: ours, or the upstream's.
enum Answer {
    Own(Response<Full<Bytes>>),
    Upstream(Response<proxy::Body<RequestBody>>),
}

impl Gate {
    /// A gate that forwards to `upstream`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, upstream: Upstream<RequestBody>) -> Self {
        Self { shared, upstream }
    }

    async fn answer(
        &self,
        rules: &Rules,
        record: &mut Record,
        memory: &LastToken,
        request: Box<Request<RequestBody>>,
    ) -> Result<Answer, Refusal> {
        let config = &rules.config;
        let target = Target::read(&request)?;
        if let Some(preflight) = cors::preflight(config.cors.as_ref(), &request) {
            let answer = preflight?;
            record.answered();
            return Ok(Answer::Own(answer));
        }
        if target.is_asterisk {
            record.answered();
            return Ok(Answer::Own(target::options_of_the_server()));
        }
        let path = NormalPath::parse(target.path, &config.paths)?;
        record.path(path.as_str());
        let endpoint = self.intercepted(config, &path, request.method())?;
        let found = if let Some((endpoint, _)) = endpoint {
            record.endpoint(endpoint);
            endpoint.found()
        } else {
            let found = config.table.find(&path, request.method());
            record.found(&found, &config.table);
            found
        };
        if record.is_limited() {
            rules.limits.check_client(&path, record.client())?;
        }
        let admission = self
            .decide(rules, record, memory, &path, &found, &request)
            .await?;
        if let Some((endpoint, endpoints)) = endpoint {
            let parameter = intercept::last_segment(path.as_str()).to_owned();
            return Box::pin(intercept::serve(
                (endpoint, endpoints),
                record,
                admission,
                parameter,
                request,
            ))
            .await
            .map(Answer::Own);
        }
        let uri = proxy::origin_form(path.as_str(), request.uri()).ok_or(Refusal::Target)?;
        self.forward(config, record, admission, &found, request, uri)
            .await
            .map(Answer::Upstream)
    }

    /// The endpoint of our own that `path` is, with what answers it.
    fn intercepted(
        &self,
        config: &Config,
        path: &NormalPath<'_>,
        method: &Method,
    ) -> Result<Option<(&'static Endpoint, &Endpoints)>, Refusal> {
        let claimed = if config.billing {
            claim(path, method)
        } else {
            Claim::None
        };
        match (claimed, &self.shared.billing) {
            (Claim::None, _) => Ok(None),
            (Claim::Endpoint(endpoint), Some(billing)) => Ok(Some((endpoint, &billing.endpoints))),
            (Claim::WrongMethod(endpoint), _) => Err(Refusal::MethodNotAllowed {
                allow: endpoint.allow().to_owned(),
            }),
            // A reload that adds payments takes effect at the next start; until then nobody answers these paths.
            (Claim::Unknown, _) | (Claim::Endpoint(_), None) => Err(Refusal::NotFound),
        }
    }

    async fn decide(
        &self,
        rules: &Rules,
        record: &mut Record,
        memory: &LastToken,
        path: &NormalPath<'_>,
        found: &Found<'_>,
        request: &Request<RequestBody>,
    ) -> Result<Admission, Refusal> {
        if cors::is_preflight(request) {
            let permit = policy::decide_preflight(found).map_err(Refusal::from)?;
            return Ok(Admission {
                permit,
                overlaid: None,
            });
        }
        let mut credential = match found.requirement() {
            // Without keys nobody can be let in, and nobody should be told to sign in again.
            Some(requirement) if requirement.needs_token() && !self.shared.is_ready() => {
                return Err(Refusal::NotReady);
            }
            Some(requirement) if requirement.reads_token() => {
                self.credential(memory, request).await?
            }
            Some(_) | None => Credential::None,
        };
        let mut overlaid = None;
        if let Credential::Valid(principal) = &mut credential {
            record.principal(principal);
            self.shared.until_overlay_counts().await;
            let known = self.shared.overlaid(rules, Arc::clone(principal));
            *principal = Arc::clone(&known.effective);
            overlaid = Some(known);
        }
        if record.is_limited() {
            rules
                .limits
                .check_subject(path, record.client(), record.subject())?;
        }
        let permit = policy::decide(found, credential).map_err(Refusal::from)?;
        Ok(Admission { permit, overlaid })
    }

    async fn credential(
        &self,
        memory: &LastToken,
        request: &Request<RequestBody>,
    ) -> Result<Credential<TokenError>, Refusal> {
        let unverified_token = match bearer(request.headers()) {
            Ok(None) => return Ok(Credential::None),
            Ok(Some(token)) => token,
            Err(error) => {
                self.shared.metrics.token_verification(error.label());
                return Ok(Credential::Invalid(error));
            }
        };
        let Some(verifier) = &self.shared.verifier else {
            return Err(Refusal::NotReady);
        };
        match verifier.verify(unverified_token, memory).await {
            Outcome::Verified(principal) => Ok(Credential::Valid(principal)),
            Outcome::Refused(error) => Ok(Credential::Invalid(error)),
            Outcome::NotReady => Err(Refusal::NotReady),
        }
    }

    async fn forward(
        &self,
        config: &Config,
        record: &mut Record,
        admission: Admission,
        found: &Found<'_>,
        mut request: Box<Request<RequestBody>>,
        uri: http::Uri,
    ) -> Result<Response<proxy::Body<RequestBody>>, Refusal> {
        if !request.body_mut().limit(config.max_body) {
            return Err(Refusal::TooLarge);
        }
        *request.uri_mut() = uri;
        record.permitted();
        let addressing = record.addressing(request.headers());
        let Admission { permit, overlaid } = admission;
        let tenure = self.tenure(config, found, &permit, overlaid.as_ref());
        let outgoing = Outgoing {
            request,
            addressing,
            plan: overlaid.and_then(|overlaid| overlaid.plan),
            tenure,
            keep: record.keep(),
        };
        let sent = Instant::now();
        let answer = self.upstream.forward(permit, outgoing).await;
        record.upstream(sent.elapsed());
        answer.map_err(|error| {
            let refusal = Refusal::from(&error);
            tracing::warn!(request.id = record.request_id(), error = %error, "no answer from the upstream");
            refusal
        })
    }

    /// How long a tunnel may last that this permit opens.
    fn tenure(
        &self,
        config: &Config,
        found: &Found<'_>,
        permit: &Permit,
        overlaid: Option<&Overlaid>,
    ) -> Tenure {
        let (Some(who), Some(overlaid)) = (permit.needed(), overlaid) else {
            return Tenure::default();
        };
        let remaining = self.shared.verifier.as_ref().map(|v| v.remaining(who));
        Tenure {
            until: remaining.and_then(|left| tokio::time::Instant::now().checked_add(left)),
            lost: self
                .shared
                .end_of_permission(config, found, &overlaid.token),
        }
    }
}

impl Handler for Gate {
    type Body = Body;
    type Memory = LastToken;

    fn handle(
        self: Arc<Self>,
        peer: Arc<Peer>,
        memory: Arc<LastToken>,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Body>> + Send + 'static {
        // Boxed, because it passes through many hands: each would keep room for it in the request's future.
        let request = Box::new(request);
        async move {
            let rules = self.shared.rules.load_full();
            let mut record = Record::start(&self.shared, &rules.config, peer, &request);
            let answer = self.answer(&rules, &mut record, &memory, request).await;
            let cors = rules.config.cors.as_ref();
            match answer {
                Ok(Answer::Upstream(mut response)) => {
                    cors::complete(cors, record.origin(), response.headers_mut());
                    record.upstream_answer(response)
                }
                Ok(Answer::Own(response)) => record.own_answer(cors, response),
                Err(refusal) => {
                    let problem = refusal.into_problem(&rules.config.catalog);
                    record.refused(&problem);
                    let now = self.shared.clock.unix_seconds();
                    let response =
                        problem.into_response(record.raw_path(), record.request_id(), now);
                    record.own_answer(cors, response)
                }
            }
        }
    }

    fn malformed(&self, peer: &Peer, status: StatusCode, remains: &Remains) -> Bytes {
        record::malformed(&self.shared, peer, status, remains)
    }
}

/// A header value of text that is known to be visible ASCII; anything else becomes empty.
fn header_value(text: impl Into<String>) -> HeaderValue {
    HeaderValue::try_from(text.into()).unwrap_or_else(|_| HeaderValue::from_static(""))
}
