//! A request's body on its way to the upstream: watched for progress, its trailers cleaned, its fault remembered.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Request, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::TrySendError;
use tokio::time::Instant;

use super::{Config, ProxyError, RequestBody, headers};

pub(super) struct Upload<B: Body> {
    body: Option<B>,
    progress: Progress<B::Error>,
    /// The header of the assertion, which no trailer may stand in for.
    assertion: Option<HeaderName>,
}

/// What happened to a body, as far as the one who waits for the answer must know. `None` is a request without.
pub(super) struct Progress<E>(Option<Arc<Mutex<State<E>>>>);

struct State<E> {
    moved: Instant,
    /// The client is asked for more and has not sent it.
    waits_for_client: bool,
    fault: Option<E>,
}

/// Stands for the fault in [`Progress`], where the HTTP client wants an error of its own.
#[derive(Debug, thiserror::Error)]
#[error("the request's body broke off")]
pub(super) struct BodyFault;

impl<E> Progress<E> {
    fn with<T>(&self, act: impl FnOnce(&mut State<E>) -> T) -> Option<T> {
        self.0
            .as_ref()
            .map(|state| act(&mut state.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Takes what was wrong with the body.
    pub(super) fn fault(&self) -> Option<E> {
        self.with(|state| state.fault.take()).flatten()
    }

    /// From when the upstream's silence counts as its own. A client that is waited for has a timer of its own.
    fn counts_from(&self) -> Option<Instant> {
        self.with(|state| {
            if state.waits_for_client {
                Instant::now()
            } else {
                state.moved
            }
        })
    }

    fn handle(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: RequestBody> Upload<B> {
    fn new(body: B, assertion: Option<&HeaderName>) -> (Self, Progress<B::Error>) {
        if body.is_end_stream() {
            return (Self::empty(), Progress(None));
        }
        let progress = Progress(Some(Arc::new(Mutex::new(State {
            moved: Instant::now(),
            waits_for_client: false,
            fault: None,
        }))));
        (
            Self {
                body: Some(body),
                progress: progress.handle(),
                assertion: assertion.cloned(),
            },
            progress,
        )
    }

    pub(super) fn empty() -> Self {
        Self {
            body: None,
            progress: Progress(None),
            assertion: None,
        }
    }
}

impl<B: RequestBody> Body for Upload<B> {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        this.progress.with(|state| {
            state.waits_for_client = polled.is_pending();
            state.moved = Instant::now();
        });
        polled.map(|frame| match frame? {
            Ok(frame) => Some(Ok(clean_trailers(frame, this.assertion.as_ref()))),
            Err(error) => {
                this.progress.with(|state| state.fault = Some(error));
                Some(Err(BodyFault))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Some backends merge trailers into the headers: what may not come in the one may not come in the other.
fn clean_trailers(frame: Frame<Bytes>, assertion: Option<&HeaderName>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::clean_trailers(&mut trailers, assertion);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

/// Prepares a request for HTTP/1.1 and its body for being watched.
pub(super) fn wrap<B: RequestBody>(
    request: Request<B>,
    config: &Config,
) -> (Request<Upload<B>>, Progress<B::Error>) {
    let (mut parts, body) = request.into_parts();
    let (body, progress) = Upload::new(body, config.assertion_header());
    parts.version = Version::HTTP_11;
    // Else a GET of unknown length would be taken for one without a body.
    if progress.0.is_some() && !parts.headers.contains_key(CONTENT_LENGTH) {
        parts
            .headers
            .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    (Request::from_parts(parts, body), progress)
}

/// A request that got no answer.
pub(super) struct Failure<B: RequestBody> {
    pub(super) error: ProxyError<B::Error>,
    /// The request itself, when not a byte of it was sent.
    pub(super) unsent: Option<Request<Upload<B>>>,
}

/// Waits for the answer; while the client still sends its body, the time does not count.
pub(super) async fn wait<T, B: RequestBody>(
    answer: impl Future<Output = Result<T, TrySendError<Request<Upload<B>>>>>,
    progress: &Progress<B::Error>,
    patience: Duration,
) -> Result<T, Failure<B>> {
    let mut answer = std::pin::pin!(answer);
    let mut deadline = Instant::now() + patience;
    loop {
        match tokio::time::timeout_at(deadline, answer.as_mut()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(mut error)) => {
                let unsent = error.take_message();
                let error = progress.fault().map_or_else(
                    || ProxyError::Upstream(error.into_error()),
                    ProxyError::Body,
                );
                return Err(Failure { error, unsent });
            }
            Err(_elapsed) => match progress.counts_from().map(|moment| moment + patience) {
                Some(later) if later > deadline => deadline = later,
                Some(_) | None => {
                    return Err(Failure {
                        error: ProxyError::Timeout,
                        unsent: None,
                    });
                }
            },
        }
    }
}
