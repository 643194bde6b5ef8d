//! HTTP/2 to the upstream: one connection a worker carries all its requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_util::task::TaskTracker;

use super::connect::{ConnectError, Connector};
use super::upload::Upload;
use super::{Protocol, ProxyError, RequestBody};
use crate::stop::Stop;

/// A silent connection is asked for a sign of life this often, and given this long for it.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Multiplexed<B: RequestBody> {
    open: Mutex<Option<Sender<B>>>,
    /// Held by the one who opens a connection, while it connects: the others are to wait and then use it, not to open one
    /// each. They wait for `connect_timeout` at most, and who has a connection already never comes here.
    opening: tokio::sync::Mutex<()>,
    connector: Arc<Connector>,
    stop: Stop,
}

type Sender<B> = SendRequest<Upload<B>>;

impl<B: RequestBody> Multiplexed<B> {
    pub(super) fn new(connector: Arc<Connector>, stop: Stop) -> Self {
        Self {
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            connector,
            stop,
        }
    }

    /// A handle on the open connection, or on a new one; and whether it carried requests before.
    pub(super) async fn sender(
        &self,
        tasks: &TaskTracker,
    ) -> Result<(Sender<B>, bool), ProxyError<B::Error>> {
        if let Some(sender) = self.current() {
            return Ok((sender, true));
        }
        let waited = tokio::time::timeout(self.connector.timeout(), self.opening.lock()).await;
        let _opening = waited.map_err(|_elapsed| ProxyError::Busy)?;
        if let Some(sender) = self.current() {
            return Ok((sender, true));
        }
        let place = self.connector.place().await.ok_or(ProxyError::Busy)?;
        let stream = self.connector.connect(Protocol::Http2).await?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Handshake)?;
        tasks.spawn(async move {
            // Its errors show in the answers.
            let _ = connection.await;
            drop(place);
        });
        let mut open = self.lock();
        // In a drain, or when somebody waits for its place, nobody keeps it: it ends with its last request.
        if !self.stop.is_draining() && !self.connector.is_wanted() {
            *open = Some(sender.clone());
        }
        Ok((sender, false))
    }

    /// Lets go of the connection, so that it ends when its last request has.
    fn close(&self) {
        self.lock().take();
    }

    /// Lets go of the connection whenever somebody waits for its place, and for good at the drain.
    pub(super) async fn give_way(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.draining() => return self.close(),
                () = self.connector.wanted() => self.close(),
            }
        }
    }

    fn current(&self) -> Option<Sender<B>> {
        self.lock().clone().filter(|sender| !sender.is_closed())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sender<B>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
