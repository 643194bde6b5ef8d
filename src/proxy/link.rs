//! One HTTP/1.1 connection to the upstream, driven by whoever uses it.
//!
//! The connection is no task of its own: the request that holds it polls it. So an answer comes without a
//! detour through the scheduler, and a request that is dropped takes its connection with it, which is how the
//! upstream learns that the client went away.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;

use super::RequestBody;
use super::connect::{ConnectError, Place, Stream};
use super::upload::{Failure, Progress, Upload, wait};

type Connection<B> = http1::Connection<TokioIo<Stream>, Upload<B>>;

pub(super) struct Link<B: RequestBody> {
    sender: http1::SendRequest<Upload<B>>,
    /// `None` once it has ended, or became a task of its own.
    connection: Option<Connection<B>>,
    idle_since: Option<Instant>,
    /// The connection's place among those that may be open at once.
    place: Arc<Place>,
}

type SendError<B> = TrySendError<Request<Upload<B>>>;

impl<B: RequestBody> Link<B> {
    pub(super) async fn open(stream: Stream, place: Place) -> Result<Box<Self>, ConnectError> {
        let (sender, connection) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Box::new(Self {
            sender,
            connection: Some(connection),
            idle_since: None,
            place: Arc::new(place),
        }))
    }

    /// Lets the connection do what it can; false when it has ended.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        let ended = match &mut self.connection {
            Some(connection) => Pin::new(connection).poll(cx).is_ready(),
            None => return false,
        };
        if ended {
            self.connection = None;
        }
        !ended
    }

    /// Whether the connection is open and waits for a request.
    pub(super) fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop())) && self.sender.is_ready()
    }

    /// Whether it carried a request before.
    pub(super) fn is_reused(&self) -> bool {
        self.idle_since.is_some()
    }

    pub(super) fn rest(&mut self) {
        self.idle_since = Some(Instant::now());
    }

    /// How long it has been unused.
    pub(super) fn idle(&self) -> Duration {
        self.idle_since
            .map(|since| since.elapsed())
            .unwrap_or_default()
    }

    /// Sends a request on a connection that becomes a task of its own, ready to be upgraded. The place is to be kept
    /// for as long as what comes of it.
    pub(super) fn detach(
        &mut self,
        request: Request<Upload<B>>,
        tasks: &TaskTracker,
    ) -> (
        impl Future<Output = Result<Response<Incoming>, SendError<B>>> + use<B>,
        Arc<Place>,
    ) {
        let place = Arc::clone(&self.place);
        if let Some(connection) = self.connection.take() {
            let kept = Arc::clone(&place);
            tasks.spawn(async move {
                // Its errors show in the answer, or in the tunnel.
                let _ = connection.with_upgrades().await;
                drop(kept);
            });
        }
        (self.sender.try_send_request(request), place)
    }
}

/// Sends a request and waits for the head of its answer.
pub(super) async fn send<B: RequestBody>(
    mut link: Box<Link<B>>,
    request: Request<Upload<B>>,
    progress: &Progress<B::Error>,
    patience: Duration,
) -> Result<(Response<Incoming>, Box<Link<B>>), Failure<B>> {
    // Outside the task's budget: what is polled with a waker that wakes nobody must not be told to come back later.
    let mut answer = pin!(tokio::task::coop::unconstrained(
        link.sender.try_send_request(request)
    ));
    let connection = &mut link.connection;
    let exchange = poll_fn(|cx| {
        if let Some(driven) = connection
            && Pin::new(driven).poll(cx).is_ready()
        {
            *connection = None;
        }
        // Only the connection above can make the answer ready, so nobody else has to wake us for it.
        answer
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    });
    let response = wait(exchange, progress, patience).await?;
    Ok((response, link))
}

/// Reads one frame of an answer's body, driving its connection where that is needed.
pub(super) fn poll_incoming<B: RequestBody>(
    incoming: &mut Incoming,
    link: &mut Link<B>,
    cx: &mut Context<'_>,
) -> Poll<Option<hyper::Result<http_body::Frame<bytes::Bytes>>>> {
    let mut quiet = Context::from_waker(Waker::noop());
    let body = |incoming: &mut Incoming, cx: &mut Context<'_>| {
        http_body::Body::poll_frame(Pin::new(incoming), cx)
    };
    match body(incoming, &mut quiet) {
        Poll::Ready(frame) => Poll::Ready(frame),
        Poll::Pending => {
            link.drive(cx);
            body(incoming, &mut quiet)
        }
    }
}
