//! The way to the upstream: connections, header hygiene, bodies, tunnels.
//!
//! Forwarding takes a [`Permit`] by value, and only the policy makes one.

mod assertion;
mod body;
mod config;
mod connect;
mod error;
mod headers;
mod http2;
mod link;
mod pool;
mod tunnel;
mod upload;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use body::Body;
pub use config::{Assertion, Config, HostPolicy, Protocol};
pub use connect::ConnectError;
pub use error::ProxyError;
pub use headers::{Addressing, is_plainly_chunked};
use http2::Multiplexed;
use link::Link;
use pool::Pool;
use upload::Upload;

use crate::clock::Clock;
use crate::policy::Permit;
use crate::stop::Stop;

/// The body of a request on its way to the upstream.
pub trait RequestBody:
    http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Unpin + Send + 'static
{
}
impl<
    B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Unpin + Send + 'static,
> RequestBody for B
{
}

/// One worker's way to the upstream.
pub struct Upstream<B: RequestBody> {
    shared: Arc<Shared>,
    pool: Arc<Pool<B>>,
    http2: Arc<Multiplexed<B>>,
    tasks: TaskTracker,
    stop: Stop,
}

/// What all workers share.
pub struct Shared {
    config: Config,
    connector: Arc<connect::Connector>,
    assertion: Option<assertion::Signer>,
}

/// A request that was decided on, on its way out.
pub struct Outgoing<B> {
    /// The request; its target is in origin form and normal.
    pub request: Box<Request<B>>,
    /// Where it came from.
    pub addressing: Addressing,
    /// The plan that the upstream is told of, where it is known.
    pub plan: Option<HeaderValue>,
    /// When a tunnel or an event stream must end.
    pub tenure: Tenure,
    /// Kept for as long as a tunnel lives.
    pub keep: Arc<dyn Send + Sync>,
}

/// How long a tunnel or an event stream may last, beside its idle timeout.
#[derive(Default)]
pub struct Tenure {
    /// Until the token that opened it expires.
    pub until: Option<Instant>,
    /// Until its principal loses the permission that opened it. Made a future only when there is something to end.
    pub lost: Option<Box<dyn FnOnce() -> Ending + Send>>,
}

/// Is ready when a tunnel or an event stream has to end.
pub type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Tenure {
    /// Its end; `None` when it has none.
    fn end(self) -> Option<Ending> {
        let Self { until, lost } = self;
        match (until, lost) {
            (None, None) => None,
            (Some(moment), None) => Some(Box::pin(tokio::time::sleep_until(moment))),
            (None, Some(lost)) => Some(lost()),
            (Some(moment), Some(lost)) => Some(Box::pin(async move {
                tokio::select! {
                    () = tokio::time::sleep_until(moment) => {}
                    () = lost() => {}
                }
            })),
        }
    }
}

impl Shared {
    /// Prepares the way.
    ///
    /// # Errors
    ///
    /// When the authorities to trust cannot be read, or the assertion's key cannot be used.
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>, ConnectError> {
        let connector = Arc::new(connect::Connector::new(&config)?);
        let assertion = config
            .assertion
            .clone()
            .map(|assertion| assertion::Signer::new(assertion, clock));
        Ok(Arc::new(Self {
            config,
            connector,
            assertion,
        }))
    }
}

impl<B: RequestBody> Upstream<B> {
    /// One worker's connections; they are spawned on `tasks` and end with `stop`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, tasks: TaskTracker, stop: Stop) -> Self {
        let pool = Arc::new(Pool::new(
            shared.config.keep_alive,
            Arc::clone(&shared.connector),
        ));
        let http2 = Arc::new(Multiplexed::new(
            Arc::clone(&shared.connector),
            stop.clone(),
        ));
        tasks.spawn(pool::sweep(Arc::downgrade(&pool), stop.token()));
        tasks.spawn(Arc::clone(&http2).give_way());
        Self {
            shared,
            pool,
            http2,
            tasks,
            stop,
        }
    }

    /// Forwards a request and returns the upstream's answer as soon as its head is there.
    ///
    /// # Errors
    ///
    /// A [`ProxyError`] when there is no answer to return.
    pub async fn forward(
        &self,
        permit: Permit,
        mut outgoing: Outgoing<B>,
    ) -> Result<Response<Body<B>>, ProxyError<B::Error>> {
        let config = &self.shared.config;
        let upgrade = tunnel::requested(&mut outgoing.request);
        headers::prepare(
            &mut outgoing.request,
            config,
            &outgoing.addressing,
            &permit,
            upgrade.is_some(),
        );
        if let Some(signer) = &self.shared.assertion {
            signer.sign(
                outgoing.request.headers_mut(),
                permit.principal().map(Arc::as_ref),
            );
        }
        if let Some(plan) = outgoing
            .plan
            .take()
            .filter(|_| permit.principal().is_some())
        {
            outgoing.request.headers_mut().insert(headers::PLAN, plan);
        }
        let tenure = std::mem::take(&mut outgoing.tenure);
        let mut response = match (upgrade, config.protocol) {
            // The rare ways are boxed: a request's future is copied when it starts, and should stay small.
            (Some(client), _) => {
                return Box::pin(self.upgrade(outgoing, client, tenure))
                    .await
                    .and_then(finished);
            }
            (None, Protocol::Http1) => self.exchange(outgoing.request).await?,
            (None, Protocol::Http2) => Box::pin(self.multiplex(outgoing.request)).await?,
        };
        if headers::is_event_stream(response.headers()) {
            response.body_mut().ends_with(tenure.end());
        }
        finished(response)
    }

    /// HTTP/1.1 over a pooled connection, or a new one.
    async fn exchange(
        &self,
        request: Box<Request<B>>,
    ) -> Result<Response<Body<B>>, ProxyError<B::Error>> {
        let config = &self.shared.config;
        let mut spare = Spare::of(&*request);
        let (mut request, progress) = upload::wrap(*request, config);
        loop {
            let link = match self.pool.take() {
                Some(link) => link,
                None => Box::pin(self.open_link()).await?,
            };
            let reused = link.is_reused();
            match link::send(link, request, &progress, config.response_timeout).await {
                Ok((response, _)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(ProxyError::Unasked);
                }
                Ok((response, link)) => {
                    let pool = Arc::clone(&self.pool);
                    return Ok(response
                        .map(|incoming| Body::linked(incoming, link, pool, config.idle_timeout)));
                }
                Err(failure) => request = again(failure, reused, &mut spare)?,
            }
        }
    }

    /// A new connection; where there is no room for one, unused ones are closed to make some.
    async fn open_link(&self) -> Result<Box<Link<B>>, ProxyError<B::Error>> {
        let connector = &self.shared.connector;
        let place = if let Some(place) = connector.free_place() {
            place
        } else {
            self.pool.clear();
            connector.place().await.ok_or(ProxyError::Busy)?
        };
        Ok(Link::open(connector.connect(Protocol::Http1).await?, place).await?)
    }

    async fn multiplex(
        &self,
        request: Box<Request<B>>,
    ) -> Result<Response<Body<B>>, ProxyError<B::Error>> {
        let config = &self.shared.config;
        let mut spare = Spare::of(&*request);
        let (mut request, progress) = upload::wrap(*request, config);
        loop {
            headers::for_http2(&mut request, &config.scheme);
            let (mut sender, reused) = self.http2.sender(&self.tasks).await?;
            let sent = sender.try_send_request(request);
            match upload::wait(sent, &progress, config.response_timeout).await {
                Ok(response) => {
                    return Ok(response.map(|incoming| Body::plain(incoming, config.idle_timeout)));
                }
                Err(failure) => request = again(failure, reused, &mut spare)?,
            }
        }
    }

    /// A connection of its own for a request that asks for an upgrade.
    async fn upgrade(
        &self,
        outgoing: Outgoing<B>,
        client: OnUpgrade,
        tenure: Tenure,
    ) -> Result<Response<Body<B>>, ProxyError<B::Error>> {
        let config = &self.shared.config;
        let mut link = self.open_link().await?;
        let (request, progress) = upload::wrap(*outgoing.request, config);
        let (answer, place) = link.detach(request, &self.tasks);
        let mut response = upload::wait(answer, &progress, config.response_timeout)
            .await
            .map_err(|f| f.error)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upstream = hyper::upgrade::on(&mut response);
            let ends = tunnel::Ends::new(config.idle_timeout, self.stop.clone());
            let tunnel = tunnel::run(client, upstream, ends, tenure.end());
            let kept = (outgoing.keep, place);
            self.tasks.spawn(async move {
                tunnel.await;
                drop(kept);
            });
            return Ok(response.map(|incoming| Body::plain(incoming, config.idle_timeout)));
        }
        let mut response = response.map(|incoming| Body::plain(incoming, config.idle_timeout));
        if headers::is_event_stream(response.headers()) {
            response.body_mut().ends_with(tenure.end());
        }
        Ok(response)
    }
}

/// Takes what concerned one hop off an answer, once nothing is lost with it.
fn finished<B, E>(mut response: Response<B>) -> Result<Response<B>, ProxyError<E>> {
    if !headers::is_understood(response.headers().get_all(TRANSFER_ENCODING)) {
        return Err(ProxyError::Coding);
    }
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    headers::clean_response(response.headers_mut(), switching);
    // The version is that of one hop (RFC 9110, section 2.5): ours is not the upstream's.
    *response.version_mut() = Version::HTTP_11;
    Ok(response)
}

/// What to send again after a failure on a connection that was open before and that the upstream had closed:
/// nothing was sent, or nothing that counts. Any other failure is returned.
fn again<B: RequestBody>(
    failure: upload::Failure<B>,
    reused: bool,
    spare: &mut Option<Spare>,
) -> Result<Request<Upload<B>>, ProxyError<B::Error>> {
    let request = failure.unsent.or_else(|| spare.take().map(Spare::request));
    match request {
        Some(request) if reused && failure.error.is_dead_connection() => Ok(request),
        Some(_) | None => Err(failure.error),
    }
}

/// What is kept of a request so that it can be sent again: safe and idempotent (RFC 9110, section 9.2), no body.
struct Spare {
    head: Box<Request<()>>,
}

impl Spare {
    fn of<B: http_body::Body>(request: &Request<B>) -> Option<Self> {
        if !(request.method().is_safe() && request.body().is_end_stream()) {
            return None;
        }
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = request.headers().clone();
        Some(Self {
            head: Box::new(head),
        })
    }

    fn request<B: RequestBody>(self) -> Request<Upload<B>> {
        (*self.head).map(|()| Upload::empty())
    }
}

/// The target to send in origin form (RFC 9112, section 3.2.1): `path`, which is normal, and the query of `uri`.
#[must_use]
pub fn origin_form(path: &str, uri: &Uri) -> Option<Uri> {
    let same = uri
        .path_and_query()
        .filter(|target| !target.as_str().is_empty() && target.path() == path);
    match (same, uri.query()) {
        (Some(target), _) => Some(Uri::from(target.clone())),
        (None, Some(query)) => Uri::try_from(format!("{path}?{query}")).ok(),
        (None, None) => Uri::try_from(path).ok(),
    }
}
