//! A request's body on its way to the upstream: watched for progress, its trailers cleaned, its fault remembered.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::{ProxyError, RequestBody, headers};

pub(super) struct Upload<B: Body> {
    body: Option<B>,
    progress: Progress<B::Error>,
}

/// What happened to a body, as far as the one who waits for the answer must know. `None` is a request without.
pub(super) struct Progress<E>(Option<Arc<Mutex<State<E>>>>);

struct State<E> {
    moved: Instant,
    fault: Option<E>,
}

/// Stands for the fault in [`Progress`], where the HTTP client wants an error of its own.
#[derive(Debug, thiserror::Error)]
#[error("the request's body broke off")]
pub(super) struct BodyFault;

impl<E> Progress<E> {
    fn with<T>(&self, act: impl FnOnce(&mut State<E>) -> T) -> Option<T> {
        self.0.as_ref().map(|state| act(&mut state.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Takes what was wrong with the body.
    pub(super) fn fault(&self) -> Option<E> {
        self.with(|state| state.fault.take()).flatten()
    }

    fn moved(&self) -> Option<Instant> {
        self.with(|state| state.moved)
    }

    fn handle(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: RequestBody> Upload<B> {
    pub(super) fn new(body: B) -> (Self, Progress<B::Error>) {
        if body.is_end_stream() {
            return (Self::empty(), Progress(None));
        }
        let progress = Progress(Some(Arc::new(Mutex::new(State { moved: Instant::now(), fault: None }))));
        (Self { body: Some(body), progress: progress.handle() }, progress)
    }

    pub(super) fn empty() -> Self {
        Self { body: None, progress: Progress(None) }
    }
}

impl<B: RequestBody> Body for Upload<B> {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        Pin::new(body).poll_frame(cx).map(|frame| {
            this.progress.with(|state| state.moved = Instant::now());
            match frame? {
                Ok(frame) => Some(Ok(clean_trailers(frame))),
                Err(error) => {
                    this.progress.with(|state| state.fault = Some(error));
                    Some(Err(BodyFault))
                }
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Some backends merge trailers into the headers: what may not come in the one may not come in the other.
fn clean_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::clean_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

/// Waits for the answer; the time counts from the last byte of the body that moved.
pub(super) async fn with_timeout<T, E>(
    answer: impl Future<Output = Result<T, hyper::Error>>,
    progress: &Progress<E>,
    patience: Duration,
) -> Result<T, ProxyError<E>> {
    let mut answer = std::pin::pin!(answer);
    let mut deadline = Instant::now() + patience;
    loop {
        match tokio::time::timeout_at(deadline, answer.as_mut()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => return Err(progress.fault().map_or(ProxyError::Upstream(error), ProxyError::Body)),
            Err(_elapsed) => match progress.moved().map(|moved| moved + patience) {
                Some(later) if later > deadline => deadline = later,
                Some(_) | None => return Err(ProxyError::Timeout),
            },
        }
    }
}
