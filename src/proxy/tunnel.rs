//! A WebSocket, once the backend has agreed to it: bytes both ways until one side ends, both are silent, or we stop.

mod frames;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{Request, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Ending;
use super::headers::lists;
use crate::stop::Stop;
use frames::Frames;

/// How long each side may take to turn its connection into a tunnel after 101.
const HANDOVER: Duration = Duration::from_secs(10);
/// How long a client may take to answer our close frame.
const FAREWELL: Duration = Duration::from_secs(2);
const BUFFER: usize = 16 << 10;

type Reader = ReadHalf<TokioIo<Upgraded>>;
type Writer = WriteHalf<TokioIo<Upgraded>>;

/// The client's side of an upgrade, if the request asks for one that is let through: WebSocket (RFC 6455).
///
/// Others, `h2c` above all, are not: behind them requests would flow that nobody decides on.
pub(super) fn requested<B>(request: &mut Request<B>) -> Option<OnUpgrade> {
    let headers = request.headers();
    let asked = request.version() == Version::HTTP_11
        && headers
            .get_all(CONNECTION)
            .iter()
            .any(|value| lists(value, "upgrade"))
        && headers.get_all(UPGRADE).iter().count() == 1
        && headers
            .get(UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    asked.then(|| hyper::upgrade::on(request))
}

/// What ends a tunnel beside its two sides.
pub(super) struct Ends {
    /// Silence for this long.
    idle: Duration,
    /// What let it begin is over.
    over: CancellationToken,
    /// The drain.
    stop: Stop,
}

/// Carries bytes between the two sides.
pub(super) async fn run(client: OnUpgrade, upstream: OnUpgrade, ends: Ends, end: Option<Ending>) {
    let handover = tokio::time::timeout(HANDOVER, async { tokio::try_join!(client, upstream) });
    let Ok(Ok((client, upstream))) = handover.await else {
        return;
    };
    let (client_reader, client_writer) = tokio::io::split(TokioIo::new(client));
    let (upstream_reader, upstream_writer) = tokio::io::split(TokioIo::new(upstream));
    let pulse = Pulse(Mutex::new(Instant::now()));
    let both = async {
        tokio::join!(
            upwards(client_reader, upstream_writer, &pulse),
            downwards(upstream_reader, client_writer, &pulse, &ends),
        )
    };
    tokio::select! {
        _ = both => {}
        () = pulse.stops(ends.idle) => {}
        () = ends.overdue() => {}
        () = ends.watch(end) => {}
    }
}

/// When anything moved last.
struct Pulse(Mutex<Instant>);

impl Pulse {
    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stops(&self, patience: Duration) {
        while self.last().elapsed() < patience {
            tokio::time::sleep_until(self.last() + patience).await;
        }
    }
}

impl Ends {
    pub(super) fn new(idle: Duration, stop: Stop) -> Self {
        let over = CancellationToken::new();
        Self { idle, over, stop }
    }

    /// Waits for `end` and says so. Never returns: the client is told first.
    async fn watch(&self, end: Option<Ending>) {
        if let Some(end) = end {
            end.await;
            self.over.cancel();
        }
        std::future::pending::<()>().await;
    }

    /// Waits until the client has to be told, and returns what it is told.
    async fn told(&self) -> [u8; 4] {
        tokio::select! {
            () = self.stop.draining() => frames::GOING_AWAY,
            () = self.over.cancelled() => frames::POLICY_VIOLATION,
        }
    }

    /// Waits until a client that was told has had time to go.
    async fn overdue(&self) {
        self.told().await;
        tokio::time::sleep(FAREWELL).await;
    }
}

async fn upwards(mut from: Reader, mut to: Writer, pulse: &Pulse) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        pulse.beat();
        if to.write_all(&buffer[..length]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    // The other direction ends by itself, or by silence.
    let _ = to.shutdown().await;
}

/// Like [`upwards`], and tells the client between two frames when the tunnel has to end.
async fn downwards(mut from: Reader, mut to: Writer, pulse: &Pulse, ends: &Ends) {
    let mut buffer = vec![0; BUFFER];
    let mut frames = Frames::default();
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            close = ends.told(), if frames.is_between() => {
                let _ = to.write_all(&close).await;
                break;
            }
        };
        let Ok(length @ 1..) = read else { break };
        pulse.beat();
        frames.advance(&buffer[..length]);
        if to.write_all(&buffer[..length]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
