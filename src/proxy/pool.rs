//! Connections to the upstream that wait for the next request: last in, first out, so that few stay warm.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::RequestBody;
use super::connect::Connector;
use super::link::Link;

/// Boxed links, because one travels through a request's futures.
#[expect(
    clippy::vec_box,
    reason = "a link is boxed for its whole life, not for this list"
)]
pub(super) struct Pool<B: RequestBody> {
    idle: Mutex<Vec<Box<Link<B>>>>,
    keep_alive: Duration,
    connector: Arc<Connector>,
}

impl<B: RequestBody> Pool<B> {
    pub(super) fn new(keep_alive: Duration, connector: Arc<Connector>) -> Self {
        Self {
            idle: Mutex::default(),
            keep_alive,
            connector,
        }
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

    /// Takes a connection back, if it can carry another request and nobody waits for its place.
    pub(super) fn put(&self, mut link: Box<Link<B>>) {
        if !self.connector.is_wanted() && link.is_ready() {
            link.rest();
            self.with(|idle| idle.push(link));
        }
    }

    /// Closes all unused connections.
    pub(super) fn clear(&self) {
        self.with(Vec::clear);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Box<Link<B>>>) -> T) -> T {
        act(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Closes connections that nobody has used for a while, and all of them when another worker wants a place; until `stop`.
pub(super) async fn sweep<B: RequestBody>(pool: Weak<Pool<B>>, stop: CancellationToken) {
    while let Some((keep_alive, connector)) = pool
        .upgrade()
        .map(|pool| (pool.keep_alive, Arc::clone(&pool.connector)))
    {
        tokio::select! {
            () = stop.cancelled() => {
                if let Some(pool) = pool.upgrade() {
                    pool.clear();
                }
                return;
            }
            () = connector.wanted() => {}
            () = tokio::time::sleep(keep_alive) => {}
        }
        let Some(pool) = pool.upgrade() else { return };
        if connector.is_wanted() {
            pool.clear();
        } else {
            pool.with(|idle| idle.retain_mut(|link| link.idle() < keep_alive && link.is_ready()));
        }
    }
}
