//! An answer's body on its way back to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::link::{Link, poll_incoming};
use super::pool::Pool;
use super::{Ending, RequestBody};
use crate::clock::IdleTimer;

/// The upstream's body, streamed. Read to its end, it gives its connection back; dropped before, it closes it.
pub struct Body<B: RequestBody> {
    incoming: Incoming,
    source: Option<Source<B>>,
    idle: IdleTimer,
    /// When an event stream ends, whether it has said all or not: what let it begin is over.
    ends: Option<Ending>,
    /// Why it broke off, until the client has had time to get what came before.
    fault: Option<StreamError>,
}

struct Source<B: RequestBody> {
    link: Box<Link<B>>,
    pool: Arc<Pool<B>>,
}

/// Why an answer's body broke off; the client sees a broken connection, because the head was sent.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The upstream was silent for too long.
    #[error("the upstream stopped sending")]
    Idle,
    /// The connection to the upstream broke.
    #[error("the upstream broke off: {0}")]
    Upstream(#[from] hyper::Error),
}

impl<B: RequestBody> Body<B> {
    pub(super) fn linked(
        incoming: Incoming,
        link: Box<Link<B>>,
        pool: Arc<Pool<B>>,
        patience: Duration,
    ) -> Self {
        let source = Some(Source { link, pool });
        Self {
            incoming,
            source,
            idle: IdleTimer::new(patience),
            ends: None,
            fault: None,
        }
    }

    /// A body whose connection is driven elsewhere.
    pub(super) fn plain(incoming: Incoming, patience: Duration) -> Self {
        Self {
            incoming,
            source: None,
            idle: IdleTimer::new(patience),
            ends: None,
            fault: None,
        }
    }

    /// Ends the body when `end` is ready.
    pub(super) fn ends_with(&mut self, end: Option<Ending>) {
        self.ends = end;
    }

    /// Breaks off, but at the next poll: a server throws away what it has not sent yet when a body fails, the head and
    /// all that had come. Told that there is nothing more for now, it sends that first.
    fn break_off(
        &mut self,
        fault: StreamError,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        self.source = None;
        self.fault = Some(fault);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn release(&mut self) {
        if let Some(Source { link, pool }) = self.source.take() {
            pool.put(link);
        }
    }
}

impl<B: RequestBody> http_body::Body for Body<B> {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        if let Some(fault) = this.fault.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        if this
            .ends
            .as_mut()
            .is_some_and(|ends| ends.as_mut().poll(cx).is_ready())
        {
            this.source = None;
            // A future that is done is not asked again; this one is always done.
            this.ends = Some(Box::pin(std::future::ready(())));
            // A clean end: whoever listens asks again, with another token.
            return Poll::Ready(None);
        }
        let polled = match &mut this.source {
            Some(source) => poll_incoming(&mut this.incoming, &mut source.link, cx),
            None => Pin::new(&mut this.incoming).poll_frame(cx),
        };
        match polled {
            Poll::Pending => match this.idle.poll_silence(cx) {
                Poll::Ready(()) => this.break_off(StreamError::Idle, cx),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(None) => {
                this.release();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                this.idle.moved();
                if this.incoming.is_end_stream() {
                    this.release();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => this.break_off(error.into(), cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.fault.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl<B: RequestBody> Drop for Body<B> {
    fn drop(&mut self) {
        // Answers without a body are never read.
        if http_body::Body::is_end_stream(&self.incoming) {
            self.release();
        }
    }
}
