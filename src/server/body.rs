//! Bodies on their way through: the request's with its limits, the answer's with its end noticed.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::watch::Watch;
use crate::clock::IdleTimer;

/// What is read off of a body that nobody wants: a form, no upload.
const LEFTOVER: u64 = 64 << 10;
/// How long that may take: the answer waits for it.
const LEFTOVER_TIME: Duration = Duration::from_secs(1);

/// A request's body, read as fast as the reader asks for it and no faster.
pub struct RequestBody {
    /// There until it is dropped.
    incoming: Option<Incoming>,
    /// Bytes that may still come.
    allowance: u64,
    idle: IdleTimer,
    watch: Arc<Watch>,
}

/// Why a request's body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("the request's body is larger than allowed")]
    TooLarge,
    /// Silence.
    #[error("the client stopped sending its request's body")]
    Idle,
    /// The client went away, or broke the protocol.
    #[error("the request's body broke off: {0}")]
    Client(#[from] hyper::Error),
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, patience: Duration, watch: Arc<Watch>) -> Self {
        Self {
            incoming: Some(incoming),
            allowance: u64::MAX,
            idle: IdleTimer::new(patience),
            watch,
        }
    }

    /// Sets how many bytes it may have; says no when the client has announced more.
    #[must_use]
    pub fn limit(&mut self, bytes: u64) -> bool {
        self.allowance = bytes;
        self.size_hint().lower() <= bytes
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take()
            && !incoming.is_end_stream()
        {
            self.watch.leave(incoming);
        }
    }
}

/// Reads what is left of a body that nobody wants, so that the connection can take the next request: a client that
/// is still sending would find it closed, and lose the answer. Whether the end was reached.
pub(super) async fn read_off(mut incoming: Incoming, watch: &Watch) -> bool {
    if incoming.size_hint().lower() > LEFTOVER {
        return false;
    }
    let rest = async {
        let mut left = LEFTOVER;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
            let length = frame.ok()?.data_ref().map_or(0, |data| data.len() as u64);
            left = left.checked_sub(length)?;
        }
        Some(())
    };
    let is_read = matches!(
        tokio::time::timeout(LEFTOVER_TIME, rest).await,
        Ok(Some(()))
    );
    if is_read {
        watch.body_read();
    }
    is_read
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        match Pin::new(&mut *incoming).poll_frame(cx) {
            Poll::Pending => this
                .idle
                .poll_silence(cx)
                .map(|()| Some(Err(BodyError::Idle))),
            Poll::Ready(None) => {
                this.watch.body_read();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(Some(Ok(frame))) => {
                this.idle.moved();
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                let Some(left) = this.allowance.checked_sub(length) else {
                    return Poll::Ready(Some(Err(BodyError::TooLarge)));
                };
                this.allowance = left;
                if incoming.is_end_stream() || frame.is_trailers() {
                    this.watch.body_read();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.incoming.as_ref().map(Incoming::size_hint);
        hint.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

/// An answer's body; when it goes, the answer is complete.
pub(super) struct Answer<B> {
    body: B,
    exchange: Exchange,
    /// HTTP/2: a client can leave one answer alone while it takes others.
    multiplexed: bool,
    /// A piece was handed out, and the next was not asked for yet.
    waiting: bool,
    /// What is left of a piece that was too large for one.
    rest: Bytes,
}

/// The largest piece of an HTTP/2 answer that is handed out at once, the size of a frame: a slow client that reads
/// takes one in time, so only one that does not read is taken for stalled.
const PIECE: usize = 16 << 10;

/// One request being answered.
pub(super) struct Exchange {
    pub(super) watch: Arc<Watch>,
    pub(super) number: u64,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.watch.finish();
    }
}

impl<B> Answer<B> {
    pub(super) fn new(body: B, exchange: Exchange, multiplexed: bool) -> Self {
        Self {
            body,
            exchange,
            multiplexed,
            waiting: false,
            rest: Bytes::new(),
        }
    }

    /// Notes that the client takes, or has to take, a piece of this answer.
    fn waits_for_client(&mut self, waits: bool) {
        let Exchange { watch, number } = &self.exchange;
        match (waits, self.waiting) {
            (true, _) => watch.handed_out(*number),
            (false, true) => watch.asked_for(*number),
            (false, false) => {}
        }
        self.waiting = waits;
    }
}

impl<B> Drop for Answer<B> {
    fn drop(&mut self) {
        self.waits_for_client(false);
    }
}

impl<B> Answer<B> {
    /// The frame, or as much of it as may be handed out at once.
    fn piece(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) if data.len() > PIECE => {
                let piece = data.split_to(PIECE);
                self.rest = data;
                Frame::data(piece)
            }
            Ok(data) => Frame::data(data),
            Err(trailers) => trailers,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        if !this.multiplexed {
            return Pin::new(&mut this.body).poll_frame(cx);
        }
        this.waits_for_client(false);
        let rest = std::mem::take(&mut this.rest);
        let polled = if rest.is_empty() {
            Pin::new(&mut this.body).poll_frame(cx)
        } else {
            Poll::Ready(Some(Ok(Frame::data(rest))))
        };
        polled.map(|frame| {
            frame.map(|frame| {
                // Until it is asked for the next, or dropped: the last piece, too, has to be taken.
                this.waits_for_client(true);
                frame.map(|frame| this.piece(frame))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Asked for before the first piece, when nothing is left over.
        self.body.size_hint()
    }
}
