//! HTTP/2 to the upstream: one connection a worker carries all its requests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_util::task::TaskTracker;

use super::connect::{ConnectError, Connector};
use super::upload::Upload;
use super::{ProxyError, RequestBody};

/// A silent connection is asked for a sign of life this often, and given this long for it.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Multiplexed<B: RequestBody>(Mutex<Option<SendRequest<Upload<B>>>>);

impl<B: RequestBody> Default for Multiplexed<B> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<B: RequestBody> Multiplexed<B> {
    /// A handle on the open connection, or on a new one.
    pub(super) async fn sender(
        &self,
        connector: &Connector,
        tasks: &TaskTracker,
    ) -> Result<SendRequest<Upload<B>>, ProxyError<B::Error>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sender) = open.filter(|sender| !sender.is_closed()) {
            return Ok(sender);
        }
        // Two requests may both open one; the second stays, the first ends with its request.
        let place = connector.place().await;
        let stream = connector.connect().await?;
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
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender.clone());
        Ok(sender)
    }

    /// Lets go of the connection, so that it ends when its last request has.
    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
