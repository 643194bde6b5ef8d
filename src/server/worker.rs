//! Worker threads: each has a runtime and its share of the connections.

use std::future::Future;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::rt::Executor;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::connection::{Context, serve};
use super::tls::Certificates;
use super::{Config, Handler, Limits, Listener, Peer, Scope};
use crate::stop::Stop;
use crate::telemetry::Metrics;

/// Accepted connections on their way to a worker.
#[derive(Clone)]
pub(super) struct Inbox {
    /// Unbounded, but never longer than there are places for connections.
    sender: mpsc::UnboundedSender<(TcpStream, Peer)>,
    load: Arc<AtomicUsize>,
}

impl Inbox {
    /// Connections that this worker has.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    pub(super) fn send(&self, stream: TcpStream, peer: Peer) {
        self.load.fetch_add(1, Ordering::Relaxed);
        // A worker that ended does so in a drain that has run out of time.
        let _ = self.sender.send((stream, peer));
    }
}

/// The running server.
pub struct Server {
    workers: Vec<oneshot::Receiver<()>>,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a worker thread: {0}")]
pub struct StartError(#[from] io::Error);

impl Server {
    /// Starts workers and accepts connections until `stop`. `handler` makes the handler of one worker.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn start<H: Handler>(
        config: &Config,
        listeners: Vec<Listener>,
        certificates: &Certificates,
        metrics: &Arc<Metrics>,
        stop: &Stop,
        handler: impl Fn(Scope) -> H + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let handler = Arc::new(handler);
        let mut inboxes = Vec::new();
        let mut workers = Vec::new();
        for number in 0..config.workers {
            let (sender, receiver) = mpsc::unbounded_channel();
            let (done, finished) = oneshot::channel();
            let load = Arc::new(AtomicUsize::new(0));
            inboxes.push(Inbox {
                sender,
                load: Arc::clone(&load),
            });
            workers.push(finished);
            let seed = Seed {
                limits: config.limits,
                certificates: certificates.clone(),
                metrics: Arc::clone(metrics),
                stop: stop.clone(),
                load,
            };
            let handler = Arc::clone(&handler);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    runtime.block_on(work(receiver, seed, |scope| handler(scope)));
                    let _ = done.send(());
                })?;
        }
        let places = Arc::new(Semaphore::new(config.limits.max_connections));
        let acceptors = TaskTracker::new();
        for listener in listeners {
            let accepting =
                listener.accept_into(inboxes.clone(), Arc::clone(&places), stop.clone());
            acceptors.spawn(async move {
                if let Err(error) = accepting.await {
                    tracing::error!(error = %error, "a listener broke; no more connections are accepted on it");
                }
            });
        }
        Ok(Self { workers })
    }

    /// Waits until every connection has ended, or the stop turned hard.
    pub async fn finished(self) {
        for worker in self.workers {
            // An error means that the thread is gone, which is what is waited for.
            let _ = worker.await;
        }
    }
}

/// What a worker needs to start.
struct Seed {
    limits: Limits,
    certificates: Certificates,
    metrics: Arc<Metrics>,
    stop: Stop,
    load: Arc<AtomicUsize>,
}

async fn work<H: Handler>(
    mut inbox: mpsc::UnboundedReceiver<(TcpStream, Peer)>,
    seed: Seed,
    handler: impl FnOnce(Scope) -> H,
) {
    let scope = Scope {
        tasks: TaskTracker::new(),
        stop: seed.stop.clone(),
    };
    let handler = Arc::new(handler(scope.clone()));
    let context = Arc::new(Context {
        limits: seed.limits,
        certificates: seed.certificates,
        stop: seed.stop.clone(),
        tasks: scope.tasks.clone(),
    });
    let serving = async {
        while let Some((stream, peer)) = inbox.recv().await {
            let connection = serve(stream, peer, Arc::clone(&handler), Arc::clone(&context));
            let open = Open::new(Arc::clone(&seed.load), Arc::clone(&seed.metrics));
            scope.tasks.spawn(async move {
                connection.await;
                drop(open);
            });
        }
        scope.tasks.close();
        scope.tasks.wait().await;
    };
    tokio::select! {
        () = serving => {}
        () = seed.stop.killed() => {}
    }
}

/// Spawns what serves the streams of an HTTP/2 connection: it may outlive the connection by a moment, and the drain
/// waits for it too.
#[derive(Clone)]
pub(super) struct Tracked(pub(super) TaskTracker);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tracked {
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

/// Counts a connection for as long as it lives, a panic in it included.
struct Open {
    load: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Open {
    fn new(load: Arc<AtomicUsize>, metrics: Arc<Metrics>) -> Self {
        metrics.connections.inc();
        Self { load, metrics }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.metrics.connections.dec();
    }
}

/// Serves one listener on the current runtime until `stop`: enough for the admin pages.
///
/// # Errors
///
/// When the listener breaks.
pub async fn serve_on<H: Handler>(
    listener: Listener,
    limits: Limits,
    metrics: Arc<Metrics>,
    stop: Stop,
    handler: H,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let load = Arc::new(AtomicUsize::new(0));
    let inbox = Inbox {
        sender,
        load: Arc::clone(&load),
    };
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let seed = Seed {
        limits,
        certificates: Certificates::none(),
        metrics,
        stop: stop.clone(),
        load,
    };
    let (accepted, ()) = tokio::join!(
        listener.accept_into(vec![inbox], places, stop),
        work(receiver, seed, |_| handler)
    );
    accepted
}
