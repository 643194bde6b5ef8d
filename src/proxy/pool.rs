//! Connections to the upstream that wait for the next request: last in, first out, so that few stay warm.

use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::RequestBody;
use super::link::Link;

pub(super) struct Pool<B: RequestBody> {
    idle: Mutex<Vec<Box<Link<B>>>>,
    keep_alive: Duration,
    returned: Notify,
}

impl<B: RequestBody> Pool<B> {
    pub(super) fn new(keep_alive: Duration) -> Self {
        Self { idle: Mutex::default(), keep_alive, returned: Notify::new() }
    }

    /// A connection that was open a moment ago.
    pub(super) fn take(&self) -> Option<Box<Link<B>>> {
        loop {
            let mut link = self.with(Vec::pop)?;
            if link.idle() < self.keep_alive && link.is_ready() {
                return Some(link);
            }
        }
    }

    /// Takes a connection back, if it can carry another request.
    pub(super) fn put(&self, mut link: Box<Link<B>>) {
        if link.is_ready() {
            link.rest();
            self.with(|idle| idle.push(link));
            self.returned.notify_one();
        }
    }

    /// Waits until a connection has come back.
    pub(super) async fn returned(&self) {
        self.returned.notified().await;
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Box<Link<B>>>) -> T) -> T {
        act(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Closes connections that nobody has used for a while, until `stop`.
pub(super) async fn sweep<B: RequestBody>(pool: Weak<Pool<B>>, stop: CancellationToken) {
    while let Some(keep_alive) = pool.upgrade().map(|pool| pool.keep_alive) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(keep_alive) => {}
        }
        if let Some(pool) = pool.upgrade() {
            pool.with(|idle| idle.retain_mut(|link| link.idle() < keep_alive && link.is_ready()));
        }
    }
}
